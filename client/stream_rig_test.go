package client_test

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"sync"
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
	"github.com/parleyhq/parley/pattern/pubsub"
	"github.com/parleyhq/parley/pattern/stream"
	"github.com/parleyhq/parley/wire/door"
	"github.com/parleyhq/parley/wire/httpapi"
)

// groupRig is consumer groups behind the door, a client of them, and faults between.
type groupRig struct {
	*testing.T
	topics    *topic.Registry
	groups    *stream.Groups
	client    *client.Client
	cut       func()            // all connections
	transport http.RoundTripper // to the server
	life      context.Context   // of the loops

	mu    sync.Mutex
	fault func(*http.Request) http.HandlerFunc // instead of the answer; nil = none
	paths map[string]int                       // requests
}

// inGroups runs f with a rig in a bubble.
func inGroups(t *testing.T, f func(r *groupRig)) {
	synctest.Test(t, func(t *testing.T) {
		r := &groupRig{T: t, paths: map[string]int{}}
		ctx, stop := context.WithCancel(context.Background())
		var leave context.CancelFunc
		r.life, leave = context.WithTimeout(ctx, 24*time.Hour) // or what hangs would go on for ever: time costs nothing here
		log := memlog.New(memlog.Options{})
		r.topics = topic.New(log, topic.Options{AutoCreate: true})
		r.must(r.topics.Load(ctx))
		var err error
		sealer := cursor.NewSealer(cursor.Key{Secret: [32]byte{1}})
		r.groups, err = stream.New(log, new(shard.Local), r.topics, stream.Options{Sealer: sealer})
		r.must(err)
		r.must(r.groups.Load(ctx))
		lives := door.NewLives()
		hub := pubsub.NewHub(log, r.topics, sealer, pubsub.Options{})
		api, err := httpapi.New(httpapi.Options{Topics: r.topics, Hub: hub, Lives: lives, Groups: r.groups, Context: ctx})
		r.must(err)
		wire := memnet.Listen(1 << 20)
		home := newCutter(wire)
		r.cut = home.cut
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { r.handler(req, api)(w, req) })}
		transport := &http.Transport{DialContext: wire.Dial}
		r.transport = transport
		var work sync.WaitGroup
		work.Go(func() { _ = r.groups.Run(ctx) })
		work.Go(func() { _ = hub.Run(ctx) })
		work.Go(func() { _ = lives.Run(ctx) })
		work.Go(func() { _ = srv.Serve(home) })
		r.client, err = client.New("http://parley.test", client.Options{HTTP: &http.Client{Transport: transport}})
		r.must(err)
		defer func() {
			leave()
			transport.CloseIdleConnections()
			_ = srv.Close()
			_ = lives.Drain(ctx, 0)
			home.cut()
			stop()
			work.Wait()
		}()
		f(r)
	})
}

func (r *groupRig) handler(req *http.Request, api http.Handler) http.HandlerFunc {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.paths[req.URL.Path]++
	if r.fault != nil {
		if broken := r.fault(req); broken != nil {
			return broken
		}
	}
	return api.ServeHTTP
}

func (r *groupRig) sabotage(f func(*http.Request) http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault = f
}

func (r *groupRig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// fill makes a topic of so many partitions, and publishes numbers to it.
func (r *groupRig) fill(name string, partitions, from, to int) {
	r.Helper()
	_, err := r.client.PutTopic(r.Context(), name, []byte(`{"partitions":`+strconv.Itoa(partitions)+`}`))
	r.must(err)
	events := numbered(from, to)
	for i := range events {
		events[i].Set("partitionkey", strconv.Itoa(i%(4*partitions)))
	}
	_, err = r.client.Publish(r.Context(), name, events...)
	r.must(err)
}

func (r *groupRig) consumer(o client.ConsumerOptions) *client.Consumer {
	r.Helper()
	if o.Topics == nil {
		o.Topics = []string{"numbers"}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(r.Output(), nil))
	}
	c, err := r.client.Group("g").Consumer(o)
	r.must(err)
	return c
}

func (r *groupRig) lag() int64 {
	r.Helper()
	i, err := r.client.Group("g").Info(r.Context())
	r.must(err)
	if i.Lag == nil {
		return -1
	}
	return *i.Lag
}

// reading is a loop of a consumer in a goroutine.
type reading struct {
	end  func() []string // ends the loop and gives what it has had
	got  chan string     // each event's data
	done chan struct{}
}

// read loops, and spends a while on each event.
func (r *groupRig) read(c *client.Consumer, each time.Duration) *reading {
	ctx, cancel := context.WithCancel(r.life)
	one := &reading{got: make(chan string, 100_000), done: make(chan struct{})}
	var all []string
	go func() {
		defer close(one.done)
		for m, err := range c.Messages(ctx) {
			if err != nil {
				if ctx.Err() == nil {
					r.Errorf("the loop ended: %v", err)
				}
				return
			}
			if each > 0 {
				<-time.After(each)
			}
			all = append(all, string(m.Event.Data))
			one.got <- string(m.Event.Data)
		}
	}()
	one.end = func() []string {
		cancel()
		<-one.done
		return all
	}
	return one
}

// sorted are numbers in order.
func sorted(lists ...[]string) []int {
	var out []int
	for _, list := range lists {
		for _, s := range list {
			n, _ := strconv.Atoi(s)
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}

// upTo says that list is 1 to n, each once.
func upTo(list []int, n int) bool {
	for i, v := range list {
		if v != i+1 {
			return false
		}
	}
	return len(list) == n
}

func code(t *testing.T, err error, want parley.Code) {
	t.Helper()
	if err == nil || parley.CodeOf(err) != want {
		t.Errorf("%v, want %v", err, want)
	}
}
