// Command embed runs a whole server inside a program: it publishes three orders,
// receives them over a WebSocket, and lets the server drain and end.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/server"
)

func run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	cfg := server.Default()
	cfg.Data, cfg.Listen, cfg.GRPC = server.Memory, "127.0.0.1:0", "off"
	var traded error
	s, err := server.New(cfg, server.Options{Started: func(at server.Addresses) {
		go func() {
			defer stop() // the server drains and ends
			traded = trade(ctx, "http://"+at.HTTP)
		}()
	}})
	if err != nil {
		return err
	}
	return errors.Join(s.Run(ctx), traded)
}

func trade(ctx context.Context, url string) error {
	c, err := client.New(url, client.Options{})
	if err != nil {
		return err
	}
	order := parley.Event{Data: []byte(`{"tea":1}`), DataContentType: "application/json"}
	if _, err := c.Publish(ctx, "orders", order, order, order); err != nil {
		return err
	}
	orders := 0
	for order, err := range c.Subscribe(ctx, client.Subscription{Topics: []string{"orders"}, From: "earliest", Over: client.WebSocket}) {
		if err != nil {
			return err
		}
		fmt.Println(string(order.Data))
		if orders++; orders == 3 {
			break
		}
	}
	return nil
}

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
