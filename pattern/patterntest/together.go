package patterntest

import (
	"maps"
	"slices"
	"strconv"
)

// togetherSuite has all doors on one world: readers move between them.
var togetherSuite = suite{pattern: "together", joint: []check{
	{"Portable", "a cursor that one way gave is good for every other way of every door: reading goes on exactly behind it", portable},
	{"PortableKeys", "a cursor over several partitions is good for every other way too", portableKeys},
	{"PublishedAnywhere", "what is published through one door arrives through all", publishedAnywhere},
	{"KeysAnywhere", "a request that comes again through another door is known by its key", keysAnywhere},
	{"Schedule", "whatever is published, trimmed, broken and resumed, a reader's events are gapless and without doubles, but for gaps of which it was told", schedules},
}}

// ways lists all ways of all doors, each once.
func (s *scene) ways() []Way {
	var all []Way
	for _, name := range slices.Sorted(maps.Keys(s.doors)) {
		seen := map[string]bool{}
		for _, pattern := range s.patterns {
			for _, way := range s.doors[name].Ways(pattern) {
				if !seen[way.Name] {
					seen[way.Name] = true
					way.Name = name + "/" + way.Name
					all = append(all, way)
				}
			}
		}
	}
	return all
}

// handOver reads some events by one way and gives the place behind them.
func (s *scene) handOver(way Way, q Query, atLeast int, take func(Received)) string {
	s.Helper()
	r := s.readBy(way, q)
	defer r.end()
	for n := 1; ; n++ {
		got := r.next()
		take(got)
		if n >= atLeast && got.Cursor != "" {
			return got.Cursor
		}
	}
}

func portable(s *scene) {
	const last = 12
	for n := 1; n <= last; n += 3 {
		s.put(aTopic, n, n+2)
	}
	ways := s.ways()
	for _, a := range ways {
		read := 0
		at := s.handOver(a, from("earliest"), 4, func(got Received) {
			if read++; word(got) != strconv.Itoa(read) {
				s.Fatalf("%s: got %s, want %d", a.Name, word(got), read)
			}
		})
		for _, b := range ways {
			r := s.readBy(b, from(at))
			r.name = a.Name + ", then " + b.Name
			if read < last {
				r.upTo(read+1, last)
			}
			r.end()
		}
	}
}

func portableKeys(s *scene) {
	const all = 24
	s.create(aTopic, 3)
	for i := range all {
		s.publish(aTopic, keyed(string(rune('a'+i%6)), i))
	}
	ways := s.ways()
	for i := range ways {
		seen := map[string]bool{}
		q := from("earliest")
		for step := 0; len(seen) < all; step++ { // each way in turn, beginning with this
			way := ways[(i+step)%len(ways)]
			q.From = s.handOver(way, q, 2, func(got Received) {
				if seen[word(got)] || got.Notice != "" {
					s.Fatalf("%s: got %s, after %v", way.Name, word(got), seen)
				}
				seen[word(got)] = true
			})
		}
		r := s.readBy(ways[i], q)
		r.quiet()
		r.end()
	}
}

func (s *scene) publishers() (names []string, all []Publisher) {
	for _, name := range slices.Sorted(maps.Keys(s.doors)) {
		if p, ok := s.doors[name].(Publisher); ok {
			names, all = append(names, name), append(all, p)
		}
	}
	return names, all
}

func publishedAnywhere(s *scene) {
	var readers []*reader
	for _, way := range s.ways() {
		readers = append(readers, s.readBy(way, from("earliest")))
	}
	names, all := s.publishers()
	for i, p := range all {
		if _, err := p.Publish(s.Life, "", aTopic, numbers(2*i+1, 2*i+2)...); err != nil {
			s.Fatalf("%s: %v", names[i], err)
		}
		for _, r := range readers {
			r.upTo(2*i+1, 2*i+2)
		}
	}
}

func keysAnywhere(s *scene) {
	names, all := s.publishers()
	e := numbers(1, 1)
	e[0].ID, e[0].Source, e[0].Type = "mine", "/me", "t"
	var first Receipt
	for i, p := range all {
		again, err := p.Publish(s.Life, "k", aTopic, e...)
		if err != nil {
			s.Fatalf("%s: %v", names[i], err)
		}
		if i == 0 {
			first = again
		} else if s.replays(first, again); s.Failed() {
			s.Fatalf("that was by %s", names[i])
		}
	}
	s.holds(aTopic, "1")
}
