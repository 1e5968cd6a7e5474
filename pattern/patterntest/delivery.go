package patterntest

import (
	"strconv"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
)

// deliveryChecks hold for every way to subscribe, of every pattern that delivers.
var deliveryChecks = []check{
	{"StoredThenLive", "a reader gets what is stored and then what comes, each event once", storedThenLive},
	{"Seam", "no event is lost or doubled between the stored and the live part, whenever a reader comes while others publish", seam},
	{"Latest", "a reader from latest begins with the next event", latest},
	{"AtTime", "a reader from @TIME begins with the first event that was stored then or later", atTime},
	{"FanOut", "every subscriber gets every event, in the same order", fanOut},
	{"OrderOfKeys", "events of one key come in the order in which they were published, whatever the number of partitions", orderOfKeys},
	{"LaterTopic", "a topic that is not there yet is waited for, and read from its first event", laterTopic},
	{"Whole", "an event arrives with all its attributes and its data byte for byte", whole},
	{"Slow", "a reader that takes its time gets every event once", slow},
	{"Idle", "hours of silence lose no reader", idle},
	{"Cut", "a reader whose connections break gets every event once", cut},
	{"Outage", "a server that cannot be reached for minutes loses no reader, and no reader what came meanwhile", outage},
	{"CutBeforeTheFirst", "a connection that breaks before its first event is resumed where it began, not begun anew", cutBeforeTheFirst},
}

const aTopic = "numbers"

func from(place string) Query { return Query{Topics: []string{aTopic}, From: place} }

func storedThenLive(s *scene) {
	s.put(aTopic, 1, 3)
	s.put(aTopic, 4, 4)
	r := s.read(from("earliest"))
	r.upTo(1, 4)
	s.put(aTopic, 5, 5)
	r.upTo(5, 5)
	s.put(aTopic, 6, 7)
	s.put(aTopic, 8, 8)
	r.upTo(6, 8)
	r.quiet()
}

func seam(s *scene) {
	const last, readers = 40, 4
	s.put(aTopic, 1, 1)
	s.meanwhile(func() {
		for i := 2; i <= last; i++ {
			s.pass(time.Duration(i%3) * time.Millisecond)
			if _, _, err := s.Topics.Publish(s.Life, aTopic, numbers(i, i), topic.PublishOptions{}); err != nil {
				s.Errorf("publish: %v", err)
			}
		}
	})
	var all []*reader
	for i := range readers {
		all = append(all, s.read(from("earliest")))
		s.pass(time.Duration(i) * 3 * time.Millisecond)
	}
	for _, r := range all {
		r.upTo(1, last)
	}
	for _, r := range all {
		r.quiet()
	}
}

func latest(s *scene) {
	s.put(aTopic, 1, 5)
	r := s.read(from("latest"))
	r.settled()
	s.put(aTopic, 6, 7)
	r.upTo(6, 7)
}

func atTime(s *scene) {
	s.put(aTopic, 1, 2)
	s.pass(time.Hour)
	then := time.Now().UTC().Format(time.RFC3339Nano)
	s.put(aTopic, 3, 4)
	r := s.read(from("@" + then))
	r.upTo(3, 4)
}

func fanOut(s *scene) {
	s.put(aTopic, 1, 2)
	var all []*reader
	for range 5 {
		all = append(all, s.read(from("earliest")))
	}
	for _, r := range all {
		r.upTo(1, 2)
	}
	s.put(aTopic, 3, 3)
	s.put(aTopic, 4, 6)
	for _, r := range all {
		r.upTo(3, 6)
	}
}

func orderOfKeys(s *scene) {
	const keys, each = 8, 6
	s.create(aTopic, 4)
	r := s.read(from("earliest"))
	for i := range each {
		for k := range keys {
			s.publish(aTopic, keyed(strconv.Itoa(k), i))
		}
	}
	next := map[string]int{}
	for range keys * each {
		got := r.next()
		key, n := got.Extensions[parley.PartitionKey], word(got)
		if n != strconv.Itoa(next[key]) {
			s.Fatalf("key %s: got %s, want %d", key, n, next[key])
		}
		next[key]++
	}
	r.quiet()
}

