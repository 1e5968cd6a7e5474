package main

import (
	"log/slog"

	"github.com/parleyhq/parley/server"
)

// serverOptions plugs into a server what the binary has besides the API.
func serverOptions(log *slog.Logger) server.Options {
	return server.Options{Version: version(), Log: log}
}

// demoData is where the demo keeps its events.
func demoData(string) string { return server.Memory }
