package client_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/queue"
)

// TestSettlementsAreGathered: what comes while a request is under way is one
// request, and each caller gets its own answers.
func TestSettlementsAreGathered(t *testing.T) {
	queueRig(t, func(r *wireRig) {
		r.enqueue(strings.Fields(strings.Repeat("a ", 10))...)
		q := r.client.Queue("emails")
		leases, err := q.Lease(r.Context(), queue.LeaseRequest{Max: 10})
		r.must(err)
		hold := make(chan struct{})
		r.fault = func(string, int) http.HandlerFunc {
			<-hold
			return nil
		}
		before := len(r.requests)
		errs := make([]error, len(leases)+1)
		var callers sync.WaitGroup
		for i := range errs {
			callers.Go(func() {
				if i == len(leases) {
					errs[i] = q.Ack(r.Context(), "emails~forged")
					return
				}
				errs[i] = q.Ack(r.Context(), leases[i].Token)
			})
			synctest.Wait()
		}
		close(hold)
		callers.Wait()
		for i, err := range errs[:len(leases)] {
			if err != nil {
				r.Errorf("ack %d: %v", i, err)
			}
		}
		if parley.CodeOf(errs[len(leases)]) != parley.Invalid {
			r.Errorf("the forged lease: %v", errs[len(leases)])
		}
		if n := len(r.requests) - before; n != 2 {
			r.Errorf("%d requests: %q", n, r.requests[before:])
		}
		if err := q.Ack(r.Context(), leases[0].Token); parley.CodeOf(err) != parley.Conflict {
			r.Errorf("acked again: %v", err)
		}
	})
}

// TestOneMistakeIsNotTheOthers: a call that the server refuses as a whole does not
// fail those that went with it.
func TestOneMistakeIsNotTheOthers(t *testing.T) {
	queueRig(t, func(r *wireRig) {
		r.enqueue("a", "b")
		q := r.client.Queue("emails")
		leases, err := q.Lease(r.Context(), queue.LeaseRequest{Max: 10})
		r.must(err)
		hold := make(chan struct{})
		r.fault = func(string, int) http.HandlerFunc { <-hold; return nil }
		var good, first, bad error
		var callers sync.WaitGroup
		callers.Go(func() { first = q.Ack(r.Context(), leases[0].Token) })
		synctest.Wait() // it is under way
		callers.Go(func() { good = q.Ack(r.Context(), leases[1].Token) })
		callers.Go(func() { bad = q.NackAfter(r.Context(), leases[1].Token, -time.Second, "") })
		synctest.Wait()
		close(hold)
		callers.Wait()
		if first != nil || good != nil || parley.CodeOf(bad) != parley.Invalid {
			r.Errorf("first %v, good %v, bad %v", first, good, bad)
		}
	})
}

// TestACallerThatLeaves: a settlement that nobody waits for is not held against
// those that follow, and its request ends.
func TestACallerThatLeaves(t *testing.T) {
	queueRig(t, func(r *wireRig) {
		r.enqueue("a", "b")
		q := r.client.Queue("emails")
		leases, err := q.Lease(r.Context(), queue.LeaseRequest{Max: 10})
		r.must(err)
		var gone atomic.Int32
		r.fault = func(_ string, _ int) http.HandlerFunc {
			if gone.Load() > 0 {
				return nil
			}
			return func(_ http.ResponseWriter, req *http.Request) {
				<-req.Context().Done()
				gone.Add(1)
			}
		}
		ctx, leave := context.WithCancel(r.Context())
		left := make(chan error, 2)
		for range 2 { // one under way, and one behind it
			go func() { left <- q.Ack(ctx, leases[0].Token) }()
			synctest.Wait()
		}
		leave()
		for range 2 {
			if err := <-left; !errors.Is(err, context.Canceled) {
				r.Errorf("left with %v", err)
			}
		}
		synctest.Wait()
		if gone.Load() != 1 {
			r.Errorf("%d requests were given up", gone.Load())
		}
		r.must(q.Ack(r.Context(), leases[1].Token))
	})
}

// TestGatheringBounds: no request has more settlements than the server takes.
func TestGatheringBounds(t *testing.T) {
	queueRig(t, func(r *wireRig) {
		q := r.client.Queue("emails")
		hold := make(chan struct{})
		r.fault = func(string, int) http.HandlerFunc { <-hold; return nil }
		var callers sync.WaitGroup
		for range 5 {
			callers.Go(func() {
				list := slices.Repeat([]queue.Settlement{{Lease: "emails~AAAA", Action: queue.Ack}}, 400)
				errs, err := q.Settle(r.Context(), list)
				if err != nil || len(errs) != 400 || parley.CodeOf(errs[399]) != parley.Invalid {
					r.Errorf("%d answers, %v", len(errs), err)
				}
			})
			synctest.Wait()
		}
		close(hold)
		callers.Wait()
		for _, req := range r.requests {
			if n := strings.Count(req, `"lease"`); n > queue.MaxSettle {
				r.Errorf("a request of %d", n)
			}
		}
		if len(r.requests) != 3 {
			r.Errorf("%d requests", len(r.requests))
		}
		for _, n := range []int{0, queue.MaxSettle + 1} {
			if _, err := q.Settle(r.Context(), make([]queue.Settlement, n)); parley.CodeOf(err) != parley.Invalid {
				r.Errorf("%d settlements: %v", n, err)
			}
		}
	})
}

// TestResultsAreNotTooMany: acks with results that are gathered stay within what
// one request may carry.
func TestResultsAreNotTooMany(t *testing.T) {
	queueRig(t, func(r *wireRig) {
		q, ctx := r.client.Queue("emails"), r.Context()
		r.enqueue(strings.Fields(strings.Repeat("a ", 8))...)
		leases, err := q.Lease(ctx, queue.LeaseRequest{Max: 8})
		r.must(err)
		hold := make(chan struct{})
		r.fault = func(string, int) http.HandlerFunc { <-hold; return nil }
		large := queue.Output{ContentType: "text/plain", Data: bytes.Repeat([]byte("x"), queue.MaxResult)}
		var callers sync.WaitGroup
		for _, l := range leases {
			callers.Go(func() {
				if err := q.AckWith(ctx, l.Token, large); err != nil {
					r.Errorf("ack: %v", err)
				}
			})
		}
		synctest.Wait()
		close(hold)
		callers.Wait()
		if s := r.stats(); s.Done != 8 || len(r.requests) != 2+5 { // of 1, 2, 2, 2 and 1
			r.Errorf("%d are done after %d requests", s.Done, len(r.requests))
		}
	})
}
