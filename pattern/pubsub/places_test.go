package pubsub

import (
	"testing"

	"github.com/parleyhq/parley"
)

// TestPlaces: the places are those from which the next Fetch reads.
func TestPlaces(t *testing.T) {
	r := newRig(t, Options{})
	r.publish("a", "1", "2")
	sub, err := r.hub.Subscribe(t.Context(), Request{Topics: []string{"a"}, From: Earliest()})
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	topic, err := r.topics.Get("a")
	if err != nil {
		t.Fatal(err)
	}
	stream := topic.Partitions[0].Stream
	if got := sub.Places(); len(got) != 1 || got[0] != (parley.Place{Stream: stream, At: 1}) {
		t.Fatalf("at the beginning %v", got)
	}
	if _, err := sub.Fetch(t.Context(), 1<<20); err != nil {
		t.Fatal(err)
	}
	end, err := r.log.End(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	if got := sub.Places(); len(got) != 1 || got[0] != (parley.Place{Stream: stream, At: end}) {
		t.Fatalf("at the end %v, want %d", got, end)
	}
}
