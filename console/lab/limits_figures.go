package lab

import (
	"net/http"
	"slices"
	"sync"
	"time"
)

// Call is one request of a caller and its answer. Times are milliseconds from the
// start of the run.
type Call struct {
	Lane       string  `json:"lane"`
	Call       int     `json:"call"` // which caller, from 1
	Try        int     `json:"try"`  // which request of the caller, from 1
	Sent       float64 `json:"sent"`
	Done       float64 `json:"done"`          // when the head of the answer was there
	Let        float64 `json:"let,omitempty"` // when the server let it in
	Status     int     `json:"status"`
	RetryAfter int     `json:"retry_after,omitempty"` // seconds
	Left       float64 `json:"left,omitempty"`        // when a guest left
}

func (c Call) admitted() bool {
	return c.Status == http.StatusOK || c.Status == http.StatusCreated
}

// ledger gathers the calls of a run.
type ledger struct {
	mu    sync.Mutex
	all   []Call
	taken int
}

func (l *ledger) add(c Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, c)
}

// take gives the calls since it was last called.
func (l *ledger) take() []Call {
	l.mu.Lock()
	defer l.mu.Unlock()
	from := l.taken
	l.taken = len(l.all)
	return l.all[from:len(l.all):len(l.all)]
}

// LimitFigures are what became of the callers of a lane, and what it cost.
type LimitFigures struct {
	Lane     string `json:"lane"`
	Calls    int    `json:"calls"`    // that wanted in
	Admitted int    `json:"admitted"` // in the end
	Refused  int    `json:"refused"`  // answers that refused
	Requests int    `json:"requests"`
	// Peak is the most that were let in within any span as long as a window, less the
	// time that the slowest answer took to which nobody had to wait: so long after its
	// limit let it in the server may get to a call.
	Peak int `json:"peak"`
	// Inside is the most that were inside at once, of those who stay.
	Inside int `json:"inside"`
	// Waited is from a caller's first request until it was let in.
	Waited Latency `json:"waited"`
	// Last is when the last one was let in.
	Last        float64 `json:"last"`
	Connections int     `json:"connections"`
	BytesIn     int64   `json:"bytes_in"`  // from client to server
	BytesOut    int64   `json:"bytes_out"` // from server to client
}

// slack is the longest that an answer took in the lanes where nobody waits, at least a
// hundredth of a window.
func slack(window float64, waits map[string]bool, all []Call) float64 {
	longest := window / 100
	for _, c := range all {
		if !waits[c.Lane] {
			longest = max(longest, c.Done-c.Sent)
		}
	}
	return min(longest, window/2)
}

// figuresOf adds up the calls of a lane. span is how long Peak looks, in milliseconds.
func figuresOf(lane string, callers int, span float64, all []Call) LimitFigures {
	f := LimitFigures{Lane: lane, Calls: callers}
	first := map[int]float64{}
	var waits []time.Duration
	var ins, outs []float64
	for _, c := range all {
		if c.Lane != lane {
			continue
		}
		if c.Try == 1 {
			first[c.Call] = c.Sent
		}
		f.Requests++
		if !c.admitted() {
			f.Refused++
			continue
		}
		f.Admitted++
		waits = append(waits, time.Duration((c.Done-first[c.Call])*float64(time.Millisecond)))
		ins, outs = append(ins, c.Let), append(outs, c.Left)
		f.Last = max(f.Last, c.Done)
	}
	f.Waited = latencyOf(waits)
	f.Peak = peak(ins, span)
	f.Inside = inside(ins, outs)
	return f
}

// peak is the most moments within any span.
func peak(at []float64, span float64) (most int) {
	at = slices.Sorted(slices.Values(at))
	from := 0
	for i, t := range at {
		for t-at[from] >= span {
			from++
		}
		most = max(most, i-from+1)
	}
	return most
}

// inside is the most of those who came in and had not left, at any moment. Who leaves
// makes room before the next one enters.
func inside(ins, outs []float64) (most int) {
	for i := range ins {
		if outs[i] == 0 {
			return 0 // nobody stays
		}
		n := 0
		for j := range ins {
			if ins[j] <= ins[i] && outs[j] > ins[i] {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}
