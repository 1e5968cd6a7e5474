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

// TestReaders has one topic read in four ways in fake time, in which only waiting
// takes time: who gets what is known by arithmetic.
func TestReaders(t *testing.T) { synctest.Test(t, testReaders) }

func testReaders(t *testing.T) {
	s := serve(t, nil)
	got := s.postTo(t, "/lab/groups", `{"events": 40, "duration": "4s", "partitions": 3, "seed": 5}`)
	if got.status != http.StatusOK || got.err != nil || len(got.readers) != 4 {
		t.Fatalf("%d %+v %+v %+v", got.status, got.problem, got.err, got.readers)
	}
	before := 0 // the middle
	for _, at := range got.groups.Schedule {
		if at < got.groups.Middle {
			before++
		}
	}
	if len(got.groups.Schedule) != 40 || got.groups.Middle != 1600 || before < 10 || before > 30 {
		t.Fatalf("%+v, %d before the middle", got.groups, before)
	}
	for lane, want := range map[string]GroupFigures{
		"first": {Events: 40, CaughtUp: -1, Connections: 1},
		"back":  {Events: 40, Again: before, CaughtUp: 0, Connections: 2}, // it is moved while it waits
		"late":  {Events: 40, CaughtUp: 0, Connections: 1},
		"live":  {Events: 40 - before, Missing: before, CaughtUp: -1, Connections: 1},
	} {
		f := got.readers[lane]
		if f.Events != want.Events || f.Missing != want.Missing || f.Again != want.Again || f.CaughtUp != want.CaughtUp || !f.Ordered || f.Connections != want.Connections || f.Latency.Max > 1 || f.BytesIn == 0 || f.BytesOut == 0 {
			t.Errorf("%s: %+v, want %+v", lane, f, want)
		}
	}
	got.actsAddUp(t)
	if a := s.lab.ask(mustRequest(t), http.MethodGet, "/v1/groups", ""); !strings.Contains(a.body.String(), `"groups":[]`) {
		t.Errorf("groups are left: %s", a.body.String())
	}
}

// actsAddUp wants both turns of the group that goes back to have the same order in each
// partition, and every turn to be seen on the wire.
func (out *result) actsAddUp(t *testing.T) {
	t.Helper()
	partition := map[int]int{}
	for _, a := range out.acts {
		if a.Kind == ActPublished {
			partition[a.Event] = a.Partition
		}
	}
	order := map[string]map[int][]int{} // lane and turn, partition: events
	for _, a := range out.acts {
		if a.Kind == ActRead {
			name := a.Lane + string(rune('0'+a.Turn))
			if order[name] == nil {
				order[name] = map[int][]int{}
			}
			order[name][partition[a.Event]] = append(order[name][partition[a.Event]], a.Event)
		}
	}
	if !reflect.DeepEqual(order["back2"], order["first1"]) || !reflect.DeepEqual(order["late1"], order["first1"]) {
		t.Errorf("the order is another one: %v", order)
	}
	for p, events := range order["back1"] {
		if !slices.Equal(events, order["first1"][p][:len(events)]) {
			t.Errorf("partition %d: %v before going back", p, events)
		}
	}
	commits, seeks, joins := map[string]int{}, 0, 0
	for _, m := range out.trace {
		if m.Kind != KindRequest {
			continue
		}
		switch path := m.Label[strings.LastIndexByte(m.Label, '/')+1:]; {
		case path == "commit":
			commits[m.Lane]++
		case path == "seek":
			seeks++
		case path == "join":
			joins++
		}
	}
	if seeks != 1 || joins != 3 || len(commits) != 3 {
		t.Errorf("%d seeks, %d joins, commits %v on the wire", seeks, joins, commits)
	}
}

// TestReadersOnLoopback runs over sockets.
func TestReadersOnLoopback(t *testing.T) {
	s := serve(t, nil)
	s.lab.open = loopback
	got := s.postTo(t, "/lab/groups", `{"events": 60, "duration": "600ms", "seed": 9}`)
	if got.status != http.StatusOK || got.err != nil {
		t.Fatalf("%d %+v %+v", got.status, got.problem, got.err)
	}
	for _, lane := range []string{"first", "back", "late"} {
		if f := got.readers[lane]; f.Events != 60 || f.Missing != 0 || !f.Ordered || (f.CaughtUp < 0) != (lane == "first") {
			t.Errorf("%s: %+v", lane, f)
		}
	}
	if f := got.readers["live"]; f.Events < 1 || f.Events+f.Missing != 60 || !f.Ordered {
		t.Errorf("live: %+v", f)
	}
}

func TestOneEvent(t *testing.T) { synctest.Test(t, testOneEvent) }

func testOneEvent(t *testing.T) {
	s := serve(t, nil)
	got := s.postTo(t, "/lab/groups", `{"events": 1, "duration": "1s", "partitions": 1}`)
	for lane, f := range got.readers {
		if f.Events != 1 || f.Missing != 0 || f.Again != 0 || !f.Ordered {
			t.Errorf("%s: %+v", lane, f)
		}
	}
	if len(got.readers) != 4 || math.Abs(got.took-800) > 1 {
		t.Errorf("%v in %v ms", got.readers, got.took)
	}
}