func keyed(key string, n int) parley.Event {
	e := numbers(n, n)[0]
	e.Set(parley.PartitionKey, key)
	return e
}

func laterTopic(s *scene) {
	r := s.read(from("latest"))
	r.settled()
	s.put(aTopic, 1, 2)
	r.upTo(1, 2)
}

// variety is events that are hard to carry.
func variety() []parley.Event {
	events := []parley.Event{
		{DataContentType: "application/json", Data: []byte(`{"a": [1, 2.50, "ü \u00fc"],   "b":null}`)},
		{DataContentType: "text/plain; charset=utf-8", Data: []byte("two\nlines, \r\nand a lone \r, and zürich")},
		{DataContentType: "application/octet-stream", Data: []byte{0, 1, 0xff, '\n', 0x80, 0}},
		{DataContentType: "text/plain", Data: []byte{}},
		{DataContentType: "application/json", Data: []byte(`{"not": json`)},
		{},
		{DataContentType: "text/plain", Data: []byte("no \xff text")},
	}
	for i := range events {
		e := &events[i]
		e.ID, e.Source, e.Type = "id-"+strconv.Itoa(i), "/a/source?x=%C3%BC#f", "com.example.kind"
	}
	events[0].Subject = "a subject, with ü"
	events[0].Time = time.Date(2026, 2, 3, 4, 5, 6, 789_000_000, time.UTC)
	events[0].DataSchema = "https://example.com/schema"
	events[1].Set("custom", `"quoted", and ü`)
	events[1].Set(parley.PartitionKey, "a key")
	return events
}

func whole(s *scene) {
	sent := variety()
	s.publish(aTopic, sent...)
	r := s.read(from("earliest"))
	for _, want := range sent {
		s.same(r.next().Event, want)
	}
}

// same compares events. Only a time that was absent may have been filled in.
func (w *World) same(got, want parley.Event) {
	w.Helper()
	if want.Time.IsZero() {
		got.Time = want.Time
	}
	if a, b := string(got.AppendJSON(nil)), string(want.AppendJSON(nil)); a != b || string(got.Data) != string(want.Data) {
		w.Errorf("got  %s\nwant %s", a, b)
	}
}

// slow lets far more pile up than connections hold.
func slow(s *scene) {
	const last = 40
	r := s.read(from("earliest"))
	for i := 1; i <= last; i++ {
		s.publish(aTopic, padded(i))
	}
	for i := 1; i <= last; i++ {
		r.expect(strconv.Itoa(i))
		if i%10 == 0 {
			s.pass(20 * time.Second) // a server may well give the connection up
		}
	}
	r.quiet()
}

func idle(s *scene) {
	s.put(aTopic, 1, 1)
	r := s.read(from("earliest"))
	r.upTo(1, 1)
	s.pass(100 * time.Minute) // servers let no stream live longer than 90
	s.put(aTopic, 2, 3)
	r.upTo(2, 3)
	r.quiet()
}

func cut(s *scene) {
	s.put(aTopic, 1, 5)
	r := s.read(from("earliest"))
	for at := 1; at < 40; at += 5 {
		r.upTo(at, at+2)
		s.door.Cut(0)
		s.put(aTopic, at+5, at+9)
		r.upTo(at+3, at+4)
	}
	r.upTo(41, 45)
	r.quiet()
}

func outage(s *scene) {
	s.put(aTopic, 1, 3)
	r := s.read(from("latest"))
	r.settled()
	for n := 4; n <= 6; n += 2 {
		s.door.Cut(5 * time.Minute)
		s.put(aTopic, n, n+1)
		s.pass(6 * time.Minute)
		r.upTo(n, n+1)
	}
	r.quiet()
}

func cutBeforeTheFirst(s *scene) {
	s.put(aTopic, 1, 3)
	r := s.read(from("latest"))
	r.settled()
	s.door.Cut(0)
	s.put(aTopic, 4, 5)
	r.upTo(4, 5)
}
