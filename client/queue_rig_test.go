package client_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/parleyhq/parley/base/cursor"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/engine/memlog"
	"github.com/parleyhq/parley/internal/memnet"
	"github.com/parleyhq/parley/pattern/pubsub"
	"github.com/parleyhq/parley/pattern/queue"
	"github.com/parleyhq/parley/wire/door"
	"github.com/parleyhq/parley/wire/httpapi"
)

// wireRig is a queue behind the door, a client of it, and faults between them.
type wireRig struct {
	*testing.T
	api    http.Handler
	server *queue.Queue
	client *client.Client
	cut    func() // all connections

	transport http.RoundTripper // to the server

	mu       sync.Mutex
	requests []string                                  // path and body, in order
	fault    func(path string, n int) http.HandlerFunc // instead of the answer; nil = none
}

// queueRig runs f with a rig in a bubble.
func queueRig(t *testing.T, f func(r *wireRig)) {
	synctest.Test(t, func(t *testing.T) {
		r := &wireRig{T: t}
		ctx, stop := context.WithCancel(context.Background())
		log := memlog.New(memlog.Options{})
		topics := topic.New(log, topic.Options{AutoCreate: true})
		r.must(topics.Load(ctx))
		queues, err := queue.NewRegistry(log, new(shard.Local), queue.RegistryOptions{AutoCreate: true, Topics: topics})
		r.must(err)
		r.must(queues.Load(ctx))
		lives := door.NewLives()
		hub := pubsub.NewHub(log, topics, cursor.NewSealer(cursor.Key{Secret: [32]byte{1}}), pubsub.Options{})
		r.api, err = httpapi.New(httpapi.Options{Topics: topics, Hub: hub, Lives: lives, Queues: queues, Context: ctx})
		r.must(err)
		wire := memnet.Listen(1 << 20)
		home := newCutter(wire)
		r.cut = home.cut
		srv := &http.Server{Handler: http.HandlerFunc(r.serve)}
		transport := &http.Transport{DialContext: wire.Dial}
		r.transport = transport
		var work sync.WaitGroup
		work.Go(func() { _ = queues.Run(ctx) })
		work.Go(func() { _ = lives.Run(ctx) })
		work.Go(func() { _ = srv.Serve(home) })
		r.server, err = queues.Ensure(ctx, "emails")
		r.must(err)
		r.client, err = client.New("http://parley.test", client.Options{HTTP: &http.Client{Transport: transport}})
		r.must(err)
		f(r)
		transport.CloseIdleConnections()
		_ = srv.Close()
		_ = lives.Drain(ctx, 0)
		home.cut()
		stop()
		work.Wait()
	})
}

func (r *wireRig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// serve notes a request, and answers it.
func (r *wireRig) serve(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body) // what there is of it
	req.Body = io.NopCloser(bytes.NewReader(body))
	r.mu.Lock()
	r.requests = append(r.requests, req.URL.Path+" "+string(body))
	fault := r.fault
	n := len(r.requests)
	r.mu.Unlock()
	answer := r.api.ServeHTTP
	if fault != nil {
		if broken := fault(req.URL.Path, n); broken != nil {
			answer = broken
		}
	}
	answer(w, req)
}

// lose makes the connection break instead of an answer.
func lose(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func (r *wireRig) enqueue(data ...string) []queue.ID {
	r.Helper()
	jobs := make([]queue.Job, len(data))
	for i := range data {
		jobs[i].Event.Data = []byte(data[i])
	}
	list, err := r.client.Enqueue(r.Context(), "emails", jobs, queue.EnqueueOptions{})
	r.must(err)
	ids := make([]queue.ID, len(list))
	for i := range list {
		ids[i] = list[i].ID
	}
	return ids
}

func (r *wireRig) stats() queue.Stats {
	r.Helper()
	s, err := r.server.Stats(r.Context())
	r.must(err)
	return s
}

// employ runs a worker over the wire, until end is called.
func (r *wireRig) employ(h queue.Handler, o queue.WorkerOptions) (end func()) {
	r.Helper()
	w, err := queue.NewWorker(r.client.Queue("emails"), h, o)
	r.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	return func() {
		r.Helper()
		cancel()
		if err := <-done; err != nil {
			r.Errorf("Run: %v", err)
		}
	}
}
