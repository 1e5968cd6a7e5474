package declared

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/journal"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/pattern/pipe/graph"
)

// owner runs a pipe, or its part in one partition, on the node that owns it.
type owner struct {
	e       *entry
	r       *Registry
	part    int           // the partition, in an era
	stream  parley.Stream // of its journal
	node    string        // that owns it, for people
	book    *book         // touched in the journal's goroutine only
	journal *journal.Journal
	meter   meter
	taps    taps

	together map[parley.Stream]bool // whether one commit takes a stream and the journal; the worker's

	// How a batch that is too large for one commit is worked on; the worker's.
	limit  int     // events at a time; 0 = as many as there are
	poison *poison // an event that is too large for itself

	behind   bool          // it does not run by the newest definition; the worker's
	retiring atomic.Uint64 // a revision before which it is to retire; see follow.go
}

// poison is the event behind which a lane has a cursor.
type poison struct {
	lane   int
	cursor string
	err    error
}

// own runs one part of the pipe for one ownership.
func (e *entry) own(ctx context.Context, part int, s *shard.Owner) error {
	o := &owner{e: e, r: e.r, part: part, stream: partOf(e.stream, part), node: s.Fence.Owner, book: &book{}, together: map[parley.Stream]bool{}, limit: firstChunk}
	j, err := journal.Open(ctx, e.r.log, o.stream, o.book, journal.Options{Fence: s.Fence, Logger: e.r.opt.Logger})
	if err != nil {
		return err
	}
	o.journal = j
	o.taps.term = j.Term()
	o.meter.since = time.Now()
	work, stop := context.WithCancel(ctx)
	var tasks sync.WaitGroup
	defer e.r.opt.Topics.Release(o.holder()) // last: the worker holds until it has ended
	defer tasks.Wait()
	defer stop()
	tasks.Go(func() { o.work(work) })
	s.Handle(o.handle)
	return j.Run(ctx)
}

// look reads the book.
func (o *owner) look(ctx context.Context, fn func(b *book)) error {
	return o.journal.Do(ctx, func(*journal.Tx) error {
		fn(o.book)
		return nil
	})
}

// errChanged ends a run of the machine when something about the pipe has changed, or
// is to be tried in another way.
var errChanged = errors.New("the pipe has changed")

// work drives the pipe until ctx ends, with a pause after what fails.
func (o *owner) work(ctx context.Context) {
	wait := firstRetry
	for ctx.Err() == nil {
		begun := time.Now()
		err := o.drive(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil || errors.Is(err, errChanged):
			wait = firstRetry
			continue
		}
		o.meter.trouble(err)
		o.r.opt.Logger.LogAttrs(ctx, slog.LevelWarn, "a pipe does not go on", slog.String("pipe", o.e.name), slog.Any("error", err))
		if time.Since(begun) > lastRetry {
			wait = firstRetry
		}
		o.wait(ctx, wait)
		wait = min(2*wait, lastRetry)
	}
}

// wait waits for a time, or until the pipe is changed.
func (o *owner) wait(ctx context.Context, d time.Duration) {
	_, _, changed := o.e.now()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-changed:
	case <-ctx.Done():
	}
}

// adopted is what the pipe runs by, as the journal has it.
type adopted struct {
	kept
	adoption
	state []byte // of the stages
}

func (o *owner) adopted(ctx context.Context) (a adopted, err error) {
	var stored []byte
	err = o.look(ctx, func(b *book) {
		a.kept, a.adoption, stored = b.kept, b.adoption, b.state
		a.Lanes = slices.Clone(a.Lanes)
	})
	if err == nil {
		a.state, err = unpack(stored)
	}
	return a, err
}

// plan gives the plan that the pipe is to run by now: the newest definition if the
// pipe can go on with it, else the one it had.
func (o *owner) plan(ctx context.Context) (*definition, adopted, error) {
	a, err := o.adopted(ctx)
	if err != nil {
		return nil, a, err
	}
	o.behind = false
	newest, effective, err := o.e.definition()
	if err == nil && a.Adopted == effective && a.Retired == 0 && (o.part > 0 || !o.turns(newest, &a)) {
		o.meter.refuse(nil)
		return newest, a, o.widen(ctx, newest, &a)
	}
	if o.part > 0 {
		return o.follow(ctx, a, max(effective, a.Retired))
	}
	if err == nil {
		var now adopted
		if now, err = o.adopt(ctx, newest, effective, a); err == nil {
			o.meter.refuse(nil)
			return newest, now, o.widen(ctx, newest, &now)
		}
		if passes(err) {
			return nil, a, err
		}
	}
	return o.former(a, err)
}

// former gives the plan that the pipe has run by, since it cannot go on with another.
func (o *owner) former(a adopted, err error) (*definition, adopted, error) {
	if a.Adopted == 0 || a.Retired != 0 {
		return nil, a, refusal(err)
	}
	o.meter.refuse(err)
	old, e := o.r.opt.check(o.e.name, []byte(a.Text), a.adoption.Origin, nil)
	if e != nil {
		return nil, a, errors.Join(err, e)
	}
	return old, a, nil
}

