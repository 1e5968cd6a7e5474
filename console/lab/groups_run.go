package lab

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
)

// groupsRun is one run with consumer groups on its way.
type groupsRun struct {
	req   GroupsRequest
	api   http.Handler
	open  open
	topic string
	token string
	rec   *recorder
	acts  acts
}

func (r *groupsRun) groupOf(reader Reader) string { return r.topic + "." + reader.Name }

// names are the lanes of the recorder, what publishes first.
func (r *groupsRun) names() []string {
	all := []string{Publisher}
	for _, reader := range Readers() {
		all = append(all, reader.Name)
	}
	return all
}

func (r *groupsRun) now() float64 { return milliseconds(time.Since(r.rec.start)) }

// do publishes, and has all readers read until they have everything that is for them,
// or ctx ends. When it returns, nothing of the run lives any more.
func (r *groupsRun) do(ctx context.Context) (first error) {
	ctx, stop := context.WithDeadline(ctx, r.rec.start.Add(time.Duration(r.req.Duration)+grace))
	defer stop()
	var work sync.WaitGroup // of the servers, and of the lanes
	defer work.Wait()
	defer stop()
	readers := Readers()
	failed := make(chan error, len(readers)+1)
	sites := map[string]*site{}
	for _, name := range r.names() {
		at, err := lay(ctx, r.open, &tap{lane: name, rec: r.rec}, r.api, &work)
		if err != nil {
			return err
		}
		defer at.shut()
		sites[name] = at
	}
	work.Go(func() { failed <- r.publish(ctx, sites[Publisher]) })
	for _, reader := range readers {
		work.Go(func() { failed <- r.read(ctx, reader, sites[reader.Name]) })
	}
	for range len(readers) + 1 {
		if err := <-failed; err != nil && first == nil {
			first = err
			stop()
		}
	}
	return first
}

func (r *groupsRun) client(at *site) (*client.Client, error) {
	return client.New(at.base, client.Options{Token: r.token, HTTP: &http.Client{Transport: at.transport}})
}

// publish follows the schedule, one event after the other.
func (r *groupsRun) publish(ctx context.Context, at *site) error {
	c, err := r.client(at)
	if err != nil {
		return err
	}
	for i, when := range r.req.schedule() {
		if !until(ctx, r.rec.start.Add(when)) {
			return nil
		}
		began := r.now()
		e := parley.Event{ID: idOf(i + 1), Source: "/lab", Type: "lab.event", DataContentType: "application/json", Data: []byte(strconv.Itoa(i + 1))}
		placed, err := c.Publish(ctx, r.topic, e)
		if err != nil {
			return ended(ctx, fmt.Errorf("publishing: %w", err))
		}
		r.acts.add(Act{Lane: Publisher, Kind: ActPublished, At: began, Event: i + 1, Partition: placed[0].Partition, Position: int64(placed[0].Position)})
	}
	return nil
}

func idOf(event int) string { return "event-" + strconv.Itoa(event) }

// numberOf is the number of an event of this run; 0 of any other.
func numberOf(id string) int {
	text, ours := strings.CutPrefix(id, "event-")
	n, err := strconv.Atoi(text)
	if !ours || err != nil {
		return 0
	}
	return n
}

// read is a lane, from when it comes until it has everything that is for it.
func (r *groupsRun) read(ctx context.Context, reader Reader, at *site) error {
	if reader.Late && !until(ctx, r.rec.start.Add(r.req.middle())) {
		return nil
	}
	task := r.member
	if reader.Live {
		task = r.subscriber
	}
	if err := task(ctx, reader, at); err != nil {
		return ended(ctx, fmt.Errorf("%s: %w", reader.Title, err))
	}
	return nil
}

// subscriber reads what comes from now on, until the last event.
func (r *groupsRun) subscriber(ctx context.Context, reader Reader, at *site) error {
	c, err := r.client(at)
	if err != nil {
		return err
	}
	r.acts.add(Act{Lane: reader.Name, Kind: ActJoined, At: r.now()})
	goal := goal{first: r.req.Events, last: r.req.Events, seen: map[int]bool{}}
	for got, err := range c.Subscribe(ctx, client.Subscription{Topics: []string{r.topic}, From: "latest"}) {
		if err != nil {
			return err
		}
		if n := numberOf(got.ID); n > 0 {
			r.acts.add(Act{Lane: reader.Name, Kind: ActRead, At: r.now(), Event: n, Turn: 1})
			goal.first = min(goal.first, n) // what is published later is for it, too
			if goal.reached(n) {
				return nil
			}
		}
	}
	return nil
}

// goal is reached when every event from first to last was seen.
type goal struct {
	first, last int
	seen        map[int]bool
}

func (g *goal) reached(n int) bool {
	g.seen[n] = true
	for i := g.first; i <= g.last; i++ {
		if !g.seen[i] {
			return false
		}
	}
	return true
}

// member reads in a group of its own, and goes back in the middle if it is one that
// does.
func (r *groupsRun) member(ctx context.Context, reader Reader, at *site) error {
	m := &member{http: &http.Client{Transport: at.transport}, group: at.base + "/v1/groups/" + r.groupOf(reader), token: r.token}
	if err := m.join(ctx, r.topic); err != nil {
		return err
	}
	r.acts.add(Act{Lane: reader.Name, Kind: ActJoined, At: r.now()})
	if !reader.Back {
		return r.consume(ctx, reader, m)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	turned, other := make(chan error, 1), *m
	go func() {
		err := r.back(ctx, reader, &other)
		if err != nil {
			stop() // who reads would wait for it
		}
		turned <- err
	}()
	err := r.consume(ctx, reader, m)
	if err != nil {
		stop()
	}
	if first := <-turned; first != nil {
		return first
	}
	return err
}

// back is what somebody else does to a group: it needs its name alone.
func (r *groupsRun) back(ctx context.Context, reader Reader, m *member) error {
	if !until(ctx, r.rec.start.Add(r.req.middle())) {
		return nil
	}
	r.acts.add(Act{Lane: reader.Name, Kind: ActSought, At: r.now()})
	return m.back(ctx)
}

// consume reads and commits until everything was read: after going back, if it does.
func (r *groupsRun) consume(ctx context.Context, reader Reader, m *member) error {
	began := m.generation
	goal := goal{first: 1, last: r.req.Events, seen: map[int]bool{}}
	turn := 1
	for {
		got, err := m.events(ctx)
		if err != nil {
			return err
		}
		if got.Generation > began && turn == 1 && reader.Back {
			turn, goal.seen = 2, map[int]bool{}
		}
		over := false
		for _, e := range got.Events {
			if n := numberOf(e.ID); n > 0 {
				r.acts.add(Act{Lane: reader.Name, Kind: ActRead, At: r.now(), Event: n, Turn: turn})
				over = goal.reached(n) && (turn == 2 || !reader.Back)
			}
		}
		if len(got.Events) == 0 {
			continue
		}
		if err := m.commit(ctx); unless(parley.Conflict, err) != nil {
			return err // but for one that is over: what was read comes again
		}
		if over {
			return nil
		}
	}
}

// acts gathers what everybody does.
type acts struct {
	mu    sync.Mutex
	all   []Act
	taken int
}

func (l *acts) add(a Act) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, a)
}

// take gives the acts since it was last called.
func (l *acts) take() []Act {
	l.mu.Lock()
	defer l.mu.Unlock()
	from := l.taken
	l.taken = len(l.all)
	return l.all[from:len(l.all):len(l.all)]
}
