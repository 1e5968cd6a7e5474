package disklog

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/internal/vfs"
)

// rounds makes the randomised tests longer: go test ./engine/disklog -disklog.rounds 100.
var rounds = flag.Int("disklog.rounds", 1, "how many times the default number of rounds")

// history is what a client was told, for the checks after a crash.
type history struct {
	sent []sent
	low  map[parley.Stream]parley.Position // acknowledged trims
}

type sent struct {
	streams []parley.Stream
	value   string
	at      []parley.Position // acknowledged: where; nil: refused or unknown
	unknown bool
}

func batch(t testing.TB, values ...string) parley.Batch {
	t.Helper()
	var b parley.Builder
	for _, v := range values {
		if err := b.AddRecord(time.UnixMilli(1_700_000_000_000), nil, []byte(v)); err != nil {
			t.Fatal(err)
		}
	}
	made, err := b.Batch()
	if err != nil {
		t.Fatal(err)
	}
	return made.Clone()
}

func name(s string) parley.Stream { return parley.Stream{Name: s} }

// put appends a value to streams and notes what came of it.
func (h *history) put(t testing.TB, l *Log, value string, streams ...parley.Stream) error {
	writes := make([]parley.Write, len(streams))
	for i, s := range streams {
		writes[i] = parley.Write{Stream: s, Batch: batch(t, value, value)}
	}
	got, err := l.Append(t.Context(), writes...)
	one := sent{streams: streams, value: value, unknown: parley.CodeOf(err) == parley.Unknown}
	if err == nil {
		for _, a := range got {
			one.at = append(one.at, a.Base)
		}
	}
	h.sent = append(h.sent, one)
	return err
}

// tiny makes the log rotate, lay out and merge within a few appends.
func tiny() Options {
	return Options{LogBytes: 64 << 10, SegmentBytes: 128 << 10, GroupBytes: 16 << 10, OpenFiles: 2, Logger: quiet}
}

// scenario does a little of everything until something fails.
func (h *history) scenario(t testing.TB, l *Log) {
	a, b, c := name("a"), name("b"), name("$c")
	big := strings.Repeat("x", 9000)
	ctx := t.Context()
	for i := range 14 {
		if h.put(t, l, fmt.Sprint("a", i, big), a) != nil || h.put(t, l, fmt.Sprint("bc", i), b, c) != nil {
			return
		}
		var err error
		switch i {
		case 4:
			err = h.trim(ctx, l, a)
		case 6:
			err = l.core.Load().settle(ctx)
		case 8:
			err = l.Rewrite(ctx, c, 0, 1<<40, func(b parley.Batch) (parley.Batch, error) { return b, nil })
		case 9:
			err = h.trim(ctx, l, b)
		}
		if err != nil {
			return
		}
	}
}

// trim drops about half of a stream; even one that is not acknowledged may have
// been done.
func (h *history) trim(ctx context.Context, l *Log, s parley.Stream) error {
	end, err := l.End(ctx, s)
	if err != nil {
		return err
	}
	h.low[s] = end / 2
	return l.Trim(ctx, s, end/2)
}

// read gives all that a stream holds, by position.
func read(t testing.TB, l *Log, s parley.Stream) (map[parley.Position]string, []parley.Position) {
	t.Helper()
	values, order := make(map[parley.Position]string), []parley.Position(nil)
	for at := parley.Position(0); ; {
		run, err := l.Read(t.Context(), parley.Place{Stream: s, At: at}, 64<<10)
		if err != nil {
			t.Fatalf("read %s at %d: %v", s.Name, at, err)
		}
		if run.Empty() {
			return values, order
		}
		for b := range run.Batches() {
			if err := b.Check(); err != nil {
				t.Fatal(err)
			}
			for r, err := range b.Records() {
				if err != nil {
					t.Fatal(err)
				}
				if r.Position == b.Base() {
					values[b.Base()] = string(r.Value)
					order = append(order, b.Base())
				}
			}
		}
		at = run.Next()
		run.Release()
	}
}

