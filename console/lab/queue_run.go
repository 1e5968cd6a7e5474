package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/pattern/queue"
)

// queueRun is one run with a work queue on its way.
type queueRun struct {
	req   QueueRequest
	api   http.Handler
	open  open
	topic string // what the queues' names begin with
	token string
	rec   *recorder
	spans diary
}

func (r *queueRun) queueOf(c Crew) string { return r.topic + "." + c.Name }

// names are the lanes of the recorder.
func (r *queueRun) names() (all []string) {
	for _, c := range Crews() {
		for _, one := range c.clients() {
			all = append(all, c.laneOf(one))
		}
	}
	return all
}

// longest is how long a run may take: all jobs by one worker, what a crash holds up,
// and what a busy machine needs.
func (r *queueRun) longest() time.Duration {
	sum := time.Duration(r.req.Visibility)
	for _, t := range r.req.tasks() {
		sum += time.Duration(t.Work)
	}
	return 2*sum + grace
}

// do has every crew do all the jobs, or ctx end. When it returns, nothing of the run
// lives any more.
func (r *queueRun) do(ctx context.Context) (first error) {
	ctx, stop := context.WithDeadline(ctx, r.rec.start.Add(r.longest()))
	defer stop()
	var work sync.WaitGroup // of the servers
	defer work.Wait()
	defer stop()
	crews := Crews()
	failed := make(chan error, len(crews))
	var lanes sync.WaitGroup
	for _, c := range crews {
		lanes.Go(func() { failed <- r.drain(ctx, c, &work) })
	}
	for range crews {
		if err := <-failed; err != nil && first == nil {
			first = err
			stop()
		}
	}
	lanes.Wait()
	return first
}

// desk is one client of a queue, on a connection of its own.
type desk struct {
	name  string
	queue *client.Queue
	site  *site
}

func (r *queueRun) desk(ctx context.Context, c Crew, name string, work *sync.WaitGroup) (*desk, error) {
	at, err := lay(ctx, r.open, &tap{lane: c.laneOf(name), rec: r.rec}, r.api, work)
	if err != nil {
		return nil, err
	}
	to, err := client.New(at.base, client.Options{Token: r.token, HTTP: &http.Client{Transport: at.transport}})
	if err != nil {
		at.shut()
		return nil, err
	}
	return &desk{name: name, queue: to.Queue(r.queueOf(c)), site: at}, nil
}

// drain adds the jobs to a crew's queue and waits until all are done.
func (r *queueRun) drain(ctx context.Context, c Crew, work *sync.WaitGroup) (first error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var desks []*desk
	for _, name := range c.clients() {
		d, err := r.desk(ctx, c, name, work)
		if err != nil {
			return err
		}
		defer d.site.shut()
		desks = append(desks, d)
	}
	left := &countdown{n: r.req.Jobs, none: stop}
	failed := make(chan error, len(desks))
	var busy sync.WaitGroup
	busy.Go(func() { failed <- r.enqueue(ctx, desks[0]) })
	for _, d := range desks[1:] {
		busy.Go(func() { failed <- r.work(ctx, c, d, left) })
	}
	for range desks {
		if err := <-failed; err != nil && first == nil {
			first = fmt.Errorf("%s: %w", c.Title, err)
			stop()
		}
	}
	busy.Wait()
	return first
}

// enqueue adds all jobs in one request.
func (r *queueRun) enqueue(ctx context.Context, d *desk) error {
	var jobs []queue.Job
	for _, t := range r.req.tasks() {
		data, err := json.Marshal(t)
		if err != nil {
			return fmt.Errorf("encoding a job: %w", err)
		}
		jobs = append(jobs, queue.Job{Event: parley.Event{Type: "lab.job", DataContentType: "application/json", Data: data}})
	}
	_, err := d.queue.Enqueue(ctx, jobs, queue.EnqueueOptions{})
	return ended(ctx, err)
}

// leaseWait is how long a worker waits for a job before it asks again.
const leaseWait = 20 * time.Second

// work is a worker: it leases a job, works it off, acks it, and so on until ctx ends.
// The one that crashes is cut off from its server in the middle of a job.
func (r *queueRun) work(ctx context.Context, c Crew, d *desk, left *countdown) error {
	for taken := 0; ctx.Err() == nil; {
		list, err := d.queue.Lease(ctx, queue.LeaseRequest{Wait: leaseWait, Worker: d.name})
		if err != nil {
			return ended(ctx, err)
		}
		for _, job := range list {
			taken++
			crash := c.Crashes == d.name && taken == r.req.crashAt()
			if over, err := r.one(ctx, c, d, job, crash, left); over || err != nil {
				return err
			}
		}
	}
	return nil
}

// one works a job off. over says that the worker is no more.
func (r *queueRun) one(ctx context.Context, c Crew, d *desk, job queue.Lease, crash bool, left *countdown) (over bool, err error) {
	var t task
	if err := json.Unmarshal(job.Event.Data, &t); err != nil {
		return true, fmt.Errorf("a job that is none of this run: %w", err)
	}
	s := Span{Lane: c.Name, Worker: d.name, Job: t.Job, Attempt: job.Attempt, Began: r.now()}
	r.spans.add(s)
	rest := time.Duration(t.Work)
	if crash {
		rest /= 2
	}
	lost, err := r.spend(ctx, d, job, rest)
	switch {
	case err != nil || ctx.Err() != nil:
		return true, ended(ctx, err)
	case crash:
		d.site.shut() // no word to anybody
		r.finish(s, Crashed)
		return true, nil
	case !lost:
		err = d.queue.Ack(ctx, job.Token)
		lost = parley.CodeOf(err) == parley.Conflict
	}
	switch {
	case lost:
		r.finish(s, Lost)
		return false, nil
	case err != nil:
		return true, ended(ctx, err)
	}
	r.finish(s, Done)
	left.down()
	return false, nil
}

// spend lets time pass, and extends the lease whenever half of it is over. lost says
// that it was over before.
func (r *queueRun) spend(ctx context.Context, d *desk, job queue.Lease, rest time.Duration) (lost bool, err error) {
	for end := time.Now().Add(rest); ; {
		beat := time.Now().Add(time.Duration(r.req.Visibility) / 2)
		if !beat.Before(end) {
			until(ctx, end)
			return false, nil
		}
		if !until(ctx, beat) {
			return false, nil
		}
		if err := d.queue.Extend(ctx, job.Token, 0); err != nil {
			return parley.CodeOf(err) == parley.Conflict, unless(parley.Conflict, err)
		}
	}
}

// unless drops an error of a code.
func unless(code parley.Code, err error) error {
	if parley.CodeOf(err) == code {
		return nil
	}
	return err
}

func (r *queueRun) now() float64 { return milliseconds(time.Since(r.rec.start)) }

func (r *queueRun) finish(s Span, end string) {
	s.Ended, s.End = r.now(), end
	r.spans.add(s)
}

// countdown calls none when so many are done.
type countdown struct {
	mu   sync.Mutex
	n    int
	none func()
}

func (c *countdown) down() {
	c.mu.Lock()
	c.n--
	over := c.n == 0
	c.mu.Unlock()
	if over {
		c.none()
	}
}
