package cluster_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/test/rig"
)

// readers are the members of a group, and what they were given.
type readers struct {
	t         *testing.T
	mu        sync.Mutex
	given     map[string]string    // event → the member that had it first
	committed map[string]time.Time // when the commit was answered
	again     map[string]bool      // given after that
}

// read takes part in the group until ctx ends or the server is gone, and commits
// each event.
func (r *readers) read(ctx context.Context, d door, name string) {
	consumer, err := d.client.Group("billing").Consumer(client.ConsumerOptions{Topics: []string{"orders"}, Client: name, Session: 4 * time.Second, Rebalance: 4 * time.Second, Limit: 5})
	if err != nil {
		r.t.Error(err)
		return
	}
	for m, err := range consumer.Messages(ctx) {
		if err != nil {
			return // the test says what is missing
		}
		word := string(m.Event.Data)
		r.mu.Lock()
		if r.given[word] == "" {
			r.given[word] = name
		}
		if !r.committed[word].IsZero() {
			r.again[word] = true
		}
		r.mu.Unlock()
		if consumer.Commit(ctx) == nil {
			r.mu.Lock()
			r.committed[word] = time.Now()
			r.mu.Unlock()
		}
	}
}

func (r *readers) by(name string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, who := range r.given {
		if who == name {
			n++
		}
	}
	return n
}

// TestGroupOnTwoServers has members at two servers share a topic, and the server
// killed that owns the group and has one of them: every event comes, and none whose
// commit was answered comes again.
func TestGroupOnTwoServers(t *testing.T) {
	url := startServers(t, 3, false).url()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	one := openDoor(t, url)
	if _, err := one.client.PutTopic(ctx, "orders", []byte(`{"partitions": 4}`)); err != nil {
		t.Fatal(err)
	}
	r := &readers{t: t, given: map[string]string{}, committed: map[string]time.Time{}, again: map[string]bool{}}
	reading, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	all.Go(func() { r.read(reading, one, "one") })
	rig.Eventually(t, "the group", func() bool {
		info, err := one.client.Group("billing").Info(ctx)
		return err == nil && len(info.Members) == 1
	})
	two := openDoor(t, url)
	all.Go(func() { r.read(reading, two, "two") })
	published := 0
	publish := func(n int) {
		t.Helper()
		for range n {
			published++
			e := event(published)
			e.Set("partitionkey", fmt.Sprint(published%17))
			if _, err := two.client.Publish(ctx, "orders", e); err != nil {
				t.Fatal(err)
			}
		}
	}
	rig.Eventually(t, "both to have a share", func() bool {
		publish(5)
		return r.by("one") > 10 && r.by("two") > 10
	})
	before := r.by("two")
	one.server.Kill()
	killed := time.Now()
	publish(50)
	rig.Eventually(t, "events at the member that is left", func() bool { return r.by("two") > before })
	t.Logf("the other member goes on after %s", time.Since(killed).Round(10*time.Millisecond))
	rig.Eventually(t, "every event", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.given) == published
	})
	stop()
	all.Wait()
	for word := range r.again {
		t.Errorf("event %s came again after its commit", word)
	}
	// The group itself goes with whoever deletes it.
	if err := two.client.Group("billing").Delete(ctx, true); err != nil {
		t.Fatal(err)
	}
	three := openDoor(t, url)
	if list, err := three.client.Groups(ctx); err != nil || len(list) != 0 {
		t.Errorf("at a third server: %+v, %v", list, err)
	}
	t.Logf("%d events, %d to one and %d to two first", published, r.by("one"), r.by("two"))
}
