package stream

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
)

// A hash chain makes an append-only history one that nobody can change unnoticed:
// each event carries the digest of the one before it, so that to change, to leave
// out or to insert an event breaks the link behind it. What a chain alone cannot
// show is that its newest events are missing, or that all of it was made anew: for
// that, a digest is kept where the writer of the topic cannot reach.

// PreviousDigest is the extension attribute of an event in a hash chain: the digest
// of the event before it in its partition, 64 hexadecimal digits, lower case. The
// first event has ChainStart.
const PreviousDigest = "previousdigest"

// ChainStart is what the first event of a chain has as PreviousDigest.
const ChainStart = "0000000000000000000000000000000000000000000000000000000000000000"

// EventDigest is the SHA-256 of an event, 64 hexadecimal digits, lower case. It is
// taken over the event's attributes in the byte order of their names, and then the
// data under the name "data". Each is two netstrings: the length in bytes in
// decimal, a colon, the bytes and a comma, first of the name and then of the value.
// Values are in their canonical form (CloudEvents §3.1); the time is in UTC, with
// as many digits of a second as it has; specversion is left out, and so are absent
// attributes, and absent data is as empty data. Traceparent and tracestate are left
// out, too: they belong to how the event came, and a server may add them.
func EventDigest(e *parley.Event) string {
	h := sha256.New()
	var room []byte
	for _, a := range attributes(e) {
		room = appendNetstring(appendNetstring(room[:0], a.name), a.value)
		_, _ = h.Write(room) // a hash takes everything
	}
	room = strconv.AppendInt(appendNetstring(room[:0], "data"), int64(len(e.Data)), 10)
	_, _ = h.Write(append(room, ':'))
	_, _ = h.Write(e.Data)
	_, _ = h.Write([]byte{','})
	return hex.EncodeToString(h.Sum(nil))
}

type attribute struct{ name, value string }

// attributes are those that are digested, in order.
func attributes(e *parley.Event) []attribute {
	all := []attribute{
		{"id", e.ID},
		{"source", e.Source},
		{"type", e.Type},
		{"subject", e.Subject},
		{"datacontenttype", e.DataContentType},
		{"dataschema", e.DataSchema},
	}
	if !e.Time.IsZero() {
		all = append(all, attribute{"time", e.Time.UTC().Format(time.RFC3339Nano)})
	}
	for name, value := range e.Extensions {
		if name != "traceparent" && name != "tracestate" {
			all = append(all, attribute{name, value})
		}
	}
	all = slices.DeleteFunc(all, func(a attribute) bool { return a.value == "" })
	slices.SortFunc(all, func(a, b attribute) int { return cmp.Compare(a.name, b.name) })
	return all
}

func appendNetstring(dst []byte, s string) []byte {
	dst = append(strconv.AppendInt(dst, int64(len(s)), 10), ':')
	return append(append(dst, s...), ',')
}

// Link makes e the next event of a chain whose newest event has the digest head, or
// that has none yet: ChainStart. It sets PreviousDigest and gives the digest of e,
// which is the head once e is published. Everything about e is decided by then.
// Errors: Invalid for a head that is no digest, and for an event without id,
// source, type or time: a server would add them, and so change the digest.
func Link(head string, e *parley.Event) (string, error) {
	if !isDigest(head) {
		return "", parley.BadField("head", "is no digest", "give 64 lower-case hexadecimal digits, or ChainStart")
	}
	if err := e.Check(); err != nil {
		return "", err
	}
	if e.Time.IsZero() {
		return "", parley.BadField("time", "an event of a chain needs its time", "set it")
	}
	e.Set(PreviousDigest, head)
	return EventDigest(e), nil
}

func isDigest(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(s) == len(ChainStart)
}

// Chain checks a hash chain event by event, from any place on. The zero value has
// seen nothing. It is not safe for concurrent use.
type Chain struct {
	begin, head string
	events      int64
}

// Add checks that e follows. The first event may be any of a chain: Begin tells
// which. An event that does not follow is not added. Errors: Damaged, with the
// attribute as Field.
func (c *Chain) Add(e *parley.Event) error {
	previous := e.Extensions[PreviousDigest]
	switch {
	case previous == "":
		return broken("the event is in no chain: it has no "+PreviousDigest, "publish to this partition with Link only")
	case !isDigest(previous):
		return broken(PreviousDigest+" of the event is no digest", "publish to this partition with Link only")
	case c.events > 0 && previous == ChainStart:
		return broken("the event begins another chain: the one before it has the digest "+c.head, fixBroken)
	case c.events > 0 && previous != c.head:
		return broken("the event names "+previous+" as the one before it, which has the digest "+c.head, fixBroken)
	}
	if c.events == 0 {
		c.begin = previous
	}
	c.head = EventDigest(e)
	c.events++
	return nil
}

const fixBroken = "one of the two was changed, or events between them were removed or added: compare with a copy"

func broken(what, fix string) error {
	return &parley.Error{Code: parley.Damaged, Field: PreviousDigest, Detail: what, Fix: fix}
}

// Events is how many events were added.
func (c *Chain) Events() int64 { return c.events }

// Head is the digest of the newest event; empty before the first.
func (c *Chain) Head() string { return c.head }

// Begin is what the first event that was added has as PreviousDigest. ChainStart
// says that it is the first of the chain; anything else, that older ones are
// missing. It is empty before the first.
func (c *Chain) Begin() string { return c.begin }
