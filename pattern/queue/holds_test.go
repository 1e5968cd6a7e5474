package queue

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/engine/memlog"
)

// TestHolds: any node learns how far the feeders of all queues are. A queue that
// nobody owns keeps what it is fed with, but not for ever.
func TestHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := memlog.New(memlog.Options{})
		topics, h := hub(t, log, topic.Options{AutoCreate: true})
		open := func(host shard.Host) *Registry {
			r, err := NewRegistry(log, host, RegistryOptions{AutoCreate: true, Hub: h, Topics: topics, Logger: slog.New(slog.DiscardHandler)})
			if err == nil {
				err = r.Load(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		host := new(shard.Local)
		owner, other := open(host), open(host)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- owner.Run(ctx) }()
		if _, _, err := owner.Configure(t.Context(), "fed", func(s *Settings) error {
			s.Feed = []string{"a"}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := owner.Create(t.Context(), "plain"); err != nil {
			t.Fatal(err)
		}
		placed, _, err := topics.Publish(t.Context(), "a", numbered(1, 3), topic.PublishOptions{})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		holds, err := other.Holds(t.Context())
		a, failed := topics.Get("a")
		if failed != nil {
			t.Fatal(failed)
		}
		if list := holds[a.Partitions[0].Stream]; err != nil || len(holds) != 1 || len(list) != 1 || list[0].At != placed[2].Position+1 {
			t.Fatalf("%+v, %v", holds, err)
		}
		stop()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if _, err := other.Holds(t.Context()); parley.CodeOf(err) != parley.Unavailable || err == nil {
			t.Fatalf("while nobody owns them: %v", err)
		}
		<-time.After(topic.OwnerForget)
		if holds, err := other.Holds(t.Context()); err != nil || len(holds) != 0 {
			t.Fatalf("after %s: %+v, %v", topic.OwnerForget, holds, err)
		}
	})
}
