package queue

import (
	"bytes"
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
)

// Get shows one job. Errors: NotFound when it is done, canceled or never was;
// those of Host.Ask and Log.Read.
func (q *Queue) Get(ctx context.Context, id ID) (Info, error) {
	list, err := q.show(ctx, &request{Op: "peek", IDs: []int64{int64(id)}})
	if err != nil {
		return Info{}, err
	}
	if len(list) == 0 {
		return Info{}, noJob(int64(id))
	}
	return list[0], nil
}

// Peek shows jobs of one state, the oldest first, and leases nothing. Errors:
// Invalid; those of Host.Ask and Log.Read.
func (q *Queue) Peek(ctx context.Context, r PeekRequest) ([]Info, error) {
	r.Max = orElse(r.Max, 100)
	switch {
	case r.State != Ready && r.State != Delayed && r.State != Leased && r.State != Dead:
		return nil, parley.BadField("state", "is "+strconv.Quote(string(r.State)), `send "ready", "delayed", "leased" or "dead"`)
	case r.Max < 1 || r.Max > 1000:
		return nil, parley.BadField("max", "is "+strconv.Itoa(r.Max), "send 1 to 1000")
	}
	return q.show(ctx, &request{Op: "peek", State: r.State, After: int64(r.After), Max: r.Max})
}

func (q *Queue) show(ctx context.Context, r *request) ([]Info, error) {
	a, err := q.ask(ctx, r)
	if err != nil || len(a.Jobs) == 0 {
		return nil, err
	}
	list := make([]granted, len(a.Jobs))
	for i, s := range a.Jobs {
		list[i] = granted{ID: int64(s.ID), Place: s.Place}
	}
	out := make([]Info, len(a.Jobs))
	for i, s := range a.Jobs {
		out[i] = s.Info
	}
	err = q.events(ctx, list, func(i int, job stored) {
		job.event.Data = bytes.Clone(job.event.Data)
		out[i].Event, out[i].Enqueued = job.event, job.enqueued
		if job.terms != nil {
			out[i].Retry, out[i].MaxAttempts = job.terms.Retry, job.terms.MaxAttempts
		}
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Cancel removes 1 to MaxIDs jobs that are ready, delayed or leased; the leases
// are over. The errors are those of each job: NotFound, Conflict for a dead one.
// The second result is the error of the request as a whole.
func (q *Queue) Cancel(ctx context.Context, ids ...ID) ([]error, error) {
	if len(ids) == 0 || len(ids) > MaxIDs {
		return nil, parley.BadField("jobs", strconv.Itoa(len(ids))+" in one request", "send 1 to 1000")
	}
	r := request{Op: "cancel"}
	for _, id := range ids {
		r.IDs = append(r.IDs, int64(id))
	}
	a, err := q.ask(ctx, &r)
	if err != nil {
		return nil, err
	}
	return errorsOf(a.Problems, len(ids)), nil
}

// Reschedule makes a ready or delayed job ready at a time; one that has come is
// at once. Errors: NotFound, Conflict for a leased or dead one, those of Host.Ask.
func (q *Queue) Reschedule(ctx context.Context, id ID, at time.Time) error {
	if at.After(time.Now().Add(MaxDelay)) {
		return parley.BadField("at", "is more than ten years away", "send a time that comes")
	}
	a, err := q.ask(ctx, &request{Op: "reschedule", IDs: []int64{int64(id)}, Due: millisOf(at)})
	if err != nil {
		return err
	}
	return errorsOf(a.Problems, 1)[0]
}

// Redrive makes all dead jobs that the filter selects ready again, with all their
// attempts before them, and gives their number. Errors: Invalid, those of
// Host.Ask; some may have been redriven then.
func (q *Queue) Redrive(ctx context.Context, f Filter) (int64, error) {
	if len(f.IDs) > MaxIDs {
		return 0, parley.BadField("ids", strconv.Itoa(len(f.IDs))+" in one request", "send at most 1000")
	}
	a, err := q.ask(ctx, &request{Op: "redrive", Filter: &f})
	return a.N, err
}

// Purge removes all jobs that are in one of the states, and gives their number.
// Leased jobs cannot be purged: Invalid. Other errors: those of Host.Ask.
func (q *Queue) Purge(ctx context.Context, states ...State) (int64, error) {
	if len(states) == 0 {
		return 0, parley.BadField("states", "none is named", `send "ready", "delayed" or "dead"`)
	}
	a, err := q.ask(ctx, &request{Op: "purge", States: states})
	return a.N, err
}

// Pause makes Lease give nothing, until Resume. Leases go on, and so does
// Enqueue. Errors: those of Host.Ask, as for all that follow.
func (q *Queue) Pause(ctx context.Context) error {
	_, err := q.ask(ctx, &request{Op: "pause", On: true})
	return err
}

// Resume ends a Pause: workers that wait are woken.
func (q *Queue) Resume(ctx context.Context) error {
	_, err := q.ask(ctx, &request{Op: "pause"})
	return err
}

// Settings gives the queue's settings, complete.
func (q *Queue) Settings(ctx context.Context) (Settings, error) {
	a, err := q.ask(ctx, &request{Op: "settings"})
	if err != nil {
		return Settings{}, err
	}
	if a.Settings == nil {
		return Settings{}, parley.Errorf(parley.Internal, "the queue's owner answers no settings")
	}
	return *a.Settings, nil
}

// Configure gives the queue other settings: complete ones, zero fields mean the
// default (to change a few, start from Settings). They hold for what happens from
// now on: leases and delays under way stay as they are. Errors: Invalid, naming
// the member.
func (q *Queue) Configure(ctx context.Context, s Settings) (Settings, error) {
	s, err := s.Defaults()
	if err != nil {
		return s, err
	}
	b, err := json.Marshal(s)
	if err != nil {
		return s, err
	}
	_, err = q.ask(ctx, &request{Op: "configure", Settings: b})
	return s, err
}

// Stats counts the queue's jobs.
func (q *Queue) Stats(ctx context.Context) (Stats, error) {
	a, err := q.ask(ctx, &request{Op: "stats"})
	if err != nil {
		return Stats{}, err
	}
	if a.Stats == nil {
		return Stats{}, parley.Errorf(parley.Internal, "the queue's owner answers no counts")
	}
	if a.Oldest != 0 {
		events, err := fetch(ctx, q.log, q.jobs, []int64{a.Oldest})
		if err != nil {
			return Stats{}, err
		}
		a.Stats.Oldest = events[a.Oldest].enqueued
	}
	return *a.Stats, nil
}
