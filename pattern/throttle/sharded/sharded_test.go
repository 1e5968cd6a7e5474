package sharded

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/journal"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/base/shard/shardtest"
	"github.com/parleyhq/parley/engine/memlog"
	"github.com/parleyhq/parley/pattern/throttle"
)

var counts = parley.Stream{Name: "$limits.counts"}

func newLog() parley.Log { return memlog.New(memlog.Options{}) }

// local serves the counts in this process, until stop.
func local(t testing.TB, log parley.Log) (host *shard.Local, stop func()) {
	t.Helper()
	host = new(shard.Local)
	ctx, cancel := context.WithCancel(context.Background()) // ended by stop
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, host, log, counts) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Serve: %v", err)
			}
		})
	}
	t.Cleanup(stop)
	return host, stop
}

func counter(t testing.TB, host shard.Host, limit throttle.Limit) *Counter {
	t.Helper()
	c, err := New(host, counts, "l", limit, 0)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func text(d throttle.Decision, err error) string {
	if err != nil {
		return parley.CodeOf(err).String()
	}
	if !d.OK {
		return fmt.Sprintf("%s, %d left, in %s", d.Reason.String(), d.Remaining, d.RetryAfter.Round(time.Minute))
	}
	return fmt.Sprintf("ok, %d left", d.Remaining)
}

func want(t testing.TB, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestALongWindowSurvives has every algorithm go on where it was after a restart.
func TestALongWindowSurvives(t *testing.T) {
	for _, limit := range []throttle.Limit{
		throttle.NewSlidingLog(5, 2*time.Hour), throttle.NewFixedWindow(5, 2*time.Hour), throttle.NewSlidingCounter(5, 2*time.Hour),
		{Algorithm: throttle.TokenBucket, Quota: 5, Window: 2 * time.Hour},
		throttle.NewGCRA(5, 2*time.Hour, 5), throttle.NewLeakyMeter(5, 5, 2*time.Hour),
	} {
		t.Run(string(limit.Algorithm), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log, ctx := newLog(), t.Context()
				host, stop := local(t, log)
				c := counter(t, host, limit)
				want(t, text(c.AllowN(ctx, "ann", 3)), "ok, 2 left")
				want(t, text(c.AllowN(ctx, "bob", 5)), "ok, 0 left")
				want(t, text(c.Return(ctx, "bob", 1)), "ok, 1 left")
				stop()
				<-time.After(time.Minute)
				host, stop = local(t, log)
				c = counter(t, host, limit)
				if got := text(c.AllowN(ctx, "ann", 3)); !strings.HasPrefix(got, "limited, 2 left, in ") {
					t.Error(got)
				}
				want(t, text(c.Look(ctx, "ann", 2)), "ok, 2 left")
				want(t, text(c.AllowN(ctx, "ann", 2)), "ok, 0 left")
				want(t, text(c.AllowN(ctx, "bob", 1)), "ok, 0 left")
				want(t, text(c.AllowN(ctx, "eve", 5)), "ok, 0 left")
				if d, err := c.AllowN(ctx, "ann", 6); err != nil || d.Reason != throttle.Impossible {
					t.Errorf("%+v %v", d, err)
				}
				<-time.After(5 * time.Hour)
				want(t, text(c.AllowN(ctx, "ann", 5)), "ok, 0 left")
				stop()
			})
		})
	}
}

func TestAShortWindowIsInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, ctx := newLog(), t.Context()
		host, stop := local(t, log)
		c := counter(t, host, throttle.NewSlidingLog(2, time.Minute))
		want(t, text(c.Look(ctx, "ann", 2)), "ok, 2 left")
		before, _ := log.End(ctx, counts) // with the takeover
		want(t, text(c.AllowN(ctx, "ann", 2)), "ok, 0 left")
		want(t, text(c.AllowN(ctx, "ann", 1)), "limited, 0 left, in 1m0s")
		want(t, text(c.Return(ctx, "ann", 1)), "ok, 1 left")
		want(t, text(c.Look(ctx, "ann", 1)), "ok, 1 left")
		if after, _ := log.End(ctx, counts); after != before {
			t.Error("a short window was stored")
		}
		stop()
		host, stop = local(t, log)
		want(t, text(counter(t, host, throttle.NewSlidingLog(2, time.Minute)).AllowN(ctx, "ann", 2)), "ok, 0 left")
		stop()
	})
}

func TestRefusalsStoreNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, ctx := newLog(), t.Context()
		host, stop := local(t, log)
		c := counter(t, host, throttle.NewSlidingLog(1, time.Hour))
		want(t, text(c.AllowN(ctx, "ann", 1)), "ok, 0 left")
		before, _ := log.End(ctx, counts)
		for range 100 {
			want(t, text(c.AllowN(ctx, "ann", 1)), "limited, 0 left, in 1h0m0s")
			want(t, text(c.Look(ctx, "bob", 1)), "ok, 1 left")
		}
		if after, _ := log.End(ctx, counts); after != before {
			t.Error("refusals were stored")
		}
		stop()
	})
}

func TestALimitThatChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		host, stop := local(t, newLog())
		make := func(quota int64, revision int64) *Counter {
			c, err := New(host, counts, "l", throttle.NewSlidingLog(quota, time.Hour), revision)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		old, other := make(3, 1), make(5, 2)
		want(t, text(old.AllowN(ctx, "ann", 3)), "ok, 0 left")
		want(t, text(other.AllowN(ctx, "ann", 1)), "ok, 1 left")
		want(t, text(old.AllowN(ctx, "ann", 1)), "ok, 0 left") // who knows the old one asks the new
		want(t, text(old.AllowN(ctx, "ann", 1)), "limited, 0 left, in 1h0m0s")
		stop()
	})
}

// TestAdmitsNoMoreThanTheQuotaWhereverOwnershipMoves plays a history on two nodes.
// A request whose outcome is not known is asked again, and may count twice: what is
// told to be had never exceeds the quota.
func TestAdmitsNoMoreThanTheQuotaWhereverOwnershipMoves(t *testing.T) {
	shardtest.EveryStep(t, 2, newLog, func(t *testing.T, c *shardtest.Cluster, step func(parley.Stream)) {
		c.Serve(counts, func(ctx context.Context, log parley.Log, o *shard.Owner) error { return Own(ctx, log, counts, o) })
		limiter, err := New(asking{c}, counts, "l", throttle.NewSlidingLog(4, 3*time.Hour), 0)
		if err != nil {
			t.Fatal(err)
		}
		admitted := int64(0)
		for range 7 {
			step(counts)
			<-time.After(250 * time.Millisecond) // so that the old owner comes back on the way
			d, err := limiter.AllowN(t.Context(), "ann", 1)
			if err != nil {
				t.Fatal(err)
			}
			if d.OK {
				admitted++
			}
			if d.OK && d.Remaining > 4-admitted {
				t.Fatalf("%d are left of 4 after %d", d.Remaining, admitted)
			}
		}
		if admitted > 4 || admitted < 2 { // a fault makes one request count twice at most
			t.Fatalf("%d of 4 were admitted", admitted)
		}
		d, err := limiter.Look(t.Context(), "ann", 1)
		if err != nil || d.OK {
			t.Fatalf("%+v %v after all were taken", d, err)
		}
	})
}

// asking is the cluster's client as a host.
type asking struct{ c *shardtest.Cluster }

func (a asking) Run(context.Context, parley.Stream, func(context.Context, *shard.Owner) error) error {
	return errors.New("only asks")
}

func (a asking) Ask(ctx context.Context, s parley.Stream, request []byte) ([]byte, error) {
	return a.c.Ask(ctx, s, request)
}

