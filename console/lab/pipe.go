package lab

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/parleyhq/parley/pattern/pipe"
)

// Flow is one lane of a run with pipes: a source, its stages and a sink.
type Flow struct {
	Name    string   `json:"name"`
	Title   string   `json:"title"`
	Summary string   `json:"summary"` // one sentence: what is to be seen
	Stages  []string `json:"stages"`  // between source and sink
	// Queues says that each stage has a goroutine of its own, and a queue before it.
	Queues bool `json:"queues,omitempty"`
	build  func(r *pipeRun, lane string, from pipe.Flow[task]) pipe.Flow[task]
}

// What every flow begins and ends with, and the stage that takes time.
const (
	StageSource = "source"
	StageWork   = "work"
	StageSink   = "sink"
)

var slowStages = []string{"parse", StageWork, "format"}

// Flows lists the lanes of a run with pipes.
func Flows() []Flow {
	one := []string{StageWork}
	return []Flow{
		{Name: "serial", Title: "Serial", Summary: "One event after the other, in one goroutine: the next is read when the one before has been written.", Stages: one, build: (*pipeRun).serial},
		{Name: "parallel", Title: "Parallel", Summary: "Several are worked on at a time, and whatever is done first is written first: quick, and out of order.", Stages: one, build: (*pipeRun).parallel},
		{Name: "ordered", Title: "Parallel, in order", Summary: "As many at a time; what is done early waits for what was before it, and keeps a place meanwhile.", Stages: one, build: (*pipeRun).ordered},
		{Name: "batched", Title: "Batched", Summary: "Events are gathered, and a call with many takes no longer than with the slowest of them alone, as a commit or a round trip does.", Stages: one, build: (*pipeRun).batched},
		{Name: "slow", Title: "A slow stage", Summary: "Each stage has a goroutine, and a queue with little room before it. The queues up to the slow stage are full, those behind it are empty, and the source is not asked for more.", Stages: slowStages, Queues: true, build: (*pipeRun).slow},
	}
}

func (r *pipeRun) serial(lane string, from pipe.Flow[task]) pipe.Flow[task] {
	return pipe.Map(from, r.work(lane))
}

func (r *pipeRun) parallel(lane string, from pipe.Flow[task]) pipe.Flow[task] {
	return r.lanes(lane, from, pipe.OrderNone)
}

func (r *pipeRun) ordered(lane string, from pipe.Flow[task]) pipe.Flow[task] {
	return r.lanes(lane, from, pipe.OrderTotal)
}

func (r *pipeRun) lanes(lane string, from pipe.Flow[task], order pipe.Order) pipe.Flow[task] {
	limit := pipe.Limit[task]{Events: r.req.Lanes + r.req.Room}
	return pipe.Parallel(from, pipe.Lanes[task]{N: r.req.Lanes, Order: order, Limit: limit}, func(one pipe.Flow[task]) pipe.Flow[task] {
		return pipe.Map(one, r.work(lane))
	})
}

func (r *pipeRun) batched(lane string, from pipe.Flow[task]) pipe.Flow[task] {
	return pipe.FlatMap(pipe.Batch(from, pipe.BatchOptions[task]{Count: r.req.Batch}), func(ctx context.Context, batch, to []task) ([]task, error) {
		return append(to, batch...), r.call(ctx, lane, batch)
	})
}

// slow has a queue before each stage. The sink is called by the last of them.
func (r *pipeRun) slow(lane string, from pipe.Flow[task]) pipe.Flow[task] {
	for _, stage := range slowStages {
		from = pipe.Through(from, pipe.Limit[task]{Events: r.req.Room}, func(ctx context.Context, in *pipe.Inlet[task], emit pipe.Emit[task]) error {
			return r.stage(ctx, lane, stage, in, emit)
		}).Named(stage)
	}
	return from
}

// quick is how much quicker the other stages of a flow are than the slow one.
const quick = 10

// stage works on what comes, one event after the other, until there is no more.
func (r *pipeRun) stage(ctx context.Context, lane, stage string, in *pipe.Inlet[task], emit pipe.Emit[task]) error {
	for {
		events, err := in.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		for i := 0; err == nil && i < len(events); i++ {
			long := time.Duration(events[i].Work)
			if stage != StageWork {
				long /= quick
			}
			if err = r.spend(ctx, lane, stage, long, events[i:i+1]); err == nil {
				err = emit(events[i : i+1])
			}
		}
		if err != nil {
			return err
		}
	}
}

// work is a stage that takes as long for each event as that says.
func (r *pipeRun) work(lane string) func(context.Context, task) (task, error) {
	return func(ctx context.Context, t task) (task, error) { return t, r.call(ctx, lane, []task{t}) }
}

// call takes as long as the longest of some events.
func (r *pipeRun) call(ctx context.Context, lane string, events []task) error {
	long := time.Duration(0)
	for _, t := range events {
		long = max(long, time.Duration(t.Work))
	}
	return r.spend(ctx, lane, StageWork, long, events)
}

// spend lets time pass at a stage.
func (r *pipeRun) spend(ctx context.Context, lane, stage string, long time.Duration, events []task) error {
	if stage == StageWork {
		r.mu.Lock()
		r.calls[lane]++
		r.mu.Unlock()
	}
	r.mark(lane, stage, MarkIn, events)
	if !until(ctx, time.Now().Add(long)) {
		return context.Cause(ctx)
	}
	r.mark(lane, stage, MarkOut, events)
	return nil
}
