package queue

import (
	"slices"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/throttle"
)

// mover makes moves: a *journal.Tx, or a test.
type mover interface {
	Move(data []byte) error // must be durable before anybody hears of it
	Lazy(data []byte) error // rides along
}

// book is what the queue's owner knows besides the fold: who has which job and
// until when, and how fast jobs went out. It ends with the ownership. It is pure,
// too; all times are milliseconds, as those of moves.
type book struct {
	*machine
	queue  string
	term   uint64
	secret [secretSize]byte
	sealer *sealer // of the secret

	leases map[int64]lease
	ends   index  // of leases, by when they end
	number uint64 // of the newest lease
	plan   plan
	text   []byte // scratch

	rate    string // that rule was compiled from
	rule    *throttle.Rule
	spent   []uint64
	slacken int64 // when the rate lets the next job out; 0 = now
}

type lease struct {
	number uint64
	until  int64
	worker string
	// progress is replaced as a whole, so that whoever looked may keep it.
	progress *Progress
}

func newBook(m *machine, queue string, term uint64, secret [secretSize]byte) *book {
	b := &book{machine: m, queue: queue, term: term, secret: secret, leases: make(map[int64]lease)}
	b.sealer = newSealer(&b.secret)
	b.ends.valid = func(i item) bool {
		l, there := b.leases[i.id]
		return there && l.until == i.key
	}
	return b
}

// open says whether the queue's limits let a job out now, without spending.
func (b *book) open(now int64) bool {
	b.slacken = 0
	if b.paused || b.settings.Concurrency > 0 && len(b.leases) >= b.settings.Concurrency {
		return false
	}
	return b.spend(now, 0)
}

// spend takes n from the rate, or says that there is not so much. With n = 0 it
// asks whether there is one.
func (b *book) spend(now, n int64) bool {
	if b.rate != b.settings.Rate {
		b.rate = b.settings.Rate
		b.rule, _ = compileRate(b.rate) // checked when it was set
		b.spent = nil
		if b.rule != nil {
			b.spent = make([]uint64, b.rule.Words())
		}
	}
	if b.rule == nil {
		return true
	}
	at := time.Duration(now) * time.Millisecond
	d := b.rule.Take(b.spent, at, max(n, 1))
	if !d.OK {
		if d.RetryAfter > 0 { // a quota of 0 never lets anything out
			b.slacken = now + ceilMillis(min(d.RetryAfter, MaxDelay))
		}
		return false
	}
	if n == 0 {
		b.rule.Back(b.spent, at, d)
	}
	return true
}

// granted is a lease as the owner gives it out.
type granted struct {
	Token    string `json:"token"`
	ID       int64  `json:"id"`
	Place    int64  `json:"place"`
	Priority int    `json:"priority,omitempty"`
	Key      string `json:"key,omitempty"`
	Attempt  int    `json:"attempt"`
	Until    int64  `json:"until"`
	For      int64  `json:"for"` // in milliseconds
	unread   bool   // see entry
	number   uint64 // of the lease
}

// grant leases up to n jobs for visibility milliseconds; 0 is the queue's.
func (b *book) grant(to mover, now int64, n int, visibility int64, worker string) (out []granted, err error) {
	b.promote(now)
	if visibility <= 0 {
		visibility = ceilMillis(b.settings.Visibility)
	}
	for len(out) < n && err == nil && b.open(now) {
		ids := b.candidates(min(n-len(out), b.room()))
		if len(ids) == 0 {
			break
		}
		out, err = b.grantAll(to, now, ids, visibility, worker, out)
	}
	b.sealAll(out)
	return out, err
}

// room is how many jobs may go out at a time, as far as the limits of an open queue
// tell.
func (b *book) room() int {
	switch {
	case b.rule != nil:
		return 1
	case b.settings.Concurrency > 0:
		return b.settings.Concurrency - len(b.leases)
	}
	return MaxLease
}

// grantAll leases candidates in one move.
func (b *book) grantAll(to mover, now int64, ids []int64, visibility int64, worker string, out []granted) ([]granted, error) {
	if err := to.Lazy(encodeAttempts(ids, worker)); err != nil {
		return out, err
	}
	out = slices.Grow(out, len(ids))
	for _, id := range ids {
		b.spend(now, 1)
		b.number++
		b.leases[id] = lease{number: b.number, until: now + visibility, worker: worker}
		b.watch(id)
		e := b.entries[id]
		g := granted{ID: id, Place: e.place, Priority: int(e.prio), Attempt: int(e.attempts), Until: now + visibility, For: visibility, unread: e.unread, number: b.number}
		if e.group != nil {
			g.Key = e.group.key
		}
		out = append(out, g)
	}
	return out, nil
}

// sealAll makes the tokens of what is granted. They share one text.
func (b *book) sealAll(list []granted) {
	ends := make([]int, len(list))
	text := b.text[:0]
	for i := range list {
		id := list[i].ID
		text = token{b.term, id, b.leases[id].number}.append(text, b.queue, b.sealer)
		ends[i] = len(text)
	}
	all, begin := string(text), 0
	for i, end := range ends {
		list[i].Token, begin = all[begin:end], end
	}
	if b.text = text; cap(text) > keepBuffer {
		b.text = nil
	}
}

func (b *book) watch(id int64) {
	b.ends.push(b.leases[id].until, id)
	b.ends.tidy(len(b.leases))
}

