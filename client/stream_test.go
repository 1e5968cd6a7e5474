package client_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/pattern/stream"
)

func TestConsumerCommitsByItself(t *testing.T) {
	inGroups(t, func(r *groupRig) {
		r.fill("numbers", 4, 1, 250)
		c := r.consumer(client.ConsumerOptions{AutoCommit: 5 * time.Second, Client: "one"})
		loop := r.read(c, 0)
		synctest.Wait() // it waits, and has committed before
		if lag := r.lag(); lag != 0 {
			r.Errorf("a lag of %d while the loop waits", lag)
		}
		if n := r.paths["/v1/groups/g/commit"]; n != 1 {
			r.Errorf("%d commits of three requests' events", n)
		}
		r.fill("numbers", 4, 251, 260)
		synctest.Wait()
		if got := sorted(loop.end()); !upTo(got, 260) {
			r.Fatalf("%d events: %v", len(got), got)
		}
		i, err := r.client.Group("g").Info(r.Context())
		r.must(err)
		if i.State != stream.Empty || len(i.Members) != 0 || *i.Lag != 0 || len(i.Partitions) != 4 {
			r.Errorf("after the loop the group is %+v", i)
		}
	})
}

// TestLoopLeft: the event in whose body the loop was left comes again, those before
// do not.
func TestLoopLeft(t *testing.T) {
	inGroups(t, func(r *groupRig) {
		r.fill("numbers", 1, 1, 10)
		c := r.consumer(client.ConsumerOptions{AutoCommit: time.Hour})
		for m, err := range c.Messages(r.Context()) {
			r.must(err)
			if string(m.Event.Data) == "4" {
				if m.Topic != "numbers" || m.Partition != 0 || m.Position != 4 || c.Member() == "" || c.Generation() != 1 || len(c.Assigned()) != 1 {
					r.Errorf("%+v of %q, %d, %v", m, c.Member(), c.Generation(), c.Assigned())
				}
				break
			}
		}
		if c.Member() != "" || r.lag() != 7 {
			r.Fatalf("member %q, lag %d", c.Member(), r.lag())
		}
		for m, err := range c.Messages(r.Context()) { // once more, by the same consumer
			r.must(err)
			if string(m.Event.Data) != "4" {
				r.Fatalf("goes on with %s", m.Event.Data)
			}
			r.must(c.Commit(r.Context()))
			break
		}
		if r.lag() != 6 {
			r.Fatalf("lag %d after Commit in the body", r.lag())
		}
	})
}

func TestManualCommit(t *testing.T) {
	inGroups(t, func(r *groupRig) {
		r.fill("numbers", 1, 1, 10)
		c := r.consumer(client.ConsumerOptions{Limit: 4})
		n := 0
		for list, err := range c.Batches(r.Context()) {
			r.must(err)
			n += len(list)
			if len(list) == 0 || len(list) > 4 {
				r.Fatalf("%d events", len(list))
			}
			if n == 4 {
				continue // said later
			}
			if n == 8 {
				r.must(c.Commit(r.Context()))
				continue
			}
			break
		}
		if r.lag() != 2 {
			r.Fatalf("lag %d", r.lag())
		}
		for _, err := range c.Batches(r.Context()) {
			r.must(err)
			r.must(c.CommitPlaces(r.Context(), stream.Place{Topic: "numbers", Position: 10}))
			code(r.T, c.CommitPlaces(r.Context(), stream.Place{Topic: "numbers", Position: 9}), parley.Conflict)
			break
		}
		if r.lag() != 1 {
			r.Fatalf("lag %d", r.lag())
		}
	})
}

// TestRebalanceInPeace: members come and go, and no event is read twice.
func TestRebalanceInPeace(t *testing.T) {
	inGroups(t, func(r *groupRig) {
		r.fill("numbers", 6, 1, 600)
		var revoked, assigned atomic.Int32
		o := client.ConsumerOptions{
			AutoCommit: 5 * time.Second, Limit: 10,
			OnAssign: func(context.Context, []stream.Place) { assigned.Add(1) },
			OnRevoke: func(_ context.Context, list []stream.Place) { revoked.Add(int32(len(list))) },
		}
		one := r.read(r.consumer(o), 100*time.Millisecond)
		<-time.After(5 * time.Second)
		two := r.read(r.consumer(o), 100*time.Millisecond)
		<-time.After(10 * time.Second)
		if revoked.Load() != 3 || assigned.Load() != 3 {
			r.Errorf("%d partitions were lost, in %d generations of a member", revoked.Load(), assigned.Load())
		}
		first := two.end()
		three := r.read(r.consumer(o), 100*time.Millisecond)
		<-time.After(time.Minute)
		if got := sorted(one.end(), first, three.end()); !upTo(got, 600) {
			r.Fatalf("%d events: %v", len(got), got)
		}
	})
}

