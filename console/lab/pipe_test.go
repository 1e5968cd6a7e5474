package lab

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
)

func (s *server) flowRun(t *testing.T, body string) result {
	t.Helper()
	got := s.postTo(t, "/lab/pipe", body)
	if got.status != http.StatusOK || got.err != nil || len(got.flows) != 5 {
		t.Fatalf("%d %+v %+v %+v", got.status, got.problem, got.err, got.flows)
	}
	return got
}

// TestFlows has the same events go through each flow in fake time, in which only work and
// waiting take time: how long each takes is known by arithmetic.
func TestFlows(t *testing.T) { synctest.Test(t, testFlows) }

func testFlows(t *testing.T) {
	got := serve(t, nil).flowRun(t, `{"events": 24, "work": "100ms", "lanes": 3, "batch": 5, "room": 4, "seed": 3}`)
	works, sum, batches := got.pipes.Tasks, 0.0, 0.0
	for i, work := range works {
		sum += work
		if i%5 == 0 {
			batches += slices.Max(works[i:min(i+5, len(works))])
		}
	}
	for lane, want := range map[string]FlowFigures{
		"serial":   {Took: sum, Calls: 24, Peak: 1},
		"parallel": {Took: inTurn(works, 3), Calls: 24, Peak: 3},
		"batched":  {Took: batches, Calls: 5, Peak: 5},
		"slow":     {Took: works[0]/quick + sum + works[23]/quick, Calls: 24, Peak: 1},
	} {
		f := got.flows[lane]
		if math.Abs(f.Took-want.Took) > 0.001 || f.Calls != want.Calls || f.Peak != want.Peak {
			t.Errorf("%s: %+v, want %+v", lane, f, want)
		}
	}
	for lane, f := range got.flows {
		if f.Events != 24 || f.Acked != 24 || (f.Overtaken > 0) != (lane == "parallel") {
			t.Errorf("%s: %+v", lane, f)
		}
	}
	if f := got.flows["ordered"]; f.Took < inTurn(works, 3) || f.Took > sum/2 || f.Peak != 3 || f.Stages[1].Waiting == 0 {
		t.Errorf("in order, nearly as quick, with some that wait for their turn: %+v", f)
	}
	got.marksAddUp(t)
}

// marksAddUp wants each event to be given, worked on and taken once in each flow, in this
// order.
func (out *result) marksAddUp(t *testing.T) {
	t.Helper()
	for _, f := range out.pipes.Flows {
		want := []string{"source out"}
		for _, stage := range f.Stages {
			want = append(want, stage+" in", stage+" out")
		}
		want = append(want, "sink in")
		seen := map[int][]string{}
		for _, m := range out.marks {
			if m.Lane == f.Name {
				seen[m.Event] = append(seen[m.Event], m.Stage+" "+m.Way)
			}
		}
		for event := range len(out.pipes.Tasks) {
			if !slices.Equal(seen[event+1], want) {
				t.Errorf("%s: event %d: %v, want %v", f.Name, event+1, seen[event+1], want)
			}
		}
	}
}

// TestBackPressure wants the queues up to the slow stage to be full, those behind it
// empty, and the source to be held up for as long as that lasts.
func TestBackPressure(t *testing.T) { synctest.Test(t, testBackPressure) }

func testBackPressure(t *testing.T) {
	s := serve(t, nil)
	most := 0
	for _, room := range []string{"1", "4", "20"} {
		f := s.flowRun(t, `{"events": 40, "work": "50ms", "room": `+room+`}`).flows["slow"]
		parse, work, format, sink := f.Stages[0], f.Stages[1], f.Stages[2], f.Stages[3]
		if work.Most <= most || work.Waiting < 0.6*float64(work.Most) && room != "20" || format.Most != 0 || sink.Most != 0 || parse.Waiting > work.Waiting*2 {
			t.Errorf("room %s: %+v", room, f.Stages)
		}
		if work.Busy < 0.98*f.Took || format.Busy > f.Took/5 {
			t.Errorf("room %s: the slow stage has always something to do, and the one behind it hardly ever: %+v", room, f.Stages)
		}
		if ahead := float64(work.Most + parse.Most + 2); f.Held < f.Took*(1-ahead/40)*0.8 || f.Held > f.Took {
			t.Errorf("room %s: the source was held for %v of %v ms", room, f.Held, f.Took)
		}
		most = work.Most
	}
}

