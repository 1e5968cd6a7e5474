package policy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/throttle"
	"github.com/parleyhq/parley/pattern/throttle/outage"
)

// bank is a place where limits are counted for several registries.
type bank struct {
	mu        sync.Mutex
	limits    map[string]*throttle.Limiter
	revisions map[string]int64
	asked     int
	err       error // what it answers
	hangs     bool  // it answers nothing
}

type account struct {
	bank *bank
	name string
}

func (b *bank) open(name string, limit throttle.Limit, revision int64) (Counter, error) {
	if limit.Algorithm == throttle.SlidingLog {
		return nil, parley.BadField("algorithm", "is not counted here", "use gcra")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.limits == nil {
		b.limits, b.revisions = map[string]*throttle.Limiter{}, map[string]int64{}
	}
	var err error
	switch l := b.limits[name]; {
	case l == nil:
		b.limits[name], err = throttle.New(limit, throttle.Options{})
		b.revisions[name] = revision
	case revision > b.revisions[name]:
		err = l.SetLimit(limit)
		b.revisions[name] = revision
	}
	return account{b, name}, err
}

func (b *bank) set(err error, hangs bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err, b.hangs = err, hangs
}

// questions is how many there were since it was called last.
func (b *bank) questions() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.asked
	b.asked = 0
	return n
}

func (a account) limiter(ctx context.Context) (*throttle.Limiter, error) {
	a.bank.mu.Lock()
	l, err, hangs := a.bank.limits[a.name], a.bank.err, a.bank.hangs
	a.bank.asked++
	a.bank.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return l, err
}

func (a account) AllowN(ctx context.Context, key string, n int64) (throttle.Decision, error) {
	l, err := a.limiter(ctx)
	if err != nil {
		return throttle.Decision{}, err
	}
	return l.AllowN(key, n), nil
}

func (a account) Look(ctx context.Context, key string, n int64) (throttle.Decision, error) {
	l, err := a.limiter(ctx)
	if err != nil {
		return throttle.Decision{}, err
	}
	return l.Look(key, n), nil
}

func (a account) Return(ctx context.Context, key string, n int64) (throttle.Decision, error) {
	l, err := a.limiter(ctx)
	if err != nil {
		return throttle.Decision{}, err
	}
	l.Return(key, n)
	return l.Peek(key), nil
}

var publish = Request{Action: Publish, Topics: []string{"t"}, Remote: "192.0.2.1:1"}

// TestTwoNodesShareALimit has all that two nodes admit together be one quota, whoever
// is asked, and whatever else refuses.
func TestTwoNodesShareALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, log := new(bank), newLog()
		var nodes [2]*Registry
		var told seen
		for i := range nodes {
			nodes[i] = load(t, log, Options{Observe: told.observe, Sharing: Sharing{Open: b.open}})
		}
		run(t.Context(), t, nodes[1])
		put(t, nodes[0], "a", Definition{Limit: "4/1h", On: []string{"publish"}})
		put(t, nodes[0], "b", Definition{Limit: "7/1h", On: []string{"publish"}, Key: "everyone"})
		put(t, nodes[0], "inside", Definition{Limit: "concurrency 1", On: []string{"publish:busy"}})
		synctest.Wait()
		for i := range 4 {
			if got := admit(t, nodes[i%2], publish); got != "" {
				t.Fatalf("request %d: %s", i, got)
			}
		}
		h := http.Header{}
		refused := publish
		refused.Answer = h
		_, err := nodes[1].Admit(t.Context(), &refused)
		var e *throttle.Error
		if !errors.As(err, &e) || e.Name != "a" || e.RetryAfter != 15*time.Minute || parley.CodeOf(err) != parley.Throttled {
			t.Fatalf("%v, %+v", err, e)
		}
		if got := h.Get("RateLimit"); got != `"a";r=0;t=900` {
			t.Error(got)
		}
		other := publish
		other.Remote = "192.0.2.2:1"
		for range 3 {
			if got := admit(t, nodes[1], other); got != "" {
				t.Fatal(got)
			}
		}
		// b refuses now, and a gets back what it gave.
		if got := admit(t, nodes[0], other); got != "throttled" {
			t.Error(got)
		}
		v, err := nodes[0].Check(t.Context(), "a", Check{Key: "192.0.2.2", Peek: true, Cost: 1})
		if err != nil || !v.Allowed || v.Remaining != 1 {
			t.Errorf("%+v %v", v, err)
		}
		// A place inside is this node's, and asked for first.
		busy := Request{Action: Publish, Topics: []string{"busy"}, Remote: "192.0.2.3:1"}
		for _, n := range nodes {
			if _, err := n.Admit(t.Context(), &busy); parley.CodeOf(err) != parley.Throttled {
				t.Error(err) // b's, and the place is free again
			}
		}
		if got, want := told.String(), "a allowed 7, a rejected 1, b allowed 7, b rejected 3, inside allowed 2"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

