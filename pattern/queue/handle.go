package queue

import (
	"context"
	"encoding/json"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/journal"
)

// request is what a Queue asks the queue's owner. It holds moves and places, and
// never a job's event; only results go with their acks.
type request struct {
	Op         string          `json:"op"`
	Max        int             `json:"max,omitempty"`
	Wait       time.Duration   `json:"wait,omitempty"`
	Visibility int64           `json:"visibility,omitempty"` // in milliseconds
	Worker     string          `json:"worker,omitempty"`
	Settle     []settlement    `json:"settle,omitempty"`
	IDs        []int64         `json:"ids,omitempty"`
	State      State           `json:"state,omitempty"`
	States     []State         `json:"states,omitempty"`
	After      int64           `json:"after,omitempty"`
	Due        int64           `json:"due,omitempty"` // in milliseconds
	Filter     *Filter         `json:"filter,omitempty"`
	On         bool            `json:"on,omitempty"`
	Settings   json.RawMessage `json:"settings,omitempty"`
	Schedule   string          `json:"schedule,omitempty"`
}

// answer is what it says.
type answer struct {
	Granted  []granted  `json:"granted,omitempty"`
	Problems []*problem `json:"problems,omitempty"` // one for each settlement or id; null is none
	IDs      []int64    `json:"ids,omitempty"`      // or places; one for each id
	Jobs     []shown    `json:"jobs,omitempty"`
	N        int64      `json:"n,omitempty"`
	Stats    *Stats     `json:"stats,omitempty"`
	Oldest   int64      `json:"oldest,omitempty"` // the place of the oldest ready job
	Settings *Settings  `json:"settings,omitempty"`
	Paused   bool       `json:"paused,omitempty"`
	Outcome  *outcome   `json:"outcome,omitempty"`

	Schedules []ScheduleInfo `json:"schedules,omitempty"`
	Holds     []parley.Place `json:"holds,omitempty"`
}

// shown is an Info without what is in the job's event.
type shown struct {
	Info
	Place int64 `json:"place"`
}

// problem carries an error of one of many.
type problem struct {
	Code   string `json:"code"`
	Field  string `json:"field,omitempty"`
	Detail string `json:"detail,omitempty"`
	Fix    string `json:"fix,omitempty"`
}

func problemOf(err error) *problem {
	if err == nil {
		return nil
	}
	p := &problem{Code: parley.CodeOf(err).String(), Detail: err.Error()}
	if e, ok := err.(*parley.Error); ok { //nolint:errorlint // ours, not wrapped
		p.Field, p.Detail, p.Fix = e.Field, e.Detail, e.Fix
	}
	return p
}

func (p *problem) err() error {
	if p == nil {
		return nil
	}
	code, _ := parley.CodeNamed(p.Code)
	return &parley.Error{Code: code, Field: p.Field, Detail: p.Detail, Fix: p.Fix}
}

// handle implements shard.Handler.
func (o *owner) handle(ctx context.Context, in []byte) ([]byte, error) {
	var r request
	if !r.decode(in) {
		return nil, parley.Errorf(parley.Invalid, "a request to the queue's owner cannot be read")
	}
	out, err := o.serve(ctx, &r)
	if err != nil {
		return nil, err
	}
	return out.encode(&r)
}

func (o *owner) serve(ctx context.Context, r *request) (answer, error) {
	switch r.Op {
	case "lease":
		return o.lease(ctx, r)
	case "settle":
		return o.settleAll(ctx, r)
	case "put schedule":
		return o.putSchedule(ctx, r)
	case "schedules":
		return o.listSchedules(ctx, r)
	case "delete schedule":
		return o.endSchedule(ctx, r)
	case "pause schedule":
		return o.pauseSchedule(ctx, r)
	case "result":
		return o.result(ctx, r)
	case "outcome":
		return o.outcome(ctx, r)
	case "places":
		return o.places(ctx, r)
	case "peek":
		return o.peek(ctx, r)
	case "stats":
		return o.stats(ctx, r)
	case "cancel":
		return o.cancel(ctx, r)
	case "reschedule":
		return o.reschedule(ctx, r)
	case "redrive":
		return o.redriveAll(ctx, r)
	case "purge":
		return o.purgeAll(ctx, r)
	case "pause":
		return o.pause(ctx, r)
	case "holds":
		return o.tellHolds(ctx)
	case "settings":
		return o.show(ctx, r)
	case "configure":
		return o.configure(ctx, r)
	}
	return answer{}, parley.Errorf(parley.Unsupported, "a queue's owner does not know %q", r.Op)
}

