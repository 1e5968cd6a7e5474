package shard_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/journal"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/base/shard/shardtest"
)

func TestNodeOptions(t *testing.T) {
	for _, o := range []shard.Options{
		{Lapse: 4 * time.Second}, {Beat: 3 * time.Second}, {Takeover: 3 * time.Second}, {Patience: -1},
	} {
		_, err := shard.NewNode(newLog(), nil, o)
		code(t, err, parley.Invalid)
	}
}

// TestOldOwnerStopsBeforeNewOneBegins asks an owner that cannot renew directly,
// again and again: it must be silent before another has taken over.
func TestOldOwnerStopsBeforeNewOneBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := shardtest.New(newLog(), 2)
		defer c.Close()
		var mu sync.Mutex
		type reign struct {
			journal *journal.Journal
			since   time.Time
		}
		var reigns []reign
		c.Serve(moves, func(ctx context.Context, log parley.Log, o *shard.Owner) error {
			j, err := journal.Open(ctx, log, moves, newSample(), journal.Options{Fence: o.Fence})
			if err != nil {
				return err
			}
			mu.Lock()
			reigns = append(reigns, reign{j, time.Now()})
			mu.Unlock()
			o.Handle(func(context.Context, []byte) ([]byte, error) { return nil, nil })
			return j.Run(ctx)
		})
		<-time.After(2700 * time.Millisecond) // not at a beat
		mu.Lock()
		first := reigns[0].journal
		mu.Unlock()
		look := func() error {
			return first.Do(t.Context(), func(*journal.Tx) error { return nil })
		}
		c.Strike(moves, shardtest.Deaf)
		struck := time.Now()
		last := struck
		for time.Since(struck) < 2*shardtest.Mended {
			if err := look(); err == nil {
				last = time.Now()
			}
			<-time.After(10 * time.Millisecond)
		}
		mu.Lock()
		defer mu.Unlock()
		if len(reigns) != 2 {
			t.Fatalf("%d owners, want 2", len(reigns))
		}
		if gap := reigns[1].since.Sub(last); gap < 900*time.Millisecond {
			t.Errorf("the old owner answered until %v before the takeover, want 1 s less one look", gap)
		}
		if d := last.Sub(struck); d < 1500*time.Millisecond {
			t.Errorf("the old owner answered for %v only", d)
		}
		if d := reigns[1].since.Sub(struck); d > 5500*time.Millisecond {
			t.Errorf("the takeover came after %v", d)
		}
	})
}

// TestHandoverIsQuick: an owner that resigns is followed within a beat or two, not after Takeover.
func TestHandoverIsQuick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := shardtest.New(newLog(), 2)
		defer c.Close()
		c.Serve(moves, own)
		ask(t, c, "add a 1", "1")
		c.Strike(moves, shardtest.Handover)
		begin := time.Now()
		synctest.Wait()
		ask(t, c, "add b 1", "2")
		if d := time.Since(begin); d > 2*time.Second {
			t.Errorf("the next owner answered after %v", d)
		}
	})
}

// TestDamageEndsRun: a machine that cannot be restored is reported by Run; it is
// not tried for ever, nor taken for empty.
func TestDamageEndsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog()
		var b parley.Builder
		if err := b.AddRecord(time.Now(), []byte("m\x07"), nil); err != nil {
			t.Fatal(err)
		}
		batch, err := b.Batch()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := log.Append(t.Context(), parley.Write{Stream: moves, Batch: batch}); err != nil {
			t.Fatal(err)
		}
		c := shardtest.New(log, 1)
		c.Serve(moves, own)
		<-time.After(6 * time.Second)
		errs := c.Close()
		if len(errs) == 0 {
			t.Fatal("no error of Run")
		}
		code(t, errs[0], parley.Damaged)
	})
}
