package crash

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// place is where an event is, as the server says.
type place struct {
	topic     string
	partition int
	position  int64
}

// event is one event that a writer made.
type event struct {
	id    string
	topic string
	key   string // orders; "" = none
}

// request is what a writer sends at once, and again until it knows the answer.
type request struct {
	writer, number int
	key            string // of idempotency; "" = the id of its only event is it
	whole          bool   // all of it is one commit
	leave          bool   // it is given up when its first attempt has no answer
	events         []event
	data           []string // of the events
	begun          time.Time

	// Guarded by the ledger.
	acked     time.Time // zero = no answer yet
	abandoned bool
	places    []place
}

func newRequest(writer, number int) *request {
	return &request{writer: writer, number: number, key: fmt.Sprintf("k%02d-%06d", writer, number)}
}

func (r *request) add(topic, key string) {
	id := fmt.Sprintf("w%02d-%06d-%d", r.writer, r.number, len(r.events))
	r.events = append(r.events, event{id, topic, key})
	r.data = append(r.data, dataOf(id))
}

// dataOf is the data of an event: most are small and a few are large.
func dataOf(id string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id)) // never fails
	sum := h.Sum32()
	size := sum % 300
	if sum%97 == 0 {
		size = sum % 50_000
	}
	return `{"id":"` + id + `","pad":"` + strings.Repeat(string(rune('a'+sum%26)), int(size)) + `"}`
}

// origin reads writer, number of the request and index from an event's id.
func origin(id string) (writer, number, index int) {
	parts := strings.Split(strings.TrimPrefix(id, "w"), "-")
	if len(parts) != 3 {
		return -1, -1, -1
	}
	n := make([]int, 3)
	for i, p := range parts {
		n[i], _ = strconv.Atoi(p) // ours; what is not is not found in the ledger
	}
	return n[0], n[1], n[2]
}

// ledger is everything that was ever sent.
type ledger struct {
	mu       sync.Mutex
	writers  [][]*request // by writer and number
	fresh    []*request   // acknowledged since the last check
	events   int          // of acknowledged requests
	unknown  int          // attempts without an answer
	found    int          // requests whose repeat said that they were there
	refused  map[string]int
	mistakes []string
}

func newLedger(writers int) *ledger {
	return &ledger{writers: make([][]*request, writers), refused: make(map[string]int)}
}

// begin enters a request before it is sent.
func (l *ledger) begin(r *request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r.begun = time.Now()
	l.writers[r.writer] = append(l.writers[r.writer], r)
}

// find gives the request of an event.
func (l *ledger) find(id string) *request {
	w, n, i := origin(id)
	l.mu.Lock()
	defer l.mu.Unlock()
	if w < 0 || w >= len(l.writers) || n < 0 || n >= len(l.writers[w]) {
		return nil
	}
	if r := l.writers[w][n]; i >= 0 && i < len(r.events) && r.events[i].id == id {
		return r
	}
	return nil
}

// answered enters the answer to a request, and holds it to the last one.
func (l *ledger) answered(r *request, a answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(a.places) != len(r.events) {
		l.mistake("%s: %d places for %d events", r.key, len(a.places), len(r.events))
		return
	}
	for i, id := range a.ids {
		if id != r.events[i].id || a.places[i].topic != r.events[i].topic {
			l.mistake("%s: event %d is answered as %s in %s", r.key, i, id, a.places[i].topic)
		}
	}
	if a.replayed {
		l.found++
	}
	if !r.acked.IsZero() {
		if !slices.Equal(a.places, r.places) || !a.replayed {
			l.mistake("%s was acknowledged at %v; its repeat says %v, replayed: %v", r.key, r.places, a.places, a.replayed)
		}
		return
	}
	r.acked, r.places = time.Now(), a.places
	l.fresh = append(l.fresh, r)
	l.events += len(r.events)
}

// failed enters an attempt that may or may not have worked.
func (l *ledger) failed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unknown++
}

// refuse enters an answer that asks to come again.
func (l *ledger) refuse(why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused[why]++
}

func (l *ledger) abandon(r *request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r.abandoned = true
}

// mistake is something that must never happen. The caller holds mu.
func (l *ledger) mistake(format string, args ...any) {
	l.mistakes = append(l.mistakes, fmt.Sprintf(format, args...))
}

func (l *ledger) wrong(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mistake(format, args...)
}

// takeFresh gives the requests that were acknowledged since it was last asked.
func (l *ledger) takeFresh() []*request {
	l.mu.Lock()
	defer l.mu.Unlock()
	fresh := l.fresh
	l.fresh = nil
	return fresh
}

// all gives every request.
func (l *ledger) all() []*request {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Concat(l.writers...)
}
