package envoyrls

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	ratelimit "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	rls "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/throttle/policy"
)

// per is a limit of so many an hour.
func per(n uint32) *RateLimit { return &RateLimit{Unit: "hour", RequestsPerUnit: n} }

func serve(t testing.TB, o Options, descriptors ...Descriptor) *Service {
	t.Helper()
	s, err := New([]Config{{Domain: "edge", Descriptors: descriptors}}, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// desc makes a descriptor of "key=value" entries.
func desc(entries ...string) *ratelimit.RateLimitDescriptor {
	d := &ratelimit.RateLimitDescriptor{}
	for _, text := range entries {
		key, value, _ := strings.Cut(text, "=")
		d.Entries = append(d.Entries, &ratelimit.RateLimitDescriptor_Entry{Key: key, Value: value})
	}
	return d
}

func ask(t testing.TB, s *Service, hits uint32, list ...*ratelimit.RateLimitDescriptor) string {
	t.Helper()
	out, err := s.Decide(&rls.RateLimitRequest{Domain: "edge", HitsAddend: hits, Descriptors: list})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.GetStatuses()) != len(list) {
		t.Fatalf("%d statuses for %d descriptors", len(out.GetStatuses()), len(list))
	}
	var b strings.Builder
	b.WriteString(out.GetOverallCode().String())
	for _, st := range out.GetStatuses() {
		fmt.Fprintf(&b, " | %s %d", st.GetCode(), st.GetLimitRemaining())
		if l := st.GetCurrentLimit(); l != nil {
			fmt.Fprintf(&b, " of %d/%s", l.GetRequestsPerUnit(), l.GetUnit())
		}
	}
	return b.String()
}

func want(t testing.TB, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// TestMatching holds the rules of the reference implementation: each descriptor
// meets the limit that it names, seen by its quota; 0 is none.
func TestMatching(t *testing.T) {
	s := serve(t, Options{},
		Descriptor{Key: "database", Value: "users", RateLimit: per(500)},
		Descriptor{Key: "database", Value: "default", RateLimit: per(499)},
		Descriptor{Key: "to", RateLimit: per(100)},
		Descriptor{Key: "to", Value: "vip", RateLimit: per(5000)},
		Descriptor{Key: "path", Value: "/api/*", RateLimit: per(20)},
		Descriptor{Key: "path", Value: "/api/v2/*", RateLimit: per(30)},
		Descriptor{Key: "path", Value: "/api/login", RateLimit: per(3)},
		Descriptor{Key: "path", RateLimit: per(40)},
		Descriptor{Key: "message", Value: "marketing", Descriptors: []Descriptor{
			{Key: "number", RateLimit: per(5)},
			{Key: "number", Value: "+1*", RateLimit: per(6), Descriptors: []Descriptor{{Key: "hour", RateLimit: per(7)}}},
		}},
		Descriptor{Key: "both", RateLimit: per(8), Descriptors: []Descriptor{{Key: "deep", RateLimit: per(9)}}},
	)
	for _, c := range []struct {
		entries string
		quota   uint32
	}{
		{"database=users", 500},
		{"database=default", 499},
		{"database=other", 0},
		{"database=", 0},
		{"to=vip", 5000},
		{"to=ann", 100},
		{"to=", 100},
		{"path=/api/login", 3},
		{"path=/api/x", 20},
		{"path=/api/", 20},
		{"path=/api", 40},
		{"path=/", 40},
		{"path=/api/v2/x", 20}, // of two prefixes the first in the file
		{"message=marketing", 0},
		{"message=marketing number=49", 5},
		{"message=marketing number=+155", 6},
		{"message=marketing number=+155 hour=1", 7},
		{"message=marketing number=49 hour=1", 0},
		{"number=49", 0},
		{"message=other number=49", 0},
		{"both=x", 8},
		{"both=x deep=y", 9},
		{"both=x other=y", 0},
		{"both=x deep=y more=z", 0},
	} {
		out, err := s.Decide(&rls.RateLimitRequest{Domain: "edge", Descriptors: []*ratelimit.RateLimitDescriptor{desc(strings.Fields(c.entries)...)}})
		if err != nil || out.GetOverallCode() != rls.RateLimitResponse_OK || out.GetStatuses()[0].GetCurrentLimit().GetRequestsPerUnit() != c.quota {
			t.Errorf("%s: %v %v, want %d", c.entries, out, err, c.quota)
		}
	}
	out, err := s.Decide(&rls.RateLimitRequest{Domain: "nowhere", Descriptors: []*ratelimit.RateLimitDescriptor{desc("to=vip")}})
	if err != nil || out.GetOverallCode() != rls.RateLimitResponse_OK || out.GetStatuses()[0].GetCurrentLimit() != nil {
		t.Errorf("a domain that is not known: %v %v", out, err)
	}
}

func TestEachValueCountsByItself(t *testing.T) {
	s := serve(t, Options{}, Descriptor{Key: "to", RateLimit: per(2)}, Descriptor{Key: "p", Value: "a*", RateLimit: per(2)}, Descriptor{Key: "q", Value: "a*", RateLimit: per(2), ShareThreshold: true})
	want(t, ask(t, s, 2, desc("to=ann")), "OK | OK 0 of 2/HOUR")
	want(t, ask(t, s, 1, desc("to=ann")), "OVER_LIMIT | OVER_LIMIT 0 of 2/HOUR")
	want(t, ask(t, s, 1, desc("to=bob")), "OK | OK 1 of 2/HOUR")
	want(t, ask(t, s, 2, desc("p=a1")), "OK | OK 0 of 2/HOUR")
	want(t, ask(t, s, 2, desc("p=a2")), "OK | OK 0 of 2/HOUR")
	want(t, ask(t, s, 2, desc("q=a1")), "OK | OK 0 of 2/HOUR")
	want(t, ask(t, s, 1, desc("q=a2")), "OVER_LIMIT | OVER_LIMIT 0 of 2/HOUR")
}

func TestHits(t *testing.T) {
	s := serve(t, Options{}, Descriptor{Key: "k", RateLimit: per(10)}, Descriptor{Key: "l", RateLimit: per(10)})
	want(t, ask(t, s, 0, desc("k=")), "OK | OK 9 of 10/HOUR") // 0 is 1
	want(t, ask(t, s, 4, desc("k=")), "OK | OK 5 of 10/HOUR")
	want(t, ask(t, s, 6, desc("k=")), "OVER_LIMIT | OVER_LIMIT 5 of 10/HOUR")
	own := desc("k=")
	own.HitsAddend = wrapperspb.UInt64(2)
	want(t, ask(t, s, 4, own, desc("l=")), "OK | OK 3 of 10/HOUR | OK 6 of 10/HOUR")
	own.HitsAddend = wrapperspb.UInt64(0)
	want(t, ask(t, s, 4, own), "OK | OK 3 of 10/HOUR")
	own.HitsAddend, own.IsNegativeHits = wrapperspb.UInt64(5), true
	want(t, ask(t, s, 1, own), "OK | OK 8 of 10/HOUR")
	own.HitsAddend = wrapperspb.UInt64(math.MaxUint64)
	want(t, ask(t, s, 1, own), "OK | OK 10 of 10/HOUR")
	own.IsNegativeHits = false
	want(t, ask(t, s, 1, own), "OVER_LIMIT | OVER_LIMIT 10 of 10/HOUR")
}

func TestOneDescriptorThatRefusesBurnsNothingOfTheOthers(t *testing.T) {
	var list []Descriptor
	for i := range 20 { // more than go together at once
		list = append(list, Descriptor{Key: fmt.Sprint("k", i), RateLimit: per(5)})
	}
	list[19].RateLimit = per(1)
	s := serve(t, Options{}, list...)
	var all []*ratelimit.RateLimitDescriptor
	for i := range 20 {
		all = append(all, desc(fmt.Sprint("k", i, "=")))
	}
	if got := ask(t, s, 1, all...); !strings.HasPrefix(got, "OK | OK 4") {
		t.Error(got)
	}
	if got := ask(t, s, 1, all...); !strings.HasPrefix(got, "OVER_LIMIT | OK") || !strings.HasSuffix(got, "| OVER_LIMIT 0 of 1/HOUR") {
		t.Error(got)
	}
	want(t, ask(t, s, 1, all[0], all[18]), "OK | OK 3 of 5/HOUR | OK 3 of 5/HOUR")
}

func TestModes(t *testing.T) {
	var seen []string
	observe := func(limit string, o policy.Outcome) { seen = append(seen, limit+" "+string(o)) }
	s := serve(t, Options{Observe: observe},
		Descriptor{Key: "free", RateLimit: &RateLimit{Unlimited: true}},
		Descriptor{Key: "shy", Value: "x", RateLimit: per(1), ShadowMode: true},
		Descriptor{Key: "hard", RateLimit: per(1)},
		Descriptor{Key: "shut", RateLimit: per(0)},
	)
	want(t, ask(t, s, 1, desc("free=x")), "OK | OK 4294967295")
	want(t, ask(t, s, 1, desc("shy=x"), desc("hard=x")), "OK | OK 0 of 1/HOUR | OK 0 of 1/HOUR")
	want(t, ask(t, s, 1, desc("shy=x"), desc("hard=y")), "OK | OK 0 of 1/HOUR | OK 0 of 1/HOUR")
	want(t, ask(t, s, 1, desc("shy=x"), desc("hard=y")), "OVER_LIMIT | OK 0 of 1/HOUR | OVER_LIMIT 0 of 1/HOUR")
	want(t, ask(t, s, 1, desc("shut=x")), "OVER_LIMIT | OVER_LIMIT 0 of 0/HOUR")
	slices.Sort(seen)
	want(t, strings.Join(slices.Compact(seen), ", "), "edge.hard allowed, edge.hard rejected, edge.shut rejected, edge.shy_x allowed, edge.shy_x would_reject")
	s = serve(t, Options{Shadow: true}, Descriptor{Key: "hard", RateLimit: per(1)})
	want(t, ask(t, s, 2, desc("hard=x")), "OK | OK 1 of 1/HOUR")
}

func TestReplaces(t *testing.T) {
	s := serve(t, Options{},
		Descriptor{Key: "bulk", RateLimit: &RateLimit{Name: "bulk", Unit: "HOUR", RequestsPerUnit: 9, Replaces: []Replaced{{"all"}}}},
		Descriptor{Key: "any", RateLimit: &RateLimit{Name: "all", Unit: "hour", RequestsPerUnit: 1}},
	)
	want(t, ask(t, s, 3, desc("any="), desc("bulk=")), "OK | OK 0 | OK 6 of 9/HOUR")
	want(t, ask(t, s, 3, desc("any=")), "OVER_LIMIT | OVER_LIMIT 1 of 1/HOUR")
}

func TestALimitThatComesAlong(t *testing.T) {
	s := serve(t, Options{}, Descriptor{Key: "k", RateLimit: per(100)})
	d := desc("k=", "l=")
	d.Limit = &ratelimit.RateLimitDescriptor_RateLimitOverride{RequestsPerUnit: 2, Unit: typev3.RateLimitUnit_DAY}
	want(t, ask(t, s, 2, d), "OK | OK 0 of 2/DAY")
	want(t, ask(t, s, 1, d), "OVER_LIMIT | OVER_LIMIT 0 of 2/DAY")
	d.Limit.Unit = 99
	if _, err := s.Decide(&rls.RateLimitRequest{Domain: "edge", Descriptors: []*ratelimit.RateLimitDescriptor{d}}); parley.CodeOf(err) != parley.Invalid {
		t.Error(err)
	}
	d.Limit.Unit = typev3.RateLimitUnit_SECOND
	var err error
	for i := range maxOverrides + 1 {
		d.Limit.RequestsPerUnit = uint32(i)
		_, err = s.Decide(&rls.RateLimitRequest{Domain: "edge", Descriptors: []*ratelimit.RateLimitDescriptor{d}})
	}
	if parley.CodeOf(err) != parley.Overloaded {
		t.Error(err)
	}
}

func TestResets(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 34, 56, 0, time.UTC)
	var list []Descriptor
	for unit := range units {
		list = append(list, Descriptor{Key: unit, RateLimit: &RateLimit{Unit: unit, RequestsPerUnit: 1}})
	}
	s := serve(t, Options{Now: func() time.Time { return now }}, list...)
	for unit, want := range map[string]time.Duration{"second": time.Second, "minute": 4 * time.Second, "hour": 25*time.Minute + 4*time.Second, "day": 11*time.Hour + 25*time.Minute + 4*time.Second} {
		out, err := s.Decide(&rls.RateLimitRequest{Domain: "edge", Descriptors: []*ratelimit.RateLimitDescriptor{desc(unit + "=")}})
		if err != nil || out.GetStatuses()[0].GetDurationUntilReset().AsDuration() != want {
			t.Errorf("%s: %v %v, want %s", unit, out, err, want)
		}
	}
}

func TestRequestsThatCannotBe(t *testing.T) {
	s := serve(t, Options{}, Descriptor{Key: "k", RateLimit: per(1)})
	for field, in := range map[string]*rls.RateLimitRequest{
		"domain":      {Descriptors: []*ratelimit.RateLimitDescriptor{desc("k=")}},
		"descriptors": {Domain: "edge"},
	} {
		_, err := s.Decide(in)
		var e *parley.Error
		if !errors.As(err, &e) || e.Code != parley.Invalid || e.Field != field {
			t.Errorf("%v: %v", in, err)
		}
	}
	many := make([]*ratelimit.RateLimitDescriptor, maxDescriptors+1)
	if _, err := s.Decide(&rls.RateLimitRequest{Domain: "edge", Descriptors: many}); parley.CodeOf(err) != parley.Invalid {
		t.Error(err)
	}
	want(t, ask(t, s, 1, nil, desc()), "OK | OK 0 | OK 0")
}

func TestConfigurationsThatCannotBe(t *testing.T) {
	deep := Descriptor{Key: "k"}
	for range maxDepth {
		deep = Descriptor{Key: "k", Descriptors: []Descriptor{deep}}
	}
	for field, list := range map[string][]Descriptor{
		"[0].descriptors[0].key":                                             {{Value: "x"}},
		"[0].descriptors[1]":                                                 {{Key: "k"}, {Key: "k"}},
		"[0].descriptors[0].descriptors[1]":                                  {{Key: "k", Descriptors: []Descriptor{{Key: "a", Value: "x*"}, {Key: "a", Value: "x*"}}}},
		"[0].descriptors[0].rate_limit.unit":                                 {{Key: "k", RateLimit: &RateLimit{Unit: "fortnight"}}},
		"[0].descriptors[0].rate_limit.unlimited":                            {{Key: "k", RateLimit: &RateLimit{Unlimited: true, Unit: "day"}}},
		"[0].descriptors[0].rate_limit.replaces[0].name":                     {{Key: "k", RateLimit: &RateLimit{Name: "a", Unit: "day", Replaces: []Replaced{{"a"}}}}},
		"[0].descriptors[0].share_threshold":                                 {{Key: "k", Value: "x", ShareThreshold: true}},
		"[0]" + strings.Repeat(".descriptors[0]", maxDepth) + ".descriptors": {deep},
	} {
		_, err := New([]Config{{Domain: "edge", Descriptors: list}}, Options{})
		var e *parley.Error
		if !errors.As(err, &e) || e.Code != parley.Invalid || e.Field != field {
			t.Errorf("%v, want an error about %s", err, field)
		}
	}
	for field, list := range map[string][]Config{"[0].domain": {{}}, "[1].domain": {{Domain: "a"}, {Domain: "a"}}} {
		_, err := New(list, Options{})
		var e *parley.Error
		if !errors.As(err, &e) || e.Field != field {
			t.Errorf("%v, want an error about %s", err, field)
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	s := serve(b, Options{}, Descriptor{Key: "path", Value: "/api/*", RateLimit: &RateLimit{Unit: "second", RequestsPerUnit: math.MaxUint32}}, Descriptor{Key: "to", RateLimit: &RateLimit{Unit: "second", RequestsPerUnit: math.MaxUint32}})
	in := &rls.RateLimitRequest{Domain: "edge", Descriptors: []*ratelimit.RateLimitDescriptor{desc("path=/api/users"), desc("to=ann")}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Decide(in); err != nil {
			b.Fatal(err)
		}
	}
}
