package cluster_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/client/overgrpc"
	"github.com/parleyhq/parley/test/rig"
)

// door is a parley server as a client reaches it.
type door struct {
	server *rig.Server
	client *client.Client
}

func openDoor(t *testing.T, url string) door {
	t.Helper()
	s := rig.Start(t, "--engine", url)
	g, err := overgrpc.Dial(s.GRPC, overgrpc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	c, err := client.New(s.URL, client.Options{GRPC: g})
	if err != nil {
		t.Fatal(err)
	}
	return door{s, c}
}

// TestDoorsOfTwoServers reads one topic by turns at two servers over one cluster,
// through every door: each turn goes on behind the last, with its cursor alone.
func TestDoorsOfTwoServers(t *testing.T) {
	url := startServers(t, 3, false).url()
	doors := []door{openDoor(t, url), openDoor(t, url)}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	published := 0
	publish := func(at door, n int) {
		t.Helper()
		for range n {
			published++
			if _, err := at.client.Publish(ctx, "orders", event(published)); err != nil {
				t.Fatal(err)
			}
		}
	}
	publish(doors[0], 3)
	publish(doors[1], 3)

	page, err := doors[1].client.Poll(ctx, "orders", client.Poll{After: "earliest", Limit: 2})
	if err != nil || len(page.Events) != 2 {
		t.Fatalf("%d events, %v", len(page.Events), err)
	}
	cursor, seen := page.Cursor, 2
	for turn, over := range []client.Transport{client.SSE, client.WebSocket, client.GRPC, client.LongPoll} {
		here, there := doors[turn%2], doors[(turn+1)%2]
		want := published - seen + 2
		done := make(chan error, 1)
		begun := make(chan struct{})
		go func() {
			close(begun)
			done <- func() error {
				for got, err := range here.client.Subscribe(ctx, client.Subscription{Topics: []string{"orders"}, From: cursor, Over: over}) {
					if err != nil {
						return err
					}
					if got.Notice != "" {
						return fmt.Errorf("the server says %q", got.Notice)
					}
					if seen++; string(got.Data) != number(seen) {
						return fmt.Errorf("event %s where %s is due", got.Data, number(seen))
					}
					if cursor, want = got.Cursor, want-1; want == 0 {
						return nil
					}
				}
				return nil
			}()
		}()
		<-begun
		publish(there, 2) // the last ones come live, from the other server
		if err := <-done; err != nil {
			t.Fatalf("turn %d, over %v: %v", turn, over, err)
		}
	}

	// The same key at another server is the same request.
	first, _, err := doors[0].client.PublishOnce(ctx, "key-1", "orders", event(published+1))
	if err != nil {
		t.Fatal(err)
	}
	again, replayed, err := doors[1].client.PublishOnce(ctx, "key-1", "orders", event(published+1))
	if err != nil || !replayed || again[0] != first[0] {
		t.Fatalf("%+v after %+v, replayed %v, %v", again, first, replayed, err)
	}

	// A topic made at one server is there at the other, and goes with it.
	if _, err := doors[0].client.PutTopic(ctx, "made", nil); err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, "the topic at the other server", func() bool { _, err := doors[1].client.Topic(ctx, "made"); return err == nil })
	if err := doors[1].client.DeleteTopic(ctx, "made"); err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, "the topic's end at the first", func() bool {
		_, err := doors[0].client.Topic(ctx, "made")
		return err != nil && parley.CodeOf(err) == parley.NotFound
	})
}

func event(n int) parley.Event {
	return parley.Event{DataContentType: "application/json", Data: []byte(number(n))}
}

func number(n int) string { return fmt.Sprintf(`{"n":%d}`, n) }
