package policy

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/throttle"
	"github.com/parleyhq/parley/pattern/throttle/httpthrottle"
)

// Request is what limits see of a request.
type Request struct {
	Action Action                     // "" = none of those with a name
	Topics []string                   // that it is about: names or patterns
	Route  string                     // the operation: "publish"
	Who    string                     // name of the token; "" = anonymous
	Remote string                     // HOST:PORT of the peer
	Path   string                     // as it was asked for
	Header func(name string) []string // all values of a field; nil = there are none
	Answer http.Header                // gets the RateLimit fields; nil = nobody reads them
}

func (r *Request) values(name string) []string {
	if r.Header == nil {
		return nil
	}
	return r.Header(name)
}

func nothing() {}

// Admit asks all limits that are about a request: those that reject together, so
// that a refusal by one burns nothing of the others, then those that are counted for
// all nodes (see Sharing), then those that shape, in the order of their names. release is called when the request is over: it frees
// its places inside.
//
// Errors: Throttled, and for limits of concurrency Overloaded, with RetryAfter;
// TooLarge when waiting never helps, and Forbidden for a limit of zero. Each wraps
// the *throttle.Error. When ctx ends in line, its error.
func (r *Registry) Admit(ctx context.Context, q *Request) (release func(), err error) {
	t := r.table.Load()
	if len(t.applied) == 0 {
		return nothing, nil
	}
	v := visits.Get().(*visit)
	defer v.free()
	v.registry = r
	for _, l := range t.applied {
		l.each(q, func(key string) { v.ask(l, key) })
	}
	if err = v.reject(); err == nil {
		err = v.elsewhere(ctx)
	}
	if err == nil {
		err = v.line(ctx)
	}
	if q.Answer != nil && len(v.seen) > 0 {
		httpthrottle.SetFields(q.Answer, false, v.seen...)
	}
	if err != nil {
		end(v.permits, (*throttle.Permit).Refund)
		v.giveBack(ctx)
		return nil, err
	}
	if !v.held {
		return nothing, nil
	}
	kept := slices.Clone(v.permits) // and nothing else of the visit
	return func() { end(kept, (*throttle.Permit).Release) }, nil
}

// each calls f with every key that a request has under the limit: one, or one for
// each topic if the topic is a part of the key; none if the limit is not about it.
func (l *limit) each(q *Request, f func(key string)) {
	if len(q.Topics) == 0 {
		if l.covers(q.Action, "") {
			f(l.key.of(q, ""))
		}
		return
	}
	var keys map[string]bool // only of those that name several topics
	for _, name := range q.Topics {
		if !l.covers(q.Action, name) {
			continue
		}
		k := l.key.of(q, name)
		if !l.key.topic || len(q.Topics) == 1 {
			f(k)
			return
		}
		if keys[k] {
			continue
		}
		if keys == nil {
			keys = map[string]bool{}
		}
		keys[k] = true
		f(k)
	}
}

func (l *limit) covers(action Action, name string) bool {
	for _, t := range l.on {
		if t.covers(action, name) {
			return true
		}
	}
	return false
}

// visit is one request on its way through the limits.
type visit struct {
	registry *Registry
	charges  []throttle.Charge // of the limits that reject, …
	limits   []*limit          // … and which those are
	shared   []place           // those that are counted elsewhere
	given    []given           // what counters gave
	shapes   []place
	permits  []throttle.Permit
	seen     []httpthrottle.Seen
	held     bool // a permit has to be released
}

var visits = sync.Pool{New: func() any { return new(visit) }}

// free gives the visit's slices back for another one; many limits are seldom.
func (v *visit) free() {
	if cap(v.charges) > 64 || cap(v.permits) > 64 {
		return
	}
	clear(v.charges)
	clear(v.limits)
	clear(v.shared)
	clear(v.given)
	clear(v.shapes)
	clear(v.permits)
	clear(v.seen)
	*v = visit{charges: v.charges[:0], limits: v.limits[:0], shared: v.shared[:0], given: v.given[:0], shapes: v.shapes[:0], permits: v.permits[:0], seen: v.seen[:0]}
	visits.Put(v)
}

// place is a line to stand in.
type place struct {
	*limit
	key string
}

