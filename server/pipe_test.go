package server

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/cursor"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/engine/memlog"
	"github.com/parleyhq/parley/pattern/pipe/declared"
	"github.com/parleyhq/parley/pattern/pipe/graph"
	"github.com/parleyhq/parley/pattern/pipe/where"
	"github.com/parleyhq/parley/pattern/pubsub"
)

func somePipes(t *testing.T) *declared.Registry {
	t.Helper()
	log, quiet := memlog.New(memlog.Options{}), slog.New(slog.DiscardHandler)
	topics := topic.New(log, topic.Options{AutoCreate: true})
	if err := topics.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	hub := pubsub.NewHub(log, topics, cursor.NewSealer(), pubsub.Options{})
	pipes, err := declared.NewRegistry(log, new(shard.Local), declared.Options{Topics: topics, Hub: hub, Logger: quiet, Graph: graph.Options{Expr: where.Compile}})
	if err != nil {
		t.Fatal(err)
	}
	return pipes
}

func TestFilesOfPipes(t *testing.T) {
	pipes, quiet, dir := somePipes(t), slog.New(slog.DiscardHandler), t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files := &pipeFiles{dir: dir, pipes: pipes, log: quiet}
	want := func(name, definition string, state declared.State) {
		t.Helper()
		files.look(t.Context())
		i, err := pipes.Get(t.Context(), name)
		if err != nil || i.Definition != definition || i.State != state || i.Origin != declared.Folder {
			t.Fatalf("%+v %v", i, err)
		}
	}
	const good = "steps: [topic: a, use: lib.x, topic: b]"
	write("p.yaml", good)
	write("lib.yml", "stages: {x: where data.n > 1}")
	write("notes.txt", "no pipe")
	if err := files.first(t.Context()); err != nil {
		t.Fatal(err)
	}
	want("p", good, declared.Running)
	write("p.yaml", "steps: [topic: a, wher: x]")
	want("p", good, declared.Running)
	write("p.yaml", good+" # changed")
	want("p", good+" # changed", declared.Running)
	if _, _, err := pipes.Put(t.Context(), "p", []byte(good), declared.PutOptions{}); err == nil {
		t.Error("the API has changed a pipe of a file")
	}
	if err := os.Remove(filepath.Join(dir, "p.yaml")); err != nil {
		t.Fatal(err)
	}
	want("p", good+" # changed", declared.Stopped)
	write("p.yaml", good)
	want("p", good, declared.Running)
	if len(pipes.List()) != 2 {
		t.Error(pipes.List())
	}
	files.dir = filepath.Join(dir, "missing")
	if err := files.first(t.Context()); err == nil {
		t.Error("there is no such directory, and nobody says so")
	}
}

func TestPipeMetrics(t *testing.T) {
	r := start(t, nil)
	r.want(201, "PUT", "/v1/topics/a", `{"partitions": 2}`)
	for _, name := range []string{"p", "q", "r"} {
		r.want(201, "PUT", "/v1/pipes/"+name, "steps: [topic: a, where: data.n > 0, where: data.n > 0, topic: b]")
	}
	r.want(201, "PUT", "/v1/pipes/lib", "stages: {x: where data.n > 1}")
	r.want(204, "POST", "/v1/pipes/q/pause", "")
	r.want(204, "POST", "/v1/pipes/r/stop", "")
	r.want(201, "POST", "/v1/publish", `{"topics":[{"topic":"a","events":[{"data":{"n":1},"partitionkey":"1"},{"data":{"n":0},"partitionkey":"2"},{"data":{"n":"x"},"partitionkey":"3"}]}]}`)
	text := ""
	for _, want := range []string{
		"parley_pipes 4", `parley_pipe_state{pipe="p",state="running"} 1`, `parley_pipe_state{pipe="q",state="paused"} 1`, `parley_pipe_state{pipe="r",state="stopped"} 1`,
		`parley_pipe_events_total{event="in",pipe="p"} 3`, `parley_pipe_events_total{event="out",pipe="p"} 1`, `parley_pipe_events_total{event="dead",pipe="p"} 1`, `parley_pipe_lag_events{pipe="p"} 0`,
		`parley_pipe_step_events_total{event="error",kind="where",pipe="p",step="2"} 1`, `parley_pipe_step_events_total{event="in",kind="where",pipe="p",step="2"} 3`,
		`parley_pipe_step_events_total{event="out",kind="where",pipe="p",step="3"} 1`,
	} {
		for tries := 0; !strings.Contains(text, want+"\n"); tries++ { // pipes take their time
			if tries == 1000 {
				t.Fatalf("/metrics lacks %s", want)
			}
			text = r.want(200, "GET", "/metrics", "")
		}
	}
	for _, not := range []string{`pipe="lib"`, `parley_pipe_events_total{event="in",pipe="r"}`, `"~other"`} {
		if strings.Contains(text, not) {
			t.Errorf("/metrics has %s", not)
		}
	}
	for _, want := range []string{"step_seconds_total", "step_max_seconds", "step_runs_total"} {
		if !strings.Contains(text, "parley_pipe_"+want+`{kind="where",pipe="p",step="2"}`) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
}

// Names of pipes and steps are labels, so there are only so many series of them.
func TestPipeMetricsAreBounded(t *testing.T) {
	pipes := somePipes(t)
	var running sync.WaitGroup
	defer running.Wait()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	running.Go(func() { _ = pipes.Run(ctx) }) // it ends with ctx
	for _, name := range []string{"p", "q", "r", "s"} {
		if _, _, err := pipes.Put(ctx, name, []byte("steps: [topic: a, where: data.n > 0, topic: b]"), declared.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	g := &pipeGauges{pipes: pipes, life: ctx, named: 2, steps: 3}
	series := map[string]int{}
	for series["parley_pipe_step_runs_total"] < 3 { // pipes take their time
		clear(series)
		registry := prometheus.NewRegistry()
		registry.MustRegister(g)
		families, err := registry.Gather()
		if err != nil || t.Context().Err() != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			series[f.GetName()] = len(f.GetMetric())
		}
	}
	for name, want := range map[string]int{"parley_pipes": 1, "parley_pipe_state": 2, "parley_pipe_lag_events": 3, "parley_pipe_events_total": 9, "parley_pipe_step_runs_total": 3, "parley_pipe_step_events_total": 9} {
		if series[name] != want {
			t.Errorf("%d series of %s, want %d", series[name], name, want)
		}
	}
}

func TestHoldsOfSeveralPatterns(t *testing.T) {
	s := parley.Stream{Name: "s"}
	one := func(context.Context) (map[parley.Stream][]topic.Hold, error) {
		return map[parley.Stream][]topic.Hold{s: {{Holder: "one", At: 3}}}, nil
	}
	deaf := func(context.Context) (map[parley.Stream][]topic.Hold, error) { return nil, errors.New("deaf") }
	if all, err := allHolds(one, one)(t.Context()); err != nil || len(all[s]) != 2 {
		t.Error(all, err)
	}
	if _, err := allHolds(one, deaf)(t.Context()); err == nil {
		t.Error("nobody knows what the deaf one holds")
	}
}
