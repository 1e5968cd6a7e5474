package queue

import (
	"math"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/pattern/throttle"
)

// Unlimited as MaxAttempts tries for ever.
const Unlimited = -1

// NoDeadLetter as DeadLetter publishes dead jobs nowhere, NoResults as Results
// keeps no results.
const (
	NoDeadLetter = "-"
	NoResults    = "-"
)

// Settings are what a queue's owner may choose. A zero field means the default.
// In JSON the members are max_attempts, visibility, retry, concurrency, rate,
// dead_letter, results and feed; durations are Go-style strings ("30s").
type Settings struct {
	// MaxAttempts is after how many leases a job that is not acked is dead; 1 to
	// 1,000,000, default 20. Unlimited: never.
	MaxAttempts int
	// Visibility is how long a lease lasts that asks for nothing else: 1 ms to
	// 24 h, default 30 s.
	Visibility time.Duration
	// Retry is how long a job rests after a nack that names no delay.
	Retry Retry
	// Concurrency is how many jobs may be leased at once; 0 = no limit.
	Concurrency int
	// Rate bounds how fast jobs are leased, as package throttle reads limits:
	// "100/s", "gcra 5/1m burst=2". Empty = no limit. It is counted by the queue's
	// owner, and starts afresh with a new one.
	Rate string
	// DeadLetter is the topic that dead jobs are published to, besides staying in
	// the queue as dead; empty = "{queue}.dead", NoDeadLetter = none.
	DeadLetter string
	// Results is the topic that the results of jobs are published to: those that
	// an ack carries. It is made with the first of them. Empty = "{queue}.results",
	// NoResults = none: such an ack is refused.
	Results string
	// Feed are up to MaxFeeds topic patterns: each event of a topic that one of them
	// matches, published after it was set, becomes one job, with its id, data, trace
	// and other attributes. Patterns must not overlap, nor match the queue's own
	// topics of dead letters and results.
	Feed []string
}

// RetryKind is a way to space attempts.
type RetryKind string

// The kinds. Empty means Exponential.
const (
	Exponential RetryKind = "exponential" // Delay, 2·Delay, 4·Delay … up to Max
	Fixed       RetryKind = "fixed"       // Delay each time
	List        RetryKind = "list"        // Delays one by one, the last of them from then on
)

// Retry is a retry policy. In JSON the members are kind, delay, max, jitter and
// delays.
type Retry struct {
	Kind   RetryKind
	Delay  time.Duration   // of Exponential and Fixed: default 1 s
	Max    time.Duration   // of Exponential: default 15 min
	Delays []time.Duration // of List: 1 to 100
	// Jitter spreads each delay evenly over ± this part of it: 0 to 1, default 0.2
	// for Exponential and 0 else; negative = none. It is drawn from the job and
	// the attempt, so that the same history gives the same delays.
	Jitter float64
}

// Defaults fills the zero fields of s and checks the result. Errors: Invalid,
// naming the member.
func (s Settings) Defaults() (Settings, error) {
	s.MaxAttempts = orElse(s.MaxAttempts, 20)
	s.Visibility = orElse(s.Visibility, 30*time.Second)
	if err := checkAttempts(s.MaxAttempts); err != nil {
		return s, err
	}
	switch {
	case s.Visibility < time.Millisecond || s.Visibility > MaxVisibility:
		return s, parley.BadField("visibility", "is "+s.Visibility.String(), `send "1ms" to "24h"`)
	case s.Concurrency < 0 || s.Concurrency > math.MaxInt32:
		return s, parley.BadField("concurrency", "is "+strconv.Itoa(s.Concurrency), "send 1 or more, or 0 for no limit")
	}
	if _, err := compileRate(s.Rate); err != nil {
		return s, err
	}
	if s.DeadLetter != "" && s.DeadLetter != NoDeadLetter {
		if err := topic.CheckName(s.DeadLetter); err != nil {
			return s, parley.BadField("dead_letter", "not the name of a topic", `send one like "emails.dead", or "-" for none`)
		}
	}
	if s.Results != "" && s.Results != NoResults {
		if err := topic.CheckName(s.Results); err != nil || topic.IsEphemeral(s.Results) {
			return s, parley.BadField("results", "not the name of a topic that is kept", `send one like "emails.results", or "-" for none`)
		}
	}
	if err := checkFeed(s.Feed); err != nil {
		return s, err
	}
	var err error
	s.Retry, err = s.Retry.defaults()
	return s, err
}

func (r Retry) defaults() (Retry, error) {
	r.Kind = orElse(r.Kind, Exponential)
	switch {
	case r.Kind != Exponential && r.Kind != Fixed && r.Kind != List:
		return r, parley.BadField("retry.kind", "is "+strconv.Quote(string(r.Kind)), `send "exponential", "fixed" or "list"`)
	case r.Kind == List && (len(r.Delays) == 0 || len(r.Delays) > 100):
		return r, parley.BadField("retry.delays", "has "+strconv.Itoa(len(r.Delays))+" members", "send 1 to 100 durations")
	case r.Kind != List && len(r.Delays) > 0:
		return r, parley.BadField("retry.delays", "only a list has delays", `send kind "list"`)
	case math.IsNaN(r.Jitter) || r.Jitter > 1:
		return r, parley.BadField("retry.jitter", "is not a part of the delay", "send 0 to 1")
	}
	if r.Kind != List {
		r.Delay = orElse(r.Delay, time.Second)
	}
	if r.Kind == Exponential {
		r.Max = orElse(r.Max, max(15*time.Minute, r.Delay))
		r.Jitter = orElse(r.Jitter, 0.2)
	}
	r.Jitter = max(r.Jitter, -1)
	for _, d := range append([]time.Duration{r.Delay, r.Max}, r.Delays...) {
		if d < 0 || d > MaxDelay {
			return r, parley.BadField("retry", "a delay of "+d.String(), "send 0 to ten years")
		}
	}
	return r, nil
}

// delay is how many milliseconds a job rests after an attempt, counted from 1.
func (r Retry) delay(id int64, attempt int) int64 {
	var d time.Duration
	switch r.Kind {
	case Fixed:
		d = r.Delay
	case List:
		d = r.Delays[min(attempt, len(r.Delays))-1]
	default:
		d = r.Max
		if shift := attempt - 1; shift < 62 && r.Delay <= r.Max>>shift {
			d = r.Delay << shift
		}
	}
	if r.Jitter > 0 {
		u := float64(mix(uint64(id)*0x9e3779b97f4a7c15+uint64(attempt))>>11) / (1 << 53) // 0 ≤ u < 1
		d += time.Duration(float64(d) * r.Jitter * (2*u - 1))
	}
	return ceilMillis(d)
}

// mix is the finaliser of SplitMix64 (Steele, Lea, Flood: Fast splittable
// pseudorandom number generators, 2014).
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func ceilMillis(d time.Duration) int64 {
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}

// compileRate gives nil for no limit.
func compileRate(text string) (*throttle.Rule, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // no limit is not an error
	}
	const fix = `send one like "100/s" or "gcra 5/1m burst=2"`
	limit, err := throttle.ParseLimit(text)
	if err != nil {
		return nil, parley.BadField("rate", err.Error(), fix)
	}
	rule, err := throttle.Compile(limit)
	if err == nil && rule.Held() {
		return nil, parley.BadField("rate", "a number of places is not a rate", "set concurrency, and "+fix)
	}
	if err != nil {
		return nil, parley.BadField("rate", err.Error(), fix)
	}
	return rule, nil
}

func orElse[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
