package overgrpc_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/cursor"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/client/overgrpc"
	"github.com/parleyhq/parley/engine/memlog"
	"github.com/parleyhq/parley/internal/memnet"
	"github.com/parleyhq/parley/pattern/pubsub"
	"github.com/parleyhq/parley/pattern/queue"
	"github.com/parleyhq/parley/wire/door"
	"github.com/parleyhq/parley/wire/grpcapi"
)

// dial runs a gRPC door in a network of its own, and gives a transport to it.
func dial(t *testing.T) *overgrpc.Transport {
	t.Helper()
	g, _ := dialAndCut(t)
	return g
}

// dialAndCut gives a function, too, that loses the connections there are.
func dialAndCut(t *testing.T) (_ *overgrpc.Transport, cut func()) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	log := memlog.New(memlog.Options{})
	topics := topic.New(log, topic.Options{AutoCreate: true})
	if err := topics.Load(ctx); err != nil {
		t.Fatal(err)
	}
	hub := pubsub.NewHub(log, topics, cursor.NewSealer(), pubsub.Options{})
	queues, err := queue.NewRegistry(log, new(shard.Local), queue.RegistryOptions{AutoCreate: true, Topics: topics})
	if err != nil {
		t.Fatal(err)
	}
	if err := queues.Load(ctx); err != nil {
		t.Fatal(err)
	}
	lives := door.NewLives()
	api, err := grpcapi.New(grpcapi.Options{Topics: topics, Hub: hub, Queues: queues, Lives: lives, Context: ctx})
	if err != nil {
		t.Fatal(err)
	}
	wire := memnet.Listen(1 << 20)
	var work sync.WaitGroup
	work.Go(func() { _ = hub.Run(ctx) })
	work.Go(func() { _ = queues.Run(ctx) })
	work.Go(func() { _ = lives.Run(ctx) })
	work.Go(func() { _ = api.Serve(wire) }) // ends by Stop
	conns := make(chan net.Conn, 10)
	g, err := overgrpc.Dial("parley.test", overgrpc.Options{Dial: func(ctx context.Context, _ string) (net.Conn, error) {
		conn, err := wire.Dial(ctx, "", "")
		if err == nil {
			conns <- conn
		}
		return conn, err
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = g.Close()
		api.Stop()
		stop()
		work.Wait()
	})
	return g, func() {
		for len(conns) > 0 {
			_ = (<-conns).Close()
		}
	}
}

func TestPublishIsOncePerID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := dial(t)
		publish := func(e parley.Event) parley.Position {
			t.Helper()
			placed, err := g.Publish(t.Context(), "orders", e)
			if err != nil || len(placed) != 1 {
				t.Fatal(placed, err)
			}
			return placed[0].Position
		}
		own := parley.Event{ID: "1", Source: "/shop", Data: []byte("x")}
		first := publish(own)
		if again := publish(own); again != first {
			t.Errorf("an event with its own id is at %d, and at %d when it is sent again", first, again)
		}
		if a, b := publish(parley.Event{Data: []byte("x")}), publish(parley.Event{Data: []byte("x")}); a == b {
			t.Error("two events without an id are taken for one")
		}
	})
}

func TestErrorsKeepTheirCodeAndField(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := dial(t)
		for _, row := range []struct {
			topic, data string
			code        parley.Code
			field       string
		}{
			{"no good", "x", parley.Invalid, "topic"},
			{"$topics", "x", parley.Forbidden, "topic"},
			{"a", string(make([]byte, 2<<20)), parley.TooLarge, "data"},
		} {
			_, err := g.Publish(t.Context(), row.topic, parley.Event{Data: []byte(row.data)})
			e, ok := err.(*parley.Error)
			if !ok || e.Code != row.code || row.field != "" && e.Field != row.field {
				t.Errorf("%s: %v, want %v of %s", row.topic, err, row.code, row.field)
			}
		}
	})
}
