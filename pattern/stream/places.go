package stream

import (
	"context"
	"slices"
	"strconv"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
)

// CommitRequest says how far a member is: by a cursor or by places, not both.
type CommitRequest struct {
	// Member and Generation are the member's. Without a Member the group must have
	// none: the places are then anybody's to set.
	Member     string
	Generation uint64
	Cursor     string
	Places     []Place
}

// Commit moves the group's places on. When it returns they are durable; all of
// them are, or none. To repeat one does no harm.
//
// Errors: Invalid; BadCursor; NotFound for a topic or partition that is not there;
// Unprocessable for a place beyond the end of its partition; Conflict for a
// generation that is over (field generation), for who is no member (field member),
// for a partition that is not assigned to the member, and for a place behind the
// committed one (field positions); those of Host.Ask. After Unknown, commit again.
func (g *Group) Commit(ctx context.Context, r CommitRequest) ([]Place, error) {
	var list []place
	var err error
	switch {
	case (r.Cursor == "") == (len(r.Places) == 0):
		return nil, parley.BadField("cursor", "there is none, and no positions; or there are both", "send the cursor of an answer, or positions")
	case r.Cursor != "":
		list, err = g.marked(ctx, r.Cursor)
	default:
		list, err = g.named(ctx, r.Places)
	}
	if err != nil || len(list) == 0 {
		return []Place{}, err
	}
	a, err := g.ask(ctx, &request{Op: "commit", Member: r.Member, Generation: r.Generation, Places: list})
	if err != nil {
		return nil, err
	}
	return placesOf(a.Parts), nil
}

// marked gives the places of a cursor. Those at the earliest event say that
// nothing was read.
func (g *Group) marked(ctx context.Context, text string) ([]place, error) {
	marks, err := g.all.open("cursor", text)
	if err != nil {
		return nil, err
	}
	list := make([]place, 0, len(marks))
	for _, m := range marks {
		if m.Next == 0 {
			continue
		}
		p, t, there := g.all.topics.ByNumber(m.Number)
		if !there {
			if g.all.topics.Retired(m.Number) {
				continue // its topic was deleted, and with it the place
			}
			return nil, &parley.Error{Code: parley.BadCursor, Field: "cursor", Detail: "the cursor is of a stream that is not here", Fix: "send the cursor of an answer of this group"}
		}
		if err := g.within(ctx, "cursor", t.Name, slices.Index(t.Partitions, p), p.Stream, m.Next); err != nil {
			return nil, err
		}
		list = append(list, place{m.Number, m.Next, m.Epoch})
	}
	slices.SortFunc(list, byNumber)
	return list, nil
}

func byNumber(a, b place) int {
	switch {
	case a.Number < b.Number:
		return -1
	case a.Number > b.Number:
		return 1
	}
	return 0
}

// named gives the places in partitions.
func (g *Group) named(ctx context.Context, places []Place) ([]place, error) {
	if len(places) > MaxPartitions {
		return nil, parley.BadField("positions", "has "+strconv.Itoa(len(places))+" members", "send one for each partition at most")
	}
	list := make([]place, len(places))
	for i, p := range places {
		field := "positions[" + strconv.Itoa(i) + "]"
		part, err := g.all.partition(field, p.Topic, p.Partition)
		if err != nil {
			return nil, err
		}
		if p.Position < 1 {
			return nil, parley.BadField(field+".position", "is "+strconv.FormatInt(int64(p.Position), 10), "send the position of the event to read next, 1 or more")
		}
		if err := g.within(ctx, field+".position", p.Topic, p.Partition, part.Stream, p.Position); err != nil {
			return nil, err
		}
		list[i] = place{Number: part.Number, At: p.Position}
	}
	slices.SortFunc(list, byNumber)
	for i := 1; i < len(list); i++ {
		if list[i].Number == list[i-1].Number {
			return nil, parley.BadField("positions", "names a partition twice", "send one position for each")
		}
	}
	return list, nil
}

// partition finds a partition by its names.
func (gs *Groups) partition(field, name string, index int) (topic.Partition, error) {
	t, err := gs.topics.Get(name)
	if err == nil && (index < 0 || index >= len(t.Partitions)) {
		err = &parley.Error{Code: parley.NotFound, Field: field + ".partition", Detail: name + " has no partition " + strconv.Itoa(index), Fix: "send 0 to " + strconv.Itoa(len(t.Partitions)-1)}
	}
	if err != nil {
		return topic.Partition{}, err
	}
	return t.Partitions[index], nil
}

