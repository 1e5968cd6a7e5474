package lab

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/wire/door"
)

func (s *server) crewRun(t *testing.T, body string) (result, map[string]CrewFigures) {
	t.Helper()
	got := s.postTo(t, "/lab/queue", body)
	if got.status != http.StatusOK || got.err != nil || len(got.crews) != 3 {
		t.Fatalf("%d %+v %+v %+v", got.status, got.problem, got.err, got.crews)
	}
	crews := map[string]CrewFigures{}
	for _, f := range got.crews {
		crews[f.Lane] = f
	}
	return got, crews
}

// TestCrews has the same jobs done in fake time, in which only work and waiting take
// time: when the backlogs are drained is known by arithmetic.
func TestCrews(t *testing.T) { synctest.Test(t, testCrews) }

func testCrews(t *testing.T) {
	s := serve(t, nil)
	got, crews := s.crewRun(t, `{"jobs": 24, "work": "100ms", "visibility": "1s", "seed": 3}`)
	if len(got.queue.Tasks) != 24 || len(got.queue.Crews) != 3 {
		t.Fatalf("%+v", got.queue)
	}
	sum := 0.0
	for _, work := range got.queue.Tasks {
		sum += work
	}
	one, three, crash := crews["one"], crews["three"], crews["crash"]
	if one.Done != 24 || one.Attempts != 24 || math.Abs(one.Drained-sum) > 0.001 || len(one.TakenOver) != 0 {
		t.Errorf("one worker: %+v, want all after %v ms", one, sum)
	}
	if want := inTurn(got.queue.Tasks, 3); three.Done != 24 || three.Attempts != 24 || math.Abs(three.Drained-want) > 0.001 || len(three.TakenOver) != 0 {
		t.Errorf("three workers: %+v, want all after %v ms", three, want)
	}
	if crash.Done != 24 || crash.Attempts != 25 || len(crash.TakenOver) != 1 {
		t.Fatalf("a crash: %+v", crash)
	}
	over, cleo := crash.TakenOver[0], crash.Workers[2]
	if cleo.Crashed == 0 || over.From != "cleo" || over.To == "cleo" || over.Left != cleo.Crashed || cleo.Done != 3 {
		t.Errorf("cleo crashed in her fourth job: %+v, %+v", cleo, over)
	}
	// The lease was taken half a job before the crash, and was over a second later: from
	// then on the first who is free has the job.
	taken := over.Left - got.queue.Tasks[over.Job-1]/2
	if over.Taken < taken+1000-1 || over.Taken > taken+1000+160 {
		t.Errorf("taken over at %v ms, want within a job after %v", over.Taken, taken+1000)
	}
	got.spansAddUp(t)
}

// inTurn is when the last job is done if each goes to the first of n workers who is free.
func inTurn(tasks []float64, n int) float64 {
	free := make([]float64, n)
	for _, work := range tasks {
		slices.Sort(free)
		free[0] += work
	}
	return slices.Max(free)
}

// spansAddUp wants every job to be done once in each lane, by one worker at a time, and
// each attempt to be on the wire.
func (out *result) spansAddUp(t *testing.T) {
	t.Helper()
	done, leases := map[string]int{}, map[string]int{}
	for _, s := range out.spans {
		switch {
		case s.End == Done:
			done[s.Lane]++
		case s.End == "":
			leases[s.Lane]++
		}
	}
	acks := map[string]int{}
	for _, m := range out.trace {
		lane, client, _ := strings.Cut(m.Lane, "/")
		if client == enqueuer && m.Kind == KindRequest && m.Label != "POST /v1/queues/"+out.queue.Topic+"."+lane+"/jobs" {
			t.Errorf("%+v", m)
		}
		if m.Kind == KindRequest && strings.Contains(m.Raw, `"action":"ack"`) {
			acks[lane]++
		}
	}
	for _, f := range out.crews {
		if done[f.Lane] != f.Jobs || leases[f.Lane] != f.Attempts || acks[f.Lane] != f.Jobs || f.Connections != len(f.Workers)+1 || f.BytesIn == 0 || f.BytesOut == 0 {
			t.Errorf("%s: %d done, %d leases, %d acks on the wire: %+v", f.Lane, done[f.Lane], leases[f.Lane], acks[f.Lane], f)
		}
	}
}

// TestJobsLongerThanTheirLeases are extended, and done by whom they were leased to.
func TestJobsLongerThanTheirLeases(t *testing.T) { synctest.Test(t, testJobsLongerThanTheirLeases) }

func testJobsLongerThanTheirLeases(t *testing.T) {
	s := serve(t, nil)
	got, crews := s.crewRun(t, `{"jobs": 6, "work": "1s", "visibility": "200ms"}`)
	if f := crews["three"]; f.Done != 6 || f.Attempts != 6 || len(f.TakenOver) != 0 {
		t.Errorf("%+v", f)
	}
	extended := 0
	for _, m := range got.trace {
		if m.Kind == KindRequest && strings.Contains(m.Raw, `"action":"extend"`) {
			extended++
		}
	}
	if extended < 6*3*2 {
		t.Errorf("leases were extended %d times", extended)
	}
}

