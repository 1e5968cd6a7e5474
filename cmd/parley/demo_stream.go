package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
)

// streamStep has two groups read the same sales, each at its own pace; one of them
// goes back, and the other does not notice.
func (d *demo) streamStep(ctx context.Context) error {
	sales := make([]parley.Event, len(shopGoods))
	for i, good := range shopGoods {
		sales[i] = parley.Event{Type: "Sale", Data: []byte(good.name), DataContentType: "text/plain"}
	}
	if _, err := d.client.Publish(ctx, "shop.sales", sales...); err != nil {
		return err
	}
	d.print("\n  %d sales, two groups\n", len(sales))
	for _, name := range []string{"shop-billing", "shop-reports"} {
		if err := d.groupReads(ctx, name, len(sales)); err != nil {
			return err
		}
	}
	if _, err := d.client.Group("shop-reports").Seek(ctx, client.GroupSeek{To: "earliest"}); err != nil {
		return err
	}
	d.print("  shop-reports  goes back to the beginning\n")
	if err := d.groupReads(ctx, "shop-reports", len(sales)); err != nil {
		return err
	}
	info, err := d.client.Group("shop-billing").Info(ctx)
	if err != nil || info.Lag == nil || *info.Lag != 0 {
		return errors.Join(errors.New("billing was moved by the seek of another group"), err)
	}
	d.print("  shop-billing  is where it was\n")
	return nil
}

// groupReads has a member of a group work off so many events.
func (d *demo) groupReads(ctx context.Context, name string, n int) error {
	c, err := d.client.Group(name).Consumer(client.ConsumerOptions{Topics: []string{"shop.sales"}, Client: "demo"})
	if err != nil {
		return err
	}
	left := n
	for m, err := range c.Messages(ctx) {
		if err != nil {
			return err
		}
		if left == n {
			d.print("  %-13s reads %s, from position %s", name, m.Event.Data, strconv.FormatInt(int64(m.Position), 10))
		}
		if left--; left == 0 {
			d.print(" to %s, and commits\n", fmt.Sprint(m.Position))
			return c.Commit(ctx)
		}
	}
	return nil
}