// TestConsumerOutlivesCuts cuts all connections every second: no event is lost, and
// no membership.
func TestConsumerOutlivesCuts(t *testing.T) {
	inGroups(t, func(r *groupRig) {
		r.fill("numbers", 3, 1, 300)
		loop := r.read(r.consumer(client.ConsumerOptions{AutoCommit: time.Second}), 70*time.Millisecond)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for range 60 {
			<-tick.C
			r.cut()
		}
		r.fill("numbers", 3, 301, 310)
		<-time.After(time.Minute)
		if got := sorted(loop.end()); !upTo(got, 310) {
			r.Fatalf("%d events: %v", len(got), got)
		}
		if n := r.paths["/v1/groups/g/join"]; n != 1 {
			r.Errorf("%d joins", n)
		}
	})
}

// TestGivenUp: a member whose requests are lost for longer than its session joins
// anew, and what it had comes again.
func TestGivenUp(t *testing.T) {
	inGroups(t, func(r *groupRig) {
		r.fill("numbers", 2, 1, 20)
		var lost atomic.Int32
		loop := r.read(r.consumer(client.ConsumerOptions{Session: 5 * time.Second, OnRevoke: func(context.Context, []stream.Place) { lost.Add(1) }}), 0)
		synctest.Wait()
		r.sabotage(func(*http.Request) http.HandlerFunc { return lose })
		r.cut()
		<-time.After(40 * time.Second)
		r.sabotage(nil)
		<-time.After(time.Minute)
		got := loop.end()
		if s := strings.Join(got, " "); len(got) != 40 || lost.Load() != 2 { // nobody committed; the second is the end of the loop
			r.Fatalf("%d losses, %s", lost.Load(), s)
		}
	})
}

// TestLongWork: a body that takes longer than the session keeps its partitions, one
// that takes longer than MaxPoll does not.
func TestLongWork(t *testing.T) {
	inGroups(t, func(r *groupRig) {
		r.fill("numbers", 1, 1, 3)
		r.read(r.consumer(client.ConsumerOptions{AutoCommit: time.Second, Session: 5 * time.Second}), time.Minute).wait(3)
		if n := r.paths["/v1/groups/g/join"]; n != 1 {
			r.Errorf("%d joins", n)
		}
		r.fill("numbers", 1, 4, 5)
		loop := r.read(r.consumer(client.ConsumerOptions{AutoCommit: time.Hour, Session: 5 * time.Second, MaxPoll: 30 * time.Second}), time.Minute)
		<-loop.got
		<-loop.got
		<-loop.got // 4 is given up, again and again
		loop.end()
		if n := r.paths["/v1/groups/g/join"]; n < 3 || r.lag() != 2 {
			r.Errorf("%d joins, lag %d", n, r.lag())
		}
	})
}

// wait waits for so many events, and ends the loop.
func (r *reading) wait(n int) []string {
	for range n {
		<-r.got
	}
	return r.end()
}

func TestSeekWhileReading(t *testing.T) {
	inGroups(t, func(r *groupRig) {
		r.fill("numbers", 2, 1, 30)
		loop := r.read(r.consumer(client.ConsumerOptions{AutoCommit: time.Second}), 0)
		synctest.Wait()
		places, err := r.client.Group("g").Seek(r.Context(), client.GroupSeek{To: "earliest"})
		r.must(err)
		if len(places) != 2 {
			r.Errorf("places %v", places)
		}
		synctest.Wait()
		if got := loop.end(); len(got) != 60 || r.lag() != 0 {
			r.Fatalf("%d events, lag %d", len(got), r.lag())
		}
	})
}

// TestGap: what retention took is told, and the loop goes on behind it.
func TestGap(t *testing.T) {
	inGroups(t, func(r *groupRig) {
		r.fill("numbers", 1, 1, 10)
		_, err := r.client.Group("g").Seek(r.Context(), client.GroupSeek{Positions: []stream.Place{{Topic: "numbers", Position: 2}}})
		r.must(err)
		var asked []string
		r.sabotage(func(req *http.Request) http.HandlerFunc {
			if !strings.HasSuffix(req.URL.Path, "/events") || req.URL.Query().Has("after") {
				asked = append(asked, req.URL.Query().Get("after"))
				return nil
			}
			return func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/problem+json")
				w.WriteHeader(http.StatusGone)
				_, _ = w.Write([]byte(`{"type":"urn:parley:error:trimmed","field":"after","detail":"gone","earliest":"bad"}`))
			}
		})
		gaps := 0
		c := r.consumer(client.ConsumerOptions{OnGap: func(_ context.Context, err error) {
			gaps++
			code(r.T, err, parley.Trimmed)
			if client.Resume(err) != "bad" {
				r.Errorf("goes on from %q", client.Resume(err))
			}
		}})
		for _, err := range c.Messages(r.Context()) {
			code(r.T, err, parley.BadCursor) // it went on from there
			break
		}
		if gaps != 1 || asked[len(asked)-2] != "bad" { // the last is the goodbye
			r.Errorf("%d gaps, asked for %q", gaps, asked)
		}
	})
}

