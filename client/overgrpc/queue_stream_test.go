package overgrpc_test

import (
	"context"
	"errors"
	"reflect"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client/overgrpc"
	"github.com/parleyhq/parley/pattern/queue"
)

func workStream(t *testing.T, q *overgrpc.Queue, o overgrpc.WorkOptions) *overgrpc.WorkStream {
	t.Helper()
	s, err := q.WorkStream(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func jobsOf(texts ...string) (jobs []queue.Job) {
	for _, text := range texts {
		jobs = append(jobs, queue.Job{Event: parley.Event{Data: []byte(text)}})
	}
	return jobs
}

func datas(list []queue.Lease) (out []string) {
	for i := range list {
		out = append(out, string(list[i].Event.Data))
	}
	return out
}

func acksOf(list []queue.Lease) (acks []queue.Settlement) {
	for i := range list {
		acks = append(acks, queue.Settlement{Lease: list[i].Token, Action: queue.Ack})
	}
	return acks
}

func TestEnqueueingOverAStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := dial(t).Queue("q")
		s := q.EnqueueStream()
		defer func() { _ = s.Close() }()
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				o := queue.EnqueueOptions{IdempotencyKey: strconv.Itoa(i)}
				jobs := jobsOf("a", "b")
				if i%3 == 0 {
					jobs[0].At = time.Now().Add(time.Second) // the generated code writes it
				}
				added, err := s.Enqueue(t.Context(), jobs, o)
				if err != nil || len(added) != 2 {
					t.Errorf("%v, %v", added, err)
				}
				if again, err := s.Enqueue(t.Context(), jobs, o); err != nil || !reflect.DeepEqual(again, added) {
					t.Errorf("%v, and again %v, %v", added, again, err)
				}
			})
		}
		all.Wait()
		event := parley.Event{ID: "1", Source: "/s", Type: "t", Subject: "u", Time: time.Unix(5, 0).UTC(), DataContentType: "a/b", DataSchema: "https://example.com/d", Extensions: map[string]string{"a": "b"}, Data: []byte("x")}
		unique := []queue.Job{{Event: event, Priority: 4, Key: "k", Unique: "u", MaxAttempts: 3}}
		first, err := s.Enqueue(t.Context(), unique, queue.EnqueueOptions{})
		if err != nil {
			t.Fatal(err)
		}
		second, err := s.Enqueue(t.Context(), unique, queue.EnqueueOptions{})
		if err != nil || second[0].Duplicate != first[0].ID {
			t.Errorf("%v, %v, %v", first, second, err)
		}
		list, err := q.Lease(t.Context(), queue.LeaseRequest{Max: 100})
		if err != nil || len(list) != 34 || list[0].ID != first[0].ID || list[0].Key != "k" || list[0].Priority != 4 || !reflect.DeepEqual(list[0].Event, event) {
			t.Errorf("%d jobs, the first %+v, %v", len(list), list[0], err)
		}
		for name, jobs := range map[string][]queue.Job{
			"none": {}, "priority": {{Priority: 10}}, "retry": {{Retry: &queue.Retry{Kind: "?"}}}, "text": {{Key: "\xff"}}, "id": {{Event: parley.Event{ID: "\xff"}}},
		} {
			if _, err := s.Enqueue(t.Context(), jobs, queue.EnqueueOptions{}); parley.CodeOf(err) != parley.Invalid {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := s.Enqueue(t.Context(), jobsOf("goes on"), queue.EnqueueOptions{}); err != nil {
			t.Error(err)
		}
	})
}

func TestAStreamIsOpenedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, cut := dialAndCut(t)
		q := g.Queue("q")
		s, w := q.EnqueueStream(), workStream(t, q, overgrpc.WorkOptions{Ahead: 10, KeepLeases: true})
		add := func() error {
			_, err := s.Enqueue(t.Context(), jobsOf("a", "b", "c"), queue.EnqueueOptions{})
			return err
		}
		if err := add(); err != nil {
			t.Fatal(err)
		}
		list, err := w.Lease(t.Context(), queue.LeaseRequest{Max: 2, Wait: time.Minute})
		if err != nil || !reflect.DeepEqual(datas(list), []string{"a", "b"}) {
			t.Fatalf("%v, %v", list, err)
		}
		waiting := make(chan error, 1)
		go func() {
			for {
				more, err := w.Lease(t.Context(), queue.LeaseRequest{Max: 10, Wait: time.Minute})
				if err != nil || len(more) == 0 {
					waiting <- err
					return
				}
			}
		}()
		synctest.Wait()
		cut()
		if err := <-waiting; parley.CodeOf(err) != parley.Unavailable {
			t.Errorf("who waits when the stream is lost is told %v", err)
		}
		if errs, err := w.Settle(t.Context(), acksOf(list)); err != nil || errs[0] != nil || errs[1] != nil {
			t.Errorf("leases that were kept: %v, %v", errs, err)
		}
		if err := add(); err != nil {
			t.Errorf("after the stream was lost: %v", err)
		}
		if list, err = w.Lease(t.Context(), queue.LeaseRequest{Max: 1, Wait: time.Minute}); err != nil || !reflect.DeepEqual(datas(list), []string{"a"}) {
			t.Errorf("%v, %v", datas(list), err)
		}
		_, _ = s.Close(), w.Close()
		if err := add(); parley.CodeOf(err) != parley.Conflict {
			t.Errorf("after Close: %v", err)
		}
		if _, err := w.Lease(t.Context(), queue.LeaseRequest{}); parley.CodeOf(err) != parley.Conflict {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestWorkingOverAStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := dial(t).Queue("q")
		w := workStream(t, q, overgrpc.WorkOptions{Ahead: 2})
		r := queue.LeaseRequest{Max: 3, Wait: time.Minute, Visibility: 10 * time.Second, Worker: "w"}
		begin := time.Now()
		if list, err := w.Lease(t.Context(), r); err != nil || len(list) > 0 || time.Since(begin) != time.Minute {
			t.Errorf("nothing there: %v, %v after %v", list, err, time.Since(begin))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := w.Lease(ctx, r); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("who does not wait is told %v", err)
		}
		if _, err := q.Enqueue(t.Context(), jobsOf("a", "b", "c", "d", "e", "f", "g", "h"), queue.EnqueueOptions{}); err != nil {
			t.Fatal(err)
		}
		list, err := w.Lease(t.Context(), r)
		if err != nil || !reflect.DeepEqual(datas(list), []string{"a", "b", "c"}) || list[0].Attempt != 1 || list[0].Visibility != 10*time.Second || list[0].Enqueued.IsZero() {
			t.Fatalf("%+v, %v", list, err)
		}
		synctest.Wait()
		// Two are here ahead, the rest is nobody's.
		if others, err := q.Lease(t.Context(), queue.LeaseRequest{Max: 10}); err != nil || !reflect.DeepEqual(datas(others), []string{"f", "g", "h"}) {
			t.Errorf("%v, %v", datas(others), err)
		}
		settlements := append(acksOf(list[:2]), queue.Settlement{Lease: list[2].Token, Action: queue.Nack, Cause: "busy"}, queue.Settlement{Lease: "nonsense", Action: queue.Ack})
		if errs, err := w.Settle(t.Context(), settlements); err != nil || errs[0] != nil || errs[1] != nil || errs[2] != nil || parley.CodeOf(errs[3]) != parley.Invalid {
			t.Errorf("%v, %v", errs, err)
		}
		if errs, err := w.Settle(t.Context(), acksOf(list[:1])); err != nil || parley.CodeOf(errs[0]) != parley.Conflict {
			t.Errorf("%v, %v", errs, err)
		}
		// What was ahead is somebody else's when its lease has ended.
		<-time.After(11 * time.Second)
		all, err := w.Lease(t.Context(), r)
		if err != nil || len(all) == 0 || all[0].Attempt != 2 {
			t.Errorf("%+v, %v", all, err)
		}
		for name, bad := range map[string]queue.LeaseRequest{
			"another worker": {Worker: "x", Visibility: 10 * time.Second}, "another visibility": {Worker: "w"}, "too many": {Max: 999, Worker: "w", Visibility: 10 * time.Second},
			"too long": {Wait: time.Hour, Worker: "w", Visibility: 10 * time.Second},
		} {
			if _, err := w.Lease(t.Context(), bad); parley.CodeOf(err) != parley.Invalid {
				t.Errorf("%s: %v", name, err)
			}
		}
		for name, bad := range map[string][]queue.Settlement{"none": {}, "text": {{Lease: "\xff", Action: queue.Ack}}, "action": {{Lease: "x", Action: "forget"}}} {
			if _, err := w.Settle(t.Context(), bad); parley.CodeOf(err) != parley.Invalid {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := q.WorkStream(overgrpc.WorkOptions{Ahead: -1}); parley.CodeOf(err) != parley.Invalid {
			t.Errorf("%v", err)
		}
		// Jobs are ready again when the stream is closed.
		_ = w.Close()
		synctest.Wait()
		if rest, err := q.Lease(t.Context(), queue.LeaseRequest{Max: 10, Wait: time.Minute}); err != nil || len(rest) < len(all) {
			t.Errorf("%v of at least %v, %v", datas(rest), datas(all), err)
		}
	})
}

// TestManyWorkOverAStream: every job comes once, whoever takes it.
func TestManyWorkOverAStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := dial(t).Queue("q")
		w := workStream(t, q, overgrpc.WorkOptions{Ahead: 7})
		s := q.EnqueueStream()
		defer func() { _ = s.Close() }()
		const each, adders, takers = 50, 4, 5
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var mu sync.Mutex
		seen := map[string]int{}
		var all, adding sync.WaitGroup
		for a := range adders {
			adding.Go(func() {
				for i := range each {
					if _, err := s.Enqueue(t.Context(), jobsOf(strconv.Itoa(a)+"."+strconv.Itoa(i), strconv.Itoa(a)+"-"+strconv.Itoa(i)), queue.EnqueueOptions{}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for range takers {
			all.Go(func() {
				for {
					list, err := w.Lease(ctx, queue.LeaseRequest{Max: 3, Wait: time.Minute})
					if err != nil {
						if ctx.Err() == nil {
							t.Error(err)
						}
						return
					}
					if len(list) == 0 {
						continue
					}
					if errs, err := w.Settle(t.Context(), acksOf(list)); err != nil || errors.Join(errs...) != nil {
						t.Error(errs, err)
					}
					mu.Lock()
					for _, text := range datas(list) {
						seen[text]++
					}
					if len(seen) == 2*each*adders {
						stop()
					}
					mu.Unlock()
				}
			})
		}
		adding.Wait()
		all.Wait()
		for text, n := range seen {
			if n != 1 {
				t.Errorf("job %s was done %d times", text, n)
			}
		}
	})
}
