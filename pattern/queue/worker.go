package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/parleyhq/parley"
)

// Source is what a Worker works for: a Queue, or a client of one.
type Source interface {
	Lease(ctx context.Context, r LeaseRequest) ([]Lease, error)
	Settle(ctx context.Context, list []Settlement) ([]error, error)
}

// Handler works one job off. nil acks it. An error nacks it, and what the error
// says is the cause; see Fatal and RetryAfter for other ends. The context ends when
// the lease is lost, when the job's time is up, and when the worker was told to
// stop and its grace is over: a handler that goes on then works for nothing.
type Handler func(ctx context.Context, job *Lease) (Result, error)

// Result is what came out of a job; nil when nothing did. An Output is published
// with the ack (see AckWith); anything else is OnResult's.
type Result any

// Middleware wraps a Handler: logging, tracing, metrics.
type Middleware func(Handler) Handler

// WorkerOptions of a Worker. The zero value works.
type WorkerOptions struct {
	Name        string        // for people, in the history of jobs
	Concurrency int           // jobs at once; default 1
	Visibility  time.Duration // of the leases; 0 = the queue's. It is extended while a job is worked on.
	// Heartbeat is how often leases are extended; default: when a third of the
	// lease is over.
	Heartbeat time.Duration
	// Timeout ends a job's context; 0 = never.
	Timeout time.Duration
	// Grace is how long jobs under way may go on when Run's context ends; default
	// 30 s, negative = not at all. What is not done then is nacked for at once.
	Grace time.Duration
	// Wait is how long one Lease waits; default 25 s.
	Wait time.Duration
	// Use wraps the handler; the first is the outermost.
	Use []Middleware
	// OnResult gets each result before the job is acked, to store or publish it;
	// its error nacks the job, so it may see a result again.
	OnResult func(ctx context.Context, job *Lease, r Result) error
	// Logger hears of failures. Default: nobody.
	Logger *slog.Logger
}

func (o WorkerOptions) withDefaults() (WorkerOptions, error) {
	for _, f := range []struct {
		name string
		bad  bool
	}{
		{"concurrency", o.Concurrency < 0 || o.Concurrency > 100_000},
		{"visibility", o.Visibility < 0 || o.Visibility > MaxVisibility},
		{"heartbeat", o.Heartbeat < 0},
		{"timeout", o.Timeout < 0},
		{"wait", o.Wait < 0 || o.Wait > MaxWait},
	} {
		if f.bad {
			return o, parley.BadField(f.name, "is negative or too large", "leave it 0 for the default")
		}
	}
	o.Concurrency = orElse(o.Concurrency, 1)
	o.Grace = orElse(o.Grace, 30*time.Second)
	o.Wait = orElse(o.Wait, 25*time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

// buried and delayed are the other ends of a job.
type (
	buried  struct{ error }
	delayed struct {
		error
		after time.Duration
	}
)

func (e buried) Unwrap() error  { return e.error }
func (e delayed) Unwrap() error { return e.error }

// Fatal makes an error that a Handler returns final: the job is dead, and is not
// tried again.
func Fatal(err error) error { return buried{err} }

// RetryAfter makes an error that a Handler returns say when the job is tried
// again, instead of the queue's retry policy.
func RetryAfter(after time.Duration, err error) error { return delayed{err, max(0, after)} }

// Worker leases jobs and has a Handler work them off.
type Worker struct {
	source  Source
	handler Handler
	opt     WorkerOptions
}

// NewWorker makes a worker. It starts nothing. Errors: Invalid options.
func NewWorker(s Source, h Handler, o WorkerOptions) (*Worker, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	for i := len(o.Use) - 1; i >= 0; i-- {
		h = o.Use[i](h)
	}
	return &Worker{source: s, handler: h, opt: o}, nil
}

// Run works until ctx ends; then it leases no more, lets jobs under way go on for
// Options.Grace, settles them, and returns nil. When the source fails it tries
// again, for ever, with growing pauses; only an Invalid, Forbidden or
// Unauthenticated request, which cannot get better, ends it with the error.
func (w *Worker) Run(ctx context.Context) error {
	work, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	grace := context.AfterFunc(ctx, func() {
		if w.opt.Grace <= 0 {
			stop(errStopped)
		}
	})
	defer grace()
	slots := make(chan struct{}, w.opt.Concurrency)
	var jobs sync.WaitGroup
	err := w.lease(ctx, slots, func(l *Lease) {
		jobs.Go(func() {
			defer func() { <-slots }()
			w.work(work, l)
		})
	})
	if w.opt.Grace > 0 {
		timer := time.AfterFunc(w.opt.Grace, func() { stop(errStopped) })
		defer timer.Stop()
	}
	jobs.Wait()
	return err
}

var (
	errStopped = errors.New("the worker stopped before the job was done")
	errLost    = errors.New("the lease was lost")
	errLate    = errors.New("the job took longer than its timeout")
)

// lease takes jobs for free slots, until ctx ends.
func (w *Worker) lease(ctx context.Context, slots chan struct{}, begin func(*Lease)) error {
	for wait := firstRetry; ; {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		n := 1
		for n < min(w.opt.Concurrency, MaxLease) && len(slots) < cap(slots) {
			slots <- struct{}{} // only this goroutine fills them
			n++
		}
		list, err := w.source.Lease(ctx, LeaseRequest{Max: n, Wait: w.opt.Wait, Visibility: w.opt.Visibility, Worker: w.opt.Name})
		for i := range list {
			list[i].source = w.source
			begin(&list[i])
		}
		for range n - len(list) {
			<-slots
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			wait = firstRetry
			continue
		}
		switch parley.CodeOf(err) {
		case parley.Invalid, parley.Forbidden, parley.Unauthenticated:
			return err
		}
		w.opt.Logger.Warn("jobs cannot be leased", slog.String("worker", w.opt.Name), slog.Any("error", err))
		pause(ctx, wait)
		wait = min(2*wait, lastRetry)
	}
}

// work works one job off.
func (w *Worker) work(ctx context.Context, l *Lease) {
	job, end := context.WithCancelCause(ctx)
	defer end(nil)
	if w.opt.Timeout > 0 {
		timer := time.AfterFunc(w.opt.Timeout, func() { end(errLate) })
		defer timer.Stop()
	}
	var beats sync.WaitGroup
	beating, stop := context.WithCancel(job)
	beats.Go(func() { w.beat(beating, l, end) })
	out, err := w.call(job, l)
	stop()
	beats.Wait()
	if errors.Is(context.Cause(job), errLost) {
		w.opt.Logger.Warn("a job's lease was lost", slog.String("worker", w.opt.Name), slog.Int64("job", int64(l.ID)))
		return
	}
	w.settle(ctx, job, l, out, err)
}

// beat extends the lease while the job is worked on.
func (w *Worker) beat(ctx context.Context, l *Lease, end context.CancelCauseFunc) {
	every := orElse(w.opt.Heartbeat, max(l.Visibility/3, time.Millisecond))
	timer := time.NewTimer(every)
	defer timer.Stop()
	until := time.Now().Add(l.Visibility) // by this clock: the owner's may differ
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		try, cancel := context.WithDeadline(ctx, until)
		asked := time.Now()
		over, err := w.settleOne(try, Settlement{Lease: l.Token, Action: Extend, Extend: l.Visibility})
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case over, err != nil && !time.Now().Before(until):
			end(errLost)
			return
		case err == nil:
			until = asked.Add(l.Visibility)
		}
		timer.Reset(every)
	}
}

