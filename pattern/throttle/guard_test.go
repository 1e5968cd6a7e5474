package throttle

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func mustGuard(t *testing.T, p Preset, clock *hand) *Guard {
	t.Helper()
	g, err := NewGuard(p, Options{Now: clock.now, MaxKeys: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestPresetsCompile(t *testing.T) {
	want := "login otp signup reset invite email crawl"
	var names []string
	for _, p := range Presets() {
		names = append(names, p.Name)
		var clock hand
		g := mustGuard(t, p, &clock)
		a, err := g.Enter(Subject{Account: "a", IP: "192.0.2.1"})
		if err != nil {
			t.Errorf("%s: the first attempt: %v", p.Name, err)
			continue
		}
		a.Done()
		refused := false
		for range 200 {
			if _, err := g.Enter(Subject{Account: "a", IP: "192.0.2.1"}); err != nil {
				refused = true
			}
		}
		if !refused {
			t.Errorf("%s refuses nothing", p.Name)
		}
	}
	if got := strings.Join(names, " "); got != want {
		t.Errorf("presets %s, want %s", got, want)
	}
}

// TestGuessesInParallel has a hundred guesses at once, none of which has been
// compared yet: only five may be.
func TestGuessesInParallel(t *testing.T) {
	var clock hand
	g := mustGuard(t, Login(), &clock)
	var compared atomic.Int64
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			if a, err := g.Enter(Subject{Account: "alice", IP: "192.0.2." + strconv.Itoa(i)}); err == nil {
				compared.Add(1)
				a.Done()
			}
		})
	}
	wg.Wait()
	if n := compared.Load(); n != 5 {
		t.Errorf("%d guesses compared, want 5", n)
	}
}

func TestLoginLocksOutLongerEachTime(t *testing.T) {
	var clock hand
	g := mustGuard(t, Login(), &clock)
	s := Subject{Account: "alice", IP: "192.0.2.1"}
	knock := func() (outs time.Duration) {
		for range 30 {
			s.IP = "192.0.2." + strconv.Itoa(int(clock.ns.Add(1)%200))
			a, err := g.Enter(s)
			if err == nil {
				a.Done()
				continue
			}
			var e *Error
			if errors.As(err, &e) && e.Reason == Banned {
				return e.RetryAfter
			}
		}
		return 0
	}
	var got []string
	for range 6 {
		left := knock()
		got = append(got, left.Round(time.Minute).String())
		clock.advance(left)
	}
	if want := "[1m0s 2m0s 4m0s 8m0s 15m0s 15m0s]"; fmt.Sprint(got) != want {
		t.Errorf("lock-outs %v, want %s", got, want)
	}
	// Others are not touched.
	if _, err := g.Enter(Subject{Account: "bob", IP: "192.0.2.250"}); err != nil {
		t.Errorf("bob: %v", err)
	}
}

func TestSuccessGivesBackAndClears(t *testing.T) {
	var clock hand
	g := mustGuard(t, Login(), &clock)
	s := Subject{Account: "alice", IP: "192.0.2.1"}
	left := func(part int) int64 { return g.Limiters()[part].Peek(s.key(g.preset.Parts[part].By)).Remaining }
	for range 4 {
		a, err := g.Enter(s)
		if err != nil {
			t.Fatal(err)
		}
		a.Done()
	}
	a, err := g.Enter(s)
	if err != nil {
		t.Fatal(err)
	}
	a.Succeed()
	a.Succeed()
	a.Done()
	got := fmt.Sprint(left(0), left(1), left(2), left(3), left(4))
	if want := "5 96 5 16 96"; got != want {
		t.Errorf("left of account, hour, pair, ip, all: %s, want %s", got, want)
	}
}

// TestAnAddressAtItsLimitLocksNobody uses up an address and then knocks at a
// stranger's account with it.
func TestAnAddressAtItsLimitLocksNobody(t *testing.T) {
	var clock hand
	g := mustGuard(t, Login(), &clock)
	for i := range 20 {
		if a, err := g.Enter(Subject{Account: "x" + strconv.Itoa(i), IP: "bad"}); err == nil {
			a.Done()
		}
	}
	for range 50 {
		if _, err := g.Enter(Subject{Account: "alice", IP: "bad"}); !errors.Is(err, Limited) {
			t.Fatalf("%v: want limited", err)
		}
	}
	if _, err := g.Enter(Subject{Account: "alice", IP: "good"}); err != nil {
		t.Errorf("alice is locked out by a stranger: %v", err)
	}
}

func TestPairsDoNotCollide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.StringOfN(rapid.RuneFrom([]rune("1:ab")), 0, 5, -1)
		a := Subject{part.Draw(t, "account"), part.Draw(t, "ip")}
		b := Subject{part.Draw(t, "account"), part.Draw(t, "ip")}
		if a != b && a.key(ByPair) == b.key(ByPair) {
			t.Fatalf("%+v and %+v have one key", a, b)
		}
	})
}