// passes says that an error may pass by itself.
func passes(err error) bool {
	switch parley.CodeOf(err) {
	case parley.Unavailable, parley.Unknown, parley.Timeout, parley.Canceled, parley.Full, parley.Overloaded, parley.Throttled:
		return true
	}
	return false
}

// adopt makes the journal go over to a definition.
func (o *owner) adopt(ctx context.Context, d *definition, effective uint64, a adopted) (adopted, error) {
	text, err := d.whole()
	if err != nil {
		return a, err
	}
	rec, _, _ := o.e.now()
	if err := fits(d, &a, rec.begin); err != nil {
		return a, err
	}
	now := a
	now.adoption = adoption{Text: text, Origin: rec.origin, Start: a.Start}
	now.Adopted, now.Begin = effective, rec.begin
	had, spread := a.Lanes, o.spreads(d, &a, a.anew(rec.begin))
	if a.Era != 0 && !spread {
		if had, err = o.gather(ctx, a, effective); err != nil {
			return a, err
		}
	}
	if now.Lanes, err = o.begins(ctx, d, had); err != nil {
		return a, err
	}
	switch {
	case !spread:
		now.Era, now.Start = 0, ""
	case a.Era == 0 || had[0].Source != now.Lanes[0].Source:
		now.Era, now.Start = effective, now.Lanes[0].Cursor
	}
	return o.goOver(ctx, a, now)
}

// anew says that stages are to begin anew with the definition that is next.
func (a *adopted) anew(begin uint64) bool { return a.Adopted != 0 && begin > a.Begin }

// fits says whether a definition can go on in the state that there is.
func fits(d *definition, a *adopted, begin uint64) error {
	if a.state == nil || a.anew(begin) {
		return nil
	}
	return goesOnIn(d.plan, a.state)
}

// goOver commits what the owner runs by from now on. What stages keep that begin anew
// is let out with it.
func (o *owner) goOver(ctx context.Context, a, now adopted) (adopted, error) {
	out := newOutbox()
	if a.anew(now.Begin) {
		if a.state != nil {
			if err := o.drain(ctx, a, out); err != nil {
				return a, err
			}
		}
		now.state, now.Done = nil, false
	}
	now.Out += out.events
	now.Dead += out.dead
	if err := o.store(ctx, now.kept, now.state, &now.adoption, out); err != nil {
		return a, err
	}
	o.r.opt.Topics.Release(o.holder()) // its sources may be others
	return now, nil
}

func goesOnIn(p *graph.Plan, state []byte) error {
	m, err := p.Machine()
	if err != nil {
		return err
	}
	err = m.Restore(state)
	return errors.Join(err, m.Close())
}

// drain lets out what the stages keep that are to begin anew. If they cannot be run
// any more, what they keep is lost, and that is said.
func (o *owner) drain(ctx context.Context, a adopted, to *outbox) error {
	old, err := o.r.opt.check(o.e.name, []byte(a.Text), a.adoption.Origin, nil)
	var m *graph.Machine
	if err == nil {
		m, err = o.machine(old.plan)
	}
	if err == nil && a.state != nil {
		err = m.Restore(a.state)
	}
	if err != nil {
		o.r.opt.Logger.LogAttrs(ctx, slog.LevelError, "what a pipe's stages kept is lost: their definition cannot be run any more", slog.String("pipe", o.e.name), slog.Any("error", err))
		return nil
	}
	w := &worker{o: o, def: old, m: m, out: to}
	defer func() { _ = m.Close() }() // its programs have ended either way
	if err := w.open(ctx, false); err != nil {
		return err
	}
	defer w.close()
	if err := w.after(ctx)(m.End(ctx, time.Now())); err != nil {
		return err
	}
	return w.sift(ctx)
}

// begins gives the places to read from: those that the pipe has in sources that are
// still the same, and of others what the definition says.
func (o *owner) begins(ctx context.Context, d *definition, had []laneKept) ([]laneKept, error) {
	var all []laneKept
	used := make([]bool, len(had))
	for _, s := range d.plan.Sources() {
		l := laneKept{Source: fingerprint(s)}
		if s.Kind == "topic" {
			l.Topics = s.Words("name")
		}
		known := false
		for i := range had {
			if !used[i] && had[i].Source == l.Source {
				l, used[i], known = had[i], true, true
				break
			}
		}
		if !known && s.Kind == "topic" {
			sub, err := o.subscribe(ctx, s, "", 0)
			if err != nil {
				return nil, err
			}
			l.Cursor = sub.Cursor()
			sub.Close()
		}
		all = append(all, l)
	}
	return all, nil
}

// fingerprint tells sources apart by what they read, and not by where they begin.
func fingerprint(s graph.Spec) string {
	h := sha256.New()
	h.Write([]byte(s.Kind))
	for _, param := range []string{"name", "url", "schedule", "from"} {
		for _, w := range s.Words(param) {
			h.Write([]byte("\x00" + param + "\x00" + w))
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:12])
}
