package main

import (
	"context"
	"errors"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
)

// throttleStep publishes five times in a second where three are admitted, and
// comes back when the server said so.
func (d *demo) throttleStep(ctx context.Context) error {
	const name, topic = "demo", "shop.reviews"
	if _, err := d.client.PutLimit(ctx, name, client.LimitDefinition{Limit: "3/s", Key: "ip", On: []string{"publish:" + topic}}); err != nil {
		return err
	}
	eager, err := client.New("http://"+d.at.HTTP, client.Options{Retries: -1})
	if err != nil {
		return err
	}
	d.print("\n  a limit of 3 a second on publishing to %s\n", topic)
	var wait time.Duration
	for i := range 5 {
		_, err := eager.Publish(ctx, topic, parley.Event{Type: "Review", Data: []byte("five stars")})
		var e *parley.Error
		switch {
		case err == nil:
			d.print("  request %d   201 stored\n", i+1)
		case errors.As(err, &e) && e.Code == parley.Throttled:
			d.print("  request %d   429 come back in %s\n", i+1, e.RetryAfter)
			wait = e.RetryAfter
		default:
			return err
		}
	}
	select {
	case <-time.After(wait):
	case <-ctx.Done():
		return ctx.Err()
	}
	if _, err := eager.Publish(ctx, topic, parley.Event{Type: "Review", Data: []byte("five stars")}); err != nil {
		return err
	}
	d.print("  %s later   201 stored\n", wait)
	return d.client.DeleteLimit(ctx, name)
}
