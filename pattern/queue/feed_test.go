package queue

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/cursor"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/base/shard/shardtest"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/engine/memlog"
	"github.com/parleyhq/parley/pattern/pubsub"
)

// hub runs a hub over a registry that makes topics as they are published to.
func hub(t *testing.T, log parley.Log, o topic.Options) (*topic.Registry, *pubsub.Hub) {
	t.Helper()
	topics := topic.New(log, o)
	if err := topics.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	h := pubsub.NewHub(log, topics, cursor.NewSealer(cursor.Key{ID: 1}), pubsub.Options{})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = h.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-done
	})
	return topics, h
}

// fedRig runs a test with a queue that can be fed.
func fedRig(t *testing.T, fn func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, log: memlog.New(memlog.Options{})}
		topics, h := hub(t, r.log, topic.Options{AutoCreate: true})
		r.run(Options{Topics: topics, Hub: h})
		defer func() { r.stop() }()
		fn(r)
	})
}

func (r *rig) again() {
	o := r.opt
	r.stop()
	r.run(o)
}

func ids(list []Lease) (out []string) {
	for _, l := range list {
		out = append(out, l.Event.ID)
	}
	return out
}

func numbered(from, to int) (list []parley.Event) {
	for i := from; i <= to; i++ {
		list = append(list, parley.Event{ID: strconv.Itoa(i), Data: []byte("x")})
	}
	return list
}

func TestFeed(t *testing.T) {
	fedRig(t, func(r *rig) {
		r.publish("orders.old", numbered(1, 3)...)
		r.configure(Settings{Feed: []string{"orders.*", "users"}})
		begun := time.Now()
		r.publish("orders.old", parley.Event{
			ID: "4", Source: "/shop", Type: "order", Data: []byte("four"),
			Extensions: map[string]string{"traceparent": "00-1", parley.PartitionKey: "ann", extPriority: "9", extDue: "99999999999999"},
		})
		r.publish("orders.new", numbered(5, 6)...)
		r.publish("users", numbered(7, 7)...)
		r.publish("orders.too.deep", numbered(8, 9)...)
		got := <-r.wait(r.ctx(), LeaseRequest{Max: 9, Wait: time.Minute})
		synctest.Wait()
		got.jobs = append(got.jobs, r.lease(LeaseRequest{Max: 9})...)
		names := ids(got.jobs)
		slices.Sort(names)
		if fmt.Sprint(names) != "[4 5 6 7]" || !got.at.Equal(begun) {
			t.Fatalf("jobs %v", names)
		}
		for _, l := range got.jobs {
			if e := l.Event; e.ID == "4" && (e.Source != "/shop" || e.Type != "order" || string(e.Data) != "four" || len(e.Extensions) != 2 ||
				e.Extensions["traceparent"] != "00-1" || e.Key() != "ann" || l.Priority != 0) {
				t.Fatalf("job %+v", l)
			}
			r.must(r.Ack(r.ctx(), l.Token))
		}
		// What comes while nobody owns the queue waits.
		r.stop()
		r.publish("orders.new", numbered(10, 10)...)
		r.publish("orders.newer", numbered(11, 12)...)
		r.run(r.opt)
		synctest.Wait()
		if list := r.drain(); len(list) != 3 {
			t.Fatalf("jobs %v", list)
		}
		s := r.stats()
		if len(s.Feeds) != 2 || s.Feeds[0] != (FeedStats{Pattern: "orders.*"}) || s.Feeds[1].Pattern != "users" || s.Enqueued != 7 {
			t.Fatalf("stats %+v", s)
		}
		// A topic that is made anew feeds anew.
		r.must(r.opt.Topics.Delete(r.ctx(), "users"))
		synctest.Wait()
		r.publish("users", numbered(13, 14)...)
		<-time.After(lastLetterRetry)
		synctest.Wait()
		if list := r.drain(); fmt.Sprint(list) != "[13 14]" {
			t.Fatalf("jobs %v, %+v", list, r.stats().Feeds)
		}
	})
}

