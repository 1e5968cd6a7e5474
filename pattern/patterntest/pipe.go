package patterntest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pipe/declared"
	"github.com/parleyhq/parley/pattern/pipe/graph"
	"github.com/parleyhq/parley/pattern/pipe/where"
)

var pipeSuite = suite{pattern: "pipe", parts: []part{
	{needs: "Piper", has: is[Piper], everywhere: true, checks: pipeChecks},
}}

// Piper is a door to the world's declared pipes.
type Piper interface {
	PutPipe(ctx context.Context, name string, text []byte, o declared.PutOptions) (info declared.Info, created bool, err error)
	StartPipe(ctx context.Context, name string) error
	PausePipe(ctx context.Context, name string) error
	StopPipe(ctx context.Context, name string) error
	DeletePipe(ctx context.Context, name string) error
	PipeStats(ctx context.Context, name string) (declared.Stats, error)
}

var pipeChecks = []check{
	{"Once", "each event of a topic goes through once, in the order of its partition, with its attributes", pipeOnce},
	{"Restart", "a pipe that nobody owns for a while goes on where it was, with what its stages had kept", pipeRestart},
	{"Pause", "a pipe that is paused or stopped does nothing, and goes on where it was", pipePause},
	{"Swap", "a new definition takes over while events come: none is lost, none comes twice", pipeSwap},
	{"Refused", "a definition that is wrong is refused with its line, and the old one runs on", pipeRefused},
	{"State", "stages that cannot go on in their state are refused, or let out what they keep when that is asked for", pipeState},
	{"Dead", "an event that fails goes to PIPE.dead with its stage and cause, and the others go on", pipeDead},
	{"Attempts", "a sink is tried as often as is written, and then the event is dead, in its time", pipeAttempts},
	{"Deleted", "a pipe that was deleted is gone, and one of its name begins anew", pipeDeleted},
}

// runPipes runs the declared pipes of the log on the world's host.
func (w *World) runPipes() {
	w.Helper()
	var err error
	w.Pipes, err = declared.NewRegistry(w.Log, w.Host, declared.Options{
		Topics: w.Topics, Hub: w.Hub, HTTP: true, Client: &http.Client{Transport: nowhere{}}, Logger: slog.New(slog.DiscardHandler),
		Graph: graph.Options{Expr: where.Compile},
	})
	if err == nil {
		err = w.Pipes.Load(w.Life)
	}
	if err != nil {
		w.Fatal(err)
	}
	w.ownPipes()
}

// nowhere answers every request with 503.
type nowhere struct{}

// RoundTrip implements http.RoundTripper.
func (nowhere) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusServiceUnavailable, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("")), Request: r}, nil
}

func (w *World) ownPipes() {
	ctx, stop := context.WithCancel(w.Life)
	done := make(chan error, 1)
	go func() { done <- w.Pipes.Run(ctx) }()
	w.stopPipes = sync.OnceFunc(func() {
		stop()
		if err := <-done; err != nil {
			w.Errorf("the pipes ended with %v", err)
		}
	})
	w.Cleanup(w.stopPipes)
}

// restartPipes has nobody own the pipes for a while.
func (w *World) restartPipes() {
	w.Helper()
	if far, ok := w.Host.(*elsewhere); ok {
		w = far.at
	}
	w.stopPipes()
	w.pass(time.Second)
	w.ownPipes()
}

const (
	aPipe  = "a-pipe"
	toward = "toward" // where pipes publish
)

func (s *scene) pipes() Piper { return s.door.(Piper) }

// pipe puts a definition.
func (s *scene) pipe(text string, o declared.PutOptions) {
	s.Helper()
	if _, _, err := s.pipes().PutPipe(s.Life, aPipe, []byte(text), o); err != nil {
		s.Fatal(err)
	}
}

