package client_test

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/cursor"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/engine/memlog"
	"github.com/parleyhq/parley/internal/memnet"
	"github.com/parleyhq/parley/pattern/pubsub"
	"github.com/parleyhq/parley/wire/door"
	"github.com/parleyhq/parley/wire/httpapi"
)

// serve runs a server in a network of its own, in the bubble of a synctest, and
// gives a client of it, and a way to cut all its connections.
func serve(t *testing.T) (c *client.Client, cut func()) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	log := memlog.New(memlog.Options{})
	topics := topic.New(log, topic.Options{AutoCreate: true})
	if err := topics.Load(ctx); err != nil {
		t.Fatal(err)
	}
	hub := pubsub.NewHub(log, topics, cursor.NewSealer(cursor.Key{Secret: [32]byte{1}}), pubsub.Options{})
	lives := door.NewLives()
	api, err := httpapi.New(httpapi.Options{Topics: topics, Hub: hub, Lives: lives, Context: ctx})
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	work.Go(func() { _ = hub.Run(ctx) })
	work.Go(func() { _ = topics.Run(ctx) })
	work.Go(func() { _ = lives.Run(ctx) })
	wire := memnet.Listen(1 << 20)
	home := newCutter(wire)
	srv := &http.Server{Handler: api}
	work.Go(func() { _ = srv.Serve(home) })
	transport := &http.Transport{DialContext: wire.Dial}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = srv.Close()
		_ = lives.Drain(ctx, 0)
		home.cut()
		stop()
		work.Wait()
	})
	c, err = client.New("http://parley.test", client.Options{HTTP: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatal(err)
	}
	return c, home.cut
}

var transports = []client.Transport{client.SSE, client.WebSocket, client.LongPoll, client.ShortPoll}

func numbered(from, to int) []parley.Event {
	var events []parley.Event
	for i := from; i <= to; i++ {
		events = append(events, parley.Event{Data: strconv.AppendInt(nil, int64(i), 10), DataContentType: "application/json"})
	}
	return events
}

func publish(t *testing.T, c *client.Client, from, to int) {
	t.Helper()
	if _, err := c.Publish(t.Context(), "numbers", numbered(from, to)...); err != nil {
		t.Fatal(err)
	}
}

// TestOneCursorMovesBetweenTransports reads each next event over another transport.
func TestOneCursorMovesBetweenTransports(t *testing.T) {
	synctest.Test(t, testOneCursorMovesBetweenTransports)
}

func testOneCursorMovesBetweenTransports(t *testing.T) {
	c, _ := serve(t)
	publish(t, c, 1, 40)
	at := "earliest"
	for want := 1; want <= 40; want++ {
		over := transports[want%len(transports)]
		if over == client.LongPoll || over == client.ShortPoll { // a page has one cursor: ask for one event
			p, err := c.Poll(t.Context(), "numbers", client.Poll{After: at, Limit: 1})
			if err != nil || len(p.Events) != 1 || string(p.Events[0].Data) != strconv.Itoa(want) {
				t.Fatalf("%s: %v, %v, want %d", over, p.Events, err, want)
			}
			at = p.Cursor
			continue
		}
		for got, err := range c.Subscribe(t.Context(), client.Subscription{Topics: []string{"numbers"}, From: at, Over: over}) {
			if err != nil || string(got.Data) != strconv.Itoa(want) {
				t.Fatalf("%s: %s%s, %v, want %d", over, got.Data, got.Notice, err, want)
			}
			at = got.Cursor
			break
		}
	}
}

// TestSubscriptionsSurviveCuts cuts all connections again and again: each
// transport still gives every event once.
func TestSubscriptionsSurviveCuts(t *testing.T) {
	for _, over := range transports {
		t.Run(string(over), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { survives(t, over) })
		})
	}
}

func survives(t *testing.T, over client.Transport) {
	c, cut := serve(t)
	publish(t, c, 1, 10)
	const last = 60
	want, published := 1, 10
	for got, err := range c.Subscribe(t.Context(), client.Subscription{Topics: []string{"numbers"}, From: "earliest", Over: over, Every: 1}) {
		if err != nil {
			t.Fatal(err)
		}
		if string(got.Data) != strconv.Itoa(want) {
			t.Fatalf("got %s%s, want %d", got.Data, got.Notice, want)
		}
		if want == last {
			break
		}
		if want++; want > published {
			if want%20 == 1 {
				cut()
			}
			publish(t, c, published+1, published+10)
			published += 10
		}
	}
}

func TestErrorsOfTheServer(t *testing.T) { synctest.Test(t, testErrorsOfTheServer) }

func testErrorsOfTheServer(t *testing.T) {
	c, _ := serve(t)
	publish(t, c, 1, 1)
	for _, row := range []struct {
		what string
		call func() error
		code parley.Code
	}{
		{"a topic's name", func() error { _, err := c.Publish(t.Context(), "no good", numbered(1, 1)...); return err }, parley.Invalid},
		{"an internal topic", func() error { _, err := c.Publish(t.Context(), "$topics", numbered(1, 1)...); return err }, parley.Forbidden},
		{"a cursor", func() error { _, err := c.Poll(t.Context(), "numbers", client.Poll{After: "x"}); return err }, parley.BadCursor},
		{"a topic that is not there", func() error { _, err := c.Topic(t.Context(), "none"); return err }, parley.NotFound},
		{"an event", func() error {
			_, err := c.Publish(t.Context(), "numbers", parley.Event{Type: "a\nb"})
			return err
		}, parley.Invalid},
	} {
		if err := row.call(); err == nil || parley.CodeOf(err) != row.code {
			t.Errorf("%s: %v, want %v", row.what, err, row.code)
		}
	}
}

func TestTopics(t *testing.T) { synctest.Test(t, testTopics) }

func testTopics(t *testing.T) {
	c, _ := serve(t)
	for i := range 5 {
		if _, err := c.PutTopic(t.Context(), fmt.Sprintf("t%d", i), []byte(`{"partitions":2}`)); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.DeleteTopic(t.Context(), "t3"); err != nil {
		t.Fatal(err)
	}
	all, err := c.Topics(t.Context())
	if err != nil || len(all) != 4 {
		t.Fatalf("%v, %v", all, err)
	}
	one, err := c.Topic(t.Context(), "t0")
	if err != nil || len(one.Partitions) != 2 {
		t.Fatalf("%+v, %v", one, err)
	}
}

func TestManyPartitionsOverWebSocket(t *testing.T) { synctest.Test(t, testManyPartitionsOverWebSocket) }

func testManyPartitionsOverWebSocket(t *testing.T) {
	c, cut := serve(t)
	if _, err := c.PutTopic(t.Context(), "wide", []byte(`{"partitions":8}`)); err != nil {
		t.Fatal(err)
	}
	send := func(from, to int) {
		if _, err := c.Publish(t.Context(), "wide", numbered(from, to)...); err != nil {
			t.Fatal(err)
		}
	}
	send(1, 50)
	seen := map[string]bool{}
	for got, err := range c.Subscribe(t.Context(), client.Subscription{Topics: []string{"wide"}, From: "earliest", Over: client.WebSocket}) {
		if err != nil {
			t.Fatal(err)
		}
		if seen[string(got.Data)] {
			t.Fatalf("event %s came twice", got.Data)
		}
		if seen[string(got.Data)] = true; len(seen) == 30 {
			cut()
			send(51, 100)
		}
		if len(seen) == 100 {
			break
		}
	}
}
