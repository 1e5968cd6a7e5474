package lab

import (
	"errors"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
)

func (s *server) experiment(t *testing.T, body string) result {
	t.Helper()
	got := s.postTo(t, "/lab/limits", body)
	if got.status != http.StatusOK || got.err != nil {
		t.Fatalf("%d %+v %+v", got.status, got.problem, got.err)
	}
	return got
}

// TestFourStrategies has each algorithm keep its promise: fake time makes every figure
// exact.
func TestFourStrategies(t *testing.T) { synctest.Test(t, testFourStrategies) }

func testFourStrategies(t *testing.T) {
	s := serve(t, nil)
	got := s.experiment(t, `{"experiment": "strategies", "quota": 5, "window": "1s", "seed": 1}`)
	callers := len(got.opening.Schedule)
	if callers != 22 || got.opening.Edge != 300 || got.opening.Wait > 1000 || len(got.opening.Limits) != 4 {
		t.Errorf("%+v", got.opening)
	}
	for lane, f := range got.limits {
		if f.Calls != callers || f.Requests != callers || f.Admitted+f.Refused != callers || f.BytesIn == 0 || f.BytesOut == 0 || f.Inside != 0 {
			t.Errorf("%s: %+v", lane, f)
		}
	}
	fixed, sliding, bucket, leaky := got.limits["fixed-window"], got.limits["sliding-window"], got.limits["token-bucket"], got.limits["leaky-bucket"]
	if fixed.Peak != 10 { // twice the quota, across the edge
		t.Errorf("fixed window: %+v", fixed)
	}
	if sliding.Peak != 5 {
		t.Errorf("sliding window: %+v", sliding)
	}
	if bucket.Peak <= 5 || bucket.Peak > 9 { // burst - 1 + quota
		t.Errorf("token bucket: %+v", bucket)
	}
	if leaky.Peak != 5 || leaky.Waited.Max < 1800 || leaky.Waited.Max > 2000 || leaky.Refused == 0 {
		t.Errorf("leaky bucket: %+v", leaky)
	}
	if fixed.Waited.Max+sliding.Waited.Max+bucket.Waited.Max != 0 {
		t.Errorf("some waited where nobody does: %+v", got.limits)
	}
	even(t, got.calls)
}

// even wants those of the leaky bucket to be let in no closer than a fifth of a second.
func even(t *testing.T, calls []Call) {
	t.Helper()
	var in []float64
	for _, c := range calls {
		if c.Lane == "leaky-bucket" && c.admitted() {
			in = append(in, c.Done)
		}
	}
	slices.Sort(in)
	for i := 1; i < len(in); i++ {
		if gap := in[i] - in[i-1]; gap < 199.999 {
			t.Errorf("let in %v ms after the one before", gap)
		}
	}
}

// TestRejectOrShape compares rounds of refusals with a line.
func TestRejectOrShape(t *testing.T) { synctest.Test(t, testRejectOrShape) }

func testRejectOrShape(t *testing.T) {
	s := serve(t, nil)
	got := s.experiment(t, `{"experiment": "manners", "quota": 4, "window": "1s"}`)
	reject, shape := got.limits["reject"], got.limits["shape"]
	for _, f := range []LimitFigures{reject, shape} {
		if f.Calls != 12 || f.Admitted != 12 {
			t.Errorf("%+v, want all of them in", f)
		}
	}
	if reject.Requests != 12+8+4 || reject.Refused != 8+4 || reject.Waited.Max < 2000 {
		t.Errorf("reject: %+v, want three rounds a second apart", reject)
	}
	if shape.Requests != 12 || shape.Refused != 0 || shape.Waited.Max < 1800 || shape.Waited.Max > 2000 {
		t.Errorf("shape: %+v, want the last to wait for two windows", shape)
	}
	for _, c := range got.calls {
		if (c.Status == http.StatusTooManyRequests) != (c.RetryAfter > 0) || c.Done < c.Sent {
			t.Errorf("%+v", c)
		}
	}
	refused := 0
	for _, m := range got.trace {
		if m.Lane == "reject" && m.Server && strings.HasPrefix(m.Label, "429") && strings.Contains(m.Raw, `"error":"Rate limit exceeded"`) {
			refused++
		}
	}
	if refused != reject.Refused {
		t.Errorf("%d refusals on the wire, %d in the figures", refused, reject.Refused)
	}
}

func TestNightclub(t *testing.T) { synctest.Test(t, testNightclub) }

func testNightclub(t *testing.T) {
	s := serve(t, nil)
	got := s.experiment(t, `{"experiment": "club", "quota": 3, "window": "500ms", "seed": 4}`)
	club := got.limits["club"]
	if club.Calls != 11 || club.Admitted != 11 || club.Refused != 0 || club.Inside != 3 || club.Waited.Max == 0 {
		t.Errorf("%+v", club)
	}
	for _, c := range got.calls {
		if stayed := c.Left - c.Done; stayed < 300 || stayed > 700.001 {
			t.Errorf("a guest stayed for %v ms", stayed)
		}
	}
}

// TestExperimentsOnLoopback runs over sockets.
func TestExperimentsOnLoopback(t *testing.T) {
	s := serve(t, nil)
	s.lab.open = loopback
	for _, name := range []string{Strategies, Club} { // Manners takes whole seconds, as Retry-After does
		got := s.experiment(t, `{"experiment": "`+name+`", "quota": 20, "window": "200ms"}`)
		for lane, f := range got.limits {
			if f.Admitted < 20 || f.Connections == 0 || f.BytesIn == 0 {
				t.Errorf("%s: %+v", lane, f)
			}
		}
		if f := got.limits["club"]; name == Club && f.Inside != 20 {
			t.Errorf("%+v", f)
		}
	}
	if left := s.topics(t); len(left) != 0 {
		t.Errorf("%v are left", left)
	}
	if res := s.lab.ask(mustRequest(t), http.MethodGet, "/v1/limits", ""); !strings.Contains(res.body.String(), `"limits":[]`) {
		t.Errorf("limits are left: %s", res.body.String())
	}
}

