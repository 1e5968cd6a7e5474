package policy

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/throttle"
	"github.com/parleyhq/parley/pattern/throttle/httpthrottle"
)

// Check asks a limit for units of a key of the caller's choice.
type Check struct {
	// Key is at most 1,024 bytes; empty is a key too.
	Key string
	// Cost is the units: 0 to 2⁵³.
	Cost int64
	// Peek only looks: it answers whether Cost would be had, and takes nothing.
	Peek bool
	// Refund gives Cost back instead of asking for it, as if it had been taken this
	// moment: for a call just made, such as a login that turned out to be right.
	Refund bool
}

// Verdict answers a Check.
type Verdict struct {
	// Allowed says that the units are had; with Peek, that they would be. It is true
	// after a refund, and always in shadow mode.
	Allowed bool
	// Limit is the quota of the limit; throttle.Infinite is none.
	Limit int64
	// Remaining is the units that are left, for a refusal and a look the units that
	// there are.
	Remaining int64
	// RetryAfter is when the same check would be allowed if nobody else came first;
	// 0 when it was, and when waiting does not help: see Reason.
	RetryAfter time.Duration
	// Reset is the time until there is one unit more than Remaining; 0 when none is
	// missing.
	Reset time.Duration
	// Reason is Granted, or what the limit says, also in shadow mode.
	Reason throttle.Reason

	name string
	of   throttle.Limit
	away bool // refused because the counts are away
}

// Err is nil when the units are had, else the error that a request of that cost would
// meet: see Registry.Admit.
func (v Verdict) Err() error {
	if v.Allowed {
		return nil
	}
	return Refusal(&throttle.Error{Name: v.name, Reason: v.Reason, RetryAfter: v.RetryAfter, Remaining: v.Remaining, Limit: v.Limit, Held: v.away})
}

// Fields sets the RateLimit fields that the answer to such a request would have.
func (v Verdict) Fields(h http.Header) {
	d := throttle.Decision{OK: v.Reason == throttle.Granted, Reason: v.Reason, Limit: v.Limit, Remaining: v.Remaining, RetryAfter: v.RetryAfter, Reset: v.Reset}
	httpthrottle.SetFields(h, false, httpthrottle.Seen{Name: v.name, Limit: v.of, Decision: d})
}

// MaxCost is the most that one check may cost: numbers above lose their last
// digits in JavaScript.
const MaxCost = 1 << 53

const maxCheckKey = 1024

// Check asks a limit, whatever it is applied to. It never waits, also not for a
// limit that shapes, and for shared counts at most Sharing.Timeout. Errors: NotFound;
// Invalid; Unprocessable for a limit of concurrency, whose places only the process can
// give back that took them; those of ctx.
func (r *Registry) Check(ctx context.Context, name string, c Check) (Verdict, error) {
	l := r.table.Load().all[name]
	switch {
	case l == nil:
		return Verdict{}, notFound(name)
	case l.held:
		return Verdict{}, &parley.Error{Code: parley.Unprocessable, Field: "limit", Detail: name + " counts what is inside at once: a caller that crashed would never leave again", Fix: "apply it to requests with on, or check a limit with a window"}
	case len(c.Key) > maxCheckKey:
		return Verdict{}, parley.BadField("key", "has "+strconv.Itoa(len(c.Key))+" bytes", "send at most "+strconv.Itoa(maxCheckKey)+", or a hash")
	case c.Cost < 0 || c.Cost > MaxCost:
		return Verdict{}, parley.BadField("cost", strconv.FormatInt(c.Cost, 10)+" is no cost", "send 0 to 2^53")
	case c.Peek && c.Refund:
		return Verdict{}, parley.BadField("refund", "a look gives nothing back", "send peek or refund")
	}
	d, err := r.check(ctx, l, c)
	if err != nil {
		return Verdict{}, err
	}
	if !c.Refund && !c.Peek {
		outcome := Allowed
		switch {
		case d.OK:
		case l.shadow:
			outcome = WouldReject
		default:
			outcome = Rejected
		}
		r.decided(l, c.Key, outcome)
	}
	return l.verdict(d), nil
}

func (r *Registry) check(ctx context.Context, l *limit, c Check) (answer, error) {
	ask := Counter.AllowN
	switch {
	case c.Refund:
		ask = Counter.Return
	case c.Peek:
		ask = Counter.Look
	}
	if l.shared == nil {
		d, err := ask(local{l.limiter}, ctx, c.Key, c.Cost)
		return answer{d, byLimiter}, err
	}
	bounded, cancel := r.opts.Sharing.within(ctx)
	defer cancel()
	return r.opts.Sharing.ask(bounded, l, ask, c.Key, c.Cost)
}

func (l *limit) verdict(d answer) Verdict {
	return Verdict{
		Allowed: d.OK || l.shadow, Limit: d.Limit, Remaining: d.Remaining, RetryAfter: d.RetryAfter, Reset: d.Reset, Reason: d.Reason,
		name: l.name, of: l.limiter.Limit(), away: d.by == byNobody && !d.OK,
	}
}

// Seconds writes a time as seconds, rounded up to whole milliseconds so that
// nobody comes too early.
func Seconds(d time.Duration) float64 {
	return math.Ceil(float64(d)/float64(time.Millisecond)) / 1000
}
