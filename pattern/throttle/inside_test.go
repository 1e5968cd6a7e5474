package throttle

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestInsideNeverAbove holds both concurrency rules against a plain count.
func TestInsideNeverAbove(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := NewConcurrency(rapid.Int64Range(1, 6).Draw(t, "n"))
		most := limit.Quota
		if rapid.Bool().Draw(t, "adaptive") {
			most = limit.Quota + rapid.Int64Range(0, 5).Draw(t, "room")
			limit = NewAdaptive(limit.Quota, 1, most)
			limit.Target = time.Duration(rapid.IntRange(0, 5000).Draw(t, "target"))
		}
		rule := mustCompile(t, limit)
		state := make([]uint64, rule.Words())
		var in []Decision
		count, now := int64(0), time.Duration(0)
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			now += time.Duration(rapid.IntRange(0, 2000).Draw(t, "pause"))
			if len(in) > 0 && rapid.Bool().Draw(t, "leave") {
				i := rapid.IntRange(0, len(in)-1).Draw(t, "who")
				if rapid.Bool().Draw(t, "well") {
					rule.Back(state, now, in[i])
				} else {
					rule.Overloaded(state, now, in[i])
				}
				count -= in[i].Cost
				in = append(in[:i], in[i+1:]...)
				continue
			}
			n := rapid.Int64Range(1, 2).Draw(t, "n")
			d := rule.Take(state, now, n)
			if d.OK {
				in = append(in, d)
				count += n
			}
			if count > most {
				t.Fatalf("%v: %d inside", limit, count)
			}
			if limit.Algorithm == Concurrency && d.OK != (count-boolN(d.OK, n)+n <= most) && n <= most {
				t.Fatalf("%v: with %d inside, %d more: %+v", limit, count, n, d)
			}
		}
		for _, d := range in {
			rule.Back(state, now, d)
		}
		if !rule.Idle(state, now+adaptiveRest) {
			t.Fatalf("%v: empty and not idle: %v", limit, state)
		}
	})
}

func boolN(b bool, n int64) int64 {
	if b {
		return n
	}
	return 0
}

// TestAdaptiveFindsTheNumber lets work go badly whenever more than 20 are
// inside, and expects the number to swing around 20.
func TestAdaptiveFindsTheNumber(t *testing.T) {
	const capacity, round = 20, 10 * time.Millisecond
	rule := mustCompile(t, NewAdaptive(4, 1, 200))
	state := make([]uint64, rule.Words())
	low, high := 1000, 0
	now := time.Duration(1)
	for i := range 600 {
		var in []Decision
		for {
			d := rule.Take(state, now, 1)
			if !d.OK {
				break
			}
			in = append(in, d)
		}
		now += round
		for k, d := range in {
			if k >= capacity {
				rule.Overloaded(state, now, d)
			} else {
				rule.Back(state, now, d)
			}
		}
		if i > 100 {
			low, high = min(low, len(in)), max(high, len(in))
		}
	}
	if low < 16 || high > 24 || high <= low {
		t.Errorf("number swings between %d and %d, want around %d", low, high, capacity)
	}
}

// TestOneJamOneDecrease has all of a round fail and expects one step down.
func TestOneJamOneDecrease(t *testing.T) {
	rule := mustCompile(t, NewAdaptive(100, 1, 200))
	state := make([]uint64, rule.Words())
	in := rule.Take(state, 1, 50)
	more := rule.Take(state, 2, 50)
	rule.Overloaded(state, 1000, in)
	rule.Overloaded(state, 1001, more)
	if d := rule.Take(state, 1002, 0); d.Remaining != 90 {
		t.Errorf("%d places after one jam, want 90", d.Remaining)
	}
}

func TestAdaptiveTarget(t *testing.T) {
	limit := NewAdaptive(10, 1, 20)
	limit.Target = time.Second
	rule := mustCompile(t, limit)
	state := make([]uint64, rule.Words())
	slow := rule.Take(state, 1, 1)
	rule.Back(state, 1+2*time.Second, slow)
	if d := rule.Take(state, 1+2*time.Second, 0); d.Remaining != 9 {
		t.Errorf("%d places after slow work, want 9", d.Remaining)
	}
}
