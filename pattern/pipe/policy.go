package pipe

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/parleyhq/parley"
)

// Options say how a run treats what goes wrong. The zero value tries once and ends
// the run with the first error.
type Options struct {
	// Retry is for stages, sinks and sources alike.
	Retry Retry
	// Dead takes an event that failed for good; the run then goes on without it. Nil,
	// or an error of its own, ends the run. Lanes of Parallel call it concurrently.
	Dead func(ctx context.Context, d Dead) error
}

// Retry says how often and when something that failed is tried again. Meanwhile
// what is behind it waits, so that order is kept.
type Retry struct {
	Attempts int           // tries in all; 0 is 1
	Base     time.Duration // pause after the first try, doubled after each; 0 is 100 ms
	Max      time.Duration // longest pause; 0 is 5 s
}

// Dead is an event that failed for good.
type Dead struct {
	Stage    string // see Flow.Named
	Event    any    // as the stage got it
	Attempts int    // tries
	Err      error  // of the last try
}

// Permanent marks an error that trying again would not mend.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanent{err}
}

// IsPermanent says that an error was marked by Permanent.
func IsPermanent(err error) bool {
	var p *permanent
	return errors.As(err, &p)
}

type permanent struct{ err error }

func (p *permanent) Error() string { return p.err.Error() }
func (p *permanent) Unwrap() error { return p.err }

// Do calls do until it works, as often and with such pauses as p says, and gives the
// number of tries and the last error, without the mark of Permanent. It does not try
// again after Stop, a Permanent error, or the end of ctx, whose cause it then gives.
func (p Retry) Do(ctx context.Context, do func() error) (tries int, err error) {
	for try := 1; ; try++ {
		if err = do(); err == nil {
			return try, nil
		}
		again, e := p.again(ctx, try, err)
		if !again {
			return try, unmark(e)
		}
	}
}

// again waits for the next try, or says that there is none and with which error.
func (p Retry) again(ctx context.Context, try int, err error) (bool, error) {
	var forGood *permanent
	if errors.Is(err, Stop) || try >= p.Attempts || errors.As(err, &forGood) {
		return false, err
	}
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	pause, most := p.Base, p.Max
	if pause <= 0 {
		pause = 100 * time.Millisecond
	}
	if most <= 0 {
		most = 5 * time.Second
	}
	for range try - 1 {
		pause = min(2*pause, most)
	}
	t := time.NewTimer(min(pause, most))
	defer t.Stop()
	select {
	case <-t.C:
		return true, nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

func (l *label) retry(r *run) Retry {
	if l.catch != nil && l.catch.Retry.Attempts > 0 {
		return l.catch.Retry
	}
	return r.opt.Retry
}

// Catch builds a part of a flow whose errors are treated by options of its own: its
// Retry, if that has Attempts, and its Dead, if it has one, stand in the place of
// the run's. Of nested ones the innermost counts.
func Catch[T, U any](f Flow[T], o Options, body func(Flow[T]) Flow[U]) Flow[U] {
	before := f.last
	if before == nil {
		return body(f)
	}
	if outer := before.catch; outer != nil {
		if o.Retry.Attempts <= 0 {
			o.Retry = outer.Retry
		}
		if o.Dead == nil {
			o.Dead = outer.Dead
		}
	}
	f.last = &label{before.place, before.name, &o}
	out := body(f)
	if out.last != nil {
		out.last = &label{out.last.place, out.last.name, before.catch}
	}
	return out
}

// mend tries do again after it failed with err. It gives nil when it worked or the
// event was buried; lost says the latter.
func mend[T any](ctx context.Context, r *run, l *label, event T, err error, do func() error) (lost bool, _ error) {
	for try := 1; ; try++ {
		again, e := l.retry(r).again(ctx, try, err)
		if !again && errors.Is(e, Stop) {
			return true, Stop
		}
		if !again && ctx.Err() != nil {
			return true, context.Cause(ctx)
		}
		if !again {
			return true, r.bury(ctx, l, event, try, e)
		}
		if err = do(); err == nil {
			return false, nil
		}
	}
}

// bury hands an event to the dead-letter function.
func (r *run) bury(ctx context.Context, l *label, event any, tries int, err error) error {
	dead := r.opt.Dead
	if l.catch != nil && l.catch.Dead != nil {
		dead = l.catch.Dead
	}
	if dead == nil {
		return failed(l, err)
	}
	if e := dead(ctx, Dead{Stage: l.name, Event: event, Attempts: tries, Err: unmark(err)}); e != nil {
		return failed(l, errors.Join(unmark(err), fmt.Errorf("the dead-letter function failed too: %w", e)))
	}
	return nil
}

func unmark(err error) error {
	if p, ok := err.(*permanent); ok { //nolint:errorlint // only the mark that is outermost is taken off
		return p.err
	}
	return err
}

// failed says in which stage an error happened; the code is that of the cause.
func failed(l *label, err error) error {
	err = unmark(err)
	if errors.Is(err, context.Canceled) && parley.CodeOf(err) == parley.Canceled {
		return err
	}
	told := parley.Error{Code: parley.CodeOf(err), Detail: err.Error()}
	if e, ok := errors.AsType[*parley.Error](err); ok {
		told = *e
	}
	told.Detail, told.Err = "stage "+l.name+": "+told.Detail, err
	return &told
}

func invalid(l *label, detail string) error {
	return parley.BadField("flow", "stage "+l.name+": "+detail, "see the documentation of package pipe")
}
