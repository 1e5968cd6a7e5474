package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"time"

	"github.com/spf13/cobra"

	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/client/overgrpc"
	"github.com/parleyhq/parley/server"
)

func (a *app) demoCommand() *cobra.Command {
	var stay bool
	c := &cobra.Command{
		Use:   "demo",
		Short: "See every pattern at work on a shop's events.",
		Example: `  parley demo            on a terminal the server stays for you to play with
  parley demo --stay=false`,
		Long: `It starts a server of its own in a temporary folder and on free ports, lets a
small shop publish to it, and shows the same events arriving by each pattern. The
folder goes when it ends.`,
		Args: exactly(),
	}
	c.Flags().BoolVar(&stay, "stay", isTerminal(a.out), "keep the server until Ctrl-C")
	c.RunE = a.command(func(ctx context.Context, _ []string) (answer, error) {
		d := &demo{app: a, stay: stay}
		err := d.run(ctx)
		return answer{Summary: "the demo's server has stopped and its folder is gone", Result: d.figures}, err
	})
	return c
}

// demo is one run: a server, its shop, and what each pattern saw.
type demo struct {
	app     *app
	stay    bool
	at      server.Addresses
	client  *client.Client
	figures []demoFigure
}

// demoStep shows one pattern. A pattern brings its step in a file of its own.
type demoStep struct {
	title string
	run   func(*demo, context.Context) error
}

func demoSteps() []demoStep {
	return []demoStep{
		{"Publish once, receive by every pattern", (*demo).fanOutStep},
		{"One cursor, whatever the transport", (*demo).cursorStep},
		{"A reader that was away misses nothing", (*demo).replayStep},
		{"A limit says when to come back", (*demo).throttleStep},
		{"A job has one worker, and outlives it", (*demo).queueStep},
		{"Groups keep their own places in one log", (*demo).streamStep},
		{"A pipe is a few lines, and runs in the server", (*demo).pipeStep},
	}
}

func (s demoStep) show(ctx context.Context, d *demo) error {
	d.print("\n%s\n", d.app.heading(s.title))
	return s.run(d, ctx)
}

func (d *demo) run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "parley-demo-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	life, end := context.WithCancel(ctx)
	ended := make(chan error, 1)
	started := make(chan server.Addresses, 1)
	s, err := d.server(dir, started)
	if err != nil {
		end()
		return err
	}
	go func() { ended <- s.Run(life) }()
	select {
	case d.at = <-started:
	case err := <-ended:
		end()
		return err
	}
	err = d.steps(ctx)
	end()
	if e := <-ended; err == nil {
		err = e
	}
	return err
}

// server makes the demo's server, which talks only when something is wrong.
func (d *demo) server(dir string, started chan server.Addresses) (*server.Server, error) {
	loaded, err := server.Load(server.Sources{Env: nil, Flags: map[string][]string{
		"data": {dir}, "listen": {"127.0.0.1:0"}, "grpc": {"127.0.0.1:0"}, "drain": {"100ms"},
		"route": {"/orders=sse:shop.orders"},
	}})
	if err != nil {
		return nil, err
	}
	opt := serverOptions(slog.New(slog.NewTextHandler(d.app.err, &slog.HandlerOptions{Level: slog.LevelWarn})))
	opt.Started = func(at server.Addresses) { started <- at }
	return server.New(loaded.Config, opt)
}

func (d *demo) steps(ctx context.Context) error {
	url := "http://" + d.at.HTTP
	rpc, err := overgrpc.Dial(d.at.GRPC, overgrpc.Options{})
	if err != nil {
		return err
	}
	defer func() { _ = rpc.Close() }() // the demo is over
	if d.client, err = client.New(url, client.Options{GRPC: rpc}); err != nil {
		return err
	}
	d.print("%s %s at %s\n", d.app.heading("parley"), version(), url)
	for _, step := range demoSteps() {
		if err := step.show(ctx, d); err != nil {
			return err
		}
	}
	d.print("\n%s\n", d.app.heading("Try it yourself"))
	d.print("  open   %s/\n", url)
	d.print("  parley sub 'shop.>' --server %s\n", url)
	d.print("  parley pub shop.orders '{\"hello\":\"shop\"}' --server %s\n", url)
	d.print("  parley pipe tap big-orders big --server %s\n", url)
	d.print("  curl -N -H 'Accept: text/event-stream' '%s/v1/topics/shop.orders/events?after=earliest'\n", url)
	if !d.stay {
		return nil
	}
	d.print("\nThe shop goes on selling. Ctrl-C ends it.\n")
	return d.sell(ctx, 2*time.Second)
}

// print shows what happens; with --json only the figures are of interest.
func (d *demo) print(format string, args ...any) {
	if !d.app.json {
		_, _ = io.WriteString(d.app.out, fmt.Sprintf(format, args...)) // a reader that left ends the demo by its context
	}
}

func (a *app) heading(text string) string {
	if isTerminal(a.out) && a.getenv("NO_COLOR") == "" {
		return "\x1b[1m" + text + "\x1b[0m"
	}
	return text
}
