package patterntest

import (
	"slices"
	"strings"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
)

var pubsubSuite = suite{pattern: "pubsub", parts: []part{
	{needs: "Publisher", has: is[Publisher], everywhere: true, checks: publishChecks},
	{needs: "way", checks: slices.Concat(deliveryChecks, placeChecks, manyChecks)},
}}

// manyChecks are for ways that take patterns and several topics.
var manyChecks = []check{
	{"Patterns", "a pattern takes the topics that it matches and no others, also those made later, from their first event", patterns},
	{"PatternsResume", "the cursor of a pattern holds a place in every topic that has joined, whichever event it is of", patternsResume},
	{"Several", "several topics are one subscription with one cursor", several},
}

func patterns(s *scene) {
	s.put("orders.eu", 1, 1)
	s.put("payments.eu", 101, 101)
	one := s.read(Query{Topics: []string{"orders.*"}, From: "earliest"})
	rest := s.read(Query{Topics: []string{"orders.>"}, From: "earliest"})
	one.upTo(1, 1)
	rest.upTo(1, 1)
	s.put("orders.us", 2, 2)
	one.upTo(2, 2)
	rest.upTo(2, 2)
	s.put("orders.us.east", 3, 3)
	rest.upTo(3, 3)
	one.quiet()
	rest.quiet()
}

func patternsResume(s *scene) {
	s.put("orders.a", 1, 2)
	q := Query{Topics: []string{"orders.*"}, From: "earliest"}
	r := s.read(q)
	r.upTo(1, 2)
	for n, name := range []string{"orders.b", "orders.a", "orders.c", "orders.b"} { // two join on the way
		s.put(name, n+3, n+3)
		r.upTo(n+3, n+3)
		q.From = r.cursor
		again := s.read(q)
		again.quiet()
		s.put("orders.a", 100, 100)
		again.upTo(100, 100)
		again.end()
		r.upTo(100, 100)
	}
}

func several(s *scene) {
	if !s.way.Many {
		s.Fatalf("%s takes one topic", s.way.Name)
	}
	names := []string{"a", "b", "c.d"}
	for i, name := range names {
		s.put(name, 10*i+1, 10*i+3)
	}
	var seen []string
	q := Query{Topics: []string{"a", "b", "c.>"}, From: "earliest"}
	for len(seen) < 9 { // a connection for each event that has a cursor
		q.From = s.handOver(s.way, q, 1, func(got Received) {
			if slices.Contains(seen, word(got)) {
				s.Fatalf("got %s after %v", word(got), seen)
			}
			seen = append(seen, word(got))
		})
	}
	s.read(q).quiet()
}

var publishChecks = []check{
	{"Publish/Places", "the answer to a publish tells of each event, in order, where it is and how it is called", publishPlaces},
	{"Publish/Whole", "an event is stored with all its attributes and its data byte for byte", publishWhole},
	{"Publish/Completed", "an event without id, source or type is given them", publishCompleted},
	{"Publish/Again", "a request that comes again under its idempotency key is answered with its first places, and stored once", publishAgain},
	{"Publish/KeyReused", "an idempotency key that comes again with another body is refused, and nothing is stored", publishKeyReused},
	{"Publish/SameID", "one event that comes again with its own id and source is stored once", publishSameID},
	{"Publish/Refused", "what cannot be published is refused with its code, and nothing is stored", publishRefused},
	{"PublishAll/Together", "a request to several topics is answered in its order, and all of it is there", publishAll},
	{"PublishAll/OrNone", "a request to several topics of which one part cannot be stored stores nothing", publishNone},
	{"PublishAll/Again", "a request to several topics that comes again under its key is answered with its first places, and stored once", publishAllAgain},
	{"PublishAll/KeyReused", "a key of a request to several topics that comes again with another body is refused", publishAllKeyReused},
}

func (s *scene) publisher() Publisher { return s.door.(Publisher) }

func (s *scene) holds(name string, words ...string) {
	s.Helper()
	var got []string
	for _, e := range s.stored(name) {
		got = append(got, string(e.Data))
	}
	if !slices.Equal(got, words) {
		s.Errorf("%s holds %v, want %v", name, got, words)
	}
}

func (s *scene) send(key, name string, events ...parley.Event) Receipt {
	s.Helper()
	receipt, err := s.publisher().Publish(s.Life, key, name, events...)
	if err != nil {
		s.Fatalf("publish: %v", err)
	}
	return receipt
}

func publishPlaces(s *scene) {
	first, second := s.send("", aTopic, numbers(1, 3)...), s.send("", aTopic, numbers(4, 4)...)
	placed := append(first.Placed, second.Placed...)
	if len(placed) != 4 || first.Replayed {
		s.Fatalf("placed %+v, replayed %t", placed, first.Replayed)
	}
	for i, e := range s.stored(aTopic) {
		p := placed[i]
		if p.Topic != aTopic || p.Partition != 0 || p.ID != e.ID || p.ID == "" || i > 0 && p.Position <= placed[i-1].Position {
			s.Errorf("event %d: %+v, stored as %s", i, p, e.ID)
		}
	}
	s.holds(aTopic, "1", "2", "3", "4")
}

func publishWhole(s *scene) {
	sent := variety()
	s.send("", aTopic, slices.Clone(sent)...)
	for i, got := range s.stored(aTopic) {
		s.same(got, sent[i])
	}
	s.send("", "single", sent[0])
	s.same(s.stored("single")[0], sent[0])
}

