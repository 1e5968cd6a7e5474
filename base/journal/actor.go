package journal

import (
	"context"
	"log/slog"
	"time"

	"github.com/parleyhq/parley"
)

// actor is the one goroutine that touches the machine.
type actor struct {
	*ledger
	machine Machine
	timed   Timed // nil when the machine has no deadlines
	opt     Options
	stream  parley.Stream
	number  uint64 // of the last move
	clock   clock
	key     []byte // scratch
	tx      Tx

	snap    snapshots
	spare   *group
	renewed time.Time // when the last good Append began
	sent    time.Time // when the last Append began
	stalled error     // why the Append under way has to be tried again, if it has
}

// job is a group for the committer, result what it reports: the group's fate or,
// with retry, that it must be tried again.
type job struct {
	g    *group
	trim parley.Position // afterwards; 0 = nothing
}

type result struct {
	outcome
	retry bool
}

func newActor(j *Journal) *actor {
	a := &actor{
		ledger: &ledger{open: newGroup()}, machine: j.machine, opt: j.opt,
		stream: j.writer.stream, number: j.start.number, clock: j.clock, renewed: j.renewed, sent: j.renewed,
		snap: snapshotsAfter(j.start, j.opt),
	}
	a.timed, _ = j.machine.(Timed)
	a.tx.a = a
	return a
}

// put adds a record to the open group. It always fits: see group.full.
func (a *actor) put(k kind, at time.Time, value []byte) {
	a.key = appendKey(a.key[:0], k, a.number)
	g := a.open
	before := g.build.Size()
	if err := g.build.AddRecord(at, a.key, value); err != nil {
		panic("journal: the limits of a group do not keep a batch within its own: " + err.Error()) //nolint:forbidigo // two constants of this package contradict each other
	}
	g.bytes += g.build.Size() - before
	if k == kindMove {
		g.moves++
	}
}

// begin readies the transaction of a call.
func (a *actor) begin(now time.Time) *Tx {
	a.tx = Tx{a: a, now: a.clock.at(now)}
	return &a.tx
}

// take runs the function of one call and files it.
func (a *actor) take(c *call, now time.Time) {
	if err := a.refusal(now); err != nil {
		c.ran <- struct{}{}
		c.done <- err
		return
	}
	tx := a.begin(now)
	c.err = c.fn(tx)
	if c.err != nil {
		tx.drop()
	}
	c.moves, c.firm = tx.moves, tx.waits()
	a.guard(tx)
	answer := a.taken(c)
	c.ran <- struct{}{}
	if answer {
		c.done <- c.err // not lapsed: asked above
	}
}

// guard makes sure that a group that carries writes has a record of its own, so
// that a second try of the same Append is told from the first.
func (a *actor) guard(tx *Tx) {
	if tx.also > 0 && a.open.empty() {
		a.put(kindBeat, tx.now, nil)
	}
}

// refusal says why no call is run now, if none is: the log does not take
// appends, or this owner may have been replaced without having heard of it.
func (a *actor) refusal(now time.Time) error {
	if a.stalled != nil {
		return unchanged(a.stalled)
	}
	if a.lapsed(now) {
		return &parley.Error{Code: parley.Unavailable, Detail: "the owner of the machine could not renew its ownership in time; nothing was changed", Fix: "ask again"}
	}
	return nil
}

func (a *actor) lapsed(now time.Time) bool {
	lapse := a.opt.Fence.Lapse
	return lapse > 0 && now.Sub(a.renewed) >= lapse
}

// wake is how long the actor may sleep when nothing comes in; false: for ever.
func (a *actor) wake(now time.Time) (time.Duration, bool) {
	d, some := time.Duration(0), false
	if a.flight == nil && a.opt.Fence.Beat > 0 {
		d, some = max(0, a.sent.Add(a.opt.Fence.Beat).Sub(now)), true
	}
	if until, waits := a.lingers(now); waits && a.flight == nil {
		if u := until.Sub(now); !some || u < d {
			d, some = u, true
		}
	}
	if a.timed != nil && a.refusal(now) == nil && !a.open.full() {
		if due := a.timed.Due(); !due.IsZero() {
			if u := a.clock.until(due, now); !some || u < d {
				d, some = u, true
			}
		}
	}
	return d, some
}

