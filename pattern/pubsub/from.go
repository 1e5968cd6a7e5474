package pubsub

import "time"

// From says where a subscription begins.
type From struct {
	kind   fromKind
	cursor string
	time   time.Time
}

type fromKind uint8

const (
	fromLatest fromKind = iota
	fromEarliest
	fromCursor
	fromTime
)

// Latest begins with the next event. It is the zero From.
func Latest() From { return From{} }

// Earliest begins with the oldest event that retention still holds.
func Earliest() From { return From{kind: fromEarliest} }

// After begins right after a cursor, or after several joined by commas, each of
// other streams.
func After(cursor string) From { return From{kind: fromCursor, cursor: cursor} }

// At begins with the first event appended at or after a time.
func At(t time.Time) From { return From{kind: fromTime, time: t} }

// IsCursor says that the place was given by a cursor.
func (f From) IsCursor() bool { return f.kind == fromCursor }

// ParseFrom reads the text form that every door takes: "earliest", "latest",
// "@TIME" in RFC 3339, or a cursor. The empty text is Latest.
func ParseFrom(s string) (From, error) {
	switch {
	case s == "" || s == "latest":
		return Latest(), nil
	case s == "earliest":
		return Earliest(), nil
	case s[0] == '@':
		t, err := time.Parse(time.RFC3339Nano, s[1:])
		if err != nil {
			return From{}, errFrom(s)
		}
		return At(t), nil
	}
	return After(s), nil
}
