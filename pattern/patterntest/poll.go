package patterntest

import (
	"context"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pubsub"
)

var pollSuite = suite{pattern: "poll", parts: []part{
	{needs: "Poller", has: is[Poller], everywhere: true, checks: pollChecks},
	{needs: "way", checks: slices.Concat(deliveryChecks, placeChecks)},
}}

// Poller asks once.
type Poller interface {
	Poll(ctx context.Context, name string, q PollQuery) (PollPage, error)
}

// PollQuery is one request. The zero value asks for the newest events.
type PollQuery struct {
	After  string // a cursor, "earliest", "latest", "@TIME"
	Limit  int    // most events; 0 = the door's default
	Wait   time.Duration
	Tail   int    // the newest so many instead
	Before string // with Tail: the page before
	// Ephemeral also takes what is published to ~TOPIC while the request is held.
	Ephemeral bool
}

// PollPage is the answer.
type PollPage struct {
	Events         []parley.Event
	Cursor, Before string
	More           bool
}

// Polling makes a Subscriber of a Poller: one request after the other, each held
// for at most hold, or at a pace when the server shall not hold them.
func Polling(p Poller, hold, pace time.Duration) Subscriber { return polling{p, hold, pace} }

type polling struct {
	poller     Poller
	hold, pace time.Duration
}

// Subscribe implements Subscriber. A gap is told, and read on from earliest.
func (p polling) Subscribe(ctx context.Context, q Query) iter.Seq2[Received, error] {
	return func(yield func(Received, error) bool) {
		ask := PollQuery{After: q.From, Limit: 7, Ephemeral: q.Ephemeral}
		for {
			// A held request from latest would be begun anew when it breaks, behind
			// what came meanwhile: the place is asked first.
			if ask.Wait = p.hold; ask.After == "latest" {
				ask.Wait = 0
			}
			page, err := p.poller.Poll(ctx, q.Topics[0], ask)
			if parley.CodeOf(err) == parley.Trimmed {
				if !yield(Received{Notice: "gap"}, nil) {
					return
				}
				ask.After = "earliest"
				continue
			}
			if err != nil {
				yield(Received{}, err)
				return
			}
			for i, e := range page.Events {
				got := Received{Event: e}
				if i == len(page.Events)-1 {
					got.Cursor = page.Cursor
				}
				if !yield(got, nil) {
					return
				}
			}
			if len(page.Events) == 0 && !yield(Received{Place: true, Cursor: page.Cursor}, nil) {
				return
			}
			ask.After = page.Cursor
			if !page.More && p.pace > 0 && !wait(ctx, p.pace) {
				yield(Received{}, ctx.Err())
				return
			}
		}
	}
}

func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func subscribeTo(name string) pubsub.Request { return pubsub.Request{Topics: []string{name}} }

var pollChecks = []check{
	{"Poll/AtOnce", "a short poll answers at once, with nothing and the same cursor when there is nothing", pollAtOnce},
	{"Poll/OwnWrites", "a poll sees what was acknowledged before it began, whoever else is reading", pollOwnWrites},
	{"Poll/Limit", "a page has at most limit events, says whether there are more, and its cursor goes on behind them", pollLimit},
	{"Poll/Held", "a held poll that ends without an event took the whole wait, and answers with nothing and the same cursor", pollHeld},
	{"Poll/Woken", "a held poll is answered the moment that an event is there", pollWoken},
	{"Poll/NotHeld", "a poll that may wait does not when there is something", pollNotHeld},
	{"Poll/NextOne", "a held poll without a place waits for the next event", pollNextOne},
	{"Poll/Newest", "a poll without a place and without a wait answers with the newest events", pollNewest},
	{"Poll/Tail", "tail and before page backwards through all events, and the first page's cursor goes on behind the newest", pollTail},
	{"Poll/Trimmed", "a poll from a place that retention has dropped is refused as Trimmed, so that nobody takes a gap for silence", pollTrimmed},
	{"Poll/Bad", "a poll is refused when it has a bad cursor, limit or name", pollBad},
	{"Poll/Many", "any number of held polls are answered by one event", pollMany},
}

func (s *scene) poll(q PollQuery) PollPage {
	s.Helper()
	page, err := s.door.(Poller).Poll(s.Life, aTopic, q)
	if err != nil {
		s.Fatalf("poll %+v: %v", q, err)
	}
	return page
}

func (s *scene) has(page PollPage, from, to int) {
	s.Helper()
	var got, want []string
	for _, e := range page.Events {
		got = append(got, strings.TrimSpace(string(e.Data)))
	}
	for i := from; i <= to; i++ {
		want = append(want, strconv.Itoa(i))
	}
	if !slices.Equal(got, want) {
		s.Errorf("the page has %v, want %v", got, want)
	}
}

func pollAtOnce(s *scene) {
	s.put(aTopic, 1, 2)
	began := time.Now()
	page := s.poll(PollQuery{After: "earliest"})
	s.has(page, 1, 2)
	again := s.poll(PollQuery{After: page.Cursor})
	s.has(again, 1, 0)
	if again.Cursor != page.Cursor || again.More || page.More {
		s.Errorf("%+v, then %+v", page, again)
	}
	s.has(s.poll(PollQuery{After: "latest"}), 1, 0)
	if took := time.Since(began); took != 0 {
		s.Errorf("short polls took %s", took)
	}
}