// check holds a recovered log to what was told before the crash: what was
// acknowledged is there, once and in order; what was not is there as a whole or
// not at all.
func (h *history) check(t testing.TB, l *Log) {
	t.Helper()
	where := make(map[string]map[parley.Stream]parley.Position)
	for _, s := range []parley.Stream{name("a"), name("b"), name("$c")} {
		values, order := read(t, l, s)
		for i, at := range order {
			if i > 0 && at <= order[i-1] {
				t.Fatalf("stream %s: %d after %d", s.Name, at, order[i-1])
			}
			v := values[at]
			if where[v] == nil {
				where[v] = make(map[parley.Stream]parley.Position)
			}
			if _, twice := where[v][s]; twice {
				t.Fatalf("stream %s has %.20q twice", s.Name, v)
			}
			where[v][s] = at
		}
	}
	for _, one := range h.sent {
		found := 0
		for i, s := range one.streams {
			at, ok := where[one.value][s]
			trimmed := one.at != nil && one.at[i] < h.low[s]
			switch {
			case ok && one.at != nil && at != one.at[i]:
				t.Fatalf("stream %s: %.20q was acknowledged at %d and is at %d", s.Name, one.value, one.at[i], at)
			case !ok && one.at != nil && !trimmed:
				t.Fatalf("stream %s: %.20q was acknowledged at %d and is lost", s.Name, one.value, one.at[i])
			case ok && one.at == nil && !one.unknown:
				t.Fatalf("stream %s: %.20q was refused and is there", s.Name, one.value)
			}
			if ok || trimmed {
				found++
			}
		}
		if found != 0 && found != len(one.streams) {
			t.Fatalf("%.20q is in %d of %d streams", one.value, found, len(one.streams))
		}
	}
}

// play runs the scenario on a file system until it fails or is through.
func play(t testing.TB, fsys vfs.FS, scenario func(*history, *Log)) *history {
	h := &history{low: make(map[parley.Stream]parley.Position)}
	l, err := Open(fsys, tiny())
	if err != nil {
		return h
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { _ = l.Run(ctx); close(done) }() // it may well fail
	scenario(h, l)
	cancel()
	<-done
	return h
}

// verifyClone opens a crashed disk twice, so that what a recovery writes is held
// to the same, and goes on with it.
func (h *history) verifyClone(t testing.TB, disk *vfs.Mem) {
	t.Helper()
	for life := range 2 {
		l, err := Open(disk, tiny())
		if err != nil {
			t.Fatalf("life %d: %v", life, err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- l.Run(ctx) }()
		h.check(t, l)
		for _, s := range []string{"a", "$c"} {
			if err := h.put(t, l, fmt.Sprint("life ", life, s), name(s)); err != nil {
				t.Fatalf("life %d: %v", life, err)
			}
		}
		h.check(t, l)
		cancel()
		if err := <-done; err != nil {
			t.Fatalf("life %d: %v", life, err)
		}
	}
}

// TestCrash cuts the power at every call that reaches the disk, keeps none, half
// or all of what was not flushed, and recovers.
func TestCrash(t *testing.T) {
	scenario := func(h *history, l *Log) { h.scenario(t, l) }
	whole := vfs.NewFaulty(vfs.NewMem())
	play(t, whole, scenario)
	calls := whole.Calls()
	step := max(1, 6/int64(*rounds))
	seed := uint64(time.Now().UnixNano())
	t.Logf("%d calls, seed %d", calls, seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for at := rng.Int64N(step); at < calls; at += step {
		disk := vfs.NewMem()
		faulty := vfs.NewFaulty(disk)
		faulty.CutPower(at)
		h := play(t, faulty, scenario)
		for _, percent := range []int{0, 50, 100} {
			told := history{sent: append([]sent(nil), h.sent...), low: h.low}
			ok := t.Run(fmt.Sprintf("call %d, %d %%", at, percent), func(t *testing.T) {
				told.verifyClone(t, disk.CrashClone(percent, rng))
			})
			if !ok {
				return
			}
		}
	}
}

// TestCrashConcurrent is the same with clients beside each other, so that groups
// hold several Appends.
func TestCrashConcurrent(t *testing.T) {
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	for round := range 12 * *rounds {
		disk := vfs.NewMem()
		faulty := vfs.NewFaulty(disk)
		faulty.CutPower(40 + rng.Int64N(200))
		h := play(t, faulty, func(h *history, l *Log) {
			all := make(chan *history)
			for k := range 4 {
				go func() {
					own := &history{low: map[parley.Stream]parley.Position{}}
					for i := range 30 {
						v := fmt.Sprint(k, ".", i, strings.Repeat("y", 500*k))
						if own.put(t, l, v, name("a"), name("b"), name("$c")) != nil {
							break
						}
					}
					all <- own
				}()
			}
			for range 4 {
				h.sent = append(h.sent, (<-all).sent...)
			}
		})
		for _, percent := range []int{0, 50, 100} {
			told := history{sent: append([]sent(nil), h.sent...), low: h.low}
			ok := t.Run(fmt.Sprintf("round %d, %d %%", round, percent), func(t *testing.T) {
				told.verifyClone(t, disk.CrashClone(percent, rng))
			})
			if !ok {
				return
			}
		}
	}
}
