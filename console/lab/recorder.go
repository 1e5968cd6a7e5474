package lab

import (
	"bytes"
	"math"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// maxMessages bounds a trace; what comes after is counted and not kept.
const maxMessages = 5000

// rawBytes is how much of a message's wire text is kept.
const rawBytes = 1024

// recorder gathers what all lanes of a run do.
type recorder struct {
	start    time.Time
	complete chan struct{} // closed when every lane has received every event

	mu        sync.Mutex
	trace     []Message
	taken     int
	truncated int
	left      int                  // deliveries that are not made yet
	sent      map[string]time.Time // when an event was published, by id
	lanes     map[string]*tally
}

// tally counts for one lane.
type tally struct {
	Figures
	seen  map[string]bool
	times []time.Duration
}

// newRecorder expects so many events in each of the lanes, and none of what publishes.
func newRecorder(start time.Time, lanes []string, events int) *recorder {
	r := &recorder{start: start, complete: make(chan struct{}), left: (len(lanes) - 1) * events, sent: map[string]time.Time{}, lanes: map[string]*tally{}}
	for _, name := range lanes {
		r.lanes[name] = &tally{Figures: Figures{Lane: name}, seen: map[string]bool{}}
	}
	return r
}

// opened counts a connection and gives its number.
func (r *recorder) opened(lane string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.lanes[lane]
	l.Connections++
	return l.Connections
}

// moved counts bytes on the wire, and keeps the messages that they completed.
func (r *recorder) moved(lane string, conn int, server bool, n int, at time.Time, pieces []piece) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.lanes[lane]
	if server {
		l.BytesOut += int64(n)
	} else {
		l.BytesIn += int64(n)
	}
	for _, p := range pieces {
		l.Messages++
		if p.kind == KindRequest {
			l.Requests++
		}
		if p.empty {
			l.Empty++
		}
		r.keep(Message{
			T: milliseconds(at.Sub(r.start)), Lane: lane, Conn: conn, Server: server, Kind: p.kind, Label: p.label,
			Bytes: p.bytes, Events: p.events, Empty: p.empty, Raw: printable(p.raw),
		})
	}
}

// keep is called with the lock held.
func (r *recorder) keep(m Message) {
	if len(r.trace) >= maxMessages {
		r.truncated++
		return
	}
	r.trace = append(r.trace, m)
}

// take gives the messages since it was last called.
func (r *recorder) take() []Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	from := r.taken
	r.taken = len(r.trace)
	return r.trace[from:len(r.trace):len(r.trace)]
}

func (r *recorder) published(id string, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent[id] = at
}

// received notes that an event has reached a lane's reader.
func (r *recorder) received(lane, id string, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.lanes[lane]
	sent, known := r.sent[id]
	switch {
	case !known:
		// somebody else published to the topic of the run
	case l.seen[id]:
		l.Duplicates++
	default:
		l.seen[id] = true
		l.times = append(l.times, at.Sub(sent))
		if r.left--; r.left == 0 {
			close(r.complete)
		}
	}
}

// figures gives what each lane cost, in the order of names.
func (r *recorder) figures(names []string) (all []Figures, truncated int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range names {
		l := r.lanes[name]
		f := l.Figures
		if name != Publisher {
			f.Events, f.Missing, f.Latency = len(l.seen), len(r.sent)-len(l.seen), latencyOf(l.times)
		}
		all = append(all, f)
	}
	return all, r.truncated
}

// latencyOf takes percentiles by nearest rank.
func latencyOf(times []time.Duration) Latency {
	if len(times) == 0 {
		return Latency{}
	}
	times = slices.Sorted(slices.Values(times))
	rank := func(p float64) float64 {
		return milliseconds(times[max(0, int(math.Ceil(p*float64(len(times))))-1)])
	}
	return Latency{P50: rank(0.50), P99: rank(0.99), Max: milliseconds(times[len(times)-1])}
}

// milliseconds is exact to the microsecond.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

var credential = regexp.MustCompile(`(?im)^(authorization:[ \t]*)[^\r\n]*`)

// printable makes the beginning of a message text: lines stay lines, other control
// bytes and what is not UTF-8 become a dot. Credentials are left out, before the cut,
// which could otherwise go through the field's name.
func printable(raw []byte) string {
	raw = raw[:min(len(raw), maxHead)]
	raw = credential.ReplaceAll(raw, []byte("${1}…"))
	cut := len(raw) > rawBytes
	text := strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f {
			return '·'
		}
		return r
	}, string(bytes.ToValidUTF8(bytes.ReplaceAll(raw[:min(len(raw), rawBytes)], []byte("\r\n"), []byte("\n")), []byte("·"))))
	if cut {
		text += "…"
	}
	return text
}
