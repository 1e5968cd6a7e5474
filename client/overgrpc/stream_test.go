package overgrpc_test

import (
	"context"
	"net"
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
	"github.com/parleyhq/parley/client/overgrpc"
	"github.com/parleyhq/parley/engine/memlog"
	"github.com/parleyhq/parley/internal/memnet"
	"github.com/parleyhq/parley/pattern/pubsub"
	"github.com/parleyhq/parley/pattern/stream"
	"github.com/parleyhq/parley/wire/door"
	"github.com/parleyhq/parley/wire/grpcapi"
)

// groupsRig is consumer groups behind the gRPC door, and a client that reaches only
// that.
type groupsRig struct {
	*testing.T
	topics *topic.Registry
	groups *stream.Groups
	client *client.Client
	life   context.Context // of the loops

	mu    sync.Mutex
	conns []net.Conn
}

func inGroups(t *testing.T, f func(r *groupsRig)) {
	synctest.Test(t, func(t *testing.T) {
		r := &groupsRig{T: t}
		ctx, stop := context.WithCancel(context.Background())
		life, leave := context.WithTimeout(ctx, 24*time.Hour) // or what hangs would go on for ever: time costs nothing here
		r.life = life
		log := memlog.New(memlog.Options{})
		r.topics = topic.New(log, topic.Options{AutoCreate: true})
		r.must(r.topics.Load(ctx))
		hub := pubsub.NewHub(log, r.topics, cursor.NewSealer(), pubsub.Options{})
		var err error
		r.groups, err = stream.New(log, new(shard.Local), r.topics, stream.Options{})
		r.must(err)
		r.must(r.groups.Load(ctx))
		lives := door.NewLives()
		api, err := grpcapi.New(grpcapi.Options{Topics: r.topics, Hub: hub, Groups: r.groups, Lives: lives, Context: ctx})
		r.must(err)
		wire := memnet.Listen(1 << 20)
		var work sync.WaitGroup
		work.Go(func() { _ = hub.Run(ctx) })
		work.Go(func() { _ = r.groups.Run(ctx) })
		work.Go(func() { _ = lives.Run(ctx) })
		work.Go(func() { _ = api.Serve(wire) }) // ends by Stop
		g, err := overgrpc.Dial("parley.test", overgrpc.Options{Dial: func(ctx context.Context, _ string) (net.Conn, error) {
			c, err := wire.Dial(ctx, "", "")
			r.mu.Lock()
			r.conns = append(r.conns, c)
			r.mu.Unlock()
			return c, err
		}})
		r.must(err)
		r.client, err = client.New("http://parley.test", client.Options{GRPC: g, HTTP: &http.Client{Transport: &http.Transport{}}})
		r.must(err)
		defer func() {
			leave()
			_ = g.Close()
			api.Stop()
			stop()
			work.Wait()
		}()
		f(r)
	})
}

func (r *groupsRig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// cut breaks all connections.
func (r *groupsRig) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		_ = c.Close()
	}
	r.conns = nil
}

func (r *groupsRig) fill(from, to int) {
	r.Helper()
	for n := from; n <= to; n++ {
		e := parley.Event{Type: "n", Data: []byte(strconv.Itoa(n)), DataContentType: "text/plain"}
		e.Set("partitionkey", strconv.Itoa(n%16))
		_, _, err := r.topics.Publish(r.Context(), "numbers", []parley.Event{e}, topic.PublishOptions{})
		r.must(err)
	}
}

// read loops until the function that it gives is called, which gives what came.
func (r *groupsRig) read(o client.ConsumerOptions, each time.Duration) (end func() []int) {
	r.Helper()
	o.Topics, o.Over = []string{"numbers"}, client.GRPC
	c, err := r.client.Group("g").Consumer(o)
	r.must(err)
	ctx, cancel := context.WithCancel(r.life)
	done := make(chan []int, 1)
	go func() {
		var got []int
		for m, err := range c.Messages(ctx) {
			if err != nil {
				if ctx.Err() == nil {
					r.Errorf("the loop ended: %v", err)
				}
				break
			}
			if each > 0 {
				<-time.After(each)
			}
			n, _ := strconv.Atoi(string(m.Event.Data))
			got = append(got, n)
		}
		done <- got
	}()
	return func() []int {
		cancel()
		return <-done
	}
}

func upTo(t *testing.T, n int, lists ...[]int) {
	t.Helper()
	all := slices.Concat(lists...)
	slices.Sort(all)
	for i, v := range all {
		if v != i+1 {
			t.Fatalf("%d events, not 1 to %d: %v", len(all), n, all)
		}
	}
	if len(all) != n {
		t.Fatalf("%d events, not %d", len(all), n)
	}
}

// TestConsumersOverGRPC: two members share partitions in peace, and nothing is read
// twice.
func TestConsumersOverGRPC(t *testing.T) {
	inGroups(t, func(r *groupsRig) {
		r.fill(1, 100)
		o := client.ConsumerOptions{AutoCommit: time.Second, Limit: 10}
		one := r.read(o, 100*time.Millisecond)
		<-time.After(3 * time.Second)
		two := r.read(o, 100*time.Millisecond)
		<-time.After(20 * time.Second)
		first := two()
		r.fill(101, 120)
		<-time.After(20 * time.Second)
		upTo(t, 120, first, one())
		g, err := r.groups.Get(r.Context(), "g")
		r.must(err)
		info, err := g.Describe(r.Context())
		r.must(err)
		if info.Lag != 0 || len(info.Members) != 0 {
			t.Errorf("in the end the group is %+v", info)
		}
	})
}

// TestConsumerOverGRPCOutlivesCuts: no event is lost, and none comes twice, since the
// membership stays.
func TestConsumerOverGRPCOutlivesCuts(t *testing.T) {
	inGroups(t, func(r *groupsRig) {
		r.fill(1, 200)
		end := r.read(client.ConsumerOptions{AutoCommit: time.Second}, 70*time.Millisecond)
		for range 30 {
			<-time.After(time.Second)
			r.cut()
		}
		r.fill(201, 210)
		<-time.After(time.Minute)
		upTo(t, 210, end())
	})
}

// TestGivenUpOverGRPC: a member that is taken out joins anew.
func TestGivenUpOverGRPC(t *testing.T) {
	inGroups(t, func(r *groupsRig) {
		r.fill(1, 5)
		lost := 0
		end := r.read(client.ConsumerOptions{AutoCommit: time.Second, OnRevoke: func(context.Context, []stream.Place) { lost++ }}, 0)
		synctest.Wait()
		r.must(r.groups.Delete(r.Context(), "g", true))
		<-time.After(time.Minute)
		if got := end(); len(got) != 10 || lost != 2 { // the group began anew; the second loss is the end of the loop
			t.Errorf("%d losses, %v", lost, got)
		}
	})
}
