package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/parleyhq/parley"
)

// shop makes the events of a small shop: the same ones in every run.
type shop struct {
	rnd   *rand.Rand
	order int
	open  []string // orders that are paid and not yet shipped
}

func newShop() *shop { return &shop{rnd: rand.New(rand.NewPCG(7, 275)), order: 1000} }

var shopGoods = []struct {
	name  string
	cents int
}{{"espresso beans 1 kg", 1890}, {"hand grinder", 8900}, {"paper filters 100", 450}, {"gooseneck kettle", 6400}, {"cup, blue", 1250}}

var shopPeople = []string{"ada", "grace", "linus", "barbara", "ken", "margaret"}

// next gives the topic and event that happen next.
func (s *shop) next() (topic string, e parley.Event) {
	if len(s.open) > 0 && s.rnd.IntN(3) == 0 {
		id := s.open[0]
		s.open = s.open[1:]
		return "shop.shipping", shopEvent("OrderShipped", id, map[string]any{"order": id, "parcel": fmt.Sprintf("P%06d", s.rnd.IntN(1e6))})
	}
	s.order++
	id := fmt.Sprintf("order-%d", s.order)
	s.open = append(s.open, id)
	good := shopGoods[s.rnd.IntN(len(shopGoods))]
	n := 1 + s.rnd.IntN(3)
	return "shop.orders", shopEvent("OrderPlaced", id, map[string]any{
		"order": id, "customer": shopPeople[s.rnd.IntN(len(shopPeople))], "item": good.name, "quantity": n, "cents": n * good.cents,
	})
}

func shopEvent(kind, order string, data map[string]any) parley.Event {
	body, _ := json.Marshal(data) // strings and numbers
	e := parley.Event{Type: kind, Source: "/shop", Subject: order, DataContentType: "application/json", Data: body}
	e.Set(parley.PartitionKey, order)
	return e
}

// sell publishes until ctx ends.
func (d *demo) sell(ctx context.Context, every time.Duration) error {
	s := newShop()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		topic, e := s.next()
		if _, err := d.client.Publish(ctx, topic, e); err != nil && ctx.Err() == nil {
			return err
		}
	}
}
