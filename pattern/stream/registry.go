package stream

import (
	"context"
	"encoding/json"
	"log/slog"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
)

// The events of $groups.
const (
	createdType = "parley.group.created"
	deletedType = "parley.group.deleted"
)

// fold is how far $groups was read.
type fold struct {
	next   parley.Position            // to read on from
	newest parley.Position            // base of the newest batch, or Empty
	since  map[string]parley.Position // of each group, when it was made
}

func newFold() fold {
	return fold{newest: parley.Empty, since: make(map[string]parley.Position)}
}

var groupsStream = parley.Stream{Name: Stream}

func groupEvent(kind, name string) *parley.Event {
	now := time.Now()
	data, _ := json.Marshal(map[string]string{"group": name}) // a string
	return &parley.Event{ID: topic.NewID(now), Source: "/groups", Type: kind, Subject: name, Time: now.UTC(), DataContentType: "application/json", Data: data}
}

// movesOf names the memory of a group. The position of its creation makes it new
// for each: whoever removes that of a deleted group never meets another's.
func movesOf(name string, created parley.Position) parley.Stream {
	return parley.Stream{Name: "$group." + name + ".moves/" + strconv.FormatInt(int64(created), 10)}
}

// catchUp reads what came to $groups.
func (gs *Groups) catchUp(ctx context.Context) error {
	const most = 256 << 10
	for {
		gs.mu.Lock()
		at := gs.fold.next
		gs.mu.Unlock()
		run, err := gs.log.Read(ctx, parley.Place{Stream: groupsStream, At: at}, most)
		if err != nil && parley.CodeOf(err) == parley.Trimmed {
			gs.anew(at)
			continue
		}
		if err != nil || run.Empty() {
			return err
		}
		err = gs.take(run)
		run.Release()
		if err != nil {
			return err
		}
	}
}

// anew forgets what was read up to a place: only what belongs to groups that are
// deleted is ever trimmed, so the rest tells all.
func (gs *Groups) anew(at parley.Position) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if gs.fold.next == at {
		gs.fold = newFold()
	}
}

// take folds a run. Two readers may bring the same; groups stay the same values.
func (gs *Groups) take(run parley.Run) error {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	changed := false
	for b := range run.Batches() {
		if b.Base() < gs.fold.next {
			continue
		}
		for rec, err := range b.Records() {
			if err != nil {
				return parley.Errorf(parley.Damaged, "%s at %d: %w", Stream, b.Base(), err)
			}
			e, err := rec.Event()
			if err != nil {
				return parley.Errorf(parley.Damaged, "%s at %d: %w", Stream, rec.Position, err)
			}
			changed = gs.apply(&e, rec.Position) || changed
		}
		gs.fold.next, gs.fold.newest = b.Next(), b.Base()
	}
	if changed {
		gs.sync()
		gs.nudge()
	}
	return nil
}

// apply takes an event in, under mu. What it does not understand is not ours.
func (gs *Groups) apply(e *parley.Event, at parley.Position) bool {
	if CheckName(e.Subject) != nil {
		return false
	}
	switch e.Type {
	case createdType:
		if gs.fold.since[e.Subject] == 0 {
			gs.fold.since[e.Subject] = at
			return true
		}
	case deletedType:
		delete(gs.fold.since, e.Subject)
		return true
	}
	return false
}

// sync makes the groups be those of the fold, under mu.
func (gs *Groups) sync() {
	for name, g := range gs.groups {
		if since, there := gs.fold.since[name]; !there || g.moves != movesOf(name, since) {
			delete(gs.groups, name)
		}
	}
	for name, since := range gs.fold.since {
		if gs.groups[name] == nil {
			gs.groups[name] = &Group{all: gs, name: name, moves: movesOf(name, since)}
		}
	}
}

// write appends to $groups what decide says, by compare-and-append: decide sees
// all that others wrote, under mu, and says nil when nothing is to be done.
func (gs *Groups) write(ctx context.Context, decide func() (*parley.Event, error)) error {
	select {
	case gs.turn <- struct{}{}:
		defer func() { <-gs.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for {
		if err := gs.catchUp(ctx); err != nil {
			return err
		}
		gs.mu.Lock()
		e, err := decide()
		expect := gs.fold.newest
		gs.mu.Unlock()
		if err != nil || e == nil {
			return err
		}
		var b parley.Builder
		if err := b.Add(e.Time, e); err != nil {
			return err
		}
		batch, err := b.Batch()
		if err != nil {
			return err
		}
		_, err = gs.log.Append(ctx, parley.Write{Stream: groupsStream, Expect: expect, Batch: batch})
		if err != nil && parley.CodeOf(err) == parley.Conflict {
			continue // another node was first
		}
		if err != nil {
			return err
		}
		if err := gs.catchUp(ctx); err != nil {
			return err
		}
		gs.trim(ctx)
		return nil
	}
}

// trim drops what is below the oldest group that is there.
func (gs *Groups) trim(ctx context.Context) {
	gs.mu.Lock()
	upTo := gs.fold.next
	for _, since := range gs.fold.since {
		upTo = min(upTo, since)
	}
	gs.mu.Unlock()
	if err := gs.log.Trim(ctx, groupsStream, upTo); err != nil {
		gs.opt.Logger.Debug("the list of groups was not trimmed", slog.Any("error", err))
	}
}

// follow takes in what other nodes write, until ctx ends; it reports what cannot
// be understood.
func (gs *Groups) follow(ctx context.Context, failed chan<- error) {
	for wait := firstRetry; ctx.Err() == nil; {
		err := gs.catchUp(ctx)
		if err == nil {
			gs.mu.Lock()
			at := max(gs.fold.next, 1)
			gs.mu.Unlock()
			err = gs.log.Wait(ctx, parley.Place{Stream: groupsStream, At: at})
		}
		switch {
		case err == nil || ctx.Err() != nil:
			wait = firstRetry
		case parley.CodeOf(err) == parley.Damaged:
			failed <- err
			return
		default:
			gs.opt.Logger.Warn("the list of groups cannot be read", slog.Any("error", err))
			pause(ctx, wait)
			wait = min(2*wait, lastRetry)
		}
	}
}
