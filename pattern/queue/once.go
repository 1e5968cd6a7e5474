package queue

import (
	"context"
	"errors"
	"time"
)

// OnceStore remembers what was done, by key. LogOnce keeps it in a log; who keeps
// effects in a database may keep it there, and write Finish and the effect in one
// transaction: then nothing is ever unsure.
type OnceStore interface {
	// Begin claims a key, if nobody has, and tells what is known of it.
	Begin(ctx context.Context, key string) (OnceMark, error)
	// Finish notes that what the key stands for was done, and what came out of it;
	// nil is nothing.
	Finish(ctx context.Context, key string, out *Output) error
	// Release forgets the key: nothing was done.
	Release(ctx context.Context, key string) error
}

// OnceMark is what a store knows of a key.
type OnceMark struct {
	State  OnceState
	Since  time.Time // when it was begun or done
	Output *Output   // OnceDone: what came out
}

// OnceState is how far somebody is with a key.
type OnceState string

// The states.
const (
	OnceNew   OnceState = "new"   // the caller has it now
	OnceBegun OnceState = "begun" // somebody has begun, and has not said how it ended
	OnceDone  OnceState = "done"
)

// OnceOptions of Once. The zero value works.
type OnceOptions struct {
	// Patience is how long somebody who has begun is waited for, before it is
	// unsure what they did; default 5 min. It should be longer than a job takes.
	Patience time.Duration
	// Again runs what is unsure again, for effects that bear it. Without, such a
	// job is dead, with ErrUnsure in its reason: look, then either Cancel it, or
	// Release its OnceKey and redrive it.
	Again bool
}

// ErrUnsure says that a job's effect may have happened: who began it was not heard
// of again.
var ErrUnsure = errors.New("it is not known whether the job's effect happened: who began it was not heard of again")

// OnceKey is the key of a job: the same at every attempt, and that of no other job.
func OnceKey(l *Lease) string {
	name, _ := QueueOf(l.Token)
	return name + "/" + l.ID.String() + "/" + l.Event.ID
}

// Once makes the effect of a Handler happen once for each job, however often the
// job is leased: it claims the job in the store, runs h, and notes the end there
// before the ack. A later attempt finds the note, runs nothing, and acks, with the
// Output of the first.
//
// What h returns must be true: an error says that nothing happened, and the job
// is tried as ever. What Once cannot do: know what became of an h that was cut
// off, by a crash or a panic, between its effect and its note. That is unsure,
// whatever the store, unless both are one transaction; OnceOptions.Again decides.
// Nor can it stop an h that goes on after its lease was lost; another attempt
// waits for it as long as OnceOptions.Patience. A Result that is not an Output is
// not kept.
func Once(store OnceStore, h Handler, o OnceOptions) Handler {
	o.Patience = orElse(o.Patience, 5*time.Minute)
	return func(ctx context.Context, job *Lease) (Result, error) {
		key := OnceKey(job)
		mark, err := store.Begin(ctx, key)
		if err != nil {
			return nil, err
		}
		switch age := time.Since(mark.Since); {
		case mark.State == OnceDone && mark.Output != nil:
			return *mark.Output, nil
		case mark.State == OnceDone:
			return nil, nil //nolint:nilnil // nothing came out
		case mark.State == OnceBegun && age < o.Patience:
			return nil, RetryAfter(o.Patience-age, errors.New("another attempt is at it"))
		case mark.State == OnceBegun && !o.Again:
			return nil, Fatal(ErrUnsure)
		}
		r, err := h(ctx, job)
		if err != nil {
			return nil, errors.Join(err, persist(ctx, func(ctx context.Context) error { return store.Release(ctx, key) }))
		}
		var out *Output
		switch r := r.(type) {
		case Output:
			out = &r
		case *Output:
			out = r
		}
		return r, persist(ctx, func(ctx context.Context) error { return store.Finish(ctx, key, out) })
	}
}

// persist tries what must not be left out, also when ctx has ended.
func persist(ctx context.Context, fn func(context.Context) error) (err error) {
	try, cancel := context.WithTimeout(context.WithoutCancel(ctx), settlePatience)
	defer cancel()
	for wait := firstRetry; try.Err() == nil; wait = min(2*wait, lastRetry) {
		if err = fn(try); err == nil {
			return nil
		}
		pause(try, wait)
	}
	return err
}
