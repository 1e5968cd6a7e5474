package envoyrls

import (
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	ratelimit "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	rls "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/throttle"
	"github.com/parleyhq/parley/pattern/throttle/policy"
)

// Options of a Service. The zero value works.
type Options struct {
	// Shadow makes every limit a shadow.
	Shadow bool
	// Observe is told of every decision by the limit's place in the configuration,
	// such as "edge.path_/login"; it must not wait. nil = nobody.
	Observe func(limit string, o policy.Outcome)
	// Now is the time of the windows' ends; nil is time.Now.
	Now func() time.Time
}

// Service decides. It is safe for concurrent use.
type Service struct {
	opt     Options
	domains map[string]*node

	mu        sync.Mutex
	overrides map[override]*rule
}

// override is a limit that came with a request.
type override struct {
	domain  string
	unit    rls.RateLimitResponse_RateLimit_Unit
	perUnit uint32
}

// maxOverrides bounds how many different limits requests may bring along.
const maxOverrides = 1024

// New makes a service of domains. Errors are Invalid and name the field, as
// "[0].descriptors[2].rate_limit.unit".
func New(configs []Config, o Options) (*Service, error) {
	if o.Observe == nil {
		o.Observe = func(string, policy.Outcome) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Service{opt: o, domains: map[string]*node{}, overrides: map[override]*rule{}}
	var c compiler
	for i, cfg := range configs {
		field := "[" + strconv.Itoa(i) + "]"
		switch {
		case cfg.Domain == "":
			return nil, parley.BadField(field+".domain", "is empty", "name the domain that Envoy sends")
		case s.domains[cfg.Domain] != nil:
			return nil, parley.BadField(field+".domain", strconv.Quote(cfg.Domain)+" comes twice", "put it into one file")
		}
		root := new(node)
		if err := c.level(root, cfg.Domain, field+".descriptors", cfg.Descriptors, 1); err != nil {
			return nil, err
		}
		s.domains[cfg.Domain] = root
	}
	return s, nil
}

// maxDescriptors bounds one request.
const maxDescriptors = 256

// match is a limit that a descriptor of a request met.
type match struct {
	at   int // of the descriptor
	rule *rule
	key  string
	hits uint64
	back bool // hits are given back
}

// Decide answers a request. Errors: Invalid for an empty domain and for no
// descriptors.
func (s *Service) Decide(in *rls.RateLimitRequest) (*rls.RateLimitResponse, error) {
	list := in.GetDescriptors()
	switch {
	case in.GetDomain() == "":
		return nil, parley.BadField("domain", "is empty", "set the domain in Envoy's configuration")
	case len(list) == 0:
		return nil, parley.BadField("descriptors", "are none", "send at least one")
	case len(list) > maxDescriptors:
		return nil, parley.BadField("descriptors", "are more than "+strconv.Itoa(maxDescriptors), "send fewer at a time")
	}
	out := &rls.RateLimitResponse{OverallCode: rls.RateLimitResponse_OK, Statuses: make([]*rls.RateLimitResponse_DescriptorStatus, len(list))}
	var matches []match
	for i, d := range list {
		out.Statuses[i] = &rls.RateLimitResponse_DescriptorStatus{Code: rls.RateLimitResponse_OK}
		m, err := s.find(in, d)
		if err != nil {
			return nil, err
		}
		if m.rule != nil {
			m.at = i
			matches = append(matches, m)
		}
	}
	s.count(unreplaced(matches), out)
	return out, nil
}

// find gives the limit of a descriptor, and its counter.
func (s *Service) find(in *rls.RateLimitRequest, d *ratelimit.RateLimitDescriptor) (match, error) {
	at := s.domains[in.GetDomain()]
	m := match{hits: uint64(max(1, in.GetHitsAddend())), back: d.GetIsNegativeHits()}
	if d.GetHitsAddend() != nil {
		m.hits = d.GetHitsAddend().GetValue()
	}
	if at == nil || len(d.GetEntries()) == 0 {
		return m, nil
	}
	var key strings.Builder
	if l := d.GetLimit(); l != nil {
		for _, e := range d.GetEntries() {
			writeEntry(&key, e.GetKey(), e.GetValue())
		}
		var err error
		m.key = key.String()
		m.rule, err = s.override(override{in.GetDomain(), rls.RateLimitResponse_RateLimit_Unit(l.GetUnit()), l.GetRequestsPerUnit()})
		return m, err
	}
	for _, e := range d.GetEntries() {
		if at = at.match(e.GetKey(), e.GetValue()); at == nil {
			return m, nil
		}
		value := e.GetValue()
		if at.sharedKey != "" {
			value = at.sharedKey
		}
		writeEntry(&key, e.GetKey(), value)
	}
	m.rule, m.key = at.limit, key.String()
	return m, nil
}

// writeEntry writes an entry with its lengths, so that no two lists look alike.
func writeEntry(b *strings.Builder, key, value string) {
	b.WriteString(strconv.Itoa(len(key)) + ":" + key + strconv.Itoa(len(value)) + ":" + value)
}

// override gives the limit that a request brings along.
func (s *Service) override(o override) (*rule, error) {
	if windows[o.unit] == 0 {
		return nil, parley.BadField("descriptors.limit.unit", "is no unit", "send SECOND to WEEK")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.overrides[o]; r != nil {
		return r, nil
	}
	if len(s.overrides) >= maxOverrides {
		return nil, &parley.Error{Code: parley.Overloaded, Field: "descriptors.limit", Detail: "requests brought " + strconv.Itoa(maxOverrides) + " different limits along", Fix: "configure limits here, or send fewer different ones"}
	}
	r, err := newRule(o.domain+".override", o.unit, o.perUnit)
	if err != nil {
		return nil, parley.BadField("descriptors.limit", err.Error(), "change the limit")
	}
	s.overrides[o] = r
	return r, nil
}

// unreplaced leaves out the limits that another one of the request replaces.
func unreplaced(all []match) []match {
	gone := map[string]bool{}
	for _, m := range all {
		for _, name := range m.rule.replaces {
			gone[name] = true
		}
	}
	if len(gone) == 0 {
		return all
	}
	kept := all[:0]
	for _, m := range all {
		if m.rule.name == "" || !gone[m.rule.name] {
			kept = append(kept, m)
		}
	}
	return kept
}

// count asks the limits: those that are enforced together, so that a refusal by
// one burns nothing of the others.
func (s *Service) count(matches []match, out *rls.RateLimitResponse) {
	var together []match
	for _, m := range matches {
		switch {
		case m.rule.unlimited:
			out.Statuses[m.at].LimitRemaining = unlimitedRemaining
		case m.back:
			m.rule.limiter.Return(m.key, hits(m.hits))
			s.tell(m, m.rule.limiter.Peek(m.key), out)
		case m.rule.shadow || s.opt.Shadow:
			_, d, err := throttle.TryAll(charge(m))
			s.tell(m, d[0], out)
			s.observe(m, err != nil, policy.WouldReject)
		default:
			together = append(together, m)
		}
	}
	var permits []throttle.Permit
	refused := false
	for from := 0; from < len(together); from += throttle.MaxTogether {
		part := together[from:min(from+throttle.MaxTogether, len(together))]
		charges := make([]throttle.Charge, len(part))
		for i, m := range part {
			charges[i] = charge(m)
		}
		permit, decisions, err := throttle.TryAll(charges...)
		permits = append(permits, permit)
		refused = refused || err != nil
		for i, m := range part {
			d := decisions[i]
			if err != nil && d.OK {
				d = m.rule.limiter.Peek(m.key)
			}
			s.tell(m, d, out)
			if !d.OK || err == nil {
				s.observe(m, !d.OK, policy.Rejected)
			}
		}
	}
	if refused {
		for i := range permits {
			permits[i].Refund()
		}
		out.OverallCode = rls.RateLimitResponse_OVER_LIMIT
	}
}

func (s *Service) observe(m match, over bool, o policy.Outcome) {
	if !over {
		o = policy.Allowed
	}
	s.opt.Observe(m.rule.metric, o)
}

func charge(m match) throttle.Charge {
	return throttle.Charge{Limiter: m.rule.limiter, Key: m.key, Cost: hits(m.hits)}
}

func hits(n uint64) int64 { return int64(min(n, math.MaxInt64)) }

// tell writes a status. A shadow's is always OK.
func (s *Service) tell(m match, d throttle.Decision, out *rls.RateLimitResponse) {
	r, now := m.rule, time.Duration(s.opt.Now().UnixNano())
	window := windows[r.unit]
	st := out.Statuses[m.at]
	st.CurrentLimit = &rls.RateLimitResponse_RateLimit{Name: r.name, RequestsPerUnit: r.perUnit, Unit: r.unit}
	st.LimitRemaining = uint32(min(max(0, d.Remaining), math.MaxUint32))
	st.DurationUntilReset = durationpb.New(window - now%window)
	if !d.OK && !r.shadow && !s.opt.Shadow {
		st.Code = rls.RateLimitResponse_OVER_LIMIT
	}
}
