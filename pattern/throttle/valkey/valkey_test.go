package valkey

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/throttle"
)

// fake is a store whose answers a test chooses; what the scripts do is tested
// against a real one in the module below test/.
type fake struct {
	redis.Scripter // nil: what is not here is not called

	mu     sync.Mutex
	calls  []string
	answer []any
	err    error
	hangs  bool
}

func (f *fake) EvalSha(ctx context.Context, _ string, keys []string, args ...any) *redis.Cmd {
	f.mu.Lock()
	f.calls = append(f.calls, strings.Join(keys, " ")+" "+fmt.Sprint(args...))
	answer, err, hangs := f.answer, f.err, f.hangs
	f.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return redis.NewCmdResult(nil, ctx.Err())
	}
	if err != nil {
		return redis.NewCmdResult(nil, err)
	}
	return redis.NewCmdResult(answer, nil)
}

func (f *fake) set(answer []any, err error, hangs bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer, f.err, f.hangs = answer, err, hangs
}

func (f *fake) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.calls)
}

func admitted(left int64) []any { return []any{int64(1), left, int64(0), int64(0)} }

func refused(left int64, wait time.Duration) []any {
	return []any{int64(0), left, wait.Microseconds(), wait.Microseconds()}
}

func limiter(t *testing.T, f *fake, o Options) *Limiter {
	t.Helper()
	l, err := New(f, throttle.NewGCRA(10, time.Minute, 5), o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func ask(t *testing.T, l *Limiter, key string, n int64) string {
	t.Helper()
	d, err := l.AllowN(t.Context(), key, n)
	if err != nil {
		t.Fatal(err)
	}
	if !d.OK {
		return fmt.Sprintf("%s %d %s", d.Reason.String(), d.Remaining, d.RetryAfter)
	}
	return fmt.Sprintf("ok %d", d.Remaining)
}

func want(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestARefusalIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answer: refused(1, 700*time.Millisecond)}
		l := limiter(t, f, Options{})
		want(t, ask(t, l, "a", 2), "limited 1 700ms")
		<-time.After(300 * time.Millisecond)
		want(t, ask(t, l, "a", 2), "limited 1 400ms")
		want(t, ask(t, l, "a", 3), "limited 1 6.4s") // a unit more takes 6 s more
		if f.count() != 1 {
			t.Errorf("the store was asked %d times", f.count())
		}
		f.set(admitted(0), nil, false)
		want(t, ask(t, l, "a", 1), "ok 0") // less may
		want(t, ask(t, l, "b", 2), "ok 0")
		<-time.After(400 * time.Millisecond)
		want(t, ask(t, l, "a", 2), "ok 0")
		if s := l.Stats(); s != (Stats{Asked: 4, Cached: 2}) {
			t.Errorf("%+v", s)
		}
		f.set(refused(0, time.Hour), nil, false)
		want(t, ask(t, l, "a", 1), "limited 0 1h0m0s")
		<-time.After(999 * time.Millisecond)
		want(t, ask(t, l, "a", 1), "limited 0 59m59.001s")
		f.set(admitted(4), nil, false)
		<-time.After(time.Millisecond)
		want(t, ask(t, l, "a", 1), "ok 4") // what others gave back is noticed
		f.set(refused(0, time.Hour), nil, false)
		ask(t, l, "a", 1)
		f.set(admitted(1), nil, false)
		if d, err := l.Return(t.Context(), "a", 1); err != nil || !d.OK {
			t.Error(d, err)
		}
		want(t, ask(t, l, "a", 1), "ok 1") // what was given back here, at once
	})
}

func TestRefusalsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answer: refused(0, time.Hour)}
		l := limiter(t, f, Options{MaxRefusals: 3})
		for i := range 10 {
			ask(t, l, fmt.Sprint(i), 1)
		}
		if len(l.refusals.all) != 3 {
			t.Errorf("%d are remembered", len(l.refusals.all))
		}
		<-time.After(2 * time.Second)
		ask(t, l, "new", 1)
		if _, there := l.refusals.all["new"]; !there || len(l.refusals.all) != 1 {
			t.Errorf("%v: those that are over make room", l.refusals.all)
		}
		none := limiter(t, f, Options{MaxRefusals: -1})
		before := f.count()
		ask(t, none, "a", 1)
		ask(t, none, "a", 1)
		if f.count() != before+2 {
			t.Error("a refusal was remembered")
		}
	})
}