// find gives the job of a lease that is not over.
func (b *book) find(text string, now int64) (int64, lease, error) {
	t, err := openToken(text, b.queue, b.term, b.sealer)
	if err != nil {
		return 0, lease{}, err
	}
	l, there := b.leases[t.id]
	switch {
	case !there:
		return 0, lease{}, ended("it was settled, it expired, or the job was canceled")
	case l.number != t.number:
		return 0, lease{}, ended("the job has been leased again")
	case l.until <= now:
		return 0, lease{}, ended("it expired")
	}
	return t.id, l, nil
}

// settlement is a Settlement on its way to the owner.
type settlement struct {
	Lease  string `json:"lease"`
	Action Action `json:"action"`
	Delay  *int64 `json:"delay,omitempty"` // in milliseconds, as Extend
	Extend int64  `json:"extend,omitempty"`
	Cause  string `json:"cause,omitempty"`
	// Untried is of a Nack of a job that reached no worker: it does not die of it.
	Untried bool `json:"untried,omitempty"`

	Progress *Progress `json:"progress,omitempty"`
	Result   *Output   `json:"result,omitempty"`
}

// ackAll acks the jobs of plain settlements in one move.
func (b *book) ackAll(to mover, now int64, list []settlement, problems []*problem) {
	ids, at, held := make([]int64, 0, len(list)), make([]int, 0, len(list)), make([]lease, 0, len(list))
	for i := range list {
		id, l, err := b.find(list[i].Lease, now)
		if err != nil {
			problems[i] = problemOf(err)
			continue
		}
		ids, at, held = append(ids, id), append(at, i), append(held, l)
		delete(b.leases, id) // so that it is not found again
	}
	if len(ids) == 0 {
		return
	}
	if err := to.Move(encodeIDs(moveAck, slices.Clone(ids))); err != nil {
		for k, id := range ids {
			problems[at[k]], b.leases[id] = problemOf(err), held[k]
			b.watch(id)
		}
	}
}

// settle settles one lease. ack, if not nil, makes the ack of a job.
func (b *book) settle(to mover, now int64, s settlement, ack func(id int64) error) error {
	id, l, err := b.find(s.Lease, now)
	if err != nil {
		return err
	}
	switch s.Action {
	case Ack:
		if ack != nil {
			err = ack(id)
			break
		}
		err = to.Move(encodeIDs(moveAck, []int64{id}))
	case Nack:
		if s.Untried {
			err = to.Move(encodeBack(id, 0, s.Cause))
			break
		}
		err = to.Move(b.failed(id, now, s.Delay, s.Cause))
	case Bury:
		reason := orElse(s.Cause, "given up by its worker")
		err = to.Move(encodeDie(id, reason, s.Cause))
	case Extend, Report:
		if p := s.Progress; p != nil && s.Action == Report {
			l.progress = &Progress{Fraction: p.Fraction, Note: p.Note, At: timeOf(now)}
		}
		l.until = now + orElse(s.Extend, ceilMillis(b.settings.Visibility))
		b.leases[id] = l
		b.watch(id)
		return nil
	default:
		return parley.BadField("action", "is none that is known", `send "ack", "nack", "extend", "progress" or "dead"`)
	}
	if err == nil {
		delete(b.leases, id)
	}
	return err
}

// failed is the move of an attempt that failed: the job waits, for as long as
// delay or else the retry policy says, or it is dead.
func (b *book) failed(id, now int64, delay *int64, cause string) []byte {
	e := b.entries[id]
	if b.exhausted(e) {
		return encodeDie(id, exhaustedBy(cause), cause)
	}
	wait := int64(0)
	if delay != nil {
		wait = *delay
	} else {
		wait = b.retryOf(e).delay(id, int(e.attempts))
	}
	due := int64(0)
	if wait > 0 {
		due = now + wait
	}
	return encodeBack(id, due, cause)
}

// expire ends leases that are over, at most n.
func (b *book) expire(to mover, now int64, n int) error {
	for ; n > 0; n-- {
		i, some := b.ends.first()
		if !some || i.key > now {
			return nil
		}
		if err := b.endLease(to, i.id, now, Expired); err != nil {
			l := b.leases[i.id]
			l.until = now + time.Second.Milliseconds() // not in a circle
			b.leases[i.id] = l
			b.watch(i.id)
			return err
		}
	}
	return nil
}

// endLease ends a lease that its worker did not: the job is ready at once.
func (b *book) endLease(to mover, id, now int64, cause string) error {
	move := to.Lazy
	if b.exhausted(b.entries[id]) {
		move = to.Move // that a job is dead may be told
	}
	err := move(b.failed(id, now, new(int64), cause))
	if err == nil {
		delete(b.leases, id)
	}
	return err
}

// forget drops leases of jobs that are leased no more.
func (b *book) forget(ids []int64) {
	for _, id := range ids {
		delete(b.leases, id)
	}
}

// due is when the next lease ends or, if somebody waits for a job, when the next
// one could be had. 0: nothing is to come.
func (b *book) due(waiting bool) int64 {
	due := int64(0)
	sooner := func(at int64) {
		if at != 0 && (due == 0 || at < due) {
			due = at
		}
	}
	if i, some := b.ends.first(); some {
		sooner(i.key)
	}
	if waiting && !b.paused {
		if i, some := b.resting.first(); some {
			sooner(i.key)
		}
		if b.slacken != 0 && b.candidate() != 0 {
			sooner(b.slacken)
		}
	}
	return due
}