func TestManyAskAtOnce(t *testing.T) {
	host, _ := local(t, newLog())
	c := counter(t, host, throttle.NewSlidingLog(50, time.Hour))
	var wg sync.WaitGroup
	var mu sync.Mutex
	admitted := 0
	for range 100 {
		wg.Go(func() {
			for range 3 {
				d, err := c.AllowN(t.Context(), "ann", 1)
				if err != nil {
					t.Error(err)
				}
				if d.OK {
					mu.Lock()
					admitted++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if admitted != 50 {
		t.Errorf("%d of 50 were admitted", admitted)
	}
}

// TestSnapshots holds that a book which is restored from its snapshot goes on as
// the one it was taken from.
func TestSnapshots(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBook()
		at := time.Unix(1_800_000_000, 0)
		number := uint64(0)
		apply := func(to *book, data string) error {
			number++
			return to.Apply(journal.Move{Number: number, Time: at, Data: []byte(data)})
		}
		limits := []string{"sliding-log 3/2h", "5/1h", "fixed-window 4/1d", "0/1h", "inf/1h"}
		for i, text := range limits {
			if err := apply(b, fmt.Sprintf(`{"op":"limit","name":"l%d","limit":%q}`, i, text)); err != nil {
				t.Fatal(err)
			}
		}
		for range rapid.IntRange(0, 60).Draw(t, "moves") {
			at = at.Add(time.Duration(rapid.IntRange(0, 1_000_000).Draw(t, "ms")) * time.Millisecond)
			a := b.limits[fmt.Sprintf("l%d", rapid.IntRange(0, 4).Draw(t, "limit"))]
			name := slices.IndexFunc(limits, func(s string) bool { return s == a.text })
			h := a.place(rapid.StringMatching("[abc]").Draw(t, "key"))
			cost := rapid.Int64Range(1, 3).Draw(t, "cost")
			if a.look(h, since(at), cost).OK {
				op := rapid.SampledFrom([]string{opTake, opTake, opBack}).Draw(t, "op")
				data, _ := jsonMove(move{Op: op, Name: fmt.Sprintf("l%d", name), Key: h, Cost: cost})
				if err := apply(b, data); err != nil {
					t.Fatal(err)
				}
			}
		}
		var parts [][]byte
		for p := range b.Snapshot() {
			parts = append(parts, bytes.Clone(p))
		}
		again := newBook()
		if err := again.Restore(slices.Values(parts)); err != nil {
			t.Fatal(err)
		}
		for name, a := range b.limits {
			for _, key := range []string{"a", "b", "c", "d"} {
				for n := range int64(4) {
					one, other := a.look(a.place(key), since(at), n), again.limits[name].look(again.limits[name].place(key), since(at), n)
					if one != other {
						t.Fatalf("%s of %s: %+v, restored %+v", key, a.text, one, other)
					}
				}
			}
		}
	})
}

func TestKeysAreBounded(t *testing.T) {
	a, err := newAccount("sliding-log 1000/1h", 0)
	if err != nil {
		t.Fatal(err)
	}
	most := maxState / (8 * a.rule.Words())
	now := since(time.Unix(1_800_000_000, 0))
	for i := range most {
		a.rule.Take(a.cell(a.place(fmt.Sprint("k", i)), now), now, 1000)
	}
	one, two := a.place("one"), a.place("two")
	if one != sharedKey || two != sharedKey || a.place("k1") == sharedKey {
		t.Fatal("keys are not bounded")
	}
	a.rule.Take(a.cell(one, now), now, 999)
	if got := a.look(two, now, 2); got.OK || got.Remaining != 1 {
		t.Errorf("%+v: further keys share one count", got)
	}
	if got := a.look(a.place("k1"), now, 1); got.OK {
		t.Errorf("%+v: a limited key is never forgotten", got)
	}
	later := now + 30*time.Minute
	delete(a.keys, hashOf("k1"))
	if got := a.look(a.place("one"), later, 2); got.OK || got.Remaining != 1 {
		t.Errorf("%+v: with a count of its own a key keeps what it had of the shared one", got)
	}
	a.sweep(now + 2*time.Hour)
	if len(a.keys) != 0 {
		t.Errorf("%d keys are kept that time has restored", len(a.keys))
	}
}

func TestLimitsThatCannotBeCounted(t *testing.T) {
	for name, limit := range map[string]throttle.Limit{"a": throttle.NewConcurrency(3), "b": {}, "": throttle.NewSlidingLog(1, time.Hour), strings.Repeat("n", 101): throttle.NewSlidingLog(1, time.Hour)} {
		if _, err := New(new(shard.Local), counts, name, limit, 0); parley.CodeOf(err) != parley.Invalid {
			t.Errorf("%q %v: %v", name, limit, err)
		}
	}
	host, _ := local(t, newLog())
	c := counter(t, host, throttle.NewSlidingLog(1, time.Hour))
	for _, err := range []error{
		func() error { _, err := c.AllowN(t.Context(), strings.Repeat("k", 1025), 1); return err }(),
		func() error { _, err := c.AllowN(t.Context(), "k", -1); return err }(),
		func() error { _, err := c.Return(t.Context(), "k", MaxCost+1); return err }(),
		func() error {
			_, err := host.Ask(t.Context(), counts, []byte(`{"op":"fly","name":"l","limit":"1/1h"}`))
			return err
		}(),
		func() error {
			_, err := host.Ask(t.Context(), counts, []byte(`{"op":"take","name":"l","limit":"concurrency 1"}`))
			return err
		}(),
	} {
		if parley.CodeOf(err) != parley.Invalid {
			t.Error(err)
		}
	}
	one, _ := New(host, counts, "a", throttle.NewSlidingLog(1, time.Hour), 0)
	if d, err := one.AllowN(t.Context(), "\xff", 1); err != nil || !d.OK {
		t.Error(d, err)
	}
	if d, err := one.AllowN(t.Context(), "\xfe", 1); err != nil || !d.OK {
		t.Errorf("%+v %v: two keys are taken for one", d, err)
	}
}

// TestAShardCountsSoManyLimits has one limit too many. Short ones make room for it:
// the one that was not asked for longest begins anew. Of long ones only those make
// room of which nothing is spent, also after a restart.
func TestAShardCountsSoManyLimits(t *testing.T) {
	for _, window := range []time.Duration{time.Minute, time.Hour} {
		t.Run(window.String(), func(t *testing.T) {
			log := newLog()
			host, stop := local(t, log)
			take := func(i int, n int64) string {
				c, err := New(host, counts, fmt.Sprint(i), throttle.NewGCRA(9, window, 9), 0)
				if err != nil {
					t.Fatal(err)
				}
				d, err := c.AllowN(t.Context(), "k", n)
				switch {
				case err != nil:
					return parley.CodeOf(err).String()
				case !d.OK:
					return "refused"
				}
				return fmt.Sprint(d.Remaining)
			}
			for i := range maxLimits {
				cost := int64(9)
				if i == 7 && window >= Long {
					cost = 0 // nothing is spent of it
				}
				if got := take(i, cost); got != fmt.Sprint(9-cost) {
					t.Fatalf("limit %d: %s", i, got)
				}
			}
			want := map[int]string{maxLimits: "0", 500: "refused", 0: "0"} // the first is gone
			if window >= Long {
				want = map[int]string{maxLimits: "0", 500: "refused", 0: "refused", maxLimits + 1: "overloaded"}
			}
			for _, i := range []int{maxLimits, 500, 0, maxLimits + 1} {
				if got := take(i, 9); want[i] != "" && got != want[i] {
					t.Errorf("limit %d: %s, want %s", i, got, want[i])
				}
			}
			if stop(); window < Long {
				return
			}
			host, _ = local(t, log)
			for i, want := range map[int]string{maxLimits: "refused", 500: "refused", 7: "overloaded"} {
				if got := take(i, 9); got != want {
					t.Errorf("limit %d after a restart: %s, want %s", i, got, want)
				}
			}
		})
	}
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"op":"take","name":"l","limit":"5/1h","key":"YQ==","cost":1}`))
	f.Add([]byte(`{"op":"back","name":"l","limit":"sliding-log 5/1m","cost":9007199254740992}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, limit, err := decode(b)
		if err != nil {
			return
		}
		if r.Cost < 0 || len(r.Key) > MaxKey || r.Name == "" {
			t.Fatalf("%+v", r)
		}
		if _, err := throttle.Compile(limit); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzRestore(f *testing.F) {
	f.Add([]byte(`l{"name":"l","limit":"5/1h"}`), []byte("k0123456789abcdef0000000000000000"))
	f.Add([]byte("k"), []byte("x"))
	f.Fuzz(func(_ *testing.T, one, two []byte) {
		_ = newBook().Restore(slices.Values([][]byte{one, two})) // refused or taken, and no more
	})
}

func jsonMove(m move) (string, error) {
	b, err := json.Marshal(m)
	return string(b), err
}