// stats waits until a pipe has read so much, and gives its stats.
func (s *scene) stats(in int64) declared.Stats {
	s.Helper()
	var last declared.Stats
	for range 100 {
		var err error
		if last, err = s.pipes().PipeStats(s.Life, aPipe); err != nil {
			s.Fatal(err)
		}
		if last.In >= in && last.Lag == 0 && last.State == declared.Running {
			s.pass(time.Second) // what should not come would come now
			return last
		}
		s.pass(200 * time.Millisecond)
	}
	s.Fatalf("the pipe has read %d events, want %d: %+v", last.In, in, last)
	return last
}

// keyed publishes numbers, each with the last digit as key.
func (s *scene) keyed(from, to int) {
	s.Helper()
	events := numbers(from, to)
	for i := range events {
		key := strconv.Itoa((from + i) % 10)
		events[i].Subject = "of " + key
		events[i].Set(parley.PartitionKey, key)
	}
	s.publish(aTopic, events...)
}

// arrived wants just these numbers in the outputs, each once, and those of a key in
// their order.
func (s *scene) arrived(from, to int) {
	s.Helper()
	last, seen := map[string]int{}, 0
	for _, e := range s.stored(toward) {
		n, err := strconv.Atoi(string(e.Data))
		if err != nil || e.Subject != "of "+e.Key() || e.Key() != strconv.Itoa(n%10) {
			s.Fatalf("%v has come", e)
		}
		if last[e.Key()] >= n {
			s.Fatalf("%d came after %d", n, last[e.Key()])
		}
		last[e.Key()] = n
		seen++
	}
	if want := to - from + 1; seen != want {
		s.Fatalf("%d events came, want %d", seen, want)
	}
}

const (
	passing = "steps: [topic: numbers, {where: data > 0, name: some}, topic: toward]"
	other   = "steps: [topic: numbers, where: data > -1, where: data > -2, topic: toward]"
)

func pipeOnce(s *scene) {
	s.create(aTopic, 3)
	s.keyed(1, 40)
	s.pipe(passing, declared.PutOptions{})
	s.keyed(41, 100)
	if st := s.stats(100); len(st.Partitions) != 3 || st.Out != 100 || st.Dead != 0 || st.Steps[0].In != 100 {
		s.Fatalf("%+v", st)
	}
	s.arrived(1, 100)
}

func pipeRestart(s *scene) {
	s.create(aTopic, 2)
	s.pipe("steps: [topic: numbers, batch: 1000, topic: toward]", declared.PutOptions{})
	s.keyed(1, 30)
	s.stats(30)
	s.restartPipes()
	s.keyed(31, 50)
	s.stats(50)
	s.pipe(passing, declared.PutOptions{Drain: true})
	s.pass(10 * time.Second)
	s.restartPipes()
	var all []string
	for _, e := range s.stored(toward) {
		all = append(all, strings.Split(strings.Trim(string(e.Data), "[]"), ",")...)
	}
	slices.Sort(all)
	if len(s.stored(toward)) != 2 || len(slices.Compact(all)) != 50 {
		s.Fatalf("%d batches with %v", len(s.stored(toward)), all)
	}
}

func pipePause(s *scene) {
	s.create(aTopic, 2)
	s.pipe(passing, declared.PutOptions{})
	s.keyed(1, 20)
	s.stats(20)
	next := 20
	for state, set := range map[declared.State]func(context.Context, string) error{declared.Paused: s.pipes().PausePipe, declared.Stopped: s.pipes().StopPipe} {
		if err := set(s.Life, aPipe); err != nil {
			s.Fatal(err)
		}
		s.pass(10 * time.Second)
		s.keyed(next+1, next+20)
		s.pass(10 * time.Second)
		if st, err := s.pipes().PipeStats(s.Life, aPipe); err != nil || st.State != state {
			s.Fatalf("%+v %v", st, err)
		}
		s.arrived(1, next)
		if err := s.pipes().StartPipe(s.Life, aPipe); err != nil {
			s.Fatal(err)
		}
		next += 20
		s.stats(int64(next))
		s.arrived(1, next)
	}
}

func pipeSwap(s *scene) {
	s.create(aTopic, 3)
	s.pipe(passing, declared.PutOptions{})
	const rounds = 10
	for i := range rounds {
		s.keyed(i*20+1, i*20+20)
		s.pipe([]string{other, passing}[i%2], declared.PutOptions{})
	}
	if st := s.stats(rounds * 20); st.Refused != "" {
		s.Fatalf("%+v", st)
	}
	s.arrived(1, rounds*20)
}

