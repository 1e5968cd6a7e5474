package journal_test

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/journal"
	"github.com/parleyhq/parley/engine/memlog"
)

// count is the smallest machine, so that the benchmark measures the journal.
type count struct{ moves int }

func (c *count) Apply(journal.Move) error { c.moves++; return nil }
func (c *count) Snapshot() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) { yield([]byte{1}) }
}
func (c *count) Restore(iter.Seq[[]byte]) error { return nil }

// BenchmarkMoves is firm moves of 64 bytes through a journal over memlog, by so
// many callers of which each waits for its answer.
func BenchmarkMoves(b *testing.B) {
	for _, window := range []int{1, 256} {
		b.Run(fmt.Sprintf("window=%d", window), func(b *testing.B) {
			m := &count{}
			j, err := journal.Open(b.Context(), memlog.New(memlog.Options{}), parley.Stream{Name: "bench"}, m, journal.Options{})
			if err != nil {
				b.Fatal(err)
			}
			ctx, stop := context.WithCancel(b.Context())
			done := make(chan error, 1)
			go func() { done <- j.Run(ctx) }()
			move := make([]byte, 64)
			var left atomic.Int64
			left.Store(int64(b.N))
			b.ReportAllocs()
			b.ResetTimer()
			var callers sync.WaitGroup
			for range window {
				callers.Go(func() {
					do := func(tx *journal.Tx) error { return tx.Move(move) }
					for left.Add(-1) >= 0 {
						if err := j.Do(ctx, do); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			callers.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "moves/s")
			stop()
			if err := <-done; err != nil {
				b.Fatal(err)
			}
			if m.moves != b.N {
				b.Fatalf("%d moves, want %d", m.moves, b.N)
			}
		})
	}
}
