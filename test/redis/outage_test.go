package redis_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/parleyhq/parley/pattern/throttle"
	"github.com/parleyhq/parley/pattern/throttle/valkey"
)

// load asks from many goroutines until stop, and counts what was answered.
type load struct {
	allowed, refused, slow atomic.Int64
	stop                   chan struct{}
	wg                     sync.WaitGroup
}

const (
	patience = 200 * time.Millisecond // of a call
	askers   = 16
)

func (l *load) begin(t *testing.T, limit *valkey.Limiter) {
	l.stop = make(chan struct{})
	for i := range askers {
		l.wg.Go(func() {
			pace := time.NewTicker(time.Millisecond)
			defer pace.Stop()
			for n := 0; ; n++ {
				select {
				case <-l.stop:
					return
				case <-pace.C:
				}
				begin := time.Now()
				d, err := limit.AllowN(t.Context(), fmt.Sprint(i), 1)
				if err != nil {
					t.Errorf("an outage is no error: %v", err)
					return
				}
				if time.Since(begin) > patience/2 {
					l.slow.Add(1)
				}
				if d.OK {
					l.allowed.Add(1)
				} else {
					l.refused.Add(1)
				}
			}
		})
	}
}

// figures are what happened since the last look.
func (l *load) figures() (allowed, refused, slow int64) {
	return l.allowed.Swap(0), l.refused.Swap(0), l.slow.Swap(0)
}

func (l *load) end() {
	close(l.stop)
	l.wg.Wait()
}

// TestTheStoreIsKilledAndStartedUnderLoad has a generous limit in the store, and
// looks what is answered without it.
func TestTheStoreIsKilledAndStartedUnderLoad(t *testing.T) {
	for _, outage := range []valkey.Outage{valkey.Open, valkey.Closed, valkey.Local} {
		t.Run(string(outage), func(t *testing.T) {
			s := start(t)
			changes := make(chan error, 100)
			limit, err := valkey.New(s.client(), throttle.NewGCRA(1_000_000, time.Hour, 100_000), valkey.Options{
				Outage: outage, Timeout: patience, RetryEvery: 50 * time.Millisecond, Share: 10_000, // of which 10 at once are left here
				OnOutage: func(err error) { changes <- err },
			})
			if err != nil {
				t.Fatal(err)
			}
			var l load
			l.begin(t, limit)
			defer l.end()
			for round := range 2 {
				s.until(10*time.Second, func() bool { return limit.Stats().Asked > 100 })
				if _, refused, _ := l.figures(); round == 0 && refused > 0 {
					t.Errorf("%d were refused while the store was there", refused)
				}
				s.kill()
				if err := <-changes; err == nil {
					t.Fatal("back before it was away")
				}
				away := limit.Stats().Away
				l.figures()
				s.until(10*time.Second, func() bool { return limit.Stats().Away > away+2000 })
				allowed, refused, _ := l.figures()
				switch outage {
				case valkey.Open:
					if refused != 0 || allowed == 0 {
						t.Errorf("%d allowed, %d refused", allowed, refused)
					}
				case valkey.Closed:
					if allowed > askers { // those that were under way
						t.Errorf("%d allowed, %d refused", allowed, refused)
					}
				case valkey.Local:
					if allowed > askers*20 || refused == 0 {
						t.Errorf("%d allowed, %d refused: each of %d keys has 10 at once and 100 an hour", allowed, refused, askers)
					}
				}
				s.begin()
				for err := range changes {
					if err == nil {
						break
					}
				}
				asked := limit.Stats().Asked
				s.until(10*time.Second, func() bool { return limit.Stats().Asked > asked+1000 })
				l.figures()
			}
		})
	}
}

// TestTheStoreHangsUnderLoad stops the process without ending it: its connections
// stay open and nothing is answered.
func TestTheStoreHangsUnderLoad(t *testing.T) {
	s := start(t)
	limit, err := valkey.New(s.client(), throttle.NewGCRA(1_000_000, time.Hour, 100_000), valkey.Options{Outage: valkey.Open, Timeout: patience, RetryEvery: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	var l load
	l.begin(t, limit)
	defer l.end()
	s.until(10*time.Second, func() bool { return limit.Stats().Asked > 1000 })
	s.signal(syscall.SIGSTOP)
	s.until(10*time.Second, func() bool { return limit.Stats().Away > 100 })
	l.figures()
	before := limit.Stats().Away
	s.until(20*time.Second, func() bool { return limit.Stats().Away > before+5000 })
	allowed, refused, slow := l.figures()
	if refused != 0 || slow*100 > allowed {
		t.Errorf("%d of %d calls waited for a store that hangs; %d were refused", slow, allowed, refused)
	}
	s.signal(syscall.SIGCONT)
	asked := limit.Stats().Asked
	s.until(10*time.Second, func() bool { return limit.Stats().Asked > asked+1000 })
}
