package stream_test

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/stream"
)

func audited(id, data string) parley.Event {
	return parley.Event{ID: id, Source: "/audit", Type: "login", Time: time.Unix(1790000000, 5000).In(time.FixedZone("", 3600)), Data: []byte(data)}
}

// The digest is what the documentation says, so that others can compute it.
func TestEventDigest(t *testing.T) {
	e := audited("1", "hello")
	e.Set("who", "ä")
	e.Set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	sum := sha256.Sum256([]byte("2:id,1:1,6:source,6:/audit,4:time,27:2026-09-21T14:13:20.000005Z,4:type,5:login,3:who,2:ä,4:data,5:hello,"))
	if got := stream.EventDigest(&e); got != hex.EncodeToString(sum[:]) {
		t.Error(got)
	}
}

// chained makes a chain of events.
func chained(t interface {
	Helper()
	Fatal(...any)
}, n int,
) []parley.Event {
	t.Helper()
	events, head := make([]parley.Event, n), stream.ChainStart
	for i := range events {
		events[i] = audited(string(rune('a'+i)), strings.Repeat("x", i))
		next, err := stream.Link(head, &events[i])
		if err != nil {
			t.Fatal(err)
		}
		head = next
	}
	return events
}

// check adds events until one does not follow, and gives its index.
func check(c *stream.Chain, events []parley.Event) (int, error) {
	for i := range events {
		if err := c.Add(&events[i]); err != nil {
			return i, err
		}
	}
	return -1, nil
}

func TestChain(t *testing.T) {
	events := chained(t, 4)
	var whole, late stream.Chain
	if at, err := check(&whole, events); err != nil || whole.Events() != 4 || whole.Begin() != stream.ChainStart || whole.Head() != stream.EventDigest(&events[3]) {
		t.Errorf("event %d: %v; %+v", at, err, whole)
	}
	if at, err := check(&late, events[2:]); err != nil || late.Begin() != stream.EventDigest(&events[1]) || late.Head() != whole.Head() {
		t.Errorf("event %d: %v; %+v", at, err, late)
	}
}

// Whatever one event of a chain is changed into, the chain breaks there or right
// behind it.
func TestTampered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := chained(t, 6)
		at := rapid.IntRange(0, 4).Draw(t, "at") // the newest one has none behind it
		e := events[at].Clone()
		breaks := at + 1
		switch rapid.IntRange(0, 8).Draw(t, "how") {
		case 0:
			e.Data = append(e.Data, 'y')
		case 1:
			e.Subject = "else"
		case 2:
			e.Time = e.Time.Add(time.Nanosecond)
		case 3:
			e.Type, e.Source = e.Type[:2], e.Source+e.Type[2:]
		case 4: // a value moved to another name
			e.Set("who", e.ID)
			e.ID = "-"
		case 5:
			e.Set(stream.PreviousDigest, "")
			breaks = at
		case 6:
			e.Set(stream.PreviousDigest, strings.ToUpper(strings.Repeat("ab", 32)))
			breaks = at
		case 7:
			e.Set(stream.PreviousDigest, strings.Repeat("ab", 32))
			if breaks = at; at == 0 {
				breaks = 1 // it could follow something that is not there any more
			}
		case 8: // it is left out
			events = append(events[:at:at], events[at+1:]...)
			e, breaks = events[at], at
			if at == 0 {
				return // that is a chain whose beginning is gone
			}
		}
		events[at] = e
		var c stream.Chain
		got, err := check(&c, events)
		if got != breaks || parley.CodeOf(err) != parley.Damaged {
			t.Errorf("it breaks at %d, not at %d: %v", got, breaks, err)
		}
	})
}

// Two chains one behind the other are not one.
func TestSecondChain(t *testing.T) {
	events := append(chained(t, 2), chained(t, 2)...)
	var c stream.Chain
	if at, err := check(&c, events); at != 2 || !strings.Contains(err.Error(), "begins another chain") {
		t.Errorf("%d: %v", at, err)
	}
}

func TestLinkRefuses(t *testing.T) {
	for _, head := range []string{"", "0", strings.ToUpper(strings.Repeat("ab", 32)), strings.Repeat("g", 64)} {
		e := audited("1", "")
		if _, err := stream.Link(head, &e); parley.CodeOf(err) != parley.Invalid {
			t.Errorf("%q: %v", head, err)
		}
	}
	for _, field := range []string{"id", "source", "type", "time"} {
		e := audited("1", "")
		switch field {
		case "id":
			e.ID = ""
		case "source":
			e.Source = ""
		case "type":
			e.Type = ""
		case "time":
			e.Time = time.Time{}
		}
		if _, err := stream.Link(stream.ChainStart, &e); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}
