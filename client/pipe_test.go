package client_test

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/cursor"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/engine/memlog"
	"github.com/parleyhq/parley/internal/memnet"
	"github.com/parleyhq/parley/pattern/pipe/declared"
	"github.com/parleyhq/parley/pattern/pipe/graph"
	"github.com/parleyhq/parley/pattern/pipe/jq"
	"github.com/parleyhq/parley/pattern/pipe/where"
	"github.com/parleyhq/parley/pattern/pubsub"
	"github.com/parleyhq/parley/wire/door"
	"github.com/parleyhq/parley/wire/httpapi"
)

// pipeRig is declared pipes behind the door, and a client of it.
type pipeRig struct {
	*testing.T
	client *client.Client
	http   *http.Client
	cut    func()                                               // all connections
	ended  atomic.Int64                                         // connections that the client was told of
	fault  atomic.Pointer[func(*http.Request) http.HandlerFunc] // instead of the answer; nil = none
}

// inPipes runs f with a rig in a bubble.
func inPipes(t *testing.T, f func(r *pipeRig)) {
	synctest.Test(t, func(t *testing.T) {
		r := &pipeRig{T: t}
		ctx, stop := context.WithCancel(context.Background())
		log := memlog.New(memlog.Options{})
		topics := topic.New(log, topic.Options{AutoCreate: true})
		r.must(topics.Load(ctx))
		hub := pubsub.NewHub(log, topics, cursor.NewSealer(cursor.Key{Secret: [32]byte{1}}), pubsub.Options{})
		pipes, err := declared.NewRegistry(log, new(shard.Local), declared.Options{
			Topics: topics, Hub: hub, Logger: slog.New(slog.DiscardHandler), Graph: graph.Options{Expr: where.Compile, JQ: jq.Compile},
		})
		r.must(err)
		r.must(pipes.Load(ctx))
		lives := door.NewLives()
		api, err := httpapi.New(httpapi.Options{Topics: topics, Hub: hub, Lives: lives, Pipes: pipes, Context: ctx})
		r.must(err)
		wire := memnet.Listen(1 << 20)
		home := newCutter(wire)
		r.cut = home.cut
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if fault := r.fault.Load(); fault != nil {
				if broken := (*fault)(req); broken != nil {
					broken(w, req)
					return
				}
			}
			api.ServeHTTP(w, req)
		})}
		transport := &http.Transport{DialContext: wire.Dial}
		var work sync.WaitGroup
		work.Go(func() { _ = hub.Run(ctx) })
		work.Go(func() { _ = topics.Run(ctx) })
		work.Go(func() { _ = pipes.Run(ctx) })
		work.Go(func() { _ = lives.Run(ctx) })
		work.Go(func() { _ = srv.Serve(home) })
		defer func() {
			transport.CloseIdleConnections()
			_ = srv.Close()
			_ = lives.Drain(ctx, 0)
			home.cut()
			stop()
			work.Wait()
		}()
		r.http = &http.Client{Transport: transport}
		r.client, err = client.New("http://parley.test", client.Options{
			HTTP: r.http, OnReconnect: func(error, time.Duration) { r.ended.Add(1) },
		})
		r.must(err)
		f(r)
	})
}

