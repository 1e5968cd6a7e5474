package declared

import (
	"context"
	"errors"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pubsub"
)

// The first owner of a pipe, that of partition 0, decides by which definition all of
// them run, and where they begin: so they change together, and no event is read by two.

// lead is what it tells the others.
type lead struct {
	adoption
	Adopted uint64 `json:"adopted"`
	Begin   uint64 `json:"begin"`
	Era     uint64 `json:"era"`
	Refused string `json:"refused,omitempty"`
}

func (o *owner) tellLead(ctx context.Context) (lead, error) {
	l := lead{Refused: o.meter.told()}
	return l, o.look(ctx, func(b *book) {
		l.adoption, l.Adopted, l.Begin, l.Era = b.adoption, b.kept.Adopted, b.kept.Begin, b.kept.Era
	})
}

// lead asks the first owner, which may need a moment to go over to a definition.
func (o *owner) lead(ctx context.Context, revision uint64) (l lead, err error) {
	for wait := firstRetry; ; wait *= 2 {
		l = lead{}
		err = o.e.ask(ctx, 0, request{Op: "lead"}, &l)
		if err != nil || l.Adopted >= revision || l.Refused != "" || wait > lookAgain/2 {
			return l, err
		}
		pause(ctx, wait)
	}
}

// follow is plan of the other owners: they run by what the first has adopted.
func (o *owner) follow(ctx context.Context, a adopted, revision uint64) (*definition, adopted, error) {
	o.behind = true
	l, err := o.lead(ctx, revision)
	if err != nil {
		return o.former(a, err)
	}
	o.behind = l.Adopted < revision
	switch {
	case l.Adopted < a.Retired:
		return nil, a, errIdle
	case l.Era == 0:
		return nil, a, o.leave(ctx, a, l.Adopted)
	case a.Retired == 0 && l.Adopted == a.Adopted && l.Era == a.Era:
		var refused error
		if l.Refused != "" {
			refused = errors.New(l.Refused)
		}
		return o.former(a, refused)
	}
	def, err := o.r.opt.check(o.e.name, []byte(l.Text), l.Origin, nil)
	if err != nil {
		return o.former(a, err)
	}
	if n := o.r.partitions(def.over); n > 0 && o.part >= n {
		return nil, a, o.leave(ctx, a, l.Adopted)
	}
	now, err := o.join(ctx, def, &l, a)
	if err != nil {
		return o.former(a, err)
	}
	o.meter.refuse(nil)
	return def, now, nil
}

// join goes over to what the first owner tells: from where this one is, or else from
// where the era began.
func (o *owner) join(ctx context.Context, d *definition, l *lead, a adopted) (adopted, error) {
	if err := fits(d, &a, l.Begin); err != nil {
		return a, err
	}
	now := a
	now.adoption = l.adoption
	now.Adopted, now.Begin, now.Retired = l.Adopted, l.Begin, 0
	if a.Era != l.Era || len(a.Lanes) == 0 {
		s := d.plan.Sources()[0]
		now.Era, now.Lanes = l.Era, []laneKept{{Source: fingerprint(s), Topics: s.Words("name"), Cursor: l.Start}}
	}
	return o.goOver(ctx, a, now)
}

// leave ends what this owner does, if it does anything.
func (o *owner) leave(ctx context.Context, a adopted, revision uint64) error {
	o.behind = true
	if a.Adopted != 0 && a.Retired == 0 {
		if err := o.end(ctx, a, revision); err != nil {
			return err
		}
	}
	o.r.opt.Topics.Release(o.holder())
	return errIdle
}

// end lets out what the stages keep, and leaves the place to the first owner.
func (o *owner) end(ctx context.Context, a adopted, revision uint64) error {
	out := newOutbox()
	if a.state != nil {
		if err := o.drain(ctx, a, out); err != nil {
			return err
		}
	}
	k := a.kept
	k.Retired, k.Done = revision, false
	k.Out += out.events
	k.Dead += out.dead
	return o.store(ctx, k, nil, nil, out)
}

// retired is the answer of an owner that has left its place to the first.
type retired struct {
	Era    uint64 `json:"era"`
	Cursor string `json:"cursor"`
}

// retire does what the first owner has asked for.
func (o *owner) retire(ctx context.Context) error {
	revision := o.retiring.Load()
	if o.part == 0 || revision == 0 {
		return nil
	}
	a, err := o.adopted(ctx)
	if err != nil || a.Retired >= revision || a.Adopted >= revision {
		return err
	}
	return o.end(ctx, a, revision)
}

// tellRetired has the worker retire, and gives the place where it was then.
func (o *owner) tellRetired(ctx context.Context, revision uint64) (r retired, err error) {
	if revision > o.retiring.Load() { // one asks: the first owner
		o.retiring.Store(revision)
	}
	o.e.mu.Lock()
	o.e.stir()
	o.e.mu.Unlock()
	for {
		done := false
		err = o.look(ctx, func(b *book) {
			done, r.Era = b.kept.Retired >= revision, b.kept.Era
			if done && len(b.kept.Lanes) > 0 {
				r.Cursor = b.kept.Lanes[0].Cursor
			}
			if b.kept.Adopted >= revision {
				err = parley.Errorf(parley.Conflict, "this owner runs by revision %d already", b.kept.Adopted)
			}
		})
		if err != nil || done {
			return r, err
		}
		if pause(ctx, firstRetry/2); ctx.Err() != nil {
			return r, context.Cause(ctx)
		}
	}
}

// gather has all other owners retire, and gives the place of the pipe in all
// partitions.
func (o *owner) gather(ctx context.Context, a adopted, revision uint64) ([]laneKept, error) {
	if err := o.r.roll.CatchUp(ctx); err != nil { // an owner before may have made the pipe wider
		return nil, err
	}
	rec, _, _ := o.e.now()
	l := a.Lanes[0]
	places := make([]string, max(1, rec.parts))
	places[0] = l.Cursor
	for part := 1; part < len(places); part++ {
		var r retired
		if err := o.e.ask(ctx, part, request{Op: "retire", Revision: revision}, &r); err != nil {
			return nil, err
		}
		if places[part] = a.Start; r.Era == a.Era && r.Cursor != "" {
			places[part] = r.Cursor
		}
	}
	l.Cursor = ""
	for part := range places {
		cursor, err := o.placeIn(ctx, &l, part, places[part])
		if err != nil {
			return nil, err
		}
		if l.Cursor != "" && cursor != "" {
			l.Cursor += ","
		}
		l.Cursor += cursor
	}
	return []laneKept{l}, nil
}

// placeIn gives a cursor that has a place in a partition, as a later one need not name
// a partition in which nothing was read; "" = the topic has no such partition.
func (o *owner) placeIn(ctx context.Context, l *laneKept, part int, cursor string) (string, error) {
	q := pubsub.Request{Topics: l.Topics, From: pubsub.After(cursor), Partition: &part, Strict: true}
	sub, err := o.r.opt.Hub.Subscribe(ctx, q)
	if err != nil {
		switch parley.CodeOf(err) {
		case parley.NotFound:
			return "", nil
		case parley.BadCursor:
			return cursor, nil // as it is: whoever reads from it says what is wrong
		case parley.Trimmed:
			q.Strict = false
			sub, err = o.r.opt.Hub.Subscribe(ctx, q)
		}
	}
	if err != nil {
		return "", err
	}
	defer sub.Close()
	return sub.Cursor(), nil
}
