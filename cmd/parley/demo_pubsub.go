package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
)

// demoFigure is what one transport did in the demo, measured.
type demoFigure struct {
	Transport string  `json:"transport"`
	Events    int     `json:"events"`
	MedianMS  float64 `json:"median_ms"` // from publish to arrival, durable write included
	WorstMS   float64 `json:"worst_ms"`
}

// arrival is one event at one subscriber.
type arrival struct {
	over client.Transport
	got  client.Received
	at   time.Time
	err  error
}

const demoEvents = 5

// fanOutStep lets one subscriber for each transport wait, publishes, and shows
// how each event arrives everywhere.
func (d *demo) fanOutStep(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	all := []client.Transport{client.WebSocket, client.SSE, client.GRPC, client.LongPoll, client.ShortPoll}
	arrivals := make(chan arrival)
	for _, over := range all {
		go d.watch(ctx, over, arrivals)
	}
	took := map[client.Transport][]float64{}
	s := newShop()
	for range demoEvents {
		topic, e := s.next()
		for topic != "shop.orders" {
			topic, e = s.next()
		}
		if err := d.fanOut(ctx, e, arrivals, len(all), took); err != nil {
			return err
		}
	}
	d.print("\n  %-12s %8s %12s %12s\n", "transport", "events", "median ms", "worst ms")
	for _, over := range all {
		ms := took[over]
		slices.Sort(ms)
		f := demoFigure{Transport: string(over), Events: len(ms), MedianMS: hundredths(ms[len(ms)/2]), WorstMS: hundredths(ms[len(ms)-1])}
		d.figures = append(d.figures, f)
		d.print("  %-12s %8d %12.2f %12.2f\n", f.Transport, f.Events, f.MedianMS, f.WorstMS)
	}
	return nil
}

// hundredths rounds a figure to what was shown of it.
func hundredths(ms float64) float64 { return math.Round(ms*100) / 100 }

// watch receives over one transport until ctx ends.
func (d *demo) watch(ctx context.Context, over client.Transport, out chan<- arrival) {
	sub := client.Subscription{Topics: []string{"shop.orders"}, From: "earliest", Over: over, Every: 50 * time.Millisecond}
	for got, err := range d.client.Subscribe(ctx, sub) {
		select {
		case out <- arrival{over, got, time.Now(), err}:
		case <-ctx.Done():
			return
		}
	}
}

// fanOut publishes one event and waits until it has arrived everywhere.
func (d *demo) fanOut(ctx context.Context, e parley.Event, arrivals <-chan arrival, subscribers int, took map[client.Transport][]float64) error {
	start := time.Now()
	placed, err := d.client.Publish(ctx, "shop.orders", e)
	if err != nil {
		return err
	}
	d.print("\n  %s %s %s\n", e.Type, e.Subject, e.Data)
	limit := time.NewTimer(10 * time.Second)
	defer limit.Stop()
	for range subscribers {
		select {
		case a := <-arrivals:
			if a.err != nil {
				return a.err
			}
			if a.got.ID != placed[0].ID {
				return parley.Errorf(parley.Internal, "%s brought event %s, want %s", a.over, a.got.ID, placed[0].ID)
			}
			ms := a.at.Sub(start).Seconds() * 1000
			took[a.over] = append(took[a.over], ms)
			d.print("    by %-12s after %6.2f ms\n", a.over, ms)
		case <-limit.C:
			return parley.Errorf(parley.Timeout, "event %s did not arrive everywhere within 10s", placed[0].ID)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// cursorStep reads each next event over another transport, with the cursor that
// the one before gave.
func (d *demo) cursorStep(ctx context.Context) error {
	cursor := "earliest"
	for i, over := range []client.Transport{client.SSE, client.LongPoll, client.WebSocket, client.GRPC, client.ShortPoll} {
		r, err := d.one(ctx, over, cursor)
		if err != nil {
			return err
		}
		d.print("  event %d by %-12s %s, then on from cursor %s\n", i+1, over, r.Subject, r.Cursor)
		cursor = r.Cursor
	}
	return nil
}

// one reads a single event after a cursor.
func (d *demo) one(ctx context.Context, over client.Transport, cursor string) (client.Received, error) {
	if over == client.LongPoll || over == client.ShortPoll {
		p, err := d.client.Poll(ctx, "shop.orders", client.Poll{After: cursor, Limit: 1})
		if err != nil || len(p.Events) == 0 {
			return client.Received{}, errors.Join(err, ctx.Err())
		}
		return client.Received{Event: p.Events[0], Cursor: p.Cursor}, nil
	}
	for r, err := range d.client.Subscribe(ctx, client.Subscription{Topics: []string{"shop.orders"}, From: cursor, Over: over}) {
		return r, err
	}
	return client.Received{}, ctx.Err()
}

// replayStep publishes while nobody listens, and lets a late subscriber of a
// topic pattern catch up.
func (d *demo) replayStep(ctx context.Context) error {
	s := newShop()
	const events = 20
	for range events {
		topic, e := s.next()
		if _, err := d.client.Publish(ctx, topic, e); err != nil {
			return err
		}
	}
	seen := map[string]int{}
	n := 0
	for r, err := range d.client.Subscribe(ctx, client.Subscription{Topics: []string{"shop.>"}, From: "earliest"}) {
		if err != nil {
			return err
		}
		seen[r.Type]++
		if n++; n == events+demoEvents {
			break
		}
	}
	var each []string
	for _, kind := range slices.Sorted(maps.Keys(seen)) {
		each = append(each, fmt.Sprintf("%d %s", seen[kind], kind))
	}
	d.print("  a subscriber of shop.> came late and got all %d events: %s\n", n, strings.Join(each, ", "))
	return nil
}