func TestChecksOfSharedCounts(t *testing.T) {
	b, log := new(bank), newLog()
	one := load(t, log, Options{Sharing: Sharing{Open: b.open}})
	put(t, one, "otp", Definition{Limit: "5/1h"})
	other := load(t, log, Options{Sharing: Sharing{Open: b.open}})
	long := strings.Repeat("k", 1024)
	for _, step := range []struct {
		at   *Registry
		c    Check
		want string
	}{
		{one, Check{Key: "k", Cost: 3}, "true 2"},
		{other, Check{Key: "k", Cost: 3}, "false 2"},
		{other, Check{Key: "k", Cost: 2, Peek: true}, "true 2"},
		{other, Check{Key: "k", Cost: 2}, "true 0"},
		{one, Check{Key: "k", Cost: 1, Refund: true}, "true 1"},
		{other, Check{Key: "k", Cost: 1}, "true 0"},
		{one, Check{Key: long, Cost: 5}, "true 0"},
		{other, Check{Key: long, Cost: 1}, "false 0"},
	} {
		v, err := step.at.Check(t.Context(), "otp", step.c)
		if got := fmt.Sprint(v.Allowed, " ", v.Remaining); err != nil || got != step.want {
			t.Errorf("%+v: %s %v, want %s", step.c, got, err, step.want)
		}
	}
}

// TestWhatIsAnsweredWhileTheCountsAreAway holds the three policies, and that all but
// one call in 250 ms are spared the wait.
func TestWhatIsAnsweredWhileTheCountsAreAway(t *testing.T) {
	for policy, want := range map[outage.Policy]string{
		outage.Local: " throttled", outage.Closed: "overloaded overloaded", outage.Open: " ", "": " throttled",
	} {
		t.Run(string(policy), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := new(bank)
				var told []error
				r := load(t, newLog(), Options{Sharing: Sharing{Open: b.open, Outage: policy, OnOutage: func(err error) { told = append(told, err) }}})
				put(t, r, "a", Definition{Limit: "1/1h", On: []string{"publish"}})
				put(t, r, "b", Definition{Limit: "1000/1h", On: []string{"publish"}})
				if got := admit(t, r, publish); got != "" {
					t.Fatal(got)
				}
				for _, failure := range []struct {
					err   error
					hangs bool
					wait  time.Duration
				}{{err: parley.Errorf(parley.Unavailable, "nobody"), wait: 0}, {hangs: true, wait: 100 * time.Millisecond}} {
					b.set(failure.err, failure.hangs)
					b.questions()
					begin := time.Now()
					first := admit(t, r, publish)
					if took := time.Since(begin); took != failure.wait {
						t.Errorf("the first waited %s", took)
					}
					second := admit(t, r, publish)
					if got := first + " " + second; failure.err != nil && got != want {
						t.Errorf("got %q, want %q", got, want)
					}
					if n := b.questions(); n != 1 {
						t.Errorf("%d questions", n)
					}
					if n := len(told); n != 1 || told[0] == nil {
						t.Errorf("told %v", told)
					}
					<-time.After(250 * time.Millisecond)
					b.set(nil, false)
					if got := admit(t, r, publish); got != "throttled" { // the counts know what was spent
						t.Error(got)
					}
					if n := len(told); n != 2 || told[1] != nil {
						t.Errorf("told %v", told)
					}
					told = nil
				}
			})
		})
	}
}

func TestARefusalForWantOfTheCountsIsNotTheCallersFault(t *testing.T) {
	b := new(bank)
	r := load(t, newLog(), Options{Sharing: Sharing{Open: b.open, Outage: outage.Closed}})
	put(t, r, "a", Definition{Limit: "1/1h"})
	b.set(parley.Errorf(parley.Unavailable, "nobody"), false)
	v, err := r.Check(t.Context(), "a", Check{Key: "k", Cost: 1})
	if err != nil || v.Allowed || v.RetryAfter != 250*time.Millisecond || parley.CodeOf(v.Err()) != parley.Overloaded {
		t.Errorf("%+v %v %v", v, err, v.Err())
	}
}