// TestFlowsInTime runs by the clock of the machine, and ends when nobody listens.
func TestFlowsInTime(t *testing.T) {
	s := serve(t, nil)
	got := s.flowRun(t, `{"events": 30, "work": "5ms", "lanes": 4, "seed": 9}`)
	for lane, f := range got.flows {
		if f.Events != 30 || f.Acked != 30 || f.Latency.Max <= 0 || (lane != "parallel" && f.Overtaken > 0) {
			t.Errorf("%s: %+v", lane, f)
		}
	}
	got.marksAddUp(t)
	one := newPipeRun(PipeRequest{Events: 20, Work: Duration(MaxWork), Lanes: 2, Batch: 2, Room: 2})
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- one.do(ctx) }()
	cancel()
	if err := <-over; err != nil {
		t.Error(err)
	}
	if closing := one.last().PipeClosing; len(closing.Figures) != 5 {
		t.Errorf("%+v", closing)
	}
}

func TestWhoMayRunPipes(t *testing.T) { synctest.Test(t, testWhoMayRunPipes) }

func testWhoMayRunPipes(t *testing.T) {
	s := serve(t, keeper{})
	for token, status := range map[string]int{"": 401, "reader": 403, "runner": 403, "plumber": 200} {
		s.token = token
		if got := s.postTo(t, "/lab/pipe", `{"events": 2}`); got.status != status {
			t.Errorf("%q: %d %+v, want %d", token, got.status, got.problem, status)
		}
	}
	if got := s.postTo(t, "/lab/pipe", `{}`, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"); got.status != 403 {
		t.Errorf("another site's page: %d", got.status)
	}
}

// TestPipesOfAServerWithoutThem are run by nobody: it could not say who may.
func TestPipesOfAServerWithoutThem(t *testing.T) {
	l := New(Options{Handler: http.NotFoundHandler()})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/lab/pipe", strings.NewReader(`{}`))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	if l.ServeHTTP(w, r); w.Code != http.StatusNotFound {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestParsePipeRequest(t *testing.T) {
	r, err := ParsePipeRequest(nil)
	if want := (PipeRequest{Events: 24, Work: Duration(100 * time.Millisecond), Lanes: 3, Batch: 6, Room: 3}); err != nil || r != want {
		t.Errorf("%+v, %v", r, err)
	}
	for body, field := range map[string]string{
		`{"events":201}`: "events", `{"events":-1}`: "events", `{"lanes":17}`: "lanes", `{"batch":51}`: "batch", `{"room":51}`: "room",
		`{"work":"1ms"}`: "work", `{"work":"2s"}`: "work", `{"events":200,"work":"101ms"}`: "work", `{"jobs":1}`: "body", `{} 1`: "body",
		strings.Repeat(" ", maxBody) + `{}`: "body",
	} {
		_, err := ParsePipeRequest([]byte(body))
		var e *parley.Error
		if !errors.As(err, &e) || e.Field != field || e.Fix == "" {
			t.Errorf("%.40s: %v, want %s at fault", body, err, field)
		}
	}
}

func FuzzParsePipeRequest(f *testing.F) {
	f.Add([]byte(`{"events":200,"work":"100ms","lanes":16,"batch":50,"room":50,"seed":18446744073709551615}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := ParsePipeRequest(body)
		if err != nil {
			return
		}
		if all := r.tasks(); len(all) != r.Events || !reflect.DeepEqual(all, r.tasks()) {
			t.Fatalf("%s: %v", body, all)
		}
		again, err := json.Marshal(r)
		if back, err2 := ParsePipeRequest(again); err != nil || err2 != nil || back != r {
			t.Fatalf("%s: %v, %v", again, err, err2)
		}
	})
}
