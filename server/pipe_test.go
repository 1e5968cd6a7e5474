package server

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/parleyhq/parley/base/cursor"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/engine/memlog"
	"github.com/parleyhq/parley/pattern/pipe/declared"
	"github.com/parleyhq/parley/pattern/pipe/graph"
	"github.com/parleyhq/parley/pattern/pipe/where"
	"github.com/parleyhq/parley/pattern/pubsub"
)

func TestFilesOfPipes(t *testing.T) {
	log, quiet, dir := memlog.New(memlog.Options{}), slog.New(slog.DiscardHandler), t.TempDir()
	topics := topic.New(log, topic.Options{AutoCreate: true})
	if err := topics.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	hub := pubsub.NewHub(log, topics, cursor.NewSealer(), pubsub.Options{})
	pipes, err := declared.NewRegistry(log, new(shard.Local), declared.Options{Topics: topics, Hub: hub, Logger: quiet, Graph: graph.Options{Expr: where.Compile}})
	if err != nil {
		t.Fatal(err)
	}
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