// lease hands out jobs, and waits for the first if it may.
func (o *owner) lease(ctx context.Context, r *request) (answer, error) {
	out, err := o.leaseSome(ctx, r)
	if err != nil || len(out.Granted) == 0 {
		return out, err
	}
	return out, o.readTerms(ctx, out.Granted)
}

func (o *owner) leaseSome(ctx context.Context, r *request) (answer, error) {
	out, _, err := o.tryLease(ctx, r, nil, false)
	if err != nil || len(out.Granted) > 0 {
		return out, err
	}
	// What the caller enqueued before may still be on its way in.
	if err := o.caughtUp(ctx); err != nil {
		return answer{}, err
	}
	out, w, err := o.tryLease(ctx, r, nil, r.Wait > 0)
	if err != nil || w == nil {
		return out, err
	}
	timer := time.NewTimer(r.Wait)
	defer timer.Stop()
	for {
		select {
		case <-w.woken:
			if out, w, err = o.tryLease(ctx, r, w, true); err != nil || w == nil {
				return out, err
			}
		case <-timer.C:
			return answer{}, o.unpark(ctx, w)
		case <-ctx.Done():
			if err := o.unpark(ctx, w); err != nil {
				return answer{}, err
			}
			return answer{}, context.Cause(ctx)
		}
	}
}

// tryLease looks once, and parks the caller if there is nothing and it waits.
func (o *owner) tryLease(ctx context.Context, r *request, w *waiter, wait bool) (out answer, parked *waiter, err error) {
	err = o.do(ctx, func(tx *journal.Tx, now int64) (err error) {
		out.Granted, err = o.grant(tx, now, r.Max, r.Visibility, r.Worker)
		if err != nil || len(out.Granted) > 0 || !wait {
			return err
		}
		if len(o.waiters) >= MaxWaiting {
			return &parley.Error{Code: parley.Overloaded, Detail: "too many workers wait for jobs of the queue", Fix: "lease several jobs with one request, or wait less", RetryAfter: time.Second}
		}
		parked = o.park(w)
		return nil
	})
	if err == nil {
		return out, parked, nil
	}
	// The caller will not hear of what was granted, and if it was woken, another
	// must be.
	return answer{}, nil, o.giveBack(ctx, out.Granted, parked, err)
}

func (o *owner) settleAll(ctx context.Context, r *request) (out answer, err error) {
	results := o.prepare(ctx, r.Settle)
	err = o.do(ctx, func(tx *journal.Tx, now int64) error {
		out.Problems = make([]*problem, len(r.Settle))
		for i := 0; i < len(r.Settle); i++ {
			if n := plainRun(r.Settle[i:]); n > 0 {
				o.ackAll(tx, now, r.Settle[i:i+n], out.Problems[i:i+n])
				o.churn += n
				i += n - 1
				continue
			}
			s := r.Settle[i]
			var ack func(int64) error
			if result := results[i]; result != nil {
				ack = func(id int64) error { return o.send(tx, result, id) }
			}
			out.Problems[i] = problemOf(o.settle(tx, now, s, ack))
			if s.Action == Ack {
				o.churn++
			}
		}
		return nil
	})
	if err == nil {
		o.sent(results)
	}
	return out, err
}

// outcome tells which of some jobs, just enqueued, are duplicates.
func (o *owner) outcome(ctx context.Context, r *request) (out answer, err error) {
	if err := o.caughtUp(ctx); err != nil {
		return out, err
	}
	err = o.do(ctx, func(*journal.Tx, int64) error {
		for _, id := range r.IDs {
			out.IDs = append(out.IDs, o.dups.of[id])
		}
		return nil
	})
	return out, err
}

func (o *owner) cancel(ctx context.Context, r *request) (out answer, err error) {
	return out, o.each(ctx, r.IDs, &out, func(tx *journal.Tx, _, id int64) error {
		err := tx.Move(encodeIDs(moveCancel, []int64{id}))
		if err == nil {
			o.churn++
			o.forget([]int64{id})
		}
		return err
	})
}

