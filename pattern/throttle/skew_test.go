package throttle

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestNeverAboveWorstInTheWorstCase has everything at once: 64 goroutines at one
// key, readings of the clock that are behind by up to a fifth of a window, and a
// limit that changes under them. What was admitted within any window, by the time
// that really was, is at most what the larger limit states for the window and the
// disagreement together.
func TestNeverAboveWorstInTheWorstCase(t *testing.T) {
	const window, skew = time.Millisecond, 200 * time.Microsecond
	for _, pair := range [][2]Limit{
		{NewFixedWindow(20, window), NewFixedWindow(50, window)},
		{NewSlidingLog(20, window), NewSlidingLog(50, window)},
		{NewSlidingCounter(20, window), NewSlidingCounter(50, window)},
		{NewTokenBucket(20, 20_000), NewTokenBucket(50, 50_000)},
		{NewLeakyMeter(20, 20, window), NewLeakyMeter(50, 50, window)},
		{NewLeakyQueue(0, 20, window), NewLeakyQueue(0, 50, window)},
		{NewGCRA(20, window, 20), NewGCRA(50, window, 50)},
		{NewGCRA(20, window, 5), NewTokenBucket(50, 50_000)}, // of one family
	} {
		t.Run(string(pair[0].Algorithm)+" "+string(pair[1].Algorithm), func(t *testing.T) {
			var real, reading atomic.Int64
			real.Store(int64(time.Second))
			l := mustNew(t, pair[0], Options{Now: func() time.Duration {
				behind := reading.Add(1) * 7919 % int64(skew+1)
				return time.Duration(real.Load() - behind)
			}})
			type span struct {
				from, to time.Duration // the decision fell between these
				n        int64
			}
			var mu sync.Mutex
			var log []span
			var wg sync.WaitGroup
			for g := range 64 {
				wg.Go(func() {
					for k := range 200 {
						if g == 0 && k%10 == 0 {
							if err := l.SetLimit(pair[k/10%2]); err != nil {
								t.Error(err)
							}
						}
						from, n := time.Duration(real.Add(311)), int64(1)
						ok := false
						if k%3 == 0 {
							n = 2
							ok = l.AllowN("hot", n).OK
						} else {
							ok = l.Allow("hot")
						}
						if ok {
							mu.Lock()
							log = append(log, span{from, time.Duration(real.Load()), n})
							mu.Unlock()
						}
					}
				})
			}
			wg.Wait()
			worst, all := max(pair[0].Worst(window+skew), pair[1].Worst(window+skew)), int64(0)
			for _, first := range log {
				all += first.n
				total := int64(0)
				for _, s := range log {
					if s.from >= first.from && s.to < first.from+window {
						total += s.n
					}
				}
				if total > worst {
					t.Fatalf("%d in a window, worst %d", total, worst)
				}
			}
			if all < 20 {
				t.Errorf("only %d admitted", all)
			}
		})
	}
}

// TestTheShortWayAnswersAsTheRule plays calls against a limiter, whose calls at known
// keys go a shorter way, and against the rule by itself.
func TestTheShortWayAnswersAsTheRule(t *testing.T) {
	check(t, func(t *rapid.T) {
		limit := drawLimit(t, rates...)
		rule := mustCompile(t, limit)
		state := make([]uint64, rule.Words())
		now := time.Duration(rapid.Int64Range(0, 5e9).Draw(t, "begin"))
		l, err := New(limit, Options{Now: func() time.Duration { return now }})
		if err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(1, 60).Draw(t, "calls") {
			now += drawStep(t, limit.Window)
			n := rapid.Int64Range(-1, 6).Draw(t, "n")
			want := rule.Take(state, now, n)
			if n == 1 && rapid.Bool().Draw(t, "bare") {
				if got := l.Allow("k"); got != want.OK {
					t.Fatalf("%v at %s: %t, want %+v", limit, now, got, want)
				}
				continue
			}
			if got := l.AllowN("k", n); got != want {
				t.Fatalf("%v at %s: %+v, want %+v", limit, now, got, want)
			}
		}
		if s := l.Stats(); s.Granted+s.Refused == 0 {
			t.Fatal("nothing was counted")
		}
	})
}
