package patterntest_test

import (
	"context"
	"iter"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/pattern/patterntest"
	"github.com/parleyhq/parley/pattern/poll"
	"github.com/parleyhq/parley/pattern/pubsub"
)

// near is the library, in the process of the log.
type near struct {
	patterntest.Library
	w *patterntest.World
}

var _ interface {
	patterntest.Door
	patterntest.Publisher
	patterntest.Poller
} = near{}

func openNear(w *patterntest.World) patterntest.Door { return near{patterntest.Library{World: w}, w} }

func (n near) Ways(pattern string) []patterntest.Way {
	switch pattern {
	case "pubsub":
		return []patterntest.Way{{Name: "hub", Subscriber: n, Many: true}}
	case "poll":
		return []patterntest.Way{{Name: "pages", Subscriber: patterntest.Polling(n, 25*time.Second, 0), Strict: true}}
	}
	return nil
}

func (n near) Publish(ctx context.Context, key, name string, events ...parley.Event) (patterntest.Receipt, error) {
	placed, replayed, err := n.w.Topics.Publish(ctx, name, events, topic.PublishOptions{IdempotencyKey: key})
	return patterntest.Receipt{Placed: placed, Replayed: replayed}, err
}

func (n near) PublishAll(ctx context.Context, key string, topics ...topic.TopicEvents) (patterntest.Receipt, error) {
	placed, replayed, err := n.w.Topics.PublishAll(ctx, topics, topic.PublishOptions{IdempotencyKey: key})
	return patterntest.Receipt{Placed: placed, Replayed: replayed}, err
}

func (n near) Subscribe(ctx context.Context, q patterntest.Query) iter.Seq2[patterntest.Received, error] {
	return func(yield func(patterntest.Received, error) bool) {
		fail := func(err error) { yield(patterntest.Received{}, err) }
		at, err := pubsub.ParseFrom(q.From)
		if err != nil {
			fail(err)
			return
		}
		sub, err := n.w.Hub.Subscribe(ctx, pubsub.Request{Topics: q.Topics, From: at, Ephemeral: q.Ephemeral})
		if err != nil {
			fail(err)
			return
		}
		defer sub.Close()
		if !yield(patterntest.Received{Place: true, Cursor: sub.Cursor()}, nil) {
			return
		}
		for {
			d, err := sub.Next(ctx)
			if err != nil {
				fail(err)
				return
			}
			if !hand(d, yield) {
				return
			}
		}
	}
}

// hand gives a delivery to a loop, and says whether that goes on.
func hand(d pubsub.Delivery, yield func(patterntest.Received, error) bool) bool {
	for _, notice := range d.Notices {
		if !yield(patterntest.Received{Notice: notice.Kind.String()}, nil) {
			return false
		}
	}
	for _, chunk := range d.Chunks {
		views := chunk.Views()
		for i := range views {
			got := patterntest.Received{Event: views[i].Event}
			if !chunk.Fleeting {
				d.Advance(&views[i])
				got.Cursor = d.Cursor()
			}
			if !yield(got, nil) {
				return false
			}
		}
	}
	return true
}

func (n near) Poll(ctx context.Context, name string, q patterntest.PollQuery) (patterntest.PollPage, error) {
	if q.Limit == 0 {
		q.Limit = poll.DefaultLimit
	}
	request := pubsub.Request{Topics: []string{name}, Ephemeral: q.Ephemeral, Strict: true}
	if q.Tail > 0 || q.After == "" && q.Wait == 0 {
		if q.Tail == 0 {
			q.Tail = q.Limit
		}
		page, err := n.w.Hub.Tail(ctx, request, q.Tail, q.Before)
		if err != nil {
			return patterntest.PollPage{}, err
		}
		return pageOf(poll.PageOf(page))
	}
	var err error
	if request.From, err = pubsub.ParseFrom(q.After); err != nil {
		return patterntest.PollPage{}, err
	}
	sub, err := n.w.Hub.Subscribe(ctx, request)
	if err != nil {
		return patterntest.PollPage{}, err
	}
	defer sub.Close()
	over := time.NewTimer(q.Wait)
	defer over.Stop()
	for {
		page, err := poll.ReadPage(ctx, sub, q.Limit)
		if err != nil {
			return patterntest.PollPage{}, err
		}
		if len(page.Events) > 0 || q.Wait == 0 {
			return pageOf(page)
		}
		woken := make(bell, 1)
		if !sub.Park(woken) {
			continue
		}
		select {
		case <-woken:
		case <-over.C:
			return pageOf(page)
		case <-ctx.Done():
			return patterntest.PollPage{}, ctx.Err()
		}
	}
}

// bell is a pubsub.Waker.
type bell chan struct{}

func (b bell) Wake() { b <- struct{}{} }

func pageOf(p poll.Page) (patterntest.PollPage, error) {
	out := patterntest.PollPage{Cursor: p.Cursor, Before: p.Before, More: p.More}
	for _, raw := range p.Events {
		e, err := parley.ParseJSON(raw)
		if err != nil {
			return out, err
		}
		out.Events = append(out.Events, e)
	}
	return out, nil
}
