package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strings"
	"sync"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/pattern/pipe"
)

// pipeTopics are the topics of a server as sources and sinks of pipes.
type pipeTopics struct {
	client *client.Client
	say    func(text string)
	source *topicSource // the last that was opened: whose cursor is told
	opened int
}

// cursor is the place behind all that is done, "" if there is no one place.
func (t *pipeTopics) cursor() string {
	if t.opened != 1 {
		return ""
	}
	return t.source.place()
}

// Source implements local.Topics.
func (t *pipeTopics) Source(ctx context.Context, names []string, from string, end bool) (pipe.Source[parley.Event], error) {
	wild := strings.ContainsAny(strings.Join(names, ""), "*>")
	if end && (len(names) > 1 || wild) {
		return nil, &parley.Error{Code: parley.Unsupported, Field: "topic", Detail: "--until end is for one topic", Fix: "merge several, as in: merge 'topic a --until end' 'topic b --until end'"}
	}
	s := &topicSource{topics: t, got: make(chan client.Received, 1024), ended: make(chan struct{})}
	t.source = s
	t.opened++
	life, stop := context.WithCancel(ctx)
	s.stop = stop
	go func() {
		defer close(s.ended)
		defer close(s.got)
		if end {
			s.err = s.poll(life, names[0], from)
		} else {
			s.err = s.follow(life, names, from)
		}
	}()
	return s, nil
}

// topicSource is a subscription as a source. One goroutine receives, so that what is
// there is taken together.
type topicSource struct {
	topics *pipeTopics
	got    chan client.Received
	err    error // after got is closed
	ended  chan struct{}
	stop   context.CancelFunc

	mu    sync.Mutex
	given int64
	marks []mark // cursors of what is not done, oldest first
	done  string
}

// mark is the cursor behind so many events.
type mark struct {
	events int64
	cursor string
}

func (s *topicSource) follow(ctx context.Context, names []string, from string) error {
	for r, err := range s.topics.client.Subscribe(ctx, client.Subscription{Topics: names, From: from, Over: client.SSE}) {
		if err != nil {
			return err
		}
		if r.Notice != "" {
			s.topics.say(notice(r.Notice))
			continue
		}
		select {
		case s.got <- r:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return context.Cause(ctx)
}

// poll reads a topic up to its end.
func (s *topicSource) poll(ctx context.Context, name, from string) error {
	for {
		page, err := s.topics.client.Poll(ctx, name, client.Poll{After: from, Limit: 1000})
		if err != nil {
			return err
		}
		for i, e := range page.Events {
			r := client.Received{Event: e}
			if i == len(page.Events)-1 {
				r.Cursor = page.Cursor
			}
			select {
			case s.got <- r:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		if from = page.Cursor; !page.More {
			return io.EOF
		}
	}
}

// Next implements pipe.Source.
func (s *topicSource) Next(ctx context.Context) ([]parley.Event, error) {
	var all []parley.Event
	select {
	case r, open := <-s.got:
		if !open {
			return nil, s.err
		}
		all = append(all, s.take(r))
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	for len(all) < 256 {
		select {
		case r, open := <-s.got:
			if !open {
				return all, s.err
			}
			all = append(all, s.take(r))
		default:
			return all, nil
		}
	}
	return all, nil
}

func (s *topicSource) take(r client.Received) parley.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.given++; r.Cursor != "" {
		s.marks = append(s.marks, mark{s.given, r.Cursor})
	}
	return r.Event
}

// Ack implements pipe.Acker.
func (s *topicSource) Ack(_ context.Context, events int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for n < len(s.marks) && s.marks[n].events <= events {
		s.done = s.marks[n].cursor
		n++
	}
	s.marks = s.marks[n:]
	return nil
}

func (s *topicSource) place() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.done
}

// Close ends the subscription.
func (s *topicSource) Close() error {
	s.stop()
	for range s.got { // so that it can end
	}
	<-s.ended
	return nil
}

// Sink implements local.Topics.
func (t *pipeTopics) Sink(_ context.Context, name string) (pipe.Sink[parley.Event], error) {
	return pipe.SinkFunc[parley.Event](func(ctx context.Context, events []parley.Event) error {
		for len(events) > 0 {
			n, size := 0, 0
			for n < len(events) && n < pubEvents && (n == 0 || size < pubBytes) {
				size += len(events[n].Data)
				n++
			}
			if err := t.publish(ctx, name, events[:n]); err != nil {
				return err
			}
			events = events[n:]
		}
		return nil
	}), nil
}

// publish publishes under a key of what is published, so that a run that makes the
// same again does so without effect.
func (t *pipeTopics) publish(ctx context.Context, name string, events []parley.Event) error {
	h := sha256.New()
	for i := range events {
		h.Write(append(events[i].AppendJSON(nil), '\n'))
	}
	_, _, err := t.client.PublishOnce(ctx, "pipe-"+hex.EncodeToString(h.Sum(nil)[:16]), name, events...)
	switch parley.CodeOf(err) {
	case parley.Unavailable, parley.Timeout, parley.Overloaded, parley.Throttled, parley.Unknown, parley.Internal, parley.Full:
		return err
	}
	return pipe.Permanent(err) // nil stays nil
}