func (r *pipeRig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

const doubled = "steps:\n- topic: numbers\n- where: data > 1\n  name: big\n- map: .*2\n- topic: doubled\n"

func (r *pipeRig) put(name, text string) declared.Info {
	r.Helper()
	i, _, err := r.client.PutPipe(r.Context(), name, []byte(text), declared.PutOptions{})
	r.must(err)
	return i
}

// stats are those once everything rests.
func (r *pipeRig) stats(name string) declared.Stats {
	r.Helper()
	synctest.Wait()
	s, err := r.client.PipeStats(r.Context(), name)
	r.must(err)
	return s
}

// has wants a topic to hold these data.
func (r *pipeRig) has(topic, want string) {
	r.Helper()
	p, err := r.client.Poll(r.Context(), topic, client.Poll{After: "earliest"})
	r.must(err)
	var got []string
	for _, e := range p.Events {
		got = append(got, string(e.Data))
	}
	if strings.Join(got, " ") != want {
		r.Errorf("%s has %v, want %s", topic, got, want)
	}
}

func TestAPipeFromPutToDelete(t *testing.T) {
	inPipes(t, func(r *pipeRig) {
		c, ctx := r.client, r.Context()
		i, created, err := c.PutPipe(ctx, "p", []byte(doubled), declared.PutOptions{State: declared.Paused})
		if err != nil || !created || i.Name != "p" || i.State != declared.Paused || i.Definition != doubled {
			r.Fatalf("%+v, %v, %v", i, created, err)
		}
		publish(r.T, c, 1, 3)
		if s := r.stats("p"); s.State != declared.Paused || s.In != 0 {
			r.Errorf("paused it has done %+v", s)
		}
		r.must(c.StartPipe(ctx, "p"))
		if s := r.stats("p"); s.State != declared.Running || s.In != 3 || s.Out != 2 || s.Lag != 0 || s.Steps[0].Name != "big" || s.Steps[0].Out != 2 {
			r.Errorf("it has done %+v", s)
		}
		r.has("doubled", "4 6")
		r.must(c.StopPipe(ctx, "p"))
		r.stats("p") // it is answered before the pipe has ended
		publish(r.T, c, 4, 4)
		if s := r.stats("p"); s.State != declared.Stopped {
			r.Errorf("stopped it is %+v", s)
		}
		r.has("doubled", "4 6")
		r.must(c.StartPipe(ctx, "p"))
		r.must(c.PausePipe(ctx, "p"))
		r.must(c.StartPipe(ctx, "p"))
		r.stats("p")
		r.has("doubled", "4 6 8")
		list, err := c.Pipes(ctx)
		if err != nil || len(list) != 1 || list[0].Name != "p" || list[0].Definition != "" {
			r.Errorf("%+v, %v", list, err)
		}
		r.must(c.DeletePipe(ctx, "p"))
		code(r.T, c.DeletePipe(ctx, "p"), parley.NotFound)
		if list, err = c.Pipes(ctx); err != nil || len(list) != 0 {
			r.Errorf("%+v, %v", list, err)
		}
	})
}

// TestADefinitionThatIsRefused leaves what runs.
func TestADefinitionThatIsRefused(t *testing.T) {
	inPipes(t, func(r *pipeRig) {
		c, ctx := r.client, r.Context()
		first := r.put("p", doubled)
		bad := []byte("steps:\n- topic: numbers\n- wher: data > 1\n- topic: doubled\n")
		_, created, err := c.PutPipe(ctx, "p", bad, declared.PutOptions{})
		if code(r.T, err, parley.Invalid); created || !strings.Contains(err.Error(), "line 3") {
			r.Errorf("%v, %v", created, err)
		}
		report, err := c.CheckPipe(ctx, "p", bad)
		if err != nil || report.OK || report.Problems[0].Line != 3 || report.Problems[0].Field != "wher" {
			r.Errorf("%+v, %v", report, err)
		}
		if report, err = c.CheckPipe(ctx, "p", nil); err != nil || !report.OK || len(report.Steps) != 5 || report.Steps[4].Path != "dead.1" {
			r.Errorf("what is stored: %+v, %v", report, err)
		}
		_, _, err = c.PutPipe(ctx, "p", []byte(doubled), declared.PutOptions{State: "asleep"})
		code(r.T, err, parley.Invalid)
		_, _, err = c.PutPipe(ctx, "no/name", []byte(doubled), declared.PutOptions{})
		code(r.T, err, parley.Invalid)
		if now, err := c.Pipe(ctx, "p"); err != nil || now.Revision != first.Revision || now.Definition != doubled {
			r.Errorf("%+v, %v", now, err)
		}
		publish(r.T, c, 2, 2)
		r.stats("p")
		r.has("doubled", "4")
	})
}

// TestAPipeThatKeepsState changes its stages with drain only.
func TestAPipeThatKeepsState(t *testing.T) {
	inPipes(t, func(r *pipeRig) {
		r.put("p", "steps: [topic: numbers, batch: 10, topic: lists]")
		publish(r.T, r.client, 1, 2)
		r.stats("p")
		plain := []byte("steps: [topic: numbers, topic: lists]")
		_, _, err := r.client.PutPipe(r.Context(), "p", plain, declared.PutOptions{})
		code(r.T, err, parley.Conflict)
		_, created, err := r.client.PutPipe(r.Context(), "p", plain, declared.PutOptions{Drain: true})
		if r.must(err); created {
			r.Error("it was there")
		}
		r.stats("p")
		publish(r.T, r.client, 3, 3)
		r.stats("p")
		r.has("lists", "[1,2] 3")
	})
}

// TestStagesForPipes cannot be run, nor deleted while one uses them.
func TestStagesForPipes(t *testing.T) {
	inPipes(t, func(r *pipeRig) {
		c, ctx := r.client, r.Context()
		if i := r.put("lib", "stages: {big: where data > 1}"); !i.Stages {
			r.Errorf("%+v", i)
		}
		if i := r.put("p", "steps: [topic: numbers, use: lib.big, topic: doubled]"); len(i.Uses) != 1 || i.Uses[0] != "lib.big" {
			r.Errorf("%+v", i)
		}
		code(r.T, c.PausePipe(ctx, "lib"), parley.Unprocessable)
		code(r.T, c.DeletePipe(ctx, "lib"), parley.Conflict)
		_, err := c.PipeStats(ctx, "lib")
		code(r.T, err, parley.Unprocessable)
		for _, err := range c.TapPipe(ctx, "lib", "1") {
			code(r.T, err, parley.Unprocessable)
		}
	})
}

func TestAPipeThatIsMissing(t *testing.T) {
	inPipes(t, func(r *pipeRig) {
		c, ctx := r.client, r.Context()
		for name, do := range map[string]func() error{
			"show":   func() error { _, err := c.Pipe(ctx, "p"); return err },
			"stats":  func() error { _, err := c.PipeStats(ctx, "p"); return err },
			"check":  func() error { _, err := c.CheckPipe(ctx, "p", nil); return err },
			"start":  func() error { return c.StartPipe(ctx, "p") },
			"pause":  func() error { return c.PausePipe(ctx, "p") },
			"stop":   func() error { return c.StopPipe(ctx, "p") },
			"delete": func() error { return c.DeletePipe(ctx, "p") },
			"tap":    func() error { return refusal(c.TapPipe(ctx, "p", "1")) },
		} {
			if err := do(); parley.CodeOf(err) != parley.NotFound || err == nil {
				r.Errorf("%s: %v", name, err)
			}
		}
	})
}

// refusal is what ends a tap before anything is shown.
func refusal(tap iter.Seq2[client.Tapped, error]) error {
	for _, err := range tap {
		return err
	}
	return nil
}

func TestATapThatIsRefused(t *testing.T) {
	inPipes(t, func(r *pipeRig) {
		r.put("p", doubled)
		synctest.Wait()
		code(r.T, refusal(r.client.TapPipe(r.Context(), "p", "9")), parley.NotFound)
		code(r.T, refusal(r.client.TapPipe(r.Context(), "p", "")), parley.Invalid)
		r.must(r.client.StopPipe(r.Context(), "p"))
		code(r.T, refusal(r.client.TapPipe(r.Context(), "p", "2")), parley.Unavailable)
		garbled := func(req *http.Request) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				_, _ = w.Write([]byte("data: {\"number\":\"one\"}\n\n"))
			}
		}
		r.fault.Store(&garbled)
		code(r.T, refusal(r.client.TapPipe(r.Context(), "p", "2")), parley.Internal)
		if n := r.ended.Load(); n != 0 {
			r.Errorf("refused, it came again %d times", n)
		}
	})
}

