package httpthrottle

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/parleyhq/parley/pattern/throttle"
)

// Rule is one limit on requests.
type Rule struct {
	// Limiter must not be nil. Its name is the policy's in headers, "limit" if
	// it has none.
	Limiter *throttle.Limiter
	// Key is what requests are counted by; nil means [IP] without proxies.
	Key Key
	// Cost is the units of a request; nil means 1 each.
	Cost func(*http.Request) int64
	// Wait makes requests stand in line instead of refusing them, as long as
	// the limiter's MaxWait allows.
	Wait bool
	// Flow parts those in line under one key into flows that take turns; nil
	// means one flow.
	Flow Key
	// Shadow only watches: the limit is counted and observed, and refuses
	// nothing.
	Shadow bool
}

// Observation is one rule's decision on one request.
type Observation struct {
	// Name is the limiter's.
	Name string
	// Decision is what it said. Cost, Limit and Remaining are not known for a ban.
	Decision throttle.Decision
	// Shadow says that the decision had no consequence.
	Shadow bool
}

// Options tune the middleware. Rules may be empty if there are Bans.
type Options struct {
	// Rules are the limits, at most [throttle.MaxTogether].
	Rules []Rule
	// Exempt requests pass unseen: health checks, staff.
	Exempt func(*http.Request) bool
	// Shadow makes every rule, and the bans, a shadow.
	Shadow bool
	// Bans lock out keys that go on after refusals; BanKey is whom (nil: [IP]
	// without proxies). Each 429 is a strike.
	Bans   *throttle.Bans
	BanKey Key
	// Observe is called with every decision, for metrics and logs. It must not block.
	Observe func(*http.Request, Observation)
	// Legacy adds X-RateLimit-Limit, -Remaining and -Reset (seconds from now)
	// of the rule with least left, for clients that know nothing else.
	Legacy bool
}

// New makes middleware out of options. It fails if a rule is incomplete.
func New(o Options) (func(http.Handler) http.Handler, error) {
	if len(o.Rules) > throttle.MaxTogether {
		return nil, fmt.Errorf("httpthrottle: rules: %d, at most %d", len(o.Rules), throttle.MaxTogether)
	}
	if len(o.Rules) == 0 && o.Bans == nil {
		return nil, errors.New("httpthrottle: rules: are empty, and there are no bans: nothing to do")
	}
	m := &middleware{Options: o}
	m.Rules = nil
	for i, r := range o.Rules {
		if r.Limiter == nil {
			return nil, fmt.Errorf("httpthrottle: rules[%d]: has no limiter", i)
		}
		if r.Key == nil {
			r.Key = IP()
		}
		if r.Cost == nil {
			r.Cost = func(*http.Request) int64 { return 1 }
		}
		r.Shadow = r.Shadow || o.Shadow
		m.Rules = append(m.Rules, r)
	}
	if m.BanKey == nil {
		m.BanKey = IP()
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { m.serve(w, r, next) })
	}, nil
}

type middleware struct{ Options }

func (m *middleware) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if m.Exempt != nil && m.Exempt(r) {
		next.ServeHTTP(w, r)
		return
	}
	if m.Bans != nil {
		if left := m.Bans.Left(m.BanKey(r)); left > 0 {
			d := throttle.Decision{Reason: throttle.Banned, RetryAfter: left}
			m.observe(r, "ban", d, m.Shadow)
			if !m.Shadow {
				Refuse(w, r, &throttle.Error{Name: "ban", Reason: throttle.Banned, RetryAfter: left})
				return
			}
		}
	}
	var v visit
	err := m.enter(r, &v)
	SetFields(w.Header(), m.Legacy, v.seen...)
	if err != nil {
		m.strike(r, err)
		Refuse(w, r, err)
		return
	}
	v.serve(w, r, next, m.adaptive())
}

// adaptive says whether a rule wants to know how requests end.
func (m *middleware) adaptive() bool {
	for i := range m.Rules {
		if m.Rules[i].Limiter.Limit().Algorithm == throttle.Adaptive {
			return true
		}
	}
	return false
}

