package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/parleyhq/parley/server"
)

func (a *app) serveCommand() *cobra.Command {
	var flags configFlags
	c := &cobra.Command{
		Use:   "serve",
		Short: "Start a server.",
		Example: `  parley serve                                      on 127.0.0.1:7275
  parley serve --data :memory: --listen 127.0.0.1:0  keep nothing, on a free port
  parley serve --route /chat=websocket:chat          a WebSocket at a path of your own
  parley serve --config parley.yaml --log-level debug`,
		Long: `Settings come from parley.yaml, from PARLEY_ variables and from flags; what
comes later wins. Ctrl-C drains and stops, a second one stops at once.
With --json the addresses are printed once the server accepts requests.`,
		Args: exactly(),
	}
	flags.add(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		a.began = true
		return a.serve(cmd.Context(), &flags)
	}
	return c
}

// serving is what `serve --json` prints.
type serving struct {
	HTTP string `json:"http"` // URL
	GRPC string `json:"grpc,omitempty"`
	Data string `json:"data"`
}

func (a *app) serve(ctx context.Context, flags *configFlags) error {
	loaded, err := server.Load(flags.sources(a.env))
	if err != nil {
		return err
	}
	cfg, logger := loaded.Config, loaded.Config.Log.Logger(a.err)
	opt := serverOptions(logger)
	if cfg.Pipes.Dir != "" {
		reload, stop := onHangup()
		defer stop()
		opt.Reload = reload
	}
	opt.Started = func(at server.Addresses) { a.started(loaded, at, opt.Console != nil) }
	s, err := server.New(cfg, opt)
	if err != nil {
		return err
	}
	return s.Run(ctx)
}

// onHangup tells of each SIGHUP.
func onHangup() (<-chan struct{}, func()) {
	signals, asked := make(chan os.Signal, 1), make(chan struct{}, 1)
	signal.Notify(signals, syscall.SIGHUP)
	go func() {
		for range signals {
			select {
			case asked <- struct{}{}:
			default: // it is about to be done
			}
		}
	}()
	return asked, func() { signal.Stop(signals); close(signals) }
}

// started says that the server is there: to a program, a log or a person.
func (a *app) started(loaded server.Loaded, at server.Addresses, console bool) {
	b := banner{loaded: loaded, at: at, console: console, paint: a.paint}
	if a.json {
		// Nobody may read it; the server runs all the same.
		_ = a.answer("serve", answer{Summary: "serving " + b.url(), Result: serving{HTTP: b.url(), GRPC: at.GRPC, Data: loaded.Config.Where()}})
		return
	}
	if loaded.Config.Log.Format == "json" {
		b.log(loaded.Config.Log.Logger(a.err))
		return
	}
	a.say("%s", b.String())
}
