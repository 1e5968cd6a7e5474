package stream

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/cursor"
)

// From says where reading begins. The zero From is Earliest.
type From struct {
	kind   fromKind
	time   time.Time
	cursor string
}

type fromKind uint8

const (
	fromEarliest fromKind = iota
	fromLatest
	fromTime
	fromCursor
)

// Earliest begins with the oldest event that retention still holds.
func Earliest() From { return From{} }

// Latest begins with the next event.
func Latest() From { return From{kind: fromLatest} }

// At begins with the first event appended at or after a time.
func At(t time.Time) From { return From{kind: fromTime, time: t} }

// After begins right after a cursor, or several joined by commas.
func After(cursor string) From { return From{kind: fromCursor, cursor: cursor} }

// ParseFrom reads the text form: "earliest", "latest", "@TIME" in RFC 3339, or a
// cursor. The empty text is Earliest. Error: Invalid, of the field that is named.
func ParseFrom(field, s string) (From, error) {
	switch {
	case s == "" || s == "earliest":
		return Earliest(), nil
	case s == "latest":
		return Latest(), nil
	case s[0] != '@':
		return After(s), nil
	}
	t, err := time.Parse(time.RFC3339Nano, s[1:])
	if err != nil {
		return From{}, parley.BadField(field, "is not a time: "+strconv.Quote(clip(s, 64)), "send earliest, latest, a cursor, or @ and an RFC 3339 time such as @2026-01-31T12:00:00Z")
	}
	return At(t), nil
}

// maxTokens is how many cursors one may be joined of: enough for all partitions of
// a group.
const maxTokens = (MaxPartitions + cursor.MaxMarks - 1) / cursor.MaxMarks

// seal makes the cursor of any number of places: several tokens, joined by commas.
func (gs *Groups) seal(marks []cursor.Mark) string {
	var tokens []string
	for len(marks) > cursor.MaxMarks {
		tokens = append(tokens, gs.opt.Sealer.Seal("", marks[:cursor.MaxMarks]))
		marks = marks[cursor.MaxMarks:]
	}
	return strings.Join(append(tokens, gs.opt.Sealer.Seal("", marks)), ",")
}

// open reads a cursor. Of two places in one stream the further one counts.
func (gs *Groups) open(field, text string) (map[uint64]cursor.Mark, error) {
	marks := make(map[uint64]cursor.Mark)
	tokens := 0
	for token := range strings.SplitSeq(text, ",") {
		if tokens++; tokens > maxTokens {
			return nil, &parley.Error{Code: parley.BadCursor, Field: field, Detail: "more cursors are joined than any group needs", Fix: "send the cursor of one answer"}
		}
		list, err := gs.opt.Sealer.Open("", token)
		if err != nil {
			return nil, inField(field, err)
		}
		for _, m := range list {
			if have, twice := marks[m.Number]; !twice || have.Next < m.Next {
				marks[m.Number] = m
			}
		}
	}
	return marks, nil
}

// inField names the input that an error about a cursor is about.
func inField(field string, err error) error {
	e, ok := err.(*parley.Error) //nolint:errorlint // the sealer's own, unwrapped
	if !ok || e.Field != "cursor" {
		return err
	}
	at := *e
	at.Field = field
	return &at
}

// resolve sets the places of partitions by From. A cursor says nothing of streams
// that it does not name: they are left at the earliest event.
func (gs *Groups) resolve(ctx context.Context, list []track, from From) error {
	marks, err := map[uint64]cursor.Mark(nil), error(nil)
	if from.kind == fromCursor {
		if marks, err = gs.open("from", from.cursor); err != nil {
			return err
		}
	}
	for i := range list {
		t := &list[i]
		p, _, there := gs.topics.ByNumber(t.Number)
		if !there {
			continue
		}
		switch m, named := marks[t.Number]; {
		case from.kind == fromTime:
			if gs.timer == nil {
				return &parley.Error{Code: parley.Unsupported, Field: "from", Detail: "this engine cannot find a position by time", Fix: "send earliest, latest or a cursor"}
			}
			t.At, err = gs.timer.At(ctx, p.Stream, from.time)
		case from.kind == fromLatest:
			t.At, err = gs.log.End(ctx, p.Stream)
		case named:
			t.At, t.Epoch = m.Next, m.Epoch
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// stats asks the engine about a stream.
func (gs *Groups) stats(ctx context.Context, s parley.Stream) (parley.Stats, error) {
	if gs.stat != nil {
		return gs.stat.Stat(ctx, s)
	}
	end, err := gs.log.End(ctx, s)
	return parley.Stats{End: end}, err
}