func publishCompleted(s *scene) {
	s.send("", aTopic, numbers(1, 2)...)
	all := s.stored(aTopic)
	for _, e := range all {
		if e.ID == "" || e.Source != "/topics/"+aTopic || e.Type != topic.DefaultType {
			s.Errorf("stored as %s of %s, type %s", e.ID, e.Source, e.Type)
		}
	}
	if all[0].ID == all[1].ID {
		s.Error("two events have one id")
	}
}

func (s *scene) replays(first, again Receipt) {
	s.Helper()
	if !slices.Equal(first.Placed, again.Placed) || first.Replayed || !again.Replayed {
		s.Errorf("first %+v, again %+v", first, again)
	}
}

func publishAgain(s *scene) {
	s.create(aTopic, 3)
	s.replays(s.send("k1", aTopic, numbers(1, 5)...), s.send("k1", aTopic, numbers(1, 5)...))
	s.replays(s.send("k2", aTopic, numbers(6, 6)...), s.send("k2", aTopic, numbers(6, 6)...))
	if n := len(s.stored(aTopic)); n != 6 {
		s.Errorf("%d events are stored, want 6", n)
	}
	s.send("k1", "other", numbers(1, 1)...) // a key belongs to its topic
}

func (s *scene) refused(code parley.Code, err error) {
	s.Helper()
	if err == nil || parley.CodeOf(err) != code {
		s.Errorf("error %v, want one of code %s", err, code)
	}
}

func publishKeyReused(s *scene) {
	s.send("k", aTopic, numbers(1, 2)...)
	for _, events := range [][]parley.Event{numbers(1, 3), numbers(2, 3), numbers(1, 1)} {
		_, err := s.publisher().Publish(s.Life, "k", aTopic, events...)
		s.refused(parley.KeyReused, err)
	}
	s.holds(aTopic, "1", "2")
}

func publishSameID(s *scene) {
	e := parley.Event{ID: "mine", Source: "/me", Type: "t", Data: []byte("1"), DataContentType: "application/json"}
	s.replays(s.send("", aTopic, e), s.send("", aTopic, e))
	e.Data = []byte("2")
	_, err := s.publisher().Publish(s.Life, "", aTopic, e)
	s.refused(parley.KeyReused, err)
	s.holds(aTopic, "1")
}

func publishRefused(s *scene) {
	s.put(aTopic, 1, 1)
	large := parley.Event{Data: []byte(strings.Repeat("x", topic.DefaultMaxEvent+1)), DataContentType: "text/plain"}
	for _, row := range []struct {
		name   string
		events []parley.Event
		code   parley.Code
	}{
		{"no name", numbers(2, 2), parley.Invalid},
		{"$topics", numbers(2, 2), parley.Forbidden},
		{aTopic, append(numbers(2, 3), large), parley.TooLarge},
		{aTopic, append(numbers(2, 3), parley.Event{Type: "a\nb"}), parley.Invalid},
	} {
		_, err := s.publisher().Publish(s.Life, "", row.name, row.events...)
		s.refused(row.code, err)
	}
	s.holds(aTopic, "1")
}

func both(a, b []parley.Event) []topic.TopicEvents {
	return []topic.TopicEvents{{Topic: "a", Events: a}, {Topic: "b", Events: b}}
}

func (s *scene) sendAll(key string, topics ...topic.TopicEvents) Receipt {
	s.Helper()
	receipt, err := s.publisher().PublishAll(s.Life, key, topics...)
	if err != nil {
		s.Fatalf("publish to several: %v", err)
	}
	return receipt
}

func publishAll(s *scene) {
	receipt := s.sendAll("", both(numbers(1, 2), numbers(3, 4))...)
	var names []string
	for _, p := range receipt.Placed {
		names = append(names, p.Topic)
	}
	if !slices.Equal(names, []string{"a", "a", "b", "b"}) || receipt.Replayed {
		s.Errorf("%+v", receipt)
	}
	s.holds("a", "1", "2")
	s.holds("b", "3", "4")
}

func publishNone(s *scene) {
	s.put("a", 0, 0)
	for _, bad := range []topic.TopicEvents{
		{Topic: "b", Events: []parley.Event{{Type: "a\nb"}}},
		{Topic: "$topics", Events: numbers(1, 1)},
		{Topic: "no name", Events: numbers(1, 1)},
	} {
		if _, err := s.publisher().PublishAll(s.Life, "", topic.TopicEvents{Topic: "a", Events: numbers(1, 2)}, bad); err == nil {
			s.Errorf("%s was taken", bad.Topic)
		}
	}
	s.holds("a", "0")
}

func publishAllAgain(s *scene) {
	s.replays(s.sendAll("k", both(numbers(1, 2), numbers(3, 4))...), s.sendAll("k", both(numbers(1, 2), numbers(3, 4))...))
	s.holds("a", "1", "2")
	s.holds("b", "3", "4")
}

func publishAllKeyReused(s *scene) {
	s.sendAll("k", both(numbers(1, 2), numbers(3, 4))...)
	_, err := s.publisher().PublishAll(s.Life, "k", both(numbers(1, 2), numbers(3, 5))...)
	s.refused(parley.KeyReused, err)
	s.holds("a", "1", "2")
	s.holds("b", "3", "4")
}
