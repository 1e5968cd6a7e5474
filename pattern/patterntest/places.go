package patterntest

import (
	"strconv"
	"time"

	"github.com/parleyhq/parley"
)

// placeChecks are the delivery cases about cursors, good and bad.
var placeChecks = []check{
	{"Resume", "from the cursor of any event a reader gets exactly the events behind it", resume},
	{"ResumeKeys", "a cursor holds a place in every partition: none is lost or doubled in any of them", resumeKeys},
	{"Ephemeral", "what is ephemeral is delivered to who asks for it, and does not move the cursor", ephemeralCase},
	{"Trimmed", "a reader whose events retention has dropped is told of the gap, and then gets all that are left", trimmedCase},
	{"Overtaken", "a reader at work that is so slow that retention overtakes it is told of the gap where it is", overtaken},
	{"Recreated", "a cursor of a topic that was deleted and made again is answered with a reset, and then the new topic from its beginning", recreated},
	{"RecreatedLive", "a reader at work on a topic that is deleted and made again is told before it gets an event of the new one", recreatedLive},
	{"RecreatedLater", "a reader that comes back between the deletion of a topic and its second creation is told as well", recreatedLater},
	{"Ahead", "a cursor beyond the end, as after an older backup was restored, is told, and the reader goes on from the end", ahead},
	{"Garbage", "what is no cursor is told as a reset; the reader goes on with the next event", garbage},
	{"Foreign", "a cursor that another server sealed is as good as none", foreign},
	{"OtherTopic", "a cursor of another topic is told as a reset", otherTopic},
}

func resume(s *scene) {
	s.put(aTopic, 1, 3)
	s.put(aTopic, 4, 4)
	s.put(aTopic, 5, 8)
	r := s.read(from("earliest"))
	cursors := map[int]string{}
	for n := 1; n <= 8; n++ {
		r.upTo(n, n)
		if r.lately == nil {
			cursors[n] = r.cursor
		}
	}
	if cursors[8] == "" {
		s.Fatal("there is no cursor behind the newest event")
	}
	r.end()
	for n, cursor := range cursors {
		again := s.read(from(cursor))
		again.upTo(n+1, 8)
		again.quiet()
		again.end()
	}
}

func resumeKeys(s *scene) {
	const all = 24
	s.create(aTopic, 3)
	for i := range all {
		s.publish(aTopic, keyed(string(rune('a'+i%6)), i))
	}
	seen := map[string]bool{}
	q := from("earliest")
	for step := 1; len(seen) < all; step++ {
		r := s.read(q)
		for taken := 0; len(seen) < all; {
			got := r.next()
			if seen[word(got)] {
				s.Fatalf("event %s came twice, after %d", word(got), len(seen))
			}
			seen[word(got)] = true
			if got.Cursor != "" {
				q.From = got.Cursor
			}
			if taken++; taken >= step && got.Cursor != "" {
				break
			}
		}
		r.end()
	}
	r := s.read(q)
	r.quiet()
}

func ephemeralCase(s *scene) {
	s.put(aTopic, 1, 2)
	q := from("earliest")
	without := s.read(q)
	q.Ephemeral = true
	if s.way.Durable {
		s.publish("~"+aTopic, parley.Event{Data: []byte("typing"), DataContentType: "text/plain"})
		s.put(aTopic, 3, 3)
		without.upTo(1, 3)
		without.quiet()
		return
	}
	with := s.read(q)
	with.upTo(1, 2)
	before := with.cursor
	with.settled()
	s.publish("~"+aTopic, parley.Event{Data: []byte("typing"), DataContentType: "text/plain"})
	got := with.next()
	if word(got) != "typing" || got.Cursor != "" && got.Cursor != before {
		s.Fatalf("got %s at cursor %q, want typing at none or at %q", word(got), got.Cursor, before)
	}
	s.put(aTopic, 3, 3)
	with.upTo(3, 3)
	without.upTo(1, 3)
	s.read(from(before)).upTo(3, 3)
}

func trimmedCase(s *scene) {
	s.put(aTopic, 1, 1)
	here := s.cursor(aTopic)
	s.put(aTopic, 2, 2)
	third := s.put(aTopic, 3, 3)[0].Position
	first, last := s.trim(aTopic, third, 3)
	r := s.read(from(here))
	r.expect("[gap]")
	r.upTo(first, last)
	s.put(aTopic, last+1, last+1)
	r.upTo(last+1, last+1)
	r.quiet()
}

func overtaken(s *scene) {
	const all = 40 // more than most connections hold; a way that has all on its way may get all
	var newest parley.Position
	r := s.read(from("earliest"))
	for i := 1; i <= all; i++ {
		newest = s.publish(aTopic, padded(i))[0].Position
	}
	r.expect("1")
	first, last := s.trim(aTopic, newest-10, all)
	told := false
	for next := 2; next <= last; {
		got := r.next()
		if got.Notice == "gap" {
			told = true
			continue
		}
		n, err := strconv.Atoi(word(got))
		if err != nil || n != next && (!told || n < next || n > first) {
			s.Fatalf("got %s, want %d; a gap was told: %t", word(got), next, told)
		}
		next, told = n+1, false
	}
	r.quiet()
}

func recreated(s *scene) {
	s.put(aTopic, 1, 3)
	here := s.cursor(aTopic)
	s.remove(aTopic)
	s.put(aTopic, 11, 12)
	r := s.read(from(here))
	if r.told(s.way, "reset", parley.BadCursor) {
		r.upTo(11, 12)
	}
}

// gone are the codes that tell a reader that its topic is not there any more.
var gone = []parley.Code{parley.BadCursor, parley.NotFound, parley.Invalid}

func recreatedLive(s *scene) { s.recreate(0) }

func recreatedLater(s *scene) { s.recreate(time.Minute) }

func (s *scene) recreate(after time.Duration) {
	s.put(aTopic, 1, 3)
	r := s.read(from("earliest"))
	r.upTo(1, 3)
	s.remove(aTopic)
	if after > 0 {
		s.pass(after)
	}
	s.put(aTopic, 11, 12)
	way := s.way
	way.Strict = true // whoever has a connection may be told by its end
	if r.told(way, "reset", gone...) {
		r.upTo(11, 12)
		r.quiet()
	}
}

func ahead(s *scene) {
	placed := s.put(aTopic, 1, 3)
	s.lost("ahead", s.sealed(aTopic, placed[2].Position+100))
}

func garbage(s *scene) {
	s.put(aTopic, 1, 3)
	s.lost("reset", "garbage")
}

func foreign(s *scene) {
	s.put(aTopic, 1, 3)
	s.lost("reset", s.foreign(aTopic))
}

// lost resumes from a cursor whose place cannot be found among events 1 to 3.
func (s *scene) lost(notice, cursor string) {
	s.Helper()
	r := s.read(from(cursor))
	if r.told(s.way, notice, parley.BadCursor) {
		r.settled()
		s.put(aTopic, 4, 5)
		r.upTo(4, 5)
		r.quiet()
	}
}

func otherTopic(s *scene) {
	s.put(aTopic, 1, 3)
	s.put("other", 101, 102)
	r := s.read(from(s.cursor("other")))
	if r.told(s.way, "reset", parley.BadCursor) {
		r.upTo(1, 3)
	}
}
