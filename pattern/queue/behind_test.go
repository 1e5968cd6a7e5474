package queue

import (
	"context"
	"testing"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/engine/memlog"
)

// behind is the log as a node has it that is behind the others until it asks for
// the end.
type behind struct {
	*memlog.Log
	asked bool
}

func (b *behind) Read(ctx context.Context, at parley.Place, most int) (parley.Run, error) {
	if !b.asked {
		return parley.NewRun(nil, at.At, at.At, nil), nil
	}
	return b.Log.Read(ctx, at, most)
}

func (b *behind) End(ctx context.Context, s parley.Stream) (parley.Position, error) {
	b.asked = true
	return b.Log.End(ctx, s)
}

// TestJobsOfANodeThatIsBehind: a job that the owner has, and this node has not heard
// of yet, is not lost; one that is nowhere is.
func TestJobsOfANodeThatIsBehind(t *testing.T) {
	log, stream := &behind{Log: memlog.New(memlog.Options{})}, parley.Stream{Name: "jobs"}
	batch, _, err := build(new(parley.Builder), "q", "", []Job{{Event: parley.Event{Data: []byte("one")}}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	at, err := log.Append(t.Context(), parley.Write{Stream: stream, Batch: batch})
	if err != nil {
		t.Fatal(err)
	}
	place := int64(at[0].Base)
	found, err := fetch(t.Context(), log, stream, []int64{place, place + 1})
	if err != nil || len(found) != 1 || string(found[place].event.Data) != "one" {
		t.Fatalf("%+v, %v", found, err)
	}
}