func TestWhileTheStoreIsAway(t *testing.T) {
	for outage, answers := range map[Outage][3]string{
		Local:  {"ok 4", "ok 1", "limited 1 6s"}, // three left, then what is left of five
		Closed: {"limited 0 250ms", "limited 0 250ms", "limited 0 250ms"},
		Open:   {"ok 0", "ok 0", "ok 0"},
	} {
		t.Run(string(outage), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var told []error
				f := &fake{err: errors.New("connection refused")}
				l := limiter(t, f, Options{Outage: outage, OnOutage: func(err error) { told = append(told, err) }})
				for i, n := range []int64{1, 3, 2} {
					want(t, ask(t, l, "a", n), answers[i])
				}
				if f.count() != 1 || len(told) != 1 || told[0] == nil {
					t.Errorf("the store was asked %d times, told %v", f.count(), told)
				}
				<-time.After(250 * time.Millisecond)
				ask(t, l, "a", 1)
				ask(t, l, "a", 1)
				if f.count() != 2 {
					t.Errorf("%d calls tried the store", f.count())
				}
				f.set(admitted(3), nil, false)
				<-time.After(250 * time.Millisecond)
				want(t, ask(t, l, "a", 1), "ok 3")
				want(t, ask(t, l, "a", 1), "ok 3")
				if len(told) != 2 || told[1] != nil {
					t.Errorf("told %v", told)
				}
			})
		})
	}
}

func TestAStoreThatHangsHoldsUpOneCallOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{hangs: true}
		l := limiter(t, f, Options{Outage: Open})
		begin := time.Now()
		want(t, ask(t, l, "a", 1), "ok 0")
		if time.Since(begin) != 100*time.Millisecond {
			t.Errorf("the first waited %s", time.Since(begin))
		}
		<-time.After(250 * time.Millisecond)
		begin = time.Now()
		var waits sync.Map
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				ask(t, l, fmt.Sprint(i), 1)
				waits.Store(i, time.Since(begin))
			})
		}
		wg.Wait()
		slow := 0
		waits.Range(func(_, d any) bool {
			if d.(time.Duration) > 0 {
				slow++
			}
			return true
		})
		if slow != 1 || f.count() != 2 {
			t.Errorf("%d calls waited, the store was tried %d times", slow, f.count())
		}
	})
}

func TestWhoGoesAwaySaysNothingAboutTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{hangs: true}
		l := limiter(t, f, Options{Outage: Closed})
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-time.After(10 * time.Millisecond); cancel() }()
		if _, err := l.AllowN(ctx, "a", 1); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		f.set(admitted(4), nil, false)
		want(t, ask(t, l, "a", 1), "ok 4")
		f.set([]any{int64(1)}, nil, false)
		want(t, ask(t, l, "a", 1), "limited 0 250ms") // an answer that is none is a failure
	})
}

func TestWhatNeedsNoStore(t *testing.T) {
	f := &fake{err: errors.New("never asked")}
	for _, c := range []struct {
		limit throttle.Limit
		n     int64
		want  string
	}{
		{throttle.NewGCRA(0, time.Minute, 0), 1, "closed 0 0s"},
		{throttle.NewTokenBucket(throttle.Infinite, 1), 1 << 60, fmt.Sprint("ok ", throttle.Infinite)},
		{throttle.NewGCRA(10, time.Minute, 5), 6, "impossible 0 0s"},
		{throttle.NewGCRA(10, time.Minute, 5), -1, "impossible 0 0s"},
	} {
		l, err := New(f, c.limit, Options{})
		if err != nil {
			t.Fatal(err)
		}
		want(t, ask(t, l, "a", c.n), c.want)
	}
	if f.count() != 0 {
		t.Error(f.calls)
	}
}

