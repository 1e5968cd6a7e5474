package stream

import (
	"context"
	"encoding/json"
	"log/slog"
	"strconv"

	"github.com/parleyhq/parley"
)

// The events of $groups.
const (
	createdType = "parley.group.created"
	deletedType = "parley.group.deleted"
)

var groupsStream = parley.Stream{Name: Stream}

func groupEvent(kind, name string) *parley.Event {
	data, _ := json.Marshal(map[string]string{"group": name}) // a string
	return &parley.Event{Source: "/groups", Type: kind, Subject: name, DataContentType: "application/json", Data: data}
}

// movesOf names the memory of a group. The position of its creation makes it new
// for each: whoever removes that of a deleted group never meets another's.
func movesOf(name string, created parley.Position) parley.Stream {
	return parley.Stream{Name: "$group." + name + ".moves/" + strconv.FormatInt(int64(created), 10)}
}

// take takes an event in, under mu. What it does not understand is not ours.
func (gs *Groups) take(_ context.Context, e *parley.Event, at parley.Position) error {
	if CheckName(e.Subject) != nil {
		return nil
	}
	switch e.Type {
	case createdType:
		if gs.since[e.Subject] == 0 {
			gs.since[e.Subject] = at
		}
	case deletedType:
		delete(gs.since, e.Subject)
	}
	return nil
}

// taken makes the groups be those that were folded, under mu; they stay the same
// values.
func (gs *Groups) taken(context.Context) (then func()) {
	for name, g := range gs.groups {
		if since, there := gs.since[name]; !there || g.moves != movesOf(name, since) {
			delete(gs.groups, name)
		}
	}
	for name, since := range gs.since {
		if gs.groups[name] == nil {
			gs.groups[name] = &Group{all: gs, name: name, moves: movesOf(name, since)}
		}
	}
	return gs.nudge
}

// write changes $groups by what decide says, which sees all that others wrote, under
// mu, and says nil when nothing is to be done.
func (gs *Groups) write(ctx context.Context, decide func() (*parley.Event, error)) error {
	wrote := false
	err := gs.roll.Write(ctx, func() (*parley.Event, error) {
		gs.mu.Lock()
		defer gs.mu.Unlock()
		e, err := decide()
		wrote = e != nil
		return e, err
	})
	if err == nil && wrote {
		gs.trim(ctx)
	}
	return err
}

// trim drops what is below the oldest group that is there: only what belongs to
// groups that are deleted, so that the rest tells all.
func (gs *Groups) trim(ctx context.Context) {
	upTo := gs.roll.Next()
	gs.mu.Lock()
	for _, since := range gs.since {
		upTo = min(upTo, since)
	}
	gs.mu.Unlock()
	if err := gs.log.Trim(ctx, groupsStream, upTo); err != nil {
		gs.opt.Logger.Debug("the list of groups was not trimmed", slog.Any("error", err))
	}
}
