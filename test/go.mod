module github.com/parleyhq/parley/test

go 1.26.0