func (o *owner) reschedule(ctx context.Context, r *request) (out answer, err error) {
	return out, o.each(ctx, r.IDs, &out, func(tx *journal.Tx, _, id int64) error {
		return tx.Move(encodeReschedule(id, r.Due))
	})
}

// each does something to each of some jobs that the caller knows, and notes what
// goes wrong.
func (o *owner) each(ctx context.Context, ids []int64, out *answer, fn func(tx *journal.Tx, now, id int64) error) error {
	if err := o.caughtUp(ctx); err != nil {
		return err
	}
	return o.do(ctx, func(tx *journal.Tx, now int64) error {
		out.Problems = make([]*problem, len(ids))
		for i, id := range ids {
			err := fn(tx, now, id)
			if _, there := o.phaseOf(id); err != nil && !there {
				err = noJob(id)
			}
			out.Problems[i] = problemOf(err)
		}
		return nil
	})
}

func noJob(id int64) error {
	return &parley.Error{Code: parley.NotFound, Field: "job", Detail: "no job " + ID(id).String() + ": it is done, canceled, or never was", Fix: "look at the ready, delayed, leased and dead ones"}
}

func (o *owner) redriveAll(ctx context.Context, r *request) (out answer, err error) {
	f := r.Filter
	if f == nil {
		f = new(Filter)
	}
	for {
		var ids []int64
		err := o.do(ctx, func(tx *journal.Tx, _ int64) error {
			if ids = o.deadJobs(f, redriveAtOnce); len(ids) == 0 {
				return nil
			}
			return tx.Move(encodeIDs(moveRedrive, ids))
		})
		out.N += int64(len(ids))
		if err != nil || len(ids) < redriveAtOnce {
			return out, err
		}
	}
}

const redriveAtOnce = 10_000

func (o *owner) purgeAll(ctx context.Context, r *request) (out answer, err error) {
	var phases []phase
	for _, s := range r.States {
		switch s {
		case Ready:
			phases = append(phases, phaseReady)
		case Delayed:
			phases = append(phases, phaseDelayed)
		case Dead:
			phases = append(phases, phaseDead)
		default:
			return out, parley.BadField("states", "jobs that are "+string(s)+" cannot be purged", `send "ready", "delayed" or "dead"; cancel leased jobs one by one`)
		}
	}
	if err := o.caughtUp(ctx); err != nil {
		return out, err
	}
	err = o.do(ctx, func(tx *journal.Tx, _ int64) error {
		before := o.liveCount()
		err := tx.Move(encodePurge(phases...))
		for id := range o.awaited.by {
			if _, there := o.phaseOf(id); !there { // ranges go without a word
				o.awaited.ended(id)
			}
		}
		out.N = before - o.liveCount()
		o.churn += int(out.N)
		return err
	})
	return out, err
}

func (o *owner) pause(ctx context.Context, r *request) (out answer, err error) {
	return out, o.do(ctx, func(tx *journal.Tx, _ int64) error {
		if o.paused == r.On {
			return nil
		}
		return tx.Move(encodePause(r.On))
	})
}

func (o *owner) show(ctx context.Context, _ *request) (out answer, err error) {
	err = o.do(ctx, func(*journal.Tx, int64) error {
		s := o.settings
		out.Settings, out.Paused = &s, o.paused
		return nil
	})
	return out, err
}

func (o *owner) configure(ctx context.Context, r *request) (out answer, err error) {
	var s Settings
	if err := json.Unmarshal(r.Settings, &s); err != nil {
		return out, err
	}
	if s, err = s.Defaults(); err != nil {
		return out, err
	}
	if err := s.checkCircle(o.queue); err != nil {
		return out, err
	}
	move, err := encodeSettings(s)
	if err != nil {
		return out, err
	}
	begins, err := o.begins(ctx, s.Feed)
	if err != nil {
		return out, err
	}
	out.Settings = &s
	return out, o.do(ctx, func(tx *journal.Tx, _ int64) error {
		for _, p := range s.Feed {
			if o.fed[p] == "" && begins[p] == "" {
				return parley.Errorf(parley.Conflict, "the settings were changed meanwhile: ask again")
			}
		}
		if err := tx.Move(move); err != nil {
			return err
		}
		return o.beginFeeds(tx, s.Feed, begins)
	})
}