func pollOwnWrites(s *scene) {
	s.put(aTopic, 1, 1)
	live := s.readBy(s.door.Ways("poll")[0], from("latest"))
	live.settled()
	for n := 2; n <= 40; n++ {
		here := s.poll(PollQuery{After: "latest"}).Cursor
		s.put(aTopic, n, n)
		s.has(s.poll(PollQuery{After: here}), n, n)
		live.upTo(n, n)
	}
}

func pollLimit(s *scene) {
	s.put(aTopic, 1, 4)
	s.put(aTopic, 5, 7)
	after := "earliest"
	for n := 1; n <= 7; n += 3 {
		page := s.poll(PollQuery{After: after, Limit: 3})
		s.has(page, n, min(n+2, 7))
		if page.More != (n+2 < 7) {
			s.Errorf("from %d: more is %t", n, page.More)
		}
		after = page.Cursor
	}
}

func pollHeld(s *scene) {
	s.put(aTopic, 1, 1)
	here := s.poll(PollQuery{After: "latest"}).Cursor
	began := time.Now()
	page := s.poll(PollQuery{After: here, Wait: 20 * time.Second})
	s.has(page, 1, 0)
	// The clock of many timers may be a coarse one.
	if took := time.Since(began); took < 20*time.Second || took > 21*time.Second || page.Cursor != here {
		s.Errorf("took %s, and moved from %q to %q", took, here, page.Cursor)
	}
}

func pollWoken(s *scene) {
	s.put(aTopic, 1, 1)
	here := s.poll(PollQuery{After: "latest"}).Cursor
	began := time.Now()
	s.putLater(7*time.Second, aTopic, 2, 3)
	page := s.poll(PollQuery{After: here, Wait: 20 * time.Second})
	s.has(page, 2, 3)
	if took := time.Since(began); took != 7*time.Second {
		s.Errorf("took %s, want 7s", took)
	}
	s.has(s.poll(PollQuery{After: page.Cursor}), 1, 0)
}

func pollNotHeld(s *scene) {
	s.put(aTopic, 1, 2)
	began := time.Now()
	s.has(s.poll(PollQuery{After: "earliest", Wait: 20 * time.Second}), 1, 2)
	if took := time.Since(began); took != 0 {
		s.Errorf("took %s", took)
	}
}

func pollNextOne(s *scene) {
	s.put(aTopic, 1, 2)
	s.putLater(time.Second, aTopic, 3, 3)
	s.has(s.poll(PollQuery{Wait: 20 * time.Second}), 3, 3)
}

func pollNewest(s *scene) {
	s.put(aTopic, 1, 5)
	page := s.poll(PollQuery{Limit: 2})
	s.has(page, 4, 5)
	s.put(aTopic, 6, 6)
	s.has(s.poll(PollQuery{After: page.Cursor}), 6, 6)
}

func pollTail(s *scene) {
	for i := 1; i <= 7; i++ {
		s.put(aTopic, i, i)
	}
	first := s.poll(PollQuery{Tail: 3})
	s.has(first, 5, 7)
	second := s.poll(PollQuery{Tail: 3, Before: first.Before})
	s.has(second, 2, 4)
	third := s.poll(PollQuery{Tail: 3, Before: second.Before})
	s.has(third, 1, 1)
	if third.Before != "" {
		s.Errorf("there is a page before the first event: %q", third.Before)
	}
	s.put(aTopic, 8, 8)
	s.has(s.poll(PollQuery{After: first.Cursor}), 8, 8)
}

func pollTrimmed(s *scene) {
	s.put(aTopic, 1, 1)
	here := s.cursor(aTopic)
	s.put(aTopic, 2, 2)
	first, _ := s.trim(aTopic, s.put(aTopic, 3, 3)[0].Position, 3)
	for _, hold := range []time.Duration{0, 10 * time.Second} {
		_, err := s.door.(Poller).Poll(s.Life, aTopic, PollQuery{After: here, Wait: hold})
		s.refused(parley.Trimmed, err)
	}
	s.has(s.poll(PollQuery{After: "earliest", Limit: 1}), first, first)
}

func pollBad(s *scene) {
	s.put(aTopic, 1, 1)
	for _, row := range []struct {
		name string
		q    PollQuery
		code parley.Code
	}{
		{aTopic, PollQuery{After: "garbage"}, parley.BadCursor},
		{aTopic, PollQuery{After: s.foreign(aTopic)}, parley.BadCursor},
		{aTopic, PollQuery{After: s.foreign(aTopic), Wait: time.Second}, parley.BadCursor},
		{aTopic, PollQuery{After: "@yesterday"}, parley.Invalid},
		{aTopic, PollQuery{Tail: 2, Before: "garbage"}, parley.BadCursor},
		{"no name", PollQuery{After: "earliest"}, parley.Invalid},
	} {
		_, err := s.door.(Poller).Poll(s.Life, row.name, row.q)
		if s.refused(row.code, err); s.Failed() {
			s.Fatalf("that was %s %+v", row.name, row.q)
		}
	}
}

func pollMany(s *scene) {
	const many = 20
	s.put(aTopic, 1, 1)
	here := s.poll(PollQuery{After: "latest"}).Cursor
	pages := make(chan PollPage, many)
	for range many {
		go func() {
			page, err := s.door.(Poller).Poll(s.Life, aTopic, PollQuery{After: here, Wait: 30 * time.Second})
			if err != nil {
				s.Errorf("held poll: %v", err)
			}
			pages <- page
		}()
	}
	s.pass(time.Second)
	s.put(aTopic, 2, 2)
	for range many {
		s.has(<-pages, 2, 2)
	}
}