func (v *visit) ask(l *limit, key string) {
	switch c := (throttle.Charge{Limiter: l.limiter, Key: key, Cost: 1}); {
	case l.shared != nil && (l.shadow || !l.shape):
		v.shared = append(v.shared, place{l, key})
	case l.shadow:
		permit, d, err := throttle.TryAll(c)
		v.take(l, permit, d[0])
		if err != nil {
			v.registry.decided(l, key, WouldReject)
		} else {
			v.registry.decided(l, key, Allowed)
		}
	case l.shape:
		v.shapes = append(v.shapes, place{l, key})
	default:
		v.charges, v.limits = append(v.charges, c), append(v.limits, l)
	}
}

// take keeps a permit, and what the limit said.
func (v *visit) take(l *limit, p throttle.Permit, d throttle.Decision) {
	v.permits = append(v.permits, p)
	v.note(l, d)
}

// note keeps what a limit said. What a shadow says is nobody's business.
func (v *visit) note(l *limit, d throttle.Decision) {
	v.held = v.held || l.held
	if !l.shadow {
		v.seen = append(v.seen, httpthrottle.Seen{Name: l.name, Limit: l.limiter.Limit(), Decision: d})
	}
}

// reject asks the limits that reject, as many together as go.
func (v *visit) reject() error {
	for from := 0; from < len(v.charges); from += throttle.MaxTogether {
		upTo := min(from+throttle.MaxTogether, len(v.charges))
		permit, decisions, err := throttle.TryAll(v.charges[from:upTo]...)
		for i, d := range decisions {
			if err != nil && d.OK {
				d = v.charges[from+i].Limiter.Peek(v.charges[from+i].Key) // nothing was taken
			}
			v.note(v.limits[from+i], d)
		}
		v.permits = append(v.permits, permit)
		if err != nil {
			for i, d := range decisions {
				if !d.OK {
					v.registry.decided(v.limits[from+i], v.charges[from+i].Key, Rejected)
				}
			}
			return Refusal(err)
		}
	}
	for i, l := range v.limits {
		v.registry.decided(l, v.charges[i].Key, Allowed)
	}
	return nil
}

// line stands in the lines, one after the other.
func (v *visit) line(ctx context.Context) error {
	for _, p := range v.shapes {
		if err := v.wait(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

func (v *visit) wait(ctx context.Context, p place) error {
	if p.shared != nil {
		return v.turn(ctx, p)
	}
	permit, err := p.limiter.TryAcquire(p.key, 1)
	outcome := Allowed
	if errors.Is(err, throttle.Limited) {
		outcome = Shaped
		permit, err = p.stand(ctx)
	}
	d := p.limiter.Peek(p.key)
	if e, ok := errors.AsType[*throttle.Error](err); ok {
		d.OK, d.Reason, d.RetryAfter, outcome = false, e.Reason, e.RetryAfter, Rejected
		err = Refusal(err)
	} else if err != nil {
		return err // the caller went away
	}
	v.take(p.limit, permit, d)
	v.registry.decided(p.limit, p.key, outcome)
	return err
}

// stand waits for one unit, at most as long as the limit says.
func (p place) stand(ctx context.Context) (throttle.Permit, error) {
	bounded, cancel := context.WithTimeout(ctx, p.limit.wait)
	defer cancel()
	permit, err := p.limiter.Acquire(bounded, p.key, 1)
	if err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		// Nobody left in time: when somebody will cannot be known.
		err = &throttle.Error{Name: p.name, Reason: throttle.TooLate, Held: p.held, RetryAfter: time.Second}
	}
	return permit, err
}

func end(permits []throttle.Permit, how func(*throttle.Permit)) {
	for i := range permits {
		how(&permits[i])
	}
}

// Refusal makes an error of ours of a *throttle.Error, which it wraps.
func Refusal(err error) error {
	var e *throttle.Error
	if !errors.As(err, &e) {
		return err
	}
	body := httpthrottle.NewBody(err)
	out := &parley.Error{Code: parley.Throttled, Field: "limit", Detail: body.Detail, Fix: "wait as long as the answer says, and ask less often", RetryAfter: e.RetryAfter, Err: e}
	if e.Name != "" {
		out.Detail = e.Name + ": " + body.Detail
	}
	switch {
	case e.Reason == throttle.Impossible:
		out.Code, out.Fix = parley.TooLarge, "ask for less at once"
	case e.Reason == throttle.Closed:
		out.Code, out.Fix = parley.Forbidden, "ask the operator: the limit is zero"
	case e.Held:
		out.Code = parley.Overloaded
	}
	return out
}
