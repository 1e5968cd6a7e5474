package cluster_test

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/pattern/queue"
	"github.com/parleyhq/parley/test/rig"
)

// resumes is how soon work goes on when the owner of a queue or a group is gone: 4 s
// until another takes over, and what it takes to find it.
const resumes = 5 * time.Second

// plainDoor is a server whose client does not try again by itself.
func plainDoor(t *testing.T, url string) door {
	t.Helper()
	s := rig.Start(t, "--engine", url)
	c, err := client.New(s.URL, client.Options{Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	return door{s, c}
}

// shift is jobs, who works on them, and what became of each.
type shift struct {
	t    *testing.T
	name string

	mu     sync.Mutex
	put    map[string]bool      // enqueued, and told so
	acked  map[string]time.Time // when the ack was answered
	worked map[string]bool      // leased by a worker: its ack may not have been answered
	late   map[string]bool      // worked on after its ack was answered
	newest time.Time            // of the acks
}

func newShift(t *testing.T, name string) *shift {
	return &shift{t: t, name: name, put: map[string]bool{}, acked: map[string]time.Time{}, worked: map[string]bool{}, late: map[string]bool{}}
}

// feed enqueues job after job until ctx ends.
func (s *shift) feed(ctx context.Context, d door, prefix string) {
	for n := 0; ctx.Err() == nil; n++ {
		word := prefix + strconv.Itoa(n)
		job := []queue.Job{{Event: parley.Event{Data: []byte(word)}}}
		for ctx.Err() == nil { // a key makes it safe to ask again
			if _, err := d.client.Enqueue(ctx, s.name, job, queue.EnqueueOptions{IdempotencyKey: word}); err == nil {
				s.mu.Lock()
				s.put[word] = true
				s.mu.Unlock()
				break
			}
		}
		<-time.After(5 * time.Millisecond) // the pace
	}
}

// work leases and acks until ctx ends.
func (s *shift) work(ctx context.Context, d door) {
	q := d.client.Queue(s.name)
	for ctx.Err() == nil {
		begun := time.Now()
		list, err := q.Lease(ctx, queue.LeaseRequest{Max: 4, Wait: 2 * time.Second, Visibility: 2 * time.Second})
		if err != nil {
			<-time.After(10 * time.Millisecond)
			continue
		}
		for _, job := range list {
			word := string(job.Event.Data)
			s.mu.Lock()
			if at := s.acked[word]; !at.IsZero() && begun.After(at) {
				s.late[word] = true
			}
			s.worked[word] = true
			s.mu.Unlock()
			if q.Ack(ctx, job.Token) == nil {
				s.mu.Lock()
				s.newest = time.Now()
				if s.acked[word].IsZero() {
					s.acked[word] = s.newest
				}
				s.mu.Unlock()
			}
		}
	}
}

func sorted(at map[string]time.Time) []time.Time {
	return slices.SortedFunc(maps.Values(at), time.Time.Compare)
}

func (s *shift) done() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.acked)
}

// goesOn wants acks again soon after something happened.
func (s *shift) goesOn(what string) {
	s.t.Helper()
	happened, before := time.Now(), s.done()
	rig.Eventually(s.t, "acks after the owner was "+what, func() bool { return s.done() > before+20 })
	s.mu.Lock()
	defer s.mu.Unlock()
	longest, last := time.Duration(0), happened
	for _, at := range sorted(s.acked) {
		if at.After(happened) {
			longest, last = max(longest, at.Sub(last)), at
		}
	}
	s.t.Logf("%s: the longest time without an ack was %s", what, longest.Round(10*time.Millisecond))
	if longest > resumes {
		s.t.Errorf("%s: no job was acked for %s", what, longest)
	}
}

