package main

import (
	"log/slog"
	"net/http"

	"github.com/parleyhq/parley/console"
	"github.com/parleyhq/parley/console/lab"
	"github.com/parleyhq/parley/server"
)

// serverOptions plugs into a server what the binary has besides the API.
func serverOptions(log *slog.Logger) server.Options {
	return server.Options{
		Version: version(), Log: log,
		HeapFloor: server.HeapFloor, // the process does nothing else
		Console:   console.Handler(),
		Lab:       func(api http.Handler) http.Handler { return lab.New(lab.Options{Handler: api}) },
	}
}
