package grpcapi

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/cursor"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/engine/memlog"
	"github.com/parleyhq/parley/internal/memnet"
	"github.com/parleyhq/parley/pattern/pubsub"
	"github.com/parleyhq/parley/pattern/queue"
	groups "github.com/parleyhq/parley/pattern/stream"
	"github.com/parleyhq/parley/pattern/stream/schema"
	"github.com/parleyhq/parley/wire/door"
	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
)

// rig is a whole door over the in-memory engine, and a client of it.
type rig struct {
	t         testing.TB
	api       *API
	log       parley.Log
	topics    *topic.Registry
	hub       *pubsub.Hub
	queues    *queue.Registry
	groups    *groups.Groups
	lives     *door.Lives
	abdicate  func() // has nobody own the groups any more
	conn      *grpc.ClientConn
	publish   parleyv1.PublishClient
	subscribe parleyv1.SubscribeClient
	manage    parleyv1.TopicsClient
}

// setup is what a test may want of a rig.
type setup struct {
	log    parley.Log // nil = one in memory
	topics topic.Options
	groups groups.Options
	change func(*Options)
}

func newRig(t testing.TB, change func(*Options)) *rig {
	t.Helper()
	return newRigOf(t, setup{topics: topic.Options{AutoCreate: true}, change: change})
}

func newRigOf(t testing.TB, s setup) *rig {
	t.Helper()
	ln := memnet.Listen(1 << 20)
	return rigOn(t, ln, func(ctx context.Context) (net.Conn, error) { return ln.Dial(ctx, "", "") }, s)
}

func rigOn(t testing.TB, ln net.Listener, dial func(context.Context) (net.Conn, error), s setup) *rig {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background()) // outlives the test, until Cleanup has stopped the server
	log := s.log
	if log == nil {
		log = memlog.New(memlog.Options{})
	}
	schemas := schema.New(log, schema.Options{})
	s.topics.Check = schemas.Check
	r := &rig{t: t, log: log, topics: topic.New(log, s.topics), lives: door.NewLives()}
	if err := r.topics.Load(ctx); err != nil {
		t.Fatal(err)
	}
	if err := schemas.Load(ctx, r.topics); err != nil {
		t.Fatal(err)
	}
	r.hub = pubsub.NewHub(log, r.topics, cursor.NewSealer(cursor.Key{ID: 1, Secret: [32]byte{7}}), pubsub.Options{})
	var err error
	if r.queues, err = queue.NewRegistry(log, new(shard.Local), queue.RegistryOptions{AutoCreate: true, Topics: r.topics, Hub: r.hub}); err != nil {
		t.Fatal(err)
	}
	if err := r.queues.Load(ctx); err != nil {
		t.Fatal(err)
	}
	if r.groups, err = groups.New(log, new(shard.Local), r.topics, s.groups); err != nil {
		t.Fatal(err)
	}
	if err := r.groups.Load(ctx); err != nil {
		t.Fatal(err)
	}
	opt := Options{Topics: r.topics, Schemas: schemas, Queues: r.queues, Groups: r.groups, Hub: r.hub, Lives: r.lives, Context: ctx}
	if s.change != nil {
		s.change(&opt)
	}
	if r.api, err = New(opt); err != nil {
		t.Fatal(err)
	}
	owning, abdicate := context.WithCancel(ctx)
	r.abdicate = abdicate
	done := make(chan struct{}, 5)
	run := func(f func()) { go func() { f(); done <- struct{}{} }() }
	run(func() { _ = r.hub.Run(ctx) })
	run(func() { _ = r.topics.Run(ctx) })
	run(func() { _ = r.queues.Run(ctx) })
	run(func() { _ = r.groups.Run(owning) })
	run(func() { _ = r.api.Serve(ln) })
	r.conn, err = grpc.NewClient("passthrough:///parley", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return dial(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = r.conn.Close()
		r.api.Stop()
		stop()
		for range 5 {
			<-done
		}
	})
	r.publish, r.subscribe, r.manage = parleyv1.NewPublishClient(r.conn), parleyv1.NewSubscribeClient(r.conn), parleyv1.NewTopicsClient(r.conn)
	return r
}

