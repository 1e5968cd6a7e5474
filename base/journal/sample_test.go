package journal_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/journal"
	"github.com/parleyhq/parley/engine/memlog"
)

// counter is the sample machine: a sum of numbers, each added under an id of its
// own, and named leases that end by themselves.
type counter struct {
	sum    int
	ids    map[string]int // how often each was added
	leases map[string]time.Time
	part   int // entries of one part of a snapshot

	restored int // parts of the last Restore
}

var errTaken = errors.New("taken")

func newCounter() *counter {
	c := &counter{part: 3}
	c.clear()
	return c
}

func (c *counter) clear() {
	c.sum, c.ids, c.leases, c.restored = 0, map[string]int{}, map[string]time.Time{}, 0
}

func (c *counter) Apply(m journal.Move) error {
	f := strings.Fields(string(m.Data))
	switch {
	case len(f) == 3 && f[0] == "add":
		n, err := strconv.Atoi(f[2])
		if err != nil {
			return err
		}
		c.sum += n
		c.ids[f[1]]++
	case len(f) == 3 && f[0] == "lease":
		d, err := time.ParseDuration(f[2])
		if err != nil {
			return err
		}
		if _, taken := c.leases[f[1]]; taken {
			return errTaken
		}
		c.leases[f[1]] = m.Time.Add(d)
	case len(f) == 2 && f[0] == "free":
		delete(c.leases, f[1])
	default:
		return fmt.Errorf("unknown move %q", m.Data)
	}
	return nil
}

// Snapshot encodes the whole state at once.
func (c *counter) Snapshot() iter.Seq[[]byte] {
	lines := []string{"sum " + strconv.Itoa(c.sum)}
	for _, id := range slices.Sorted(maps.Keys(c.ids)) {
		lines = append(lines, fmt.Sprintf("id %s %d", id, c.ids[id]))
	}
	for _, name := range slices.Sorted(maps.Keys(c.leases)) {
		lines = append(lines, fmt.Sprintf("lease %s %d", name, c.leases[name].UnixMilli()))
	}
	chunks := slices.Collect(slices.Chunk(lines, c.part))
	return func(yield func([]byte) bool) {
		for _, chunk := range chunks {
			if !yield([]byte(strings.Join(chunk, "\n"))) {
				return
			}
		}
	}
}

func (c *counter) Restore(parts iter.Seq[[]byte]) error {
	c.clear()
	for part := range parts {
		c.restored++
		for line := range strings.Lines(string(part)) {
			f := strings.Fields(line)
			n, err := strconv.Atoi(f[len(f)-1])
			if err != nil {
				return err
			}
			switch f[0] {
			case "sum":
				c.sum = n
			case "id":
				c.ids[f[1]] = n
			case "lease":
				c.leases[f[1]] = time.UnixMilli(int64(n)).UTC()
			default:
				return errors.New("unknown line " + line)
			}
		}
	}
	return nil
}

func (c *counter) Due() (due time.Time) {
	for _, t := range c.leases {
		if due.IsZero() || t.Before(due) {
			due = t
		}
	}
	return due
}

func (c *counter) Fire(tx *journal.Tx) {
	for name, end := range maps.Clone(c.leases) {
		if !end.After(tx.Now()) {
			_ = tx.Lazy([]byte("free " + name)) // never refused
		}
	}
}

var stream = parley.Stream{Name: "$counter.moves"}

func newLog() *memlog.Log { return memlog.New(memlog.Options{}) }

// life is one owner of the machine.
type life struct {
	*journal.Journal
	m    *counter
	stop context.CancelFunc
	done chan struct{}
	err  error // Run's, when done
}

// start opens a journal over a fresh machine and runs it.
func start(log parley.Log, o journal.Options) (*life, error) {
	m := newCounter()
	j, err := journal.Open(context.Background(), log, stream, m, o)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	l := &life{Journal: j, m: m, stop: stop, done: make(chan struct{})}
	go func() {
		defer close(l.done)
		l.err = j.Run(ctx)
	}()
	return l, nil
}

func mustStart(t testing.TB, log parley.Log, o journal.Options) *life {
	t.Helper()
	l, err := start(log, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.end() })
	return l
}

// end ends the life as a shutdown does, and gives Run's error.
func (l *life) end() error {
	l.stop()
	<-l.done
	return l.err
}

// add adds 1 under an id.
func (l *life) add(ctx context.Context, id string) error {
	return l.Do(ctx, func(tx *journal.Tx) error { return tx.Move([]byte("add " + id + " 1")) })
}

func (l *life) sum(t testing.TB) (sum int) {
	t.Helper()
	if err := l.Do(context.Background(), func(*journal.Tx) error { sum = l.m.sum; return nil }); err != nil {
		t.Fatal(err)
	}
	return sum
}

// faulty is a log whose Append can be told what to do.
type faulty struct {
	*memlog.Log
	mu   sync.Mutex
	hook func(context.Context, []parley.Write) (before, after error)
	seen int // Appends so far
	trim []parley.Position
}

func (f *faulty) set(hook func(context.Context, []parley.Write) (before, after error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hook = hook
}

// Append calls the hook, which may block; its first result keeps the Append from
// happening, its second hides that it has happened.
func (f *faulty) Append(ctx context.Context, w ...parley.Write) ([]parley.Appended, error) {
	f.mu.Lock()
	hook := f.hook
	f.seen++
	f.mu.Unlock()
	var after error
	if hook != nil {
		var before error
		if before, after = hook(ctx, w); before != nil {
			return nil, before
		}
	}
	out, err := f.Log.Append(ctx, w...)
	if err == nil && after != nil {
		return nil, after
	}
	return out, err
}

func (f *faulty) appends() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen
}

func (f *faulty) Trim(ctx context.Context, s parley.Stream, at parley.Position) error {
	f.mu.Lock()
	f.trim = append(f.trim, at)
	f.mu.Unlock()
	return f.Log.Trim(ctx, s, at)
}

func code(t testing.TB, err error, want parley.Code) {
	t.Helper()
	if err == nil || parley.CodeOf(err) != want {
		t.Fatalf("error %v, want code %v", err, want)
	}
}

// records reads the keys of the whole stream, batch by batch, as the letter and
// the number.
func records(t testing.TB, log parley.Log) (batches [][]string) {
	t.Helper()
	at := parley.Place{Stream: stream}
	for {
		run, err := log.Read(context.Background(), at, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if run.Empty() {
			return batches
		}
		for b := range run.Batches() {
			var keys []string
			for rec, err := range b.Records() {
				if err != nil {
					t.Fatal(err)
				}
				number, _ := binary.Uvarint(rec.Key[1:])
				keys = append(keys, fmt.Sprintf("%c%d", rec.Key[0], number))
			}
			batches = append(batches, keys)
		}
		at.At = run.Next()
		run.Release()
	}
}

// pass lets fake time pass.
func pass(d time.Duration) { <-time.After(d) }
