package sharded

import (
	"context"
	"encoding/json"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/journal"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/pattern/throttle"
)

// Long is the window from which on counts are kept in the log.
const Long = time.Hour

// Serve makes this node one that may own the counts of a shard, until ctx ends.
// stream holds their moves. Errors are those of shard.Host.Run.
func Serve(ctx context.Context, host shard.Host, log parley.Log, stream parley.Stream) error {
	return host.Run(ctx, stream, func(ctx context.Context, own *shard.Owner) error { return Own(ctx, log, stream, own) })
}

// Own runs the counts on the node that owns them: what Serve gives to its host.
func Own(ctx context.Context, log parley.Log, stream parley.Stream, own *shard.Owner) error {
	o := &owner{book: newBook(), short: map[string]*brief{}}
	var err error
	if o.journal, err = journal.Open(ctx, log, stream, o.book, journal.Options{Fence: own.Fence}); err != nil {
		return err
	}
	own.Handle(o.serve)
	return o.journal.Run(ctx)
}

// owner answers at the node that owns the counts. Its maps are touched in the
// journal's goroutine only, which also refuses answers of an owner that is late.
// The book changes by moves alone.
type owner struct {
	journal *journal.Journal
	book    *book
	short   map[string]*brief
	asked   uint64        // requests about short windows
	full    time.Duration // when no limit of the book was found unused, or 0
}

// turn is what an owner has in hand while it answers: a journal.Tx.
type turn interface {
	Now() time.Time
	Move(data []byte) error
	Lazy(data []byte) error
}

// brief is a limit with a short window.
type brief struct {
	limiter  *throttle.Limiter
	text     string
	revision int64
	asked    uint64 // when it was last, in owner.asked
}

// serve implements shard.Handler.
func (o *owner) serve(ctx context.Context, b []byte) ([]byte, error) {
	r, limit, err := decode(b)
	if err != nil {
		return nil, err
	}
	var out reply
	err = o.journal.Do(ctx, func(tx *journal.Tx) (err error) {
		if limit.Window < Long {
			out, err = o.brief(r, limit)
			return err
		}
		out, err = o.long(tx, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	return json.Marshal(out)
}

// long answers from the book. What is given is durable before it is told.
func (o *owner) long(tx turn, r request) (reply, error) {
	a, err := o.account(tx, r)
	if err != nil {
		return reply{}, err
	}
	now := since(tx.Now())
	if r.Op == opBack {
		h := a.place(string(r.Key))
		if r.Cost > 0 && a.keys[h] != nil {
			if err := give(tx.Move, move{Op: opBack, Name: r.Name, Key: h, Cost: r.Cost}); err != nil {
				return reply{}, err
			}
		}
		return a.look(h, now, 0), nil
	}
	if a.crowded(now) && a.worth(now) {
		// Lazy, as a refusal is told without waiting for it. What is taken after it
		// is not stored without it.
		if err := give(tx.Lazy, move{Op: opSweep, Name: r.Name}); err != nil {
			return reply{}, err
		}
	}
	h := a.place(string(r.Key))
	out := a.look(h, now, r.Cost)
	if r.Op == opTake && out.OK && r.Cost > 0 {
		return out, give(tx.Move, move{Op: opTake, Name: r.Name, Key: h, Cost: r.Cost})
	}
	if r.Op == opLook && out.OK && out.Remaining != throttle.Infinite {
		out.Remaining += r.Cost // nothing was taken
	}
	return out, nil
}

// account is the limit that is asked for, made or changed if need be.
func (o *owner) account(tx turn, r request) (*account, error) {
	a := o.book.limits[r.Name]
	if a != nil && (r.Revision <= a.revision || r.Limit == a.text) {
		return a, nil
	}
	if a == nil && len(o.book.limits) >= maxLimits {
		if err := o.dropUnused(tx); err != nil {
			return nil, err
		}
	}
	if err := give(tx.Move, move{Op: opLimit, Name: r.Name, Limit: r.Limit, Revision: r.Revision}); err != nil {
		return nil, err
	}
	return o.book.limits[r.Name], nil
}

// dropUnused makes room for a limit. When there is none it does not look again for
// a second: who asks for one limit too many must not make the others slow.
func (o *owner) dropUnused(tx turn) error {
	now := since(tx.Now())
	if o.full != 0 && now-o.full < time.Second {
		return overloaded()
	}
	name, ok := o.book.unused(now)
	if !ok {
		o.full = now
		return overloaded()
	}
	return give(tx.Move, move{Op: opDrop, Name: name})
}

func give(to func([]byte) error, m move) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return to(data)
}

// brief answers from memory.
func (o *owner) brief(r request, limit throttle.Limit) (reply, error) {
	b := o.short[r.Name]
	switch {
	case b == nil:
		o.makeRoom()
		limiter, err := throttle.New(limit, throttle.Options{Name: r.Name})
		if err != nil {
			return reply{}, parley.BadField("limit", err.Error(), "change the limit")
		}
		b = &brief{limiter: limiter, text: r.Limit, revision: r.Revision}
		o.short[r.Name] = b
	case r.Revision > b.revision && r.Limit != b.text:
		if err := b.limiter.SetLimit(limit); err != nil {
			return reply{}, parley.BadField("limit", err.Error(), "change the limit")
		}
		b.text, b.revision = r.Limit, r.Revision
	}
	o.asked++
	b.asked = o.asked
	var d throttle.Decision
	switch r.Op {
	case opTake:
		_, all, _ := throttle.TryAll(throttle.Charge{Limiter: b.limiter, Key: string(r.Key), Cost: r.Cost}) // the decision says it
		d = all[0]
	case opLook:
		d = b.limiter.Look(string(r.Key), r.Cost)
	default:
		b.limiter.Return(string(r.Key), r.Cost)
		d = b.limiter.Peek(string(r.Key))
	}
	return reply{OK: d.OK, Reason: d.Reason, Limit: d.Limit, Remaining: d.Remaining, RetryAfter: d.RetryAfter, Reset: d.Reset}, nil
}

// makeRoom forgets the limit that was not asked for longest, if there are too many:
// it begins anew, as it would with another owner.
func (o *owner) makeRoom() {
	if len(o.short) < maxLimits {
		return
	}
	oldest := ""
	for name, b := range o.short {
		if oldest == "" || b.asked < o.short[oldest].asked {
			oldest = name
		}
	}
	delete(o.short, oldest)
}

func overloaded() error {
	return &parley.Error{Code: parley.Overloaded, Field: "name", Detail: "this shard counts as many limits as it can", Fix: "spread the limits over several shards"}
}
