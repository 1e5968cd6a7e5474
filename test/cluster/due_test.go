package cluster_test

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats-server/v2/server/ats"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/cursor"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/pattern/pubsub"
	"github.com/parleyhq/parley/pattern/queue"
)

// bubbled is a node in a bubble that may own queues.
type bubbled struct {
	topics *topic.Registry
	queues *queue.Registry
	stop   func() // in an orderly way
}

func bubbledNode(t *testing.T, ns *server.Server, name string) *bubbled {
	t.Helper()
	log := inBubble(t, ns)
	life, end := context.WithCancel(context.Background())
	var all sync.WaitGroup
	run := func(ctx context.Context, f func(context.Context) error) {
		all.Go(func() {
			if err := f(ctx); err != nil && ctx.Err() == nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	run(life, log.Run)
	topics := topic.New(log, topic.Options{AutoCreate: true, RetainEvery: time.Minute})
	if err := topics.Load(life); err != nil {
		t.Fatal(err)
	}
	hub := pubsub.NewHub(log, topics, new(cursor.Sealer), pubsub.Options{})
	queues, err := queue.NewRegistry(log, hostOf(t, log, name), queue.RegistryOptions{AutoCreate: true, Topics: topics, Hub: hub, Logger: slog.New(slog.DiscardHandler)})
	if err == nil {
		err = queues.Load(life)
	}
	if err != nil {
		t.Fatal(err)
	}
	topics.AskHolders(queues.Holds)
	run(life, topics.Run)
	run(life, hub.Run)
	owning, leave := context.WithCancel(life)
	left := make(chan error, 1)
	go func() { left <- queues.Run(owning) }()
	b := &bubbled{topics: topics, queues: queues}
	b.stop = sync.OnceFunc(func() {
		leave()
		if err := <-left; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	})
	t.Cleanup(func() {
		b.stop()
		end()
		all.Wait()
	})
	return b
}

func (b *bubbled) queue(t *testing.T) *queue.Queue {
	t.Helper()
	q, err := b.queues.Ensure(t.Context(), "work")
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// TestSchedulesAndFeedsOverTwoNodes has the owner of a queue change while a schedule
// is due again and again and a topic feeds it: each due time and each event gives
// one job.
func TestSchedulesAndFeedsOverTwoNodes(t *testing.T) {
	ats.Register() // see TestPatternsOverTwoNodes
	defer ats.Unregister()
	synctest.Test(t, func(t *testing.T) {
		ns := serverInBubble(t)
		one := bubbledNode(t, ns, "one")
		if _, _, err := one.queues.Configure(t.Context(), "work", func(s *queue.Settings) error {
			s.Feed = []string{"orders"}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		two := bubbledNode(t, ns, "two")
		if _, _, err := two.queue(t).PutSchedule(t.Context(), queue.Schedule{Name: "tick", Cron: "* * * * *", Job: queue.Job{Event: parley.Event{Data: []byte("tick")}}}); err != nil {
			t.Fatal(err)
		}
		published := 0
		minutes := func(n int) {
			t.Helper()
			for range n {
				published++
				e := parley.Event{ID: strconv.Itoa(published), Source: "/shop", Type: "order", Data: []byte("order")}
				at := []*bubbled{one, two}[published%2]
				if _, _, err := at.topics.Publish(t.Context(), "orders", []parley.Event{e}, topic.PublishOptions{}); err != nil {
					t.Fatal(err)
				}
				<-time.After(time.Minute)
			}
		}
		minutes(5)
		one.stop()
		minutes(5)
		got := map[string]int{}
		for {
			list, err := one.queue(t).Lease(t.Context(), queue.LeaseRequest{Max: 100})
			if err != nil {
				t.Fatal(err)
			}
			if len(list) == 0 {
				break
			}
			for _, l := range list {
				if got[string(l.Event.Data)]++; string(l.Event.Data) == "order" {
					got["order "+l.Event.ID]++
				}
				if err := one.queue(t).Ack(t.Context(), l.Token); err != nil {
					t.Fatal(err)
				}
			}
		}
		for i := 1; i <= published; i++ {
			if n := got["order "+strconv.Itoa(i)]; n != 1 {
				t.Errorf("event %d gave %d jobs", i, n)
			}
		}
		if got["tick"] != 10 || got["order"] != 10 {
			t.Errorf("%d jobs of a schedule that was due 10 times, %d of 10 events", got["tick"], got["order"])
		}
		// The other node learns where the feed is.
		at, err := one.topics.Get("orders")
		if err != nil {
			t.Fatal(err)
		}
		holds, err := one.queues.Holds(t.Context())
		if err != nil || len(holds[at.Partitions[0].Stream]) != 1 {
			t.Errorf("holds %v, %v", holds, err)
		}
	})
}