// visit is what one request took.
type visit struct {
	permits []throttle.Permit
	seen    []Seen
}

// note keeps what a rule said.
func (v *visit) note(l *throttle.Limiter, d throttle.Decision) {
	v.seen = append(v.seen, Seen{Name: l.Name(), Limit: l.Limit(), Decision: d})
}

// enter asks the rules that refuse, all together, and then stands in line for
// those that wait, in their order. On an error nothing stays taken.
func (m *middleware) enter(r *http.Request, v *visit) error {
	var charges []throttle.Charge
	var rules []*Rule
	for i := range m.Rules {
		rule := &m.Rules[i]
		c := throttle.Charge{Limiter: rule.Limiter, Key: rule.Key(r), Cost: rule.Cost(r)}
		switch {
		case rule.Shadow:
			p, d, _ := throttle.TryAll(c)
			m.observe(r, rule.Limiter.Name(), d[0], true)
			v.permits = append(v.permits, p)
		case !rule.Wait:
			charges, rules = append(charges, c), append(rules, rule)
		}
	}
	permit, decisions, err := throttle.TryAll(charges...)
	v.permits = append(v.permits, permit)
	for i, rule := range rules {
		v.note(rule.Limiter, decisions[i])
		m.observe(r, rule.Limiter.Name(), decisions[i], false)
	}
	for i := range m.Rules {
		if rule := &m.Rules[i]; err == nil && rule.Wait && !rule.Shadow {
			err = m.wait(r, rule, v)
		}
	}
	if err != nil {
		for i := range v.permits {
			v.permits[i].Refund()
		}
	}
	return err
}

// wait stands in line for one rule.
func (m *middleware) wait(r *http.Request, rule *Rule, v *visit) error {
	flow := ""
	if rule.Flow != nil {
		flow = rule.Flow(r)
	}
	key := rule.Key(r)
	permit, err := rule.Limiter.AcquireFor(r.Context(), key, flow, rule.Cost(r))
	v.permits = append(v.permits, permit)
	d := rule.Limiter.Peek(key)
	if e, ok := errors.AsType[*throttle.Error](err); ok {
		d.OK, d.Reason, d.RetryAfter = false, e.Reason, e.RetryAfter
	}
	v.note(rule.Limiter, d)
	m.observe(r, rule.Limiter.Name(), d, false)
	return err
}

// serve runs the handler and leaves the places inside, however it ends. A
// handler that answers 503 or 504, runs into its deadline, or panics, tells
// adaptive limits to go down; only for those is the writer wrapped.
func (v *visit) serve(w http.ResponseWriter, r *http.Request, next http.Handler, adaptive bool) {
	status := &statusWriter{ResponseWriter: w}
	if adaptive {
		w = status
	}
	ended := false
	defer func() {
		overloaded := !ended || status.overloaded() || errors.Is(r.Context().Err(), context.DeadlineExceeded)
		for i := range v.permits {
			if overloaded {
				v.permits[i].Overloaded()
			} else {
				v.permits[i].Release()
			}
		}
	}()
	next.ServeHTTP(w, r)
	ended = true
}

// statusWriter remembers the status. http.ResponseController finds the
// writer's other abilities through Unwrap.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (s *statusWriter) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

// Unwrap gives the writer beneath.
func (s *statusWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// Flush passes on, for handlers that ask for an http.Flusher.
func (s *statusWriter) Flush() { _ = http.NewResponseController(s.ResponseWriter).Flush() }

func (s *statusWriter) overloaded() bool {
	return s.status == http.StatusServiceUnavailable || s.status == http.StatusGatewayTimeout
}

func (m *middleware) observe(r *http.Request, name string, d throttle.Decision, shadow bool) {
	if m.Observe != nil {
		m.Observe(r, Observation{Name: name, Decision: d, Shadow: shadow})
	}
}

// strike counts a refusal that is the client's doing.
func (m *middleware) strike(r *http.Request, err error) {
	if m.Bans != nil && !m.Shadow && status(err) == http.StatusTooManyRequests {
		m.Bans.Strike(m.BanKey(r))
	}
}
