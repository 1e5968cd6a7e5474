package redis_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/parleyhq/parley/pattern/throttle"
	"github.com/parleyhq/parley/pattern/throttle/valkey"
)

func limiter(t testing.TB, c redis.Scripter, limit throttle.Limit, o valkey.Options) *valkey.Limiter {
	t.Helper()
	o.Timeout = 5 * time.Second // the machine may be busy
	l, err := valkey.New(c, limit, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// slow are limits under which nothing comes back while a test runs.
var slow = []throttle.Limit{
	throttle.NewGCRA(7, 24*time.Hour, 5),
	{Algorithm: throttle.TokenBucket, Quota: 100, Window: 100 * time.Hour, Burst: 20},
	throttle.NewLeakyMeter(9, 10, 7*24*time.Hour), throttle.NewFixedWindow(6, 10*365*24*time.Hour),
}

// TestScriptsAnswerAsTheLibraryDoes plays calls against both.
func TestScriptsAnswerAsTheLibraryDoes(t *testing.T) {
	s := start(t)
	c := s.client()
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		limit := rapid.SampledFrom(slow).Draw(rt, "limit")
		run++
		there := limiter(t, c, limit, valkey.Options{Name: fmt.Sprint("run", run), MaxRefusals: rapid.SampledFrom([]int{-1, 0}).Draw(rt, "remembered")})
		here, err := throttle.New(limit, throttle.Options{})
		if err != nil {
			rt.Fatal(err)
		}
		for range rapid.IntRange(1, 25).Draw(rt, "calls") {
			key, n := rapid.SampledFrom([]string{"a", "b", "{}", "ä\x00\xff"}).Draw(rt, "key"), rapid.Int64Range(0, 8).Draw(rt, "cost")
			var got, want throttle.Decision
			var err error
			switch rapid.IntRange(0, 5).Draw(rt, "op") {
			case 0:
				got, err = there.Look(t.Context(), key, n)
				want = here.Look(key, n)
			case 1:
				got, err = there.Return(t.Context(), key, n)
				here.Return(key, n)
				want = here.Peek(key)
			default:
				got, err = there.AllowN(t.Context(), key, n)
				want = here.AllowN(key, n)
			}
			if want.Reason == throttle.Impossible { // the store is not asked what there is
				got.Remaining = want.Remaining
			}
			if err != nil || got.OK != want.OK || got.Reason != want.Reason || got.Remaining != want.Remaining {
				rt.Fatalf("%v of %s under %v: the store says %+v %v, the library %+v", n, key, limit, got, err, want)
			}
			if off := (got.RetryAfter - want.RetryAfter).Abs(); limit.Algorithm != throttle.FixedWindow && off > 30*time.Second {
				rt.Fatalf("%v of %s under %v: in %s, the library says %s", n, key, limit, got.RetryAfter, want.RetryAfter)
			}
		}
	})
	if n := run; n < 10 {
		t.Fatalf("only %d runs", n)
	}
}

// TestManyProcesses has many ask at once, as if from several processes: together
// they get what one would.
func TestManyProcesses(t *testing.T) {
	s := start(t)
	limit := throttle.NewGCRA(50, time.Second, 10)
	var admitted atomic.Int64
	var wg sync.WaitGroup
	begin := time.Now()
	for range 4 {
		l := limiter(t, s.client(), limit, valkey.Options{Name: "all"})
		for range 4 {
			wg.Go(func() {
				for time.Since(begin) < 2*time.Second {
					d, err := l.AllowN(t.Context(), "k", 1)
					if err != nil {
						t.Error(err)
					}
					if d.OK {
						admitted.Add(1)
						continue
					}
					if d.RetryAfter <= 0 || d.RetryAfter > 20*time.Millisecond {
						t.Errorf("told to come back in %s", d.RetryAfter)
					}
				}
			})
		}
	}
	wg.Wait()
	most := limit.Worst(time.Since(begin))
	if n := admitted.Load(); n > most || n < 90 {
		t.Errorf("%d were admitted, %d at most", n, most)
	}
}