// TestFiguresOfReaders adds up what never happens by itself.
func TestFiguresOfReaders(t *testing.T) {
	var all []Act
	for i := range 4 { // events 1 and 3 are in partition 1, 2 and 4 in 0
		all = append(all, Act{Lane: Publisher, Kind: ActPublished, At: float64(i * 10), Event: i + 1, Partition: (i + 1) % 2, Position: int64(i/2 + 1)})
	}
	read := func(lane string, turn int, events ...int) {
		for i, n := range events {
			all = append(all, Act{Lane: lane, Kind: ActRead, At: 50 + float64(i), Event: n, Turn: turn})
		}
	}
	readers := Readers()
	all = append(all, Act{Lane: "back", Kind: ActSought, At: 25}, Act{Lane: "late", Kind: ActJoined, At: 25})
	read("first", 1, 3, 1)   // the wrong way round
	read("back", 1, 1, 2, 3) // in order
	read("back", 2, 2, 1, 4) // without 3, which was there
	read("late", 1, 1, 2, 4, 3)
	read("live", 1, 1, 4, 2)
	for i, want := range []GroupFigures{
		{Lane: "first", Events: 2, Missing: 2, CaughtUp: -1},
		{Lane: "back", Events: 4, Again: 2, Ordered: true, CaughtUp: -1},
		{Lane: "late", Events: 4, Ordered: true, CaughtUp: 28},
		{Lane: "live", Events: 3, Missing: 1, CaughtUp: -1},
	} {
		got := groupFigures(readers[i], all)
		got.Latency = Latency{}
		if got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}

func TestWhoMayRunReaders(t *testing.T) { synctest.Test(t, testWhoMayRunReaders) }

func testWhoMayRunReaders(t *testing.T) {
	s := serve(t, keeper{})
	for token, status := range map[string]int{"": 401, "reader": 403} {
		s.token = token
		if got := s.postTo(t, "/lab/groups", `{}`); got.status != status {
			t.Errorf("%q: %d %+v, want %d", token, got.status, got.problem, status)
		}
	}
	s.token = "runner" // may have topics, and no groups
	if got := s.postTo(t, "/lab/groups", `{}`); got.err == nil || got.err.Status != http.StatusForbidden || len(got.readers) != 0 {
		t.Errorf("%+v", got)
	}
	if got := s.postTo(t, "/lab/groups", `{}`, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"); got.status != 403 {
		t.Errorf("another site's page: %d", got.status)
	}
}

// TestReadersThatBreakOff has the seek refused: who reads would wait for it for ever.
func TestReadersThatBreakOff(t *testing.T) { synctest.Test(t, testReadersThatBreakOff) }

func testReadersThatBreakOff(t *testing.T) {
	s := serve(t, nil)
	s.lab.opt.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/seek") {
			door.WriteProblem(w, &parley.Error{Code: parley.Forbidden, Detail: "no"}, door.TraceOf(""))
			return
		}
		s.api.ServeHTTP(w, r)
	})
	got := s.postTo(t, "/lab/groups", `{}`)
	if got.err == nil || got.err.Status != http.StatusForbidden || len(got.readers) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestParseGroupsRequest(t *testing.T) {
	r, err := ParseGroupsRequest(nil)
	if want := (GroupsRequest{Events: 40, Duration: Duration(4 * time.Second), Partitions: 2}); err != nil || r != want {
		t.Errorf("%+v, %v", r, err)
	}
	for body, field := range map[string]string{
		`{"events":501}`: "events", `{"events":-1}`: "events", `{"duration":"499ms"}`: "duration", `{"duration":"21s"}`: "duration",
		`{"partitions":9}`: "partitions", `{"partitions":-1}`: "partitions", `{"lanes":[]}`: "body", `{} 1`: "body", strings.Repeat(" ", maxBody) + `{}`: "body",
	} {
		_, err := ParseGroupsRequest([]byte(body))
		var e *parley.Error
		if !errors.As(err, &e) || e.Field != field || e.Fix == "" {
			t.Errorf("%.40s: %v, want %s at fault", body, err, field)
		}
	}
}

func FuzzParseGroupsRequest(f *testing.F) {
	f.Add([]byte(`{"events":500,"duration":"20s","partitions":8,"seed":18446744073709551615}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := ParseGroupsRequest(body)
		if err != nil {
			return
		}
		all := r.schedule()
		if len(all) != r.Events || !slices.IsSorted(all) || all[0] < 0 || all[len(all)-1] <= r.middle() || all[len(all)-1] > time.Duration(r.Duration) {
			t.Fatalf("%s: %v", body, all)
		}
		again, err := json.Marshal(r)
		if back, err2 := ParseGroupsRequest(again); err != nil || err2 != nil || back != r {
			t.Fatalf("%s: %v, %v", again, err, err2)
		}
	})
}
