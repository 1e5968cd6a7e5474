package patterntest

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

var sseSuite = suite{pattern: "sse", parts: []part{
	{needs: "Streamer", has: is[Streamer], checks: sseChecks},
	{needs: "way", checks: slices.Concat(deliveryChecks, placeChecks)},
}}

// Streamer opens a stream of server-sent events as a browser does. lastEventID is
// sent if it is not empty; query is what follows the question mark.
type Streamer interface {
	Stream(ctx context.Context, name, query, lastEventID string) (Stream, error)
}

// Stream is an open stream.
type Stream interface {
	// Block reads lines up to the next empty one.
	Block() ([]string, error)
	Close()
}

var sseChecks = []check{
	{"Stream/Primed", "a stream begins with how long to wait before coming back and with an id, before any event", streamPrimed},
	{"Stream/Ids", "every event has an id from which the stream resumes exactly behind it, and no event line, so that onmessage sees it", streamIDs},
	{"Stream/LastEventID", "Last-Event-ID beats the query, since a browser repeats the query for ever", streamLastEventID},
	{"Stream/Notices", "a gap is an event of that name without an id, before the events that are left", streamNotices},
	{"Stream/Reset", "a cursor that is none is an event named reset on a good stream, since a browser gives up at any other answer", streamReset},
	{"Stream/Data", "data is the event's own where lines can carry it, else the whole event", streamData},
	{"Stream/Named", "names=type sets the event line to the type", streamNamed},
	{"Stream/Heartbeat", "a silent stream shows within 30 s that it lives, without an event", streamHeartbeat},
}

// block is what one block of lines says.
type block map[string]string

func (s *scene) open(query, lastEventID string) Stream {
	s.Helper()
	st, err := s.door.(Streamer).Stream(s.Life, aTopic, query, lastEventID)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(st.Close)
	return st
}

// block reads the next block; data lines are joined.
func (s *scene) block(st Stream) block {
	s.Helper()
	lines, err := st.Block()
	if err != nil {
		s.Fatal(err)
	}
	b := block{}
	for _, line := range lines {
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		if old, ok := b[field]; ok && field == "data" {
			value = old + "\n" + value
		}
		b[field] = value
	}
	return b
}

// message reads blocks up to one with data.
func (s *scene) message(st Stream) block {
	s.Helper()
	for began := time.Now(); time.Since(began) < patience; { // heartbeats let it pass
		b := s.block(st)
		if _, ok := b["data"]; ok {
			return b
		}
	}
	s.Fatalf("no event came within %s", patience)
	return nil
}

func streamPrimed(s *scene) {
	s.put(aTopic, 1, 2)
	st := s.open("after=latest", "")
	b := block{}
	for b["id"] == "" {
		maps.Copy(b, s.block(st))
	}
	if _, data := b["data"]; b["retry"] == "" || data {
		s.Fatalf("the stream begins with %v", b)
	}
	st.Close()
	s.put(aTopic, 3, 3)
	if got := s.message(s.open("after=latest", b["id"])); got["data"] != "3" {
		s.Errorf("resumed from the first id: %v, want 3", got)
	}
}

func streamIDs(s *scene) {
	s.put(aTopic, 1, 2)
	s.put(aTopic, 3, 4)
	st := s.open("after=earliest", "")
	var ids []string
	for i := 1; i <= 4; i++ {
		b := s.message(st)
		if _, named := b["event"]; b["id"] == "" || named || slices.Contains(ids, b["id"]) {
			s.Errorf("event %d: %v", i, b)
		}
		ids = append(ids, b["id"])
	}
	for i, id := range ids[:3] {
		if b := s.message(s.open("", id)); b["data"] != string(rune('2'+i)) {
			s.Errorf("behind event %d: %v", i+1, b)
		}
	}
}

func streamLastEventID(s *scene) {
	s.put(aTopic, 1, 2)
	here := s.cursor(aTopic)
	s.put(aTopic, 3, 3)
	if b := s.message(s.open("after=earliest", here)); b["data"] != "3" {
		s.Errorf("%v, want 3", b)
	}
}

func streamNotices(s *scene) {
	s.put(aTopic, 1, 1)
	here := s.cursor(aTopic)
	s.put(aTopic, 2, 2)
	first, _ := s.trim(aTopic, s.put(aTopic, 3, 3)[0].Position, 3)
	st := s.open("", here)
	b := s.message(st)
	if _, moves := b["id"]; b["event"] != "gap" || moves || !strings.Contains(b["data"], `"`+aTopic+`"`) {
		s.Errorf("%v, want a gap without an id", b)
	}
	if b = s.message(st); strings.TrimSpace(b["data"]) != strconv.Itoa(first) || b["id"] == "" {
		s.Errorf("%v, want event %d", b, first)
	}
}

func streamReset(s *scene) {
	s.put(aTopic, 1, 1)
	for _, id := range []string{"garbage", s.foreign(aTopic)} {
		if b := s.message(s.open("", id)); b["event"] != "reset" {
			s.Errorf("resumed from %q: %v, want a reset", id, b)
		}
	}
}

func streamData(s *scene) {
	sent := variety()
	s.publish(aTopic, sent...)
	st := s.open("after=earliest", "")
	for i, e := range sent {
		got := s.message(st)["data"]
		plain := i == 0 || i == 4 // the others have a CR, are no text, or are empty
		if plain && got != string(e.Data) || !plain && !strings.Contains(got, `"specversion":"1.0"`) {
			s.Errorf("event %d: %s", i, got)
		}
	}
}

func streamNamed(s *scene) {
	s.publish(aTopic, variety()[0])
	if b := s.message(s.open("after=earliest&names=type", "")); b["event"] != "com.example.kind" {
		s.Errorf("%v", b)
	}
}

func streamHeartbeat(s *scene) {
	s.put(aTopic, 1, 1)
	st := s.open("after=earliest", "")
	s.message(st)
	began := time.Now()
	b := s.block(st)
	_, data := b["data"]
	_, id := b["id"]
	if took := time.Since(began); took > 30*time.Second || data || id {
		s.Errorf("after %s: %v", took, b)
	}
}