func TestLocalCountsItsShare(t *testing.T) {
	f := &fake{err: errors.New("away")}
	l, err := New(f, throttle.NewGCRA(100, time.Hour, 8), Options{Share: 4})
	if err != nil {
		t.Fatal(err)
	}
	want(t, ask(t, l, "a", 2), "ok 0")
	if got := ask(t, l, "a", 1); !strings.HasPrefix(got, "limited 0 ") {
		t.Error(got)
	}
	if got := ask(t, l, "b", 5); !strings.HasPrefix(got, "limited 2 250ms") { // above the share, not above the limit
		t.Error(got)
	}
	if d, err := l.Return(t.Context(), "a", 1); err != nil || d.Remaining != 1 {
		t.Error(d, err)
	}
	if d, err := l.Look(t.Context(), "a", 1); err != nil || !d.OK || d.Remaining != 1 {
		t.Error(d, err)
	}
}

func TestWhatCannotBe(t *testing.T) {
	ok := throttle.NewGCRA(10, time.Minute, 5)
	for field, c := range map[string]struct {
		limit throttle.Limit
		o     Options
	}{
		"limit":     {throttle.Limit{}, Options{}},
		"algorithm": {throttle.NewSlidingLog(5, time.Minute), Options{}},
		"burst":     {throttle.NewGCRA(1, 365*24*time.Hour, 70), Options{}},
		"window":    {throttle.NewFixedWindow(1, 1500*time.Nanosecond), Options{}},
		"quota":     {throttle.NewFixedWindow(1<<51, time.Minute), Options{}},
		"outage":    {ok, Options{Outage: "panic"}},
		"share":     {ok, Options{Share: -1}},
		"timeout":   {ok, Options{Timeout: -1}},
		"name":      {ok, Options{Name: strings.Repeat("n", 101)}},
	} {
		_, err := New(&fake{}, c.limit, c.o)
		var e *parley.Error
		if !errors.As(err, &e) || e.Code != parley.Invalid || e.Field != field || e.Fix == "" {
			t.Errorf("%v, want an error about %s", err, field)
		}
	}
	loose := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer loose.Close()
	if _, err := New(loose, ok, Options{}); parley.CodeOf(err) != parley.Invalid {
		t.Errorf("%v: calls would wait for longer than they may", err)
	}
	tight := Connect(&redis.UniversalOptions{Addrs: []string{"127.0.0.1:1"}})
	defer tight.Close()
	if _, err := New(tight, ok, Options{}); err != nil {
		t.Error(err)
	}
}

func TestKeysInTheStore(t *testing.T) {
	f := &fake{answer: admitted(1)}
	l := limiter(t, f, Options{Name: "api"})
	ask(t, l, "u", 1)
	ask(t, l, strings.Repeat("k", 201), 1)
	ask(t, l, strings.Repeat("k", 202), 1)
	want(t, f.calls[0], "throttle:api:{u} take6000000 1 30000000 1")
	for _, call := range f.calls[1:] {
		if len(call) > 200 || !strings.HasPrefix(call, "throttle:api:{sha256:") {
			t.Error(call)
		}
	}
	if f.calls[1] == f.calls[2] {
		t.Error("two keys are one")
	}
}

func TestAnOutageIsReportedToWhoWantsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{err: errors.New("connection refused")}
		l := limiter(t, f, Options{Outage: Report})
		for range 2 { // at the store, and before it is tried again
			d, err := l.AllowN(t.Context(), "a", 1)
			if parley.CodeOf(err) != parley.Unavailable || d.OK {
				t.Errorf("%+v, %v", d, err)
			}
		}
		if f.count() != 1 {
			t.Errorf("the store was asked %d times", f.count())
		}
		f.set(admitted(4), nil, false)
		<-time.After(250 * time.Millisecond)
		want(t, ask(t, l, "a", 1), "ok 4")
	})
}
