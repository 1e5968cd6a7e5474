package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/pattern/pipe/declared"
	"github.com/parleyhq/parley/pattern/pipe/graph"
)

// demoPipe is the definition of the demo's pipe: what a shop would put by
// parley pipe put big-orders.yaml.
const demoPipe = `name: big-orders
steps:
  - topic: shop.orders
  - where: data.cents >= 10000
    name: big
  - map: "{order: .order, euros: (.cents / 100)}"
  - topic: shop.big-orders
`

// pipeStep declares a pipe over the shop's orders, has it refuse what is wrong, and
// shows what comes out of it, with one order that it cannot work on.
func (d *demo) pipeStep(ctx context.Context) error {
	if _, _, err := d.client.PutPipe(ctx, "big-orders", []byte(demoPipe), declared.PutOptions{}); err != nil {
		return err
	}
	d.print("\n%s", indented(demoPipe))
	broken := shopEvent("OrderPlaced", "order-x", map[string]any{"order": "order-x", "cents": "a lot"})
	if _, err := d.client.Publish(ctx, "shop.orders", broken); err != nil {
		return err
	}
	big, err := d.bigOrders(ctx)
	if err != nil {
		return err
	}
	left := big
	for got, err := range d.client.Subscribe(ctx, client.Subscription{Topics: []string{"shop.big-orders"}, From: "earliest"}) {
		if err != nil {
			return err
		}
		d.print("  out   %s\n", got.Data)
		if left--; left <= 0 {
			break
		}
	}
	for got, err := range d.client.Subscribe(ctx, client.Subscription{Topics: []string{"big-orders.dead"}, From: "earliest"}) {
		if err != nil {
			return err
		}
		d.print("  dead  %s, at the step %s: %s\n", got.Data, got.Extensions[graph.AttrStage], got.Extensions[graph.AttrCause])
		break
	}
	if err := d.pipeRefuses(ctx); err != nil {
		return err
	}
	return d.pipeFigures(ctx, big)
}

// bigOrders counts the orders that the pipe is to pass on.
func (d *demo) bigOrders(ctx context.Context) (n int, err error) {
	all, err := d.client.Poll(ctx, "shop.orders", client.Poll{After: "earliest", Limit: 1000})
	for _, e := range all.Events {
		var order struct{ Cents float64 }
		if json.Unmarshal(e.Data, &order) == nil && order.Cents >= 10000 {
			n++
		}
	}
	if err == nil && n == 0 {
		err = errors.New("the shop has sold nothing big")
	}
	return n, err
}

// pipeRefuses puts a definition with a mistake in it.
func (d *demo) pipeRefuses(ctx context.Context) error {
	wrong := strings.Replace(demoPipe, "where", "wher", 1)
	_, _, err := d.client.PutPipe(ctx, "big-orders", []byte(wrong), declared.PutOptions{})
	refused, ok := errors.AsType[*parley.Error](err)
	if !ok || refused.Code != parley.Invalid {
		return errors.Join(errors.New("a definition with a mistake was taken"), err)
	}
	d.print("  put   with %q instead of where is refused: %s\n", refused.Field, refused.Detail)
	return nil
}

// pipeFigures shows that the pipe goes on, and what each step did.
func (d *demo) pipeFigures(ctx context.Context, big int) error {
	s, err := d.client.PipeStats(ctx, "big-orders")
	if err != nil || s.State != declared.Running || s.Out != int64(big) || s.Dead != 1 {
		return errors.Join(fmt.Errorf("the pipe is %s, with %d events out and %d dead", s.State, s.Out, s.Dead), err)
	}
	d.print("  the pipe is still %s, by the definition it had\n\n  %-8s %6s %6s %7s %9s\n", s.State, "step", "in", "out", "errors", "mean µs")
	for _, step := range s.Steps {
		d.print("  %-8s %6d %6d %7d %9.1f\n", strings.TrimSuffix(strings.TrimPrefix(step.Name, step.Path+" ("), ")"), step.In, step.Out, step.Errors, step.Micros)
	}
	return nil
}

func indented(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n  ") + "\n\n"
}