// TestFeedSettings: a pattern feeds from when it is set to when it is not, and what
// came in between is never caught up with.
func TestFeedSettings(t *testing.T) {
	fedRig(t, func(r *rig) {
		r.configure(Settings{Feed: []string{"a"}})
		r.publish("a", numbered(1, 2)...)
		synctest.Wait()
		r.configure(Settings{Feed: []string{"b.>"}})
		r.publish("a", numbered(3, 3)...)
		r.publish("b.c.d", numbered(4, 4)...)
		r.configure(Settings{Feed: []string{"a", "b.>"}})
		r.publish("a", numbered(5, 5)...)
		synctest.Wait()
		r.again()
		synctest.Wait()
		list := r.drain()
		slices.Sort(list)
		if fmt.Sprint(list) != "[1 2 4 5]" {
			t.Fatalf("jobs %v", list)
		}
		s, err := r.Settings(r.ctx())
		r.must(err)
		if fmt.Sprint(s.Feed) != "[a b.>]" {
			t.Fatalf("settings %+v", s)
		}
		for _, feed := range [][]string{
			{"a..b"}, {"~a"}, {"$topics"}, {"a.*", "a.b"}, {"a", "a"}, {">", "x"}, {"a.>", "*.b"}, {"*.dead"}, {">"}, {"emails.results"}, slices.Repeat([]string{"q"}, 17),
		} {
			_, err := r.Configure(r.ctx(), Settings{Feed: feed})
			if p, ok := err.(*parley.Error); !ok || p.Code != parley.Invalid || p.Field != "feed" { // not wrapped
				t.Errorf("%v: %v", feed, err)
			}
		}
		r.configure(Settings{Feed: []string{"*.dead"}, DeadLetter: "grave"})
	})
	fake(t, Options{}, func(r *rig) {
		_, err := r.Configure(r.ctx(), Settings{Feed: []string{"a"}})
		r.code(err, parley.Unprocessable)
	})
	synctest.Test(t, func(t *testing.T) {
		log := memlog.New(memlog.Options{})
		topics, h := hub(t, log, topic.Options{})
		r := &rig{t: t, log: log}
		r.run(Options{Topics: topics, Hub: h})
		defer func() { r.stop() }()
		_, err := r.Configure(r.ctx(), Settings{Feed: []string{"not.there"}})
		r.code(err, parley.NotFound)
		if s, err := r.Settings(r.ctx()); err != nil || len(s.Feed) != 0 {
			t.Fatalf("settings %+v, %v", s, err)
		}
	})
}

// TestFeedBig: what does not fit one commit comes with several, in order.
func TestFeedBig(t *testing.T) {
	fedRig(t, func(r *rig) {
		r.configure(Settings{Feed: []string{"a"}})
		r.stop()
		big := numbered(1, 12)
		for i := range big {
			big[i].Data = make([]byte, 1<<20-1000)
		}
		r.publish("a", big...)
		r.publish("a", numbered(13, 30)...)
		r.run(r.opt)
		synctest.Wait()
		if s := r.stats(); s.Ready != 30 || s.Feeds[0].Lag != 0 {
			t.Fatalf("stats %+v", s)
		}
		if list := r.drain(); !slices.Equal(list, ids(leases(1, 30))) {
			t.Fatalf("jobs %v", list)
		}
	})
}

func leases(from, to int) (list []Lease) {
	for _, e := range numbered(from, to) {
		list = append(list, Lease{Event: e})
	}
	return list
}