func TestARetryIsExact(t *testing.T) {
	s := start(t)
	for _, limit := range []throttle.Limit{throttle.NewGCRA(20, time.Second, 2), throttle.NewFixedWindow(2, 100*time.Millisecond)} {
		l := limiter(t, s.client(), limit, valkey.Options{Name: string(limit.Algorithm)})
		for range 20 {
			d, err := l.AllowN(t.Context(), "k", 1)
			if err != nil {
				t.Fatal(err)
			}
			if d.OK {
				continue
			}
			<-time.After(d.RetryAfter)
			if d, err = l.AllowN(t.Context(), "k", 1); err != nil || !d.OK {
				t.Errorf("%s: %+v %v after the wait that was told", limit.Algorithm, d, err)
			}
		}
	}
}

// TestACallIsOneRoundTrip counts the store's commands, and those that write.
func TestACallIsOneRoundTrip(t *testing.T) {
	s := start(t)
	c := s.client()
	l := limiter(t, c, throttle.NewGCRA(5, time.Hour, 5), valkey.Options{Name: "n", MaxRefusals: -1})
	ask := func(times int) {
		for range times {
			if _, err := l.AllowN(t.Context(), "k", 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	calls := func(command string) int {
		text, err := c.Info(t.Context(), "commandstats").Result()
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		if _, after, ok := strings.Cut(text, "cmdstat_"+command+":calls="); ok {
			_, _ = fmt.Sscanf(after, "%d", &n)
		}
		return n
	}
	ask(1) // which brings the script
	scripts, sets := calls("evalsha"), calls("set")
	ask(4)
	if got := calls("evalsha") - scripts; got != 4 || calls("eval") != 1 {
		t.Errorf("4 calls were %d", got)
	}
	if got := calls("set") - sets; got != 4 {
		t.Errorf("4 admissions wrote %d times", got)
	}
	sets = calls("set")
	ask(10)
	if got := calls("set") - sets; got != 0 {
		t.Errorf("10 refusals wrote %d times", got)
	}
	ttl, err := c.PTTL(t.Context(), "throttle:n:{k}").Result()
	if err != nil || ttl <= 59*time.Minute || ttl > time.Hour+time.Second {
		t.Errorf("it lives for %s %v", ttl, err)
	}
	if _, err := l.Return(t.Context(), "k", 5); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Exists(t.Context(), "throttle:n:{k}").Result(); err != nil || n != 0 {
		t.Errorf("a key that is as good as new is kept: %d %v", n, err)
	}
}

// TestALimitThatChanges keeps the same fraction spent.
func TestALimitThatChanges(t *testing.T) {
	s := start(t)
	for _, c := range []struct {
		from, to throttle.Limit
		left     int64
	}{
		{throttle.NewGCRA(10, 24*time.Hour, 10), throttle.NewGCRA(100, 24*time.Hour, 100), 20},
		{throttle.NewGCRA(10, 24*time.Hour, 10), throttle.NewGCRA(5, 48*time.Hour, 5), 1},
		{throttle.NewFixedWindow(10, 10*365*24*time.Hour), throttle.NewFixedWindow(5, 10*365*24*time.Hour), 0},
		{throttle.NewFixedWindow(10, 10*365*24*time.Hour), throttle.NewFixedWindow(20, 5*365*24*time.Hour), 12},
	} {
		name := fmt.Sprint(c.from, c.to)
		if _, err := limiter(t, s.client(), c.from, valkey.Options{Name: name}).AllowN(t.Context(), "k", 8); err != nil {
			t.Fatal(err)
		}
		d, err := limiter(t, s.client(), c.to, valkey.Options{Name: name}).Look(t.Context(), "k", 0)
		if err != nil || d.Remaining != c.left {
			t.Errorf("%s: %+v %v, want %d left", name, d, err, c.left)
		}
	}
}
