package memlog

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/parleyhq/parley"
)

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{100, 1 << 10} {
		batch := oneRecord(b, size)
		for _, workers := range []int{1, 64} {
			b.Run(fmt.Sprintf("%dB/%d", size, workers), func(b *testing.B) {
				l := New(Options{StreamBytes: 64 << 20})
				b.SetBytes(int64(batch.Size()))
				b.ReportAllocs()
				b.SetParallelism((workers + 1) / 2)
				one := func() {
					if _, err := l.Append(b.Context(), parley.Write{Stream: sA, Batch: batch}); err != nil {
						b.Error(err)
					}
				}
				if workers == 1 {
					for b.Loop() {
						one()
					}
					return
				}
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						one()
					}
				})
			})
		}
	}
}

func BenchmarkRead(b *testing.B) {
	for _, batches := range []int{1, 64} {
		b.Run(fmt.Sprintf("%dx100B", batches), func(b *testing.B) {
			l := New(Options{})
			size := oneRecord(b, 100).Size()
			for range 100_000 {
				put(b, l, sA, 100)
			}
			b.SetBytes(int64(batches * size))
			b.ReportAllocs()
			at := parley.Place{Stream: sA}
			for b.Loop() {
				run, err := l.Read(b.Context(), at, batches*size)
				if err != nil {
					b.Fatal(err)
				}
				if at.At = run.Next(); run.Empty() {
					at.At = 0
				}
				run.Release()
			}
		})
	}
}

// BenchmarkWake is a round trip: append, wake one waiter, read.
func BenchmarkWake(b *testing.B) {
	for _, places := range []int{1, 1000} {
		b.Run(fmt.Sprintf("%d-places", places), func(b *testing.B) {
			l := New(Options{StreamBytes: 1 << 20})
			batch := oneRecord(b, 100)
			all := make([]parley.Place, places)
			for i := range all {
				all[i].Stream.Name = fmt.Sprint("stream ", i)
				all[i].At = put(b, l, all[i].Stream, 100) + 1
			}
			var stop atomic.Bool
			seen := make(chan struct{})
			go func() {
				defer close(seen)
				for {
					if l.Wait(b.Context(), all...) != nil || stop.Load() {
						return
					}
					run, err := l.Read(b.Context(), all[0], 1<<20)
					if err != nil {
						return
					}
					all[0].At = run.Next()
					seen <- struct{}{}
				}
			}()
			b.ReportAllocs()
			target := all[0].Stream
			one := func() {
				if _, err := l.Append(b.Context(), parley.Write{Stream: target, Batch: batch}); err != nil {
					b.Fatal(err)
				}
				<-seen
			}
			for b.Loop() {
				one()
			}
			stop.Store(true)
			one()
		})
	}
}