func TestLag(t *testing.T) {
	ctx, log := t.Context(), memlog.New(memlog.Options{})
	stream := parley.Stream{Name: "s"}
	add := func(n, size int) {
		var b parley.Builder
		for range n {
			e := parley.Event{ID: "1", Source: "/s", Type: "t", Data: make([]byte, size)}
			if err := b.Add(time.Now(), &e); err != nil {
				t.Fatal(err)
			}
		}
		batch, err := b.Batch()
		if err == nil {
			_, err = log.Append(ctx, parley.Write{Stream: stream, Batch: batch})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	o := &owner{log: log}
	lag := func(at parley.Position) FeedStats {
		list := []FeedStats{{}}
		if err := o.countLags(ctx, list, [][]parley.Place{{{Stream: stream, At: at}}}); err != nil {
			t.Fatal(err)
		}
		return list[0]
	}
	add(10, 1)
	add(10, 1)
	for at, want := range map[parley.Position]int64{0: 20, 1: 20, 4: 17, 11: 10, 20: 1, 21: 0, 30: 0} {
		if got := lag(at); got.Lag != want || got.More {
			t.Errorf("from %d: %+v, want %d", at, got, want)
		}
	}
	for range 3 {
		add(2, 1<<20)
	}
	if got := lag(21); !got.More || got.Lag < 4 || got.Lag > 6 {
		t.Errorf("of many bytes: %+v", got)
	}
	unknown := []FeedStats{{}}
	if err := o.countLags(ctx, unknown, [][]parley.Place{nil}); err != nil || unknown[0].Lag != -1 {
		t.Errorf("unknown: %+v, %v", unknown, err)
	}
}

// TestOverlap compares with what names both patterns match.
func TestOverlap(t *testing.T) {
	var names []string
	level := []string{""}
	for range 5 {
		var next []string
		for _, n := range level {
			for _, l := range []string{"a", "b"} {
				next = append(next, strings.TrimPrefix(n+"."+l, "."))
			}
		}
		names, level = append(names, next...), next
	}
	rapid.Check(t, func(rt *rapid.T) {
		gen := func(name string) string {
			return rapid.StringMatching(`(a|b|\*)(\.(a|b|\*)){0,3}(\.>)?|>`).Draw(rt, name)
		}
		a, b := gen("a"), gen("b")
		p, err := topic.ParsePattern(a)
		if err != nil {
			rt.Fatal(err)
		}
		q, err := topic.ParsePattern(b)
		if err != nil {
			rt.Fatal(err)
		}
		want := slices.ContainsFunc(names, func(n string) bool { return p.Match(n) && q.Match(n) })
		if got := overlap(strings.Split(a, "."), strings.Split(b, ".")); got != want {
			rt.Fatalf("%s and %s overlap: %v, want %v", a, b, got, want)
		}
	})
}

// TestFeedWhileOwnershipMoves: wherever the ownership moves, each event becomes one
// job.
func TestFeedWhileOwnershipMoves(t *testing.T) {
	var log parley.Log
	newLog := func() parley.Log {
		log = memlog.New(memlog.Options{})
		return log
	}
	shardtest.EveryStep(t, 2, newLog, func(t *testing.T, c *shardtest.Cluster, step func(parley.Stream)) {
		topics, h := hub(t, log, topic.Options{AutoCreate: true})
		q, err := New(log, c.Host(), "q", Options{Topics: topics, Hub: h})
		if err != nil {
			t.Fatal(err)
		}
		c.Serve(q.moves, func(ctx context.Context, log parley.Log, o *shard.Owner) error { return own(ctx, q, log, o) })
		his := &history{t: t, q: q}
		his.try(func(ctx context.Context) error {
			_, err := q.Configure(ctx, Settings{Feed: []string{"orders.*"}})
			return err
		})
		for i := range 4 {
			step(q.moves)
			if _, _, err := topics.Publish(t.Context(), "orders."+strconv.Itoa(i%2), numbered(3*i, 3*i+2), topic.PublishOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		step(q.moves)
		<-time.After(time.Minute)
		var s Stats
		his.try(func(ctx context.Context) (err error) {
			if s, err = q.Stats(ctx); err == nil && s.Feeds[0].Lag < 0 {
				err = parley.Errorf(parley.Unavailable, "a new owner has not begun to read")
			}
			return err
		})
		seen := map[string]int{}
		for _, e := range readAll(t, log, q.jobs) {
			seen[e.ID]++
		}
		for i := range 12 {
			if seen[strconv.Itoa(i)] != 1 {
				t.Fatalf("event %d became %d jobs; %v, stats %+v", i, seen[strconv.Itoa(i)], seen, s)
			}
		}
		if s.Ready != 12 || s.Feeds[0].Lag != 0 {
			t.Fatalf("stats %+v", s)
		}
	})
}

// stallingLog does not take moves while it is down.
type stallingLog struct {
	*memlog.Log
	down atomic.Bool
}

func (l *stallingLog) Append(ctx context.Context, w ...parley.Write) ([]parley.Appended, error) {
	if l.down.Load() && strings.HasPrefix(w[0].Stream.Name, "$queue") {
		return nil, parley.Errorf(parley.Unavailable, "down")
	}
	return l.Log.Append(ctx, w...)
}

// TestFeedHolds: retention keeps what has not become a job, and no more.
func TestFeedHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &stallingLog{Log: memlog.New(memlog.Options{})}
		topics, h := hub(t, log, topic.Options{RetainEvery: time.Minute})
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go func() { _ = topics.Run(ctx) }()
		r := &rig{t: t, log: log}
		r.run(Options{Topics: topics, Hub: h})
		defer func() { r.stop() }()
		_, err := topics.Create(r.ctx(), "a", topic.Settings{MaxAge: time.Hour})
		r.must(err)
		r.configure(Settings{Feed: []string{"a"}})
		r.publish("a", numbered(1, 1)...)
		synctest.Wait()
		log.down.Store(true)
		for i := 2; i <= 5; i++ {
			r.publish("a", numbered(i, i)...)
			<-time.After(time.Minute)
		}
		<-time.After(3 * time.Hour)
		kept := func() (list []string) {
			for _, e := range r.read("a") {
				list = append(list, e.ID)
			}
			return list
		}
		if got := kept(); !slices.Equal(got, []string{"2", "3", "4", "5"}) {
			t.Fatalf("kept while the queue is down: %v", got)
		}
		log.down.Store(false)
		<-time.After(2 * time.Minute)
		if got := r.drain(); !slices.Equal(got, []string{"1", "2", "3", "4", "5"}) {
			t.Fatalf("jobs %v", got)
		}
		if got := kept(); !slices.Equal(got, []string{"5"}) { // a stream's newest batch is never trimmed
			t.Fatalf("kept afterwards: %v", got)
		}
	})
}
