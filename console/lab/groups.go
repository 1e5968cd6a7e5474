package lab

import (
	"slices"
	"time"
)

// Reader is one lane of a run with consumer groups: who reads the topic, and how.
type Reader struct {
	Name    string `json:"name"`
	Title   string `json:"title"`
	Summary string `json:"summary"` // one sentence: what is to be seen
	// Late says that it comes in the middle of the run, Back that it goes back to the
	// beginning then.
	Late bool `json:"late,omitempty"`
	Back bool `json:"back,omitempty"`
	// Live says that it is no group but a subscriber, which begins with what comes next.
	Live bool `json:"live,omitempty"`
}

// Readers lists the lanes of a run with consumer groups.
func Readers() []Reader {
	return []Reader{
		{Name: "first", Title: "A group", Summary: "Reads each event as it comes, and commits how far it is."},
		{Name: "back", Title: "A group that seeks back", Summary: "Has places of its own. In the middle it goes back to the beginning and reads all again, in the same order; nobody else notices.", Back: true},
		{Name: "late", Title: "A group that comes late", Summary: "Joins in the middle and begins with the earliest event: the log still has everything.", Late: true},
		{Name: "live", Title: "A subscriber that comes late", Summary: "Publish-subscribe, from the same moment on: what happened before it came is not for it.", Late: true, Live: true},
	}
}

// middle is when the late ones come, and who goes back does: about half of the events
// are there.
func (r GroupsRequest) middle() time.Duration { return time.Duration(r.Duration) * 2 / 5 }

// schedule is that of a Request, but that the last event is published when four fifths
// of the run are over: so each reader has one to wait for.
func (r GroupsRequest) schedule() []time.Duration {
	at := Request{Seed: r.Seed, Events: r.Events, Duration: r.Duration}.Schedule()
	at[len(at)-1] = time.Duration(r.Duration) * 4 / 5
	return at
}

// What readers and the publisher do.
const (
	ActPublished = "published"
	ActJoined    = "joined" // or subscribed
	ActSought    = "sought" // went back to the beginning
	ActRead      = "read"
)

// Act is one thing that somebody did. Times are milliseconds from the start of the run.
type Act struct {
	Lane string  `json:"lane"` // a Reader's, or "publisher"
	Kind string  `json:"kind"`
	At   float64 `json:"at"`
	// Event is its number, from 1 in the order of publishing; of what was published and
	// read.
	Event int `json:"event,omitempty"`
	// Turn is 2 for what was read again after seeking back, else 1.
	Turn int `json:"turn,omitempty"`
	// Partition and Position say where a published event is.
	Partition int   `json:"partition,omitempty"`
	Position  int64 `json:"position,omitempty"`
}

// GroupFigures are what a lane read, and what it cost on the wire.
type GroupFigures struct {
	Lane    string `json:"lane"`
	Events  int    `json:"events"`  // different ones that were read
	Missing int    `json:"missing"` // that were published and not read
	Again   int    `json:"again"`   // that were read twice, since it went back
	// Ordered says that each turn has the events of each partition in the order of the
	// log, with none left out from its first to its last.
	Ordered bool `json:"ordered"`
	// CaughtUp is how long a lane that came late, or went back, took until it had read
	// all that was there at that moment, in milliseconds; −1 for the others, and for one
	// that never does.
	CaughtUp float64 `json:"caught_up"`
	// Latency is from the call that publishes an event until it is read, of those that
	// were published while the lane was there, and read for the first time.
	Latency     Latency `json:"latency"`
	Requests    int     `json:"requests"`
	Connections int     `json:"connections"`
	BytesIn     int64   `json:"bytes_in"`  // from client to server
	BytesOut    int64   `json:"bytes_out"` // from server to client
}

// groupFigures adds up what a lane did.
func groupFigures(r Reader, all []Act) GroupFigures {
	f := GroupFigures{Lane: r.Name, CaughtUp: -1}
	published, began := map[int]Act{}, 0.0
	for _, a := range all {
		switch {
		case a.Kind == ActPublished:
			published[a.Event] = a
		case a.Lane == r.Name && (a.Kind == ActSought || a.Kind == ActJoined && r.Late):
			began = a.At
		}
	}
	seen, times, turns := map[int]bool{}, []time.Duration(nil), map[int][]Act{}
	for _, a := range all {
		if a.Lane != r.Name || a.Kind != ActRead {
			continue
		}
		sent := published[a.Event]
		if at := sent.At; !seen[a.Event] && (r.Back || at >= began) {
			times = append(times, time.Duration((a.At-at)*float64(time.Millisecond)))
		}
		seen[a.Event] = true
		turns[a.Turn] = append(turns[a.Turn], Act{Event: a.Event, At: a.At, Partition: sent.Partition, Position: sent.Position})
	}
	for _, a := range turns[2] {
		if slices.ContainsFunc(turns[1], func(b Act) bool { return a.Event == b.Event }) {
			f.Again++
		}
	}
	f.Events, f.Missing, f.Latency = len(seen), len(published)-len(seen), latencyOf(times)
	f.Ordered = inOrder(turns[1], published) && inOrder(turns[2], published)
	switch {
	case r.Back:
		f.CaughtUp = caughtUp(turns[2], published, began)
	case r.Late && !r.Live:
		f.CaughtUp = caughtUp(turns[1], published, began)
	}
	return f
}

// inOrder says that what was read has no event of a partition before an older one, and
// leaves none out.
func inOrder(read []Act, published map[int]Act) bool {
	places := map[int][]int64{} // of each partition, in the order of the log
	for _, a := range published {
		places[a.Partition] = append(places[a.Partition], a.Position)
	}
	next := map[int]int{} // index of the next place in a partition
	for p := range places {
		slices.Sort(places[p])
		next[p] = -1
	}
	for _, a := range read {
		at := slices.Index(places[a.Partition], a.Position)
		if at < 0 || next[a.Partition] >= 0 && at != next[a.Partition] {
			return false
		}
		next[a.Partition] = at + 1
	}
	return true
}

// caughtUp is how long it took from a moment until all was read that was there then.
func caughtUp(read []Act, published map[int]Act, began float64) float64 {
	last := began
	for _, a := range published {
		if a.At >= began {
			continue
		}
		i := slices.IndexFunc(read, func(b Act) bool { return b.Event == a.Event })
		if i < 0 {
			return -1
		}
		last = max(last, read[i].At)
	}
	return last - began
}