// TestATapOfTheWrongScheme ends: no further connection would do better.
func TestATapOfTheWrongScheme(t *testing.T) {
	inPipes(t, func(r *pipeRig) {
		c, err := client.New("https://parley.test", client.Options{HTTP: r.http})
		r.must(err)
		ctx, cancel := context.WithTimeout(r.Context(), time.Hour)
		defer cancel()
		code(r.T, refusal(c.TapPipe(ctx, "p", "2")), parley.Unsupported)
	})
}

// tapping loops over a tap in a goroutine until ctx ends, which is its only error.
func (r *pipeRig) tapping(ctx context.Context, step string) <-chan client.Tapped {
	seen := make(chan client.Tapped, 1000)
	go func() {
		defer close(seen)
		for one, err := range r.client.TapPipe(ctx, "p", step) {
			if err != nil {
				if !errors.Is(err, context.Canceled) {
					r.Errorf("the tap ended: %v", err)
				}
				return
			}
			seen <- one
		}
	}()
	synctest.Wait()
	return seen
}

// TestATapShowsBeforeAndAfter, by path and by name, and over a cut.
func TestATapShowsBeforeAndAfter(t *testing.T) {
	inPipes(t, func(r *pipeRig) {
		r.put("p", doubled)
		synctest.Wait()
		ctx, end := context.WithCancel(r.Context())
		byPath, byName := r.tapping(ctx, "3"), r.tapping(ctx, "big")
		publish(r.T, r.client, 1, 2)
		left, passed, mapped := <-byName, <-byName, <-byPath
		if left.Step != "2" || left.Dropped != 0 || len(left.After) != 0 || !strings.Contains(string(left.Before), `"data":1`) {
			r.Errorf("left out: %+v", left)
		}
		if len(passed.After) != 1 || !strings.Contains(string(passed.After[0]), `"data":2`) {
			r.Errorf("passed: %+v", passed)
		}
		if !strings.Contains(string(mapped.Before), `"data":2`) || len(mapped.After) != 1 || !strings.Contains(string(mapped.After[0]), `"data":4`) {
			r.Errorf("mapped: %+v", mapped)
		}
		r.cut()
		<-time.After(time.Minute)
		synctest.Wait()
		if r.ended.Load() != 2 {
			r.Errorf("%d connections ended", r.ended.Load())
		}
		publish(r.T, r.client, 5, 5)
		if again := <-byPath; !strings.Contains(string(again.Before), `"data":5`) {
			r.Errorf("after the cut: %+v", again)
		}
		end()
		for range byPath {
			r.Error("there is more")
		}
		<-byName
		for range byName {
			r.Error("there is more")
		}
	})
}

// TestATapCountsWhatItDoesNotShow: of 1,000 events at once each is shown or counted.
func TestATapCountsWhatItDoesNotShow(t *testing.T) {
	inPipes(t, func(r *pipeRig) {
		r.put("p", doubled)
		synctest.Wait()
		ctx, end := context.WithCancel(r.Context())
		seen := r.tapping(ctx, "big")
		publish(r.T, r.client, 1, 1000)
		<-time.After(2 * time.Second)
		publish(r.T, r.client, 1001, 1001) // with it comes the count of what was before
		<-time.After(time.Second)
		synctest.Wait()
		end()
		var shown, dropped int64
		for one := range seen {
			if one.Dropped > 0 {
				dropped += one.Dropped
			} else {
				shown++
			}
		}
		if shown < 2 || dropped == 0 || shown+dropped != 1001 {
			r.Errorf("%d shown, %d dropped", shown, dropped)
		}
		if s := r.stats("p"); s.In != 1001 || s.Out != 1000 {
			r.Errorf("the tap has changed the pipe: %+v", s)
		}
	})
}