func mustRequest(t *testing.T) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/", nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestWhoMayRunAnExperiment(t *testing.T) { synctest.Test(t, testWhoMayRunAnExperiment) }

func testWhoMayRunAnExperiment(t *testing.T) {
	s := serve(t, keeper{})
	for token, status := range map[string]int{"": 401, "reader": 403, "runner": 403} { // none may make limits
		s.token = token
		if got := s.postTo(t, "/lab/limits", `{}`); got.status != status {
			t.Errorf("%q: %d %+v, want %d", token, got.status, got.problem, status)
		}
		if left := s.lab.ask(mustRequest(t), http.MethodGet, "/v1/topics", ""); strings.Contains(left.body.String(), "lab.") {
			t.Errorf("%q: left behind: %s", token, left.body.String())
		}
	}
	if got := s.postTo(t, "/lab/limits", `{}`, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"); got.status != 403 {
		t.Errorf("another site's page: %d", got.status)
	}
}

func TestParseLimitRequest(t *testing.T) {
	r, err := ParseLimitRequest([]byte(`{}`))
	if want := (LimitRequest{Experiment: Strategies, Quota: 5, Window: Duration(time.Second)}); err != nil || r != want {
		t.Errorf("%+v, %v", r, err)
	}
	for body, field := range map[string]string{
		`{"experiment":"none"}`: "experiment", `{"quota":51}`: "quota", `{"quota":-1}`: "quota", `{"window":"4s"}`: "window", `{"window":"1ms"}`: "window",
		`{"lanes":[]}`: "body", `{} 1`: "body", strings.Repeat(" ", maxBody) + `{}`: "body",
	} {
		_, err := ParseLimitRequest([]byte(body))
		var e *parley.Error
		if !errors.As(err, &e) || e.Field != field || e.Fix == "" {
			t.Errorf("%.40s: %v, want %s at fault", body, err, field)
		}
	}
}

func FuzzParseLimitRequest(f *testing.F) {
	f.Add([]byte(`{"experiment":"club","quota":50,"window":"3s","seed":18446744073709551615}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := ParseLimitRequest(body)
		if err != nil {
			return
		}
		turns := r.schedule()
		if len(turns) == 0 || len(turns) > 4*MaxQuota || !slices.IsSortedFunc(turns, func(a, b turn) int { return int(a.at - b.at) }) || !reflect.DeepEqual(turns, r.schedule()) {
			t.Fatalf("%s: %v", body, turns)
		}
		start := r.startAfter(time.Unix(1, 234567))
		if wait := start.Sub(time.Unix(1, 234567)); wait < 0 || wait > MaxWindow {
			t.Fatalf("%s: starts after %s", body, wait)
		}
	})
}

func TestLetIn(t *testing.T) {
	start := time.UnixMilli(0x01a20e72a2d3 - 40)
	for answer, want := range map[string]float64{
		`{"events":[{"id":"01a20e72-a2d3-7803-b433-050a84264232"}]}`: 40,
		`{"events":[{"id":"01a20e72-a3d3-7803-b433-050a84264232"}]}`: 90, // no later than it was heard of
		`{"events":[{"id":"01a20e72-a2d3-4803-b433-050a84264232"}]}`: 90,
		`{"events":[{"id":"01a20e72-x2d3-7803-b433-050a84264232"}]}`: 90,
		`{"events":[{"id":"7"}]}`:                                    90, `{"events":[]}`: 90, `{`: 90,
	} {
		if got := letIn([]byte(answer), start, 90); got != want {
			t.Errorf("%s: %v, want %v", answer, got, want)
		}
	}
}

func TestFiguresOfCalls(t *testing.T) {
	calls := []Call{
		{Lane: "a", Call: 1, Try: 1, Sent: 0, Done: 1, Status: 429, RetryAfter: 1},
		{Lane: "b", Call: 1, Try: 1, Sent: 0, Done: 1, Let: 1, Status: 201},
		{Lane: "a", Call: 2, Try: 1, Sent: 5, Done: 6, Let: 6, Status: 201},
		{Lane: "a", Call: 1, Try: 2, Sent: 1001, Done: 1002, Let: 1002, Status: 201},
	}
	want := LimitFigures{Lane: "a", Calls: 3, Admitted: 2, Refused: 1, Requests: 3, Peak: 1, Waited: Latency{P50: 1, P99: 1002, Max: 1002}, Last: 1002}
	if got := figuresOf("a", 3, 990, calls); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := slack(1000, map[string]bool{"b": true}, []Call{{Lane: "b", Done: 900}, {Lane: "a", Sent: 10, Done: 35}}); got != 25 {
		t.Errorf("a slack of %v", got)
	}
	if few, many := slack(1000, nil, nil), slack(1000, nil, []Call{{Done: 900}}); few != 10 || many != 500 {
		t.Errorf("a slack of %v and %v", few, many)
	}
	guests := []Call{{Lane: "c", Call: 1, Try: 1, Done: 1, Let: 1, Status: 200, Left: 5}, {Lane: "c", Call: 2, Try: 1, Done: 2, Let: 2, Status: 200, Left: 4}, {Lane: "c", Call: 3, Try: 1, Done: 4, Let: 4, Status: 200, Left: 9}}
	if got := figuresOf("c", 3, 1000, guests).Inside; got != 2 {
		t.Errorf("%d inside at once, want 2", got)
	}
}
