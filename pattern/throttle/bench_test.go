package throttle

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"
)

func benchLimits() map[string]Limit {
	return map[string]Limit{
		"gcra":            NewGCRA(1e6, time.Second, 1e6),
		"token-bucket":    NewTokenBucket(1e6, 1e6),
		"fixed-window":    NewFixedWindow(1e6, time.Second),
		"sliding-counter": NewSlidingCounter(1e6, time.Second),
		"sliding-log":     NewSlidingLog(1000, time.Second),
	}
}

// BenchmarkHot is one key from all processors.
func BenchmarkHot(b *testing.B) {
	for name, limit := range benchLimits() {
		b.Run(name, func(b *testing.B) {
			l, err := New(limit, Options{})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					l.Allow("203.0.113.77")
				}
			})
		})
	}
}

// BenchmarkFloor is what every call must do at least, whatever the limiter: hash
// the key, read the clock, take a lock.
func BenchmarkFloor(b *testing.B) {
	l, err := New(NewGCRA(1, time.Second, 1), Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			s := l.shard(l.hash("203.0.113.77"))
			l.lock(s)
			s.mu.Unlock()
		}
	})
}

// BenchmarkMillion is a million keys in no order from two goroutines, and the
// memory of one key. The bytes of each key lie where those of the one before end,
// as if they had just been read: only the table is met at random.
func BenchmarkMillion(b *testing.B) {
	const n = 1_000_000
	keys := make([]string, n)
	for i, at := range rand.New(rand.NewPCG(1, 2)).Perm(n) {
		keys[i] = "client-" + strconv.Itoa(at)
	}
	for name, limit := range benchLimits() {
		if limit.Algorithm == SlidingLog {
			limit.Quota = 4
		}
		limit.Quota, limit.Burst, limit.Window = min(limit.Quota, 1000), 0, 24*time.Hour // so that no key becomes idle
		b.Run(name, func(b *testing.B) {
			l, err := New(limit, Options{MaxKeys: 1 << 21})
			if err != nil {
				b.Fatal(err)
			}
			for _, k := range keys {
				l.Allow(k)
			}
			b.ReportAllocs()
			b.ResetTimer()
			b.SetParallelism(1)
			b.RunParallel(func(pb *testing.PB) {
				for i := rand.IntN(n); pb.Next(); i++ {
					l.Allow(keys[i%n])
				}
			})
			b.ReportMetric(float64(l.Stats().Bytes)/n, "B/key")
		})
	}
}