// TestBanEqualsModel holds the machine against one that keeps every strike.
func TestBanEqualsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, err := Ban{After: rapid.Int64Range(1, 4).Draw(t, "after"), Within: 100, For: 50, Max: 300, Forget: 1000}.Check()
		if err != nil {
			t.Fatal(err)
		}
		state := make([]uint64, BanWords)
		var strikes []time.Duration
		var until, length time.Duration
		now := time.Duration(1)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now += time.Duration(rapid.SampledFrom([]int{0, 1, 10, 50, 99, 100, 301, 1000, 1300}).Draw(t, "pause"))
			if left := b.Left(state, now); left != max(0, until-now) {
				t.Fatalf("%s left, want %s", left, max(0, until-now))
			}
			if b.idle(state, now) {
				if now < until || (len(strikes) > 0 && now < strikes[0]+100) || (length > 0 && now < until+1000) {
					t.Fatalf("idle at %d with blame: %v", now, state)
				}
				clear(state) // must not matter
			}
			if rapid.Bool().Draw(t, "look") {
				continue
			}
			b.Strike(state, now)
			if now < until {
				continue
			}
			if now >= until+1000 {
				length = 0
			}
			if len(strikes) > 0 && now >= strikes[0]+100 {
				strikes = nil
			}
			if strikes = append(strikes, now); int64(len(strikes)) >= b.After {
				length = min(300, max(50, 2*length))
				until, strikes = now+length, nil
			}
		}
	})
}

func TestBans(t *testing.T) {
	var clock hand
	b, err := NewBans(Ban{After: 2, For: time.Minute}, 64, clock.now)
	if err != nil {
		t.Fatal(err)
	}
	if b.Strike("k") != 0 || b.Err("k") != nil {
		t.Error("one strike locked out")
	}
	if left := b.Strike("k"); left != time.Minute || !errors.Is(b.Err("k"), Banned) {
		t.Errorf("two strikes: %s", left)
	}
	b.Set("enemy", time.Hour)
	for i := range 10_000 { // a flood of strangers
		b.Strike("s" + strconv.Itoa(i))
		b.Strike("s" + strconv.Itoa(i))
	}
	if b.Left("k") != time.Minute || b.Left("enemy") != time.Hour || b.Left("innocent") != 0 {
		t.Errorf("after a flood: k %s, enemy %s, innocent %s", b.Left("k"), b.Left("enemy"), b.Left("innocent"))
	}
	b.Pardon("k")
	if b.Left("k") != 0 {
		t.Error("a pardoned key is locked out")
	}
	for _, bad := range []Ban{{After: -1}, {Within: -1}, {For: -1}, {Max: -1}, {Forget: -1}, {For: time.Hour, Max: time.Minute}} {
		if _, err := NewBans(bad, 0, nil); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
	if _, err := NewBans(Ban{}, -1, nil); err == nil {
		t.Error("a negative number of keys was taken")
	}
}

func TestBadPresets(t *testing.T) {
	part := Part{Name: "p", By: ByIP, Limit: NewConcurrency(1)}
	for name, p := range map[string]Preset{
		"no parts":   {},
		"many parts": {Parts: make([]Part, MaxTogether+1)},
		"no scope":   {Parts: []Part{{Name: "p", Limit: NewConcurrency(1)}}},
		"no limit":   {Parts: []Part{{Name: "p", By: ByIP}}},
		"bad ban":    {Parts: []Part{part}, BanBy: ByIP, Ban: Ban{After: -1}},
	} {
		if _, err := NewGuard(p, Options{}); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestParseLimit(t *testing.T) {
	for text, want := range map[string]Limit{
		"3/s":                                  {Algorithm: TokenBucket, Quota: 3, Window: time.Second},
		" 100/15m  burst=20 ":                  {Algorithm: TokenBucket, Quota: 100, Window: 15 * time.Minute, Burst: 20},
		"sliding-log 5/h":                      NewSlidingLog(5, time.Hour),
		"fixed-window 5/7d":                    NewFixedWindow(5, 7*24*time.Hour),
		"concurrency 100":                      NewConcurrency(100),
		"adaptive 20 min=1 max=200 target=.3s": {Algorithm: Adaptive, Quota: 20, Min: 1, Max: 200, Target: 300 * time.Millisecond},
		"gcra inf/d":                           {Algorithm: GCRA, Quota: Infinite, Window: 24 * time.Hour},
	} {
		got, err := ParseLimit(text)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for text, field := range map[string]string{
		"": "limit", "gcra": "limit", "3": "limit", "concurrency 3/s": "limit", "3/s 4": "limit", "3/s rate=4": "limit",
		"x/s": "quota", "-1/s": "quota", "9223372036854775808/s": "quota", "3/": "window", "3/0s": "window", "3/-1s": "window",
		"3/9999d": "window", "3/0d": "window", "3/s burst=x": "burst", "3/s burst=1 burst=2": "burst", "adaptive 2 min=3": "quota",
		"sliding-log 70000/s": "quota", strings.Repeat("3", 300): "limit",
	} {
		_, err := ParseLimit(text)
		if err == nil || !strings.HasPrefix(err.Error(), "throttle: "+field+":") {
			t.Errorf("%q: %v, want an error about %s", text, err, field)
		}
	}
}

func FuzzParseLimit(f *testing.F) {
	for _, s := range []string{"3/s", "gcra 100/15m burst=20", "adaptive 20 min=1 max=200 target=300ms", "concurrency inf", "0/1h", "leaky-queue 5/s burst=0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		l, err := ParseLimit(text)
		if err != nil {
			return
		}
		again, err := ParseLimit(l.String())
		if err != nil {
			t.Fatalf("%q became %q: %v", text, l, err)
		}
		a, _ := l.normal()
		b, _ := again.normal()
		if a != b {
			t.Fatalf("%q became %q: %+v, %+v", text, l, a, b)
		}
	})
}