// TestQueueOnTwoServers has jobs go through two servers, of which one and then the
// other owns the queue and is taken away: no job is lost, and none that was acked is
// worked on again.
func TestQueueOnTwoServers(t *testing.T) {
	url := startServers(t, 3, false).url()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	one := plainDoor(t, url)
	if _, err := one.client.Queue("work").Configure(ctx, queue.Settings{MaxAttempts: 50}); err != nil {
		t.Fatal(err)
	}
	two := plainDoor(t, url) // one is the owner: it came first
	handOver(ctx, t, one, two)

	s := newShift(t, "work")
	phase := func(d door, prefix string, during func()) {
		t.Helper()
		ctx, stop := context.WithCancel(ctx)
		var all sync.WaitGroup
		all.Go(func() { s.feed(ctx, d, prefix) })
		for range 3 {
			all.Go(func() { s.work(ctx, d) })
		}
		before := s.done()
		rig.Eventually(t, "the work", func() bool { return s.done() > before+50 })
		during()
		stop()
		all.Wait()
	}
	phase(two, "a", func() {
		one.server.Pause()
		s.goesOn("paused")
		one.server.Resume() // it finds out that it is not the owner any more
	})
	phase(one, "b", func() {
		two.server.Kill()
		s.goesOn("killed")
	})
	rest, stop := context.WithCancel(ctx)
	var last sync.WaitGroup
	last.Go(func() { s.work(rest, one) })
	rig.Eventually(t, "all jobs to be done", func() bool {
		stats, err := one.client.Queue("work").Stats(ctx)
		return err == nil && stats.Ready+stats.Leased+stats.Delayed == 0
	})
	stop()
	last.Wait()
	for word := range s.put {
		if !s.worked[word] {
			t.Errorf("job %s is lost", word)
		}
	}
	for word := range s.late {
		t.Errorf("job %s was worked on after its ack", word)
	}
	t.Logf("%d jobs", len(s.put))
}

// handOver has a job leased at one server and settled at another, and one that
// waits at the server that owns nothing woken by the other.
func handOver(ctx context.Context, t *testing.T, one, two door) {
	t.Helper()
	q, far := one.client.Queue("work"), two.client.Queue("work")
	got := make(chan []queue.Lease, 1)
	at := make(chan time.Time, 1)
	go func() {
		list, err := far.Lease(ctx, queue.LeaseRequest{Max: 1, Wait: time.Minute})
		if err != nil {
			t.Error(err)
		}
		at <- time.Now()
		got <- list
	}()
	rig.Eventually(t, "a worker that waits", func() bool {
		stats, err := q.Stats(ctx)
		return err == nil && stats.Waiting == 1
	})
	begun := time.Now()
	if _, err := q.Enqueue(ctx, []queue.Job{{Event: parley.Event{Data: []byte("first")}}}, queue.EnqueueOptions{}); err != nil {
		t.Fatal(err)
	}
	took := (<-at).Sub(begun)
	list := <-got
	if len(list) != 1 || string(list[0].Event.Data) != "first" || took > time.Second {
		t.Fatalf("%d jobs after %s", len(list), took)
	}
	t.Logf("a job that is enqueued at the owner wakes a worker at the other server after %s", took.Round(100*time.Microsecond))
	if err := q.Ack(ctx, list[0].Token); err != nil {
		t.Fatal(err)
	}
	if err := far.Ack(ctx, list[0].Token); parley.CodeOf(err) != parley.Conflict || err == nil {
		t.Fatalf("a job that was acked at the other server: %v", err)
	}
	// A queue that one of them makes is at the other, and goes with it.
	if _, err := two.client.Enqueue(ctx, "made", []queue.Job{{Event: parley.Event{Data: []byte("x")}}}, queue.EnqueueOptions{}); err != nil {
		t.Fatal(err)
	}
	stats, err := one.client.Queue("made").Stats(ctx)
	if err != nil || stats.Ready != 1 {
		t.Fatalf("at the other server: %+v, %v", stats, err)
	}
	if err := one.client.Queue("made").Delete(ctx); err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, "the queue's end", func() bool {
		_, err := two.client.Queue("made").Stats(ctx)
		return err != nil && parley.CodeOf(err) == parley.NotFound
	})
}