// TestCrewsOnLoopback runs over sockets, and leaves nothing behind.
func TestCrewsOnLoopback(t *testing.T) {
	s := serve(t, nil)
	s.lab.open = loopback
	got, crews := s.crewRun(t, `{"jobs": 30, "work": "5ms", "visibility": "200ms", "seed": 9}`)
	for _, f := range crews {
		if f.Done != 30 || f.Attempts < 30 {
			t.Errorf("%+v", f)
		}
	}
	if f := crews["crash"]; f.Workers[2].Crashed > 0 && (len(f.TakenOver) == 0 || f.Drained < 200) {
		t.Errorf("a crash: %+v", f)
	}
	if res := s.lab.ask(mustRequest(t), http.MethodGet, "/v1/queues", ""); !strings.Contains(res.body.String(), `"queues":[]`) {
		t.Errorf("queues are left: %s", res.body.String())
	}
	if len(got.trace) == 0 || !reflect.DeepEqual(got.queue.Tasks[:2], again(t, got.queue.Request)[:2]) {
		t.Errorf("%v", got.queue.Tasks)
	}
}

func again(t *testing.T, r QueueRequest) (all []float64) {
	t.Helper()
	for _, one := range r.tasks() {
		all = append(all, milliseconds(time.Duration(one.Work)))
	}
	return all
}

func TestWhoMayRunACrew(t *testing.T) { synctest.Test(t, testWhoMayRunACrew) }

func testWhoMayRunACrew(t *testing.T) {
	s := serve(t, keeper{})
	for token, status := range map[string]int{"": 401, "reader": 403, "runner": 403} { // none may make queues
		s.token = token
		if got := s.postTo(t, "/lab/queue", `{}`); got.status != status {
			t.Errorf("%q: %d %+v, want %d", token, got.status, got.problem, status)
		}
	}
	if got := s.postTo(t, "/lab/queue", `{}`, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"); got.status != 403 {
		t.Errorf("another site's page: %d", got.status)
	}
}

// TestACrewThatBreaksOff has the queue refuse its workers in the middle.
func TestACrewThatBreaksOff(t *testing.T) { synctest.Test(t, testACrewThatBreaksOff) }

func testACrewThatBreaksOff(t *testing.T) {
	s := serve(t, nil)
	s.lab.opt.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/settle") {
			door.WriteProblem(w, &parley.Error{Code: parley.Forbidden, Detail: "no"}, door.TraceOf(""))
			return
		}
		s.api.ServeHTTP(w, r)
	})
	got := s.postTo(t, "/lab/queue", `{}`)
	if got.err == nil || got.err.Status != http.StatusForbidden || len(got.crews) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestParseQueueRequest(t *testing.T) {
	r, err := ParseQueueRequest(nil)
	if want := (QueueRequest{Jobs: 24, Work: Duration(100 * time.Millisecond), Visibility: Duration(time.Second)}); err != nil || r != want {
		t.Errorf("%+v, %v", r, err)
	}
	for body, field := range map[string]string{
		`{"jobs":201}`: "jobs", `{"jobs":-1}`: "jobs", `{"work":"1ms"}`: "work", `{"work":"2s"}`: "work", `{"jobs":200,"work":"101ms"}`: "work",
		`{"visibility":"6s"}`: "visibility", `{"lanes":[]}`: "body", `{} 1`: "body", strings.Repeat(" ", maxBody) + `{}`: "body",
	} {
		_, err := ParseQueueRequest([]byte(body))
		var e *parley.Error
		if !errors.As(err, &e) || e.Field != field || e.Fix == "" {
			t.Errorf("%.40s: %v, want %s at fault", body, err, field)
		}
	}
}

func FuzzParseQueueRequest(f *testing.F) {
	f.Add([]byte(`{"jobs":200,"work":"100ms","visibility":"5s","seed":18446744073709551615}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := ParseQueueRequest(body)
		if err != nil {
			return
		}
		all := r.tasks()
		if len(all) != r.Jobs || !reflect.DeepEqual(all, r.tasks()) || r.crashAt() < 1 || r.crashAt() > r.Jobs {
			t.Fatalf("%s: %v", body, all)
		}
		for _, one := range all {
			if work := time.Duration(one.Work); work < time.Millisecond || work > 2*MaxWork {
				t.Fatalf("%s: a job of %s", body, work)
			}
		}
		again, err := json.Marshal(r)
		if back, err2 := ParseQueueRequest(again); err != nil || err2 != nil || back != r {
			t.Fatalf("%s: %v, %v", again, err, err2)
		}
	})
}