// text is an event with data alone.
func text(data string) *parleyv1.Event {
	return &parleyv1.Event{Data: []byte(data), Datacontenttype: "text/plain"}
}

func (r *rig) send(name string, data ...string) *parleyv1.PublishResponse {
	r.t.Helper()
	in := &parleyv1.PublishRequest{Topic: name}
	for _, d := range data {
		in.Events = append(in.Events, text(d))
	}
	out, err := r.publish.Publish(r.t.Context(), in)
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

// reader is a subscription and what came so far.
type reader struct {
	t       testing.TB
	stream  grpc.ServerStreamingClient[parleyv1.SubscribeResponse]
	cursor  string
	data    []string
	notices []*parleyv1.Notice
	sizes   []int // events in each message
}

func (r *rig) read(ctx context.Context, in *parleyv1.SubscribeRequest) *reader {
	r.t.Helper()
	stream, err := r.subscribe.Subscribe(ctx, in)
	if err != nil {
		r.t.Fatal(err)
	}
	rd := &reader{t: r.t, stream: stream}
	if err := rd.next(); err != nil {
		r.t.Fatalf("opening: %v", err)
	}
	return rd
}

func (rd *reader) next() error {
	m, err := rd.stream.Recv()
	if err != nil {
		return err
	}
	rd.cursor = m.GetCursor()
	rd.notices = append(rd.notices, m.GetNotices()...)
	size := 0
	for _, b := range m.GetBatches() {
		for _, e := range b.GetEvents() {
			rd.data = append(rd.data, string(e.GetEvent().GetData()))
			size++
		}
	}
	rd.sizes = append(rd.sizes, size)
	return nil
}

// until reads on until there are n events.
func (rd *reader) until(n int) []string {
	rd.t.Helper()
	for len(rd.data) < n {
		if err := rd.next(); err != nil {
			rd.t.Fatalf("after %d events: %v", len(rd.data), err)
		}
	}
	return rd.data
}

// end reads on until the stream ends.
func (rd *reader) end() error {
	for {
		if err := rd.next(); err != nil {
			return err
		}
	}
}

func earliest(topics ...string) *parleyv1.SubscribeRequest {
	return &parleyv1.SubscribeRequest{Topics: topics, From: &parleyv1.SubscribeRequest_Edge{Edge: parleyv1.Edge_EDGE_EARLIEST}}
}

func after(cursor string, topics ...string) *parleyv1.SubscribeRequest {
	return &parleyv1.SubscribeRequest{Topics: topics, From: &parleyv1.SubscribeRequest_Cursor{Cursor: cursor}}
}

// failure is a status, taken apart.
type failure struct {
	code   codes.Code
	reason string
	field  string
	retry  bool
	meta   map[string]string
	text   string
}

func taken(t testing.TB, err error) failure {
	t.Helper()
	if err == nil || errors.Is(err, io.EOF) {
		t.Fatalf("no error: %v", err)
	}
	s := status.Convert(err)
	f := failure{code: s.Code(), text: s.Message()}
	for _, d := range s.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			if d.GetDomain() != Domain {
				t.Errorf("domain %q", d.GetDomain())
			}
			f.reason, f.meta = d.GetReason(), d.GetMetadata()
		case *errdetails.BadRequest:
			f.field = d.GetFieldViolations()[0].GetField()
		case *errdetails.RetryInfo:
			f.retry = d.GetRetryDelay().AsDuration() > 0
		}
	}
	return f
}

func (f failure) want(t testing.TB, code codes.Code, reason, field string) {
	t.Helper()
	if f.code != code || f.reason != reason || f.field != field {
		t.Fatalf("%s %q, field %q (%s); want %s %q, field %q", f.code, f.reason, f.field, f.text, code, reason, field)
	}
}

func numbers(from, to int) []string {
	var out []string
	for i := from; i < to; i++ {
		out = append(out, strconv.Itoa(i))
	}
	return out
}
