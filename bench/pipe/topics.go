package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/cursor"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/engine/disklog"
	"github.com/parleyhq/parley/internal/vfs"
	"github.com/parleyhq/parley/pattern/pipe/declared"
	"github.com/parleyhq/parley/pattern/pubsub"
)

// broker is what of a server has to do with pipes, over a log on disk.
type broker struct {
	topics *topic.Registry
	pipes  *declared.Registry
	events int
	made   int
}

// topics compares pipes from a topic to another.
func topics(ctx context.Context, events int, dir string) (_ []side, stop func(), err error) {
	b := &broker{events: events}
	if stop, err = b.open(ctx, dir); err != nil {
		return nil, nil, err
	}
	if err := b.fill(ctx); err != nil {
		stop()
		return nil, nil, err
	}
	as := func(stages string, part int) func(context.Context) (int, error) {
		return func(ctx context.Context) (int, error) { return events, b.through(ctx, stages, events/part) }
	}
	return []side{
		{"no stage", as("", 1)},
		{"no stage, again", as("", 1)},
		{"where, all pass", as("\n  - where: data.total >= 0", 1)},
		{"where, half pass", as("\n  - where: data.total > 99", 2)},
		{"map", as("\n  - map: '{id: .id, total: .total}'", 1)},
	}, stop, nil
}

func (b *broker) open(ctx context.Context, dir string) (stop func(), err error) {
	quiet := slog.New(slog.DiscardHandler)
	log, err := disklog.Open(vfs.OS(dir), disklog.Options{Logger: quiet})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	run := func(f func(context.Context) error) { running.Go(func() { _ = f(ctx) }) } // what fails shows in what they serve
	run(log.Run)
	stop = func() { cancel(); running.Wait() }
	keys, err := cursor.LoadKeys(ctx, log)
	if err != nil {
		stop()
		return nil, err
	}
	b.topics = topic.New(log, topic.Options{AutoCreate: true, Logger: quiet})
	hub := pubsub.NewHub(log, b.topics, cursor.NewSealer(keys...), pubsub.Options{})
	b.pipes, err = declared.NewRegistry(log, new(shard.Local), declared.Options{Topics: b.topics, Hub: hub, Graph: languages(), Logger: quiet})
	if err == nil {
		err = b.topics.Load(ctx)
	}
	if err == nil {
		err = b.pipes.Load(ctx)
	}
	if err != nil {
		stop()
		return nil, err
	}
	run(hub.Run)
	run(b.topics.Run)
	run(b.pipes.Run)
	return stop, nil
}

// fill publishes events of 1 KiB: a dozen members, one of them long.
func (b *broker) fill(ctx context.Context) error {
	note := strings.Repeat("Deliver to the back door, and ring twice. ", 19)
	for n := 0; n < b.events; {
		var part []parley.Event
		for ; len(part) < 500 && n < b.events; n++ {
			data := fmt.Appendf(nil, `{"id":%d,"note":%q,"customer":{"name":"Customer %d","city":"Bonn","vip":%t},"items":[{"sku":"tea-1","n":2},{"sku":"cup-7","n":1}],"total":%d,"paid":true}`, n, note, n%1000, n%7 == 0, n%200)
			part = append(part, parley.Event{Data: data, DataContentType: "application/json"})
		}
		if _, _, err := b.topics.Publish(ctx, "in", part, topic.PublishOptions{}); err != nil {
			return err
		}
	}
	return nil
}

// through puts a pipe, and waits until it has committed all events.
func (b *broker) through(ctx context.Context, stages string, pass int) error {
	b.made++
	name := fmt.Sprintf("p%d", b.made)
	text := "steps:\n  - topic: in" + stages + "\n  - topic: out-" + name + "\n"
	if _, _, err := b.pipes.Put(ctx, name, []byte(text), declared.PutOptions{}); err != nil {
		return err
	}
	tick := time.NewTicker(20 * time.Millisecond) // its figures say how far behind it is, for which they read on
	defer tick.Stop()
	for {
		s, err := b.pipes.Stats(ctx, name)
		switch {
		case err != nil && parley.CodeOf(err) != parley.Unavailable:
			return err
		case err == nil && s.Problem != "":
			return fmt.Errorf("the pipe fails: %s", s.Problem)
		case err == nil && s.In == int64(b.events):
			if s.Out != int64(pass) || s.Dead > 0 {
				return fmt.Errorf("%d came out and %d are dead, want %d", s.Out, s.Dead, pass)
			}
			if err := b.pipes.Delete(ctx, name); err != nil {
				return err
			}
			return b.topics.Delete(ctx, "out-"+name)
		}
		<-tick.C
	}
}
