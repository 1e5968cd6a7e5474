package door

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// running runs something for the time of a test in a bubble.
func running(t *testing.T, run func(context.Context) error) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
}

func TestPoolRunsAWokenTaskAfterwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool(4)
		running(t, p.Run)
		var tasks [100]struct {
			Task
			due, done, inside atomic.Int64
		}
		for i := range tasks {
			task := &tasks[i]
			task.Init(func() {
				if task.inside.Add(1) != 1 {
					t.Error("two workers in one task")
				}
				task.done.Store(task.due.Load())
				task.inside.Add(-1)
			})
		}
		for range 200 {
			for i := range tasks {
				go func() { tasks[i].due.Add(1); p.Wake(&tasks[i].Task) }()
			}
		}
		synctest.Wait()
		for i := range tasks {
			if tasks[i].done.Load() != 200 {
				t.Fatalf("task %d ran last after %d of 200 wakes", i, tasks[i].done.Load())
			}
		}
	})
}

func TestPoolKeepsATaskThatWakesItselfFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool(1)
		var greedy, modest Task
		turns, served := 0, 0
		greedy.Init(func() {
			if turns++; turns < 1000 {
				p.Wake(&greedy)
			}
		})
		modest.Init(func() { served = turns })
		p.Wake(&greedy)
		p.Wake(&modest)
		running(t, p.Run)
		synctest.Wait()
		if turns != 1000 || served > 2 {
			t.Fatalf("the other task had to wait for %d of %d turns", served, turns)
		}
	})
}

func TestWheelRingsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const tick = 100 * time.Millisecond
		w := NewWheel(tick)
		running(t, w.Run)
		start := time.Now()
		for _, d := range []time.Duration{0, 1, tick, 25 * time.Second, 511 * tick, 512 * tick, 513 * tick, time.Hour} {
			rung := make(chan time.Duration, 1)
			var timer Timer
			timer.Init(func() { rung <- time.Since(start) })
			start = time.Now()
			w.Set(&timer, d)
			if got := <-rung; got < d || got > d+2*tick {
				t.Errorf("set to %v, rang after %v", d, got)
			}
		}
	})
}

func TestWheelStopAndSetAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := NewWheel(0)
		running(t, w.Run)
		var a, b Timer
		var rungA, rungB time.Time
		a.Init(func() { rungA = time.Now() })
		b.Init(func() { rungB = time.Now() })
		start := time.Now()
		w.Set(&a, time.Second)
		w.Set(&b, time.Second)
		w.Stop(&a)
		w.Set(&b, time.Minute)
		<-time.After(2 * time.Minute) // in fake time
		synctest.Wait()
		if !rungA.IsZero() || rungB.Sub(start) < time.Minute || rungB.Sub(start) > time.Minute+time.Second {
			t.Fatalf("a at %v, b after %v", rungA, rungB.Sub(start))
		}
	})
}
