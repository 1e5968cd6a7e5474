package patterntest_test

import (
	"context"
	"iter"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/client/overgrpc"
	"github.com/parleyhq/parley/pattern/patterntest"
)

// bySDK is package client, over HTTP and over gRPC.
type bySDK struct {
	*wires
	rpc    *wires
	client *client.Client
}

var _ interface {
	patterntest.Door
	patterntest.Publisher
	patterntest.Poller
} = bySDK{}

func openClient(w *patterntest.World) patterntest.Door {
	wire, over := serveHTTP(w)
	rpc := serveGRPC(w)
	g, err := overgrpc.Dial("parley.test", overgrpc.Options{Dial: rpc.dial})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = g.Close() })
	c, err := client.New("http://parley.test", client.Options{HTTP: over, GRPC: g})
	if err != nil {
		w.Fatal(err)
	}
	return bySDK{wire, rpc, c}
}

func (c bySDK) Cut(outage time.Duration) {
	c.wires.Cut(outage)
	c.rpc.Cut(outage)
}

func (c bySDK) Ways(pattern string) []patterntest.Way {
	way := func(over client.Transport, many, strict bool) patterntest.Way {
		return patterntest.Way{Name: string(over), Subscriber: transport{c.client, over}, Many: many, Strict: strict, Durable: over == client.ShortPoll}
	}
	switch pattern {
	case "pubsub":
		return []patterntest.Way{way(client.SSE, true, false), way(client.GRPC, true, false)}
	case "sse":
		return []patterntest.Way{way(client.SSE, true, false)}
	case "poll":
		return []patterntest.Way{way(client.LongPoll, false, true), way(client.ShortPoll, false, true)}
	case "websocket":
		return []patterntest.Way{way(client.WebSocket, false, false)}
	}
	return nil
}

// transport is one of the client's.
type transport struct {
	client *client.Client
	over   client.Transport
}

func (t transport) Subscribe(ctx context.Context, q patterntest.Query) iter.Seq2[patterntest.Received, error] {
	return func(yield func(patterntest.Received, error) bool) {
		s := client.Subscription{Topics: q.Topics, From: q.From, Over: t.over, Every: 5 * time.Second, Ephemeral: q.Ephemeral}
		for got, err := range t.client.Subscribe(ctx, s) {
			if !yield(patterntest.Received{Event: got.Event, Cursor: got.Cursor, Notice: got.Notice}, err) {
				return
			}
		}
	}
}

func (c bySDK) Publish(ctx context.Context, key, name string, events ...parley.Event) (patterntest.Receipt, error) {
	if key == "" && (len(events) > 1 || events[0].ID == "") {
		placed, err := c.client.Publish(ctx, name, events...)
		return receipt(placed, false, err)
	}
	return receipt(c.client.PublishOnce(ctx, key, name, events...))
}

func (c bySDK) PublishAll(ctx context.Context, key string, topics ...topic.TopicEvents) (patterntest.Receipt, error) {
	var all []client.TopicEvents
	for _, t := range topics {
		all = append(all, client.TopicEvents{Topic: t.Topic, Events: t.Events})
	}
	if key == "" {
		placed, err := c.client.PublishAll(ctx, all...)
		return receipt(placed, false, err)
	}
	return receipt(c.client.PublishAllOnce(ctx, key, all...))
}

func receipt(placed []client.Placed, replayed bool, err error) (patterntest.Receipt, error) {
	out := patterntest.Receipt{Replayed: replayed}
	for _, p := range placed {
		out.Placed = append(out.Placed, topic.Placed(p))
	}
	return out, err
}

func (c bySDK) Poll(ctx context.Context, name string, q patterntest.PollQuery) (patterntest.PollPage, error) {
	page, err := c.client.Poll(ctx, name, client.Poll{After: q.After, Limit: q.Limit, Wait: q.Wait, Tail: q.Tail, Before: q.Before, Ephemeral: q.Ephemeral})
	return patterntest.PollPage{Events: page.Events, Cursor: page.Cursor, Before: page.Before, More: page.More}, err
}