func pipeRefused(s *scene) {
	s.create(aTopic, 2)
	s.pipe(passing, declared.PutOptions{})
	_, _, err := s.pipes().PutPipe(s.Life, aPipe, []byte("steps:\n  - topic: numbers\n  - wher: data > 5\n  - topic: toward\n"), declared.PutOptions{})
	if parley.CodeOf(err) != parley.Invalid || !strings.Contains(fmt.Sprint(err), "line 3") {
		s.Fatalf("a misspelt stage: %v", err)
	}
	s.keyed(1, 20)
	s.stats(20)
	s.arrived(1, 20)
}

func pipeState(s *scene) {
	s.pipe("steps: [topic: numbers, batch: 7, topic: toward]", declared.PutOptions{})
	s.put(aTopic, 1, 3)
	s.stats(3)
	const smaller = "steps: [topic: numbers, batch: 2, topic: toward]"
	if _, _, err := s.pipes().PutPipe(s.Life, aPipe, []byte(smaller), declared.PutOptions{}); parley.CodeOf(err) != parley.Conflict {
		s.Fatalf("another batch: %v", err)
	}
	s.pipe(smaller, declared.PutOptions{Drain: true})
	s.put(aTopic, 4, 5)
	s.stats(5)
	var got []string
	for _, e := range s.stored(toward) {
		got = append(got, string(e.Data))
	}
	if !slices.Equal(got, []string{"[1,2,3]", "[4,5]"}) {
		s.Fatal(got)
	}
}

func pipeDead(s *scene) {
	s.create(aTopic, 2)
	s.pipe(passing, declared.PutOptions{})
	s.keyed(1, 10)
	s.publish(aTopic, parley.Event{Data: []byte(`"x"`), DataContentType: "application/json"})
	s.keyed(11, 20)
	if st := s.stats(21); st.Dead != 1 || st.Out != 20 {
		s.Fatalf("%+v", st)
	}
	s.arrived(1, 20)
	dead := s.stored(aPipe + ".dead")
	if len(dead) != 1 || string(dead[0].Data) != `"x"` || dead[0].Extensions[graph.AttrStage] != "some" || dead[0].Extensions[graph.AttrAttempts] != "1" || dead[0].Extensions[graph.AttrCause] == "" {
		s.Fatalf("%v", dead)
	}
}

func pipeAttempts(s *scene) {
	s.pipe("steps: [topic: numbers, tee: topic toward, {http: {url: 'http://nowhere.test/', retry: 3}, name: there}]", declared.PutOptions{})
	s.put(aTopic, 1, 2)
	if st := s.stats(2); st.Dead != 2 {
		s.Fatalf("%+v", st)
	}
	for i, e := range s.stored(aPipe + ".dead") {
		if e.Extensions[graph.AttrStage] != "there" || e.Extensions[graph.AttrAttempts] != "3" || string(e.Data) != strconv.Itoa(i+1) {
			s.Fatalf("%v", e)
		}
	}
	if n := len(s.stored(toward)); n != 2 {
		s.Fatalf("%d events came by the other way", n)
	}
}

func pipeDeleted(s *scene) {
	s.create(aTopic, 2)
	s.pipe(passing, declared.PutOptions{})
	s.keyed(1, 20)
	s.stats(20)
	if err := s.pipes().DeletePipe(s.Life, aPipe); err != nil {
		s.Fatal(err)
	}
	if _, err := s.pipes().PipeStats(s.Life, aPipe); parley.CodeOf(err) != parley.NotFound {
		s.Fatal(err)
	}
	s.pass(10 * time.Second)
	s.pipe(strings.Replace(passing, "toward", "again", 1), declared.PutOptions{})
	if st := s.stats(20); st.In != 20 || len(s.stored("again")) != 20 {
		s.Fatalf("%+v", st)
	}
	s.arrived(1, 20)
}