// settleOne settles one lease. over says that the answer is about the lease, and
// will not change.
func (w *Worker) settleOne(ctx context.Context, s Settlement) (over bool, err error) {
	errs, err := w.source.Settle(ctx, []Settlement{s})
	if err == nil && len(errs) > 0 {
		return errs[0] != nil, errs[0]
	}
	return false, err
}

// call runs the handler, and makes an error of a panic.
func (w *Worker) call(ctx context.Context, l *Lease) (out *Output, err error) {
	defer func() {
		if p := recover(); p != nil {
			w.opt.Logger.Error("a handler panicked", slog.String("worker", w.opt.Name), slog.Int64("job", int64(l.ID)), slog.Any("panic", p))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	r, err := w.handler(ctx, l)
	if err == nil && r != nil && w.opt.OnResult != nil {
		err = w.opt.OnResult(ctx, l, r)
	}
	switch r := r.(type) {
	case Output:
		out = &r
	case *Output:
		out = r
	}
	return out, err
}

// settle tells how the job ended. It goes on trying until the lease is over.
func (w *Worker) settle(ctx, job context.Context, l *Lease, out *Output, err error) {
	s := Settlement{Lease: l.Token, Action: Ack, Result: out}
	if err != nil {
		s.Result = nil
	}
	var final buried
	var later delayed
	switch {
	case err == nil:
	case errors.As(err, &final):
		s.Action, s.Cause = Bury, err.Error()
	case errors.As(err, &later):
		s.Action, s.Cause, s.Delay = Nack, err.Error(), &later.after
	case errors.Is(context.Cause(job), errStopped):
		s.Action, s.Cause, s.Delay = Nack, errStopped.Error(), new(time.Duration)
	case errors.Is(context.Cause(job), errLate):
		s.Action, s.Cause = Nack, errLate.Error()
	default:
		s.Action, s.Cause = Nack, err.Error()
	}
	try, cancel := context.WithTimeout(context.WithoutCancel(ctx), settlePatience)
	defer cancel()
	for wait := firstRetry; try.Err() == nil; wait = min(2*wait, lastRetry) {
		_, err := w.settleOne(try, s)
		if err == nil {
			return
		}
		w.opt.Logger.Warn("a job cannot be settled", slog.String("worker", w.opt.Name), slog.Int64("job", int64(l.ID)), slog.Any("error", err))
		switch code := parley.CodeOf(err); {
		case retried(code):
			pause(try, wait)
		case s.Result != nil && code != parley.Conflict: // its result cannot be kept: that will not change
			s = Settlement{Lease: l.Token, Action: Nack, Cause: "its result is refused: " + err.Error()}
		default:
			return
		}
	}
}

// retried says that a settlement may succeed when it is tried again.
func retried(code parley.Code) bool {
	switch code {
	case parley.Unavailable, parley.Unknown, parley.Timeout, parley.Overloaded, parley.Throttled, parley.Full:
		return true
	}
	return false
}

// settlePatience is how long a worker tries to settle a job.
const settlePatience = 15 * time.Second