// within says that a place is not beyond the end of its partition.
func (g *Group) within(ctx context.Context, field, name string, index int, s parley.Stream, at parley.Position) error {
	end, err := g.all.log.End(ctx, s)
	if err != nil || at <= max(end, 1) {
		return err
	}
	return &parley.Error{
		Code: parley.Unprocessable, Field: field, Detail: "position " + strconv.FormatInt(int64(at), 10) + " is beyond the end of " + name + "/" + strconv.Itoa(index) + ", which is " + strconv.FormatInt(int64(end), 10),
		Fix: "send a position of an event that was read, plus one",
	}
}

// SeekRequest says where a group goes: by To in the partitions of Topics, or to
// Places.
type SeekRequest struct {
	To From
	// Topics are names and patterns; none = every partition that the group has a
	// place in.
	Topics []string
	// Places, if there are any, are where to go instead of To.
	Places []Place
	// DryRun has Seek tell where the group would be, and change nothing.
	DryRun bool
}

// Seek moves a group anywhere, also back. Members that have one of the partitions
// begin anew from there, in a new generation: what they would still commit of the
// present one is refused.
//
// Errors: Invalid; BadCursor; NotFound for a topic or partition that is not there;
// Trimmed for a place that retention no longer has; Unprocessable for one beyond
// the end; Unsupported for a time, where the engine cannot find it; those of
// Host.Ask.
func (g *Group) Seek(ctx context.Context, r SeekRequest) ([]Place, error) {
	list, err := g.target(ctx, &r)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return []Place{}, nil
	}
	for i := range list {
		if err := g.kept(ctx, &list[i]); err != nil {
			return nil, err
		}
	}
	if r.DryRun {
		return wouldBe(list), nil
	}
	a, err := g.ask(ctx, &request{Op: "seek", Tracks: list})
	if err != nil {
		return nil, err
	}
	return placesOf(a.Parts), nil
}

// wouldBe are places that nobody was asked to take.
func wouldBe(list []track) []Place {
	places := make([]Place, len(list))
	for i, t := range list {
		places[i] = Place{t.Topic, t.Index, t.At}
	}
	return places
}

// target gives the partitions that a seek is about, and where to.
func (g *Group) target(ctx context.Context, r *SeekRequest) (list []track, err error) {
	if len(r.Places) > 0 {
		if r.To.kind != fromEarliest || len(r.Topics) > 0 {
			return nil, parley.BadField("positions", "come with to or topics", "send one of them")
		}
		places, err := g.named(ctx, r.Places)
		for _, at := range places {
			p, t, _ := g.all.topics.ByNumber(at.Number)
			list = append(list, track{place: at, Topic: t.Name, Index: slices.Index(t.Partitions, p)})
		}
		return list, err
	}
	if len(r.Topics) > 0 {
		if err := checkPatterns(r.Topics); err != nil {
			return nil, err
		}
		list, err = g.all.matching(r.Topics)
	} else {
		list, err = g.tracked(ctx)
	}
	if err != nil {
		return nil, err
	}
	if r.To.kind == fromCursor { // what it does not name stays where it is
		marks, err := g.all.open("to", r.To.cursor)
		if err != nil {
			return nil, err
		}
		list = slices.DeleteFunc(list, func(t track) bool { _, named := marks[t.Number]; return !named })
		if len(list) == 0 {
			return nil, &parley.Error{Code: parley.BadCursor, Field: "to", Detail: "the cursor names none of the partitions", Fix: "send a cursor of these topics"}
		}
	}
	return list, g.all.resolve(ctx, list, r.To)
}

// tracked gives every partition that the group has a place in.
func (g *Group) tracked(ctx context.Context) ([]track, error) {
	a, err := g.ask(ctx, &request{Op: "describe"})
	if err != nil {
		return nil, err
	}
	list := make([]track, len(a.Parts))
	for i, p := range a.Parts {
		list[i] = track{Topic: p.Topic, Index: p.Index, place: place{Number: p.Number}}
	}
	return list, nil
}

// kept says that a place is one that the log still has, and notes its epoch.
func (g *Group) kept(ctx context.Context, t *track) error {
	p, _, there := g.all.topics.ByNumber(t.Number)
	if !there {
		return nil // deleted a moment ago
	}
	stats, err := g.all.stats(ctx, p.Stream)
	if err != nil || t.At == 0 {
		return err
	}
	where := t.Topic + "/" + strconv.Itoa(t.Index)
	switch {
	case t.Epoch != 0 && stats.Epoch != 0 && t.Epoch != stats.Epoch, t.At > max(stats.End, 1):
		return &parley.Error{Code: parley.BadCursor, Field: "to", Detail: "the cursor is beyond the end of " + where + ", or of an older one", Fix: "send earliest, latest or a time"}
	case t.At < stats.Low:
		return &parley.Error{Code: parley.Trimmed, Field: "to", Earliest: stats.Earliest, Detail: "events of " + where + " at position " + strconv.FormatInt(int64(t.At), 10) + " are no longer kept", Fix: "send earliest"}
	}
	t.Epoch = stats.Epoch
	return nil
}