func TestGroupCalls(t *testing.T) {
	inGroups(t, func(r *groupRig) {
		r.fill("numbers", 2, 1, 30)
		ctx, g := r.Context(), r.client.Group("g")
		_, err := g.Info(ctx)
		code(r.T, err, parley.NotFound)
		_, err = g.Seek(ctx, client.GroupSeek{To: "latest", Topics: []string{"num*"}})
		code(r.T, err, parley.Invalid)
		_, err = g.Seek(ctx, client.GroupSeek{To: "latest", Topics: []string{"numbers"}})
		r.must(err)
		_, err = g.Seek(ctx, client.GroupSeek{To: "earliest"})
		r.must(err)
		would, err := g.Seek(ctx, client.GroupSeek{To: "latest", DryRun: true})
		r.must(err)
		if len(would) != 2 || would[0].Position != 16 || r.lag() != 30 {
			r.Errorf("would be at %v, lag %d", would, r.lag())
		}
		_, err = r.client.Group("none").Seek(ctx, client.GroupSeek{To: "latest", Topics: []string{"numbers"}, DryRun: true})
		code(r.T, err, parley.NotFound)
		r.must(g.Commit(ctx, stream.Place{Topic: "numbers", Position: 3}))
		code(r.T, g.Commit(ctx, stream.Place{Topic: "numbers", Position: 300}), parley.Unprocessable)
		list, err := r.client.Groups(ctx)
		r.must(err)
		if len(list) != 1 || list[0].Name != g.Name() || list[0].State != stream.Empty || *list[0].Lag != 28 || list[0].Topics[0] != "numbers" {
			r.Errorf("%+v", list)
		}
		loop := r.read(r.consumer(client.ConsumerOptions{AutoCommit: time.Second, Client: "me"}), 0)
		synctest.Wait()
		i, err := g.Info(ctx)
		r.must(err)
		if i.Members[0].Client != "me" || i.Partitions[1].Member != i.Members[0].Member || i.Partitions[0].At.IsZero() {
			r.Errorf("%+v", i)
		}
		code(r.T, g.Delete(ctx, false), parley.Conflict)
		if got := loop.end(); len(got) != 28 {
			r.Errorf("%d events", len(got))
		}
		r.must(g.Delete(ctx, true))
		code(r.T, g.Delete(ctx, true), parley.NotFound)
	})
}

func TestConsumerOptions(t *testing.T) {
	c, err := client.New("http://127.0.0.1:1", client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	topics := []string{"a"}
	for _, o := range []client.ConsumerOptions{{}, {Topics: topics, Over: client.SSE}, {Topics: topics, Over: client.GRPC}, {Topics: topics, AutoCommit: -1}, {Topics: topics, MaxPoll: -1}} {
		_, err := c.Group("g").Consumer(o)
		code(t, err, parley.Invalid)
	}
	_, err = c.Group("~g").Consumer(client.ConsumerOptions{Topics: topics})
	code(t, err, parley.Invalid)
}

// TestConsumerEnds: an error that trying again cannot mend ends the loop, others do
// not; the context does.
func TestConsumerEnds(t *testing.T) {
	inGroups(t, func(r *groupRig) {
		r.fill("numbers", 1, 1, 1)
		for _, err := range r.consumer(client.ConsumerOptions{Topics: []string{"numbers"}, From: "nowhere"}).Messages(r.Context()) {
			code(r.T, err, parley.BadCursor)
		}
		ctx, cancel := context.WithTimeout(r.Context(), time.Hour)
		defer cancel()
		r.sabotage(func(*http.Request) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }
		})
		begun := time.Now()
		for _, err := range r.consumer(client.ConsumerOptions{}).Messages(ctx) {
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != time.Hour {
				r.Errorf("%v after %v", err, time.Since(begun))
			}
		}
		if n := r.paths["/v1/groups/g/join"]; n < 100 || n > 5000 {
			r.Errorf("%d tries in an hour", n)
		}
	})
}
