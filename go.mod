module github.com/parleyhq/parley

go 1.26.0

require (
	github.com/coder/websocket v1.8.15
	golang.org/x/sys v0.49.0
	pgregory.net/rapid v1.3.0
)

require (
	github.com/twmb/franz-go/pkg/kmsg v1.15.0 // indirect
)
