package shard_test

import (
	"strings"
	"testing"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/journal"
	"github.com/parleyhq/parley/base/shard/shardtest"
)

// TestOwnershipMovesAtEveryStep plays a history on two nodes. Wherever the
// ownership moves, every answer and the state at the end are those of a machine
// that never moved: no acknowledged move is lost, none is applied twice.
func TestOwnershipMovesAtEveryStep(t *testing.T) {
	shardtest.EveryStep(t, 2, newLog, func(t *testing.T, c *shardtest.Cluster, step func(parley.Stream)) {
		c.Serve(moves, own)
		model := newSample()
		for _, request := range script() {
			step(moves)
			<-time.After(250 * time.Millisecond) // so that the old owner comes back on the way
			if err := model.Apply(journal.Move{Data: []byte(request)}); err != nil {
				t.Fatal(err)
			}
			ask(t, c, request, model.answers[strings.Fields(request)[1]])
			ask(t, c, "state", model.state())
		}
		step(moves)
		ask(t, c, "state", model.state())
	})
}

func ask(t *testing.T, c *shardtest.Cluster, request, want string) {
	t.Helper()
	got, err := c.Ask(t.Context(), moves, []byte(request))
	if err != nil || string(got) != want {
		t.Fatalf("%s: answer %q, error %v; want %q", request, got, err, want)
	}
}
