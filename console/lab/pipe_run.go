package lab

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pipe"
)

// pipeRun is one run with pipes on its way: each a pipe of the library, in this process.
type pipeRun struct {
	req   PipeRequest
	start time.Time
	marks marks

	mu    sync.Mutex
	given map[string]*giver // by lane, once it is over
	calls map[string]int    // of the stage that takes time, by lane
}

func newPipeRun(req PipeRequest) *pipeRun {
	return &pipeRun{req: req, start: time.Now(), given: map[string]*giver{}, calls: map[string]int{}}
}

func (r *pipeRun) now() float64 { return milliseconds(time.Since(r.start)) }

func (r *pipeRun) mark(lane, stage, way string, events []task) {
	r.marks.mu.Lock()
	defer r.marks.mu.Unlock()
	at := r.now() // so marks are in the order of time
	for _, t := range events {
		r.marks.all = append(r.marks.all, Mark{Lane: lane, Stage: stage, Way: way, Event: t.Job, At: at})
	}
}

// longest is how long a run may take: all events one after the other through each
// stage, and what a busy machine needs.
func (r *pipeRun) longest() time.Duration {
	sum := time.Duration(0)
	for _, t := range r.req.tasks() {
		sum += time.Duration(t.Work)
	}
	return 2*sum + grace
}

// do has all events go through every flow, or ctx end. When it returns, nothing of the
// run lives any more.
func (r *pipeRun) do(ctx context.Context) (first error) {
	ctx, stop := context.WithDeadline(ctx, r.start.Add(r.longest()))
	defer stop()
	flows := Flows()
	failed := make(chan error, len(flows))
	for _, f := range flows {
		go func() { failed <- r.flow(ctx, f) }()
	}
	for range flows {
		if err := <-failed; err != nil && first == nil {
			first = err
			stop()
		}
	}
	return first
}

func (r *pipeRun) flow(ctx context.Context, f Flow) error {
	from := &giver{r: r, lane: f.Name, left: r.req.tasks()}
	sink := pipe.SinkFunc[task](func(_ context.Context, events []task) error {
		r.mark(f.Name, StageSink, MarkIn, events)
		return nil
	})
	err := pipe.Run(ctx, pipe.Options{}, pipe.To(f.build(r, f.Name, pipe.From(from)), sink))
	r.mu.Lock()
	r.given[f.Name] = from
	r.mu.Unlock()
	if err != nil && ctx.Err() == nil {
		return &parley.Error{Code: parley.CodeOf(err), Detail: f.Title + ": " + err.Error(), Err: err}
	}
	return nil
}

// giver is the source of a flow: it gives the next event whenever it is asked.
type giver struct {
	r     *pipeRun
	lane  string
	left  []task
	one   [1]task // that was given last
	gave  time.Time
	held  time.Duration // not asked, though it had more
	acked int64
}

// Next implements pipe.Source.
func (g *giver) Next(context.Context) ([]task, error) {
	if !g.gave.IsZero() {
		g.held += time.Since(g.gave)
	}
	g.one[0], g.left = g.left[0], g.left[1:]
	g.gave = time.Now()
	g.r.mark(g.lane, StageSource, MarkOut, g.one[:])
	if len(g.left) == 0 {
		return g.one[:], io.EOF
	}
	return g.one[:], nil
}

// Ack implements pipe.Acker.
func (g *giver) Ack(_ context.Context, events int64) error {
	g.acked = events
	return nil
}