// tick does what time asks for: deadlines of the machine, and a beat.
func (a *actor) tick(now time.Time) {
	if a.timed != nil && a.refusal(now) == nil && !a.open.full() {
		if due := a.timed.Due(); !due.IsZero() && a.clock.until(due, now) == 0 {
			tx := a.begin(now)
			a.timed.Fire(tx)
			a.guard(tx)
			if tx.waits() {
				a.firm = a.open // what is told later rests on it
			}
		}
	}
	if a.flight == nil && a.open.empty() && a.opt.Fence.Beat > 0 && now.Sub(a.sent) >= a.opt.Fence.Beat {
		a.put(kindBeat, a.clock.at(now), nil)
	}
}

// lingers says that the open group, in which nothing is firm, waits for company, and
// until when.
func (a *actor) lingers(now time.Time) (until time.Time, waits bool) {
	g, beat := a.open, a.opt.Fence.Beat
	switch {
	case a.opt.Linger == 0 || g.empty() || g.full() || a.firm == g:
		return until, false
	case g.moves < g.build.Len(): // a beat, or a part of a snapshot
		return until, false
	case beat > 0 && now.Sub(a.sent) >= beat: // it is a sign of life, too
		return until, false
	case g.since.IsZero():
		g.since = now
	}
	until = g.since.Add(a.opt.Linger)
	return until, now.Before(until)
}

// launch closes the open group and makes a job of it, if there is anything to
// append that does not wait for company, and nothing under way.
func (a *actor) launch(now time.Time) (job, bool) {
	if _, waits := a.lingers(now); waits || a.flight != nil {
		return job{}, false
	}
	trim := a.snap.write(a, now)
	if a.open.empty() {
		return job{}, false
	}
	next := a.spare
	if a.spare = nil; next == nil {
		next = newGroup()
	}
	a.sent = now
	return job{g: a.send(next), trim: trim}, true
}

// settle takes the committer's report. An error ends the actor.
func (a *actor) settle(r result, now time.Time) error {
	if r.retry {
		if a.stalled == nil {
			a.opt.Logger.Warn("machine's log does not take appends", slog.String("stream", a.stream.Name), slog.Any("error", r.err))
		}
		a.stalled = r.err
		return nil
	}
	if r.err != nil {
		a.fail(r)
		return r.err
	}
	a.stalled = nil
	a.renewed = r.sent
	g := a.landed()
	a.snap.landed(g, r.base)
	for i, place := range g.places {
		if r.also != nil {
			*place = r.also[i]
		}
	}
	for _, c := range g.waiters {
		switch {
		case c.firm && c.group == g:
			c.done <- c.err // durable, whoever owns the machine now
		case !a.lapsed(now):
			c.done <- c.err
		default:
			c.done <- c.late()
		}
	}
	if !r.dirty {
		g.reset()
		a.spare = g
	}
	return nil
}

// late is the answer to a call whose result may not be handed out any more.
func (c *call) late() error {
	if c.moves > 0 {
		return &parley.Error{Code: parley.Unknown, Detail: "the owner of the machine could not renew its ownership in time to answer", Fix: "ask again"}
	}
	return gone()
}

// fail answers everybody who waits.
func (a *actor) fail(r result) {
	lost := a.flight
	for _, c := range a.lost() {
		c.done <- c.fate(lost, r.certain, r.err)
	}
}

// commit appends the groups of jobs, one at a time, until jobs is closed. It is
// Run's second goroutine.
func (j *Journal) commit(ctx context.Context, jobs <-chan job, results chan<- result) {
	defer close(results)
	for w := range jobs {
		r := j.append(ctx, w.g, results)
		results <- r
		if w.trim == 0 || r.err != nil { // a snapshot whose end was not appended is none
			continue
		}
		tctx, cancel := context.WithTimeout(ctx, j.opt.Patience)
		err := j.writer.log.Trim(tctx, j.writer.stream, w.trim)
		cancel()
		if err != nil { // the trim after the next snapshot goes further
			j.opt.Logger.Warn("machine's log was not trimmed", slog.String("stream", j.writer.stream.Name), slog.Any("error", err))
		}
	}
}

func (j *Journal) append(ctx context.Context, g *group, results chan<- result) result {
	batch, err := g.build.Batch()
	if err != nil {
		return result{outcome: outcome{err: err, certain: true}}
	}
	return result{outcome: j.writer.put(ctx, batch, g.also, func(err error) {
		results <- result{outcome: outcome{err: err}, retry: true}
	})}
}