func TestWhoGoesAwaySaysNothingAboutTheCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(bank)
		r := load(t, newLog(), Options{Sharing: Sharing{Open: b.open, Outage: outage.Closed, OnOutage: func(err error) { t.Error(err) }}})
		put(t, r, "a", Definition{Limit: "1/1h", On: []string{"publish"}})
		b.set(nil, true)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if _, err := r.Admit(ctx, &publish); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		b.set(nil, false)
		if got := admit(t, r, publish); got != "" {
			t.Error(got)
		}
	})
}

// TestLinesBeforeSharedCounts has requests on two nodes wait their turn at one limit:
// one comes in a second, and each node keeps its own in their order.
func TestLinesBeforeSharedCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, log := new(bank), newLog()
		def := Definition{Limit: "1/1s", Action: Shape, MaxWait: "4500ms", On: []string{"publish"}}
		fixed := map[string]Definition{"even": def}
		var nodes [2]*Registry
		for i := range nodes {
			nodes[i] = load(t, log, Options{Fixed: fixed, Sharing: Sharing{Open: b.open}})
		}
		begin := time.Now()
		var mu sync.Mutex
		turns := map[int][]int{}
		var late int
		var times []time.Duration
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				_, err := nodes[i%2].Admit(t.Context(), &publish)
				mu.Lock()
				defer mu.Unlock()
				var e *throttle.Error
				if errors.As(err, &e) && e.Reason == throttle.TooLate && e.RetryAfter > 0 {
					late++
					return
				}
				if err != nil {
					t.Error(err)
				}
				turns[i%2] = append(turns[i%2], i)
				times = append(times, time.Since(begin))
			})
			synctest.Wait() // so that they stand in this order
		}
		wg.Wait()
		if len(times) != 5 || late != 3 {
			t.Errorf("%d came in, at %v; %d were too late", len(times), times, late)
		}
		for i, at := range times {
			if at < time.Duration(i)*time.Second || at > time.Duration(i)*time.Second+100*time.Millisecond {
				t.Errorf("number %d came at %s", i, at)
			}
		}
		for node, order := range turns {
			for i := range order[1:] {
				if order[i] > order[i+1] {
					t.Errorf("node %d: %v", node, order)
				}
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error)
		admit(t, nodes[0], publish)
		go func() { _, err := nodes[0].Admit(ctx, &publish); left <- err }()
		synctest.Wait()
		cancel()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// TestWhatCannotBeCountedElsewhere is refused when it is put and in the configuration;
// one that is in the log already is counted at each node.
func TestWhatCannotBeCountedElsewhere(t *testing.T) {
	b, log := new(bank), newLog()
	def := Definition{Limit: "1/1h", Algorithm: "sliding-log", On: []string{"publish"}}
	put(t, load(t, log, Options{}), "old", def)
	r := load(t, log, Options{Sharing: Sharing{Open: b.open}})
	if got := admit(t, r, publish) + admit(t, r, publish); got != "throttled" || b.questions() != 0 {
		t.Errorf("a limit of the log: %s", got)
	}
	var e *parley.Error
	if _, _, err := r.Put(t.Context(), "new", def); !errors.As(err, &e) || e.Code != parley.Invalid || e.Field != "algorithm" {
		t.Error(err)
	}
	_, err := New(log, Options{Fixed: map[string]Definition{"x": def}, Sharing: Sharing{Open: b.open}})
	if !errors.As(err, &e) || e.Field != "x.algorithm" {
		t.Error(err)
	}
	// What needs no counting is not asked for.
	put(t, r, "old", Definition{Limit: "0/1h", On: []string{"publish"}})
	if got := admit(t, r, publish); got != "forbidden" || b.questions() != 0 {
		t.Error(got)
	}
}

// TestTheNewestRevisionHolds has a change at one node reach the counter, and one that
// is older not undo it.
func TestTheNewestRevisionHolds(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	b, log := new(bank), newLog()
	o := Options{Sharing: Sharing{Open: b.open}, Now: func() time.Time { return now }}
	r := load(t, log, o)
	put(t, r, "a", Definition{Limit: "1/1h"})
	now = now.Add(-time.Hour) // a node whose clock is behind
	put(t, r, "a", Definition{Limit: "3/1h"})
	load(t, log, o) // folds both
	if v, err := r.Check(t.Context(), "a", Check{Key: "k", Cost: 3}); err != nil || !v.Allowed {
		t.Errorf("%+v %v", v, err)
	}
}
