package declared

import (
	"context"
	"encoding/json"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pipe/graph"
)

// Bounds of taps. What is beyond them is counted and not shown.
const (
	MaxTapWait  = 30 * time.Second // of one request
	maxTaps     = 64               // steps of a pipe that are tapped at a time
	tapRecords  = 500              // that one step keeps for those who look
	tapBytes    = 2 << 20
	tapEvent    = 16 << 10 // of an event that is shown with its data
	tapRate     = 100      // records a second at one step
	tapIdle     = time.Minute
	tapAtOnce   = 200 // records of one answer
	tapAnswerBy = 512 << 10
)

// TapRequest asks for what passes a step.
type TapRequest struct {
	// Step is its path or name.
	Step string `json:"step"`
	// After is Next of the answer before, with its Term; 0 begins now.
	After int64  `json:"after,omitempty"`
	Term  uint64 `json:"term,omitempty"`
	// Parts is that of the answer before, of a pipe that several owners run; Term and
	// After are then not looked at.
	Parts []TapPlace `json:"parts,omitempty"`
	// Wait is how long to wait for something, at most MaxTapWait.
	Wait time.Duration `json:"wait,omitempty"`
}

// TapAnswer is what passed.
type TapAnswer struct {
	Term    uint64      `json:"term"` // of the owner: another counts anew
	Next    int64       `json:"next"`
	Dropped int64       `json:"dropped"` // that passed and are not shown, since After
	Records []TapRecord `json:"records"`
	Parts   []TapPlace  `json:"parts,omitempty"` // of a pipe that several owners run
}

// TapPlace is how far a tap is in one partition.
type TapPlace struct {
	Partition int    `json:"partition"`
	Term      uint64 `json:"term"`
	Next      int64  `json:"next"`
}

// TapRecord is one event at a step.
type TapRecord struct {
	Number int64             `json:"number"`
	Time   time.Time         `json:"time"`
	Step   string            `json:"step"`
	Before json.RawMessage   `json:"before,omitempty"` // the event as it went in; absent: the stage had kept it
	After  []json.RawMessage `json:"after,omitempty"`  // what came out; none: left out, or kept
	Failed *TapFailure       `json:"failed,omitempty"`
	// Partition of the source, of a pipe that several owners run; numbers are of it.
	Partition int `json:"partition,omitempty"`
}

// TapFailure is how an event failed.
type TapFailure struct {
	Code     string `json:"code"`
	Cause    string `json:"cause"`
	Attempts int    `json:"attempts"`
}

// Tap gives what passes a step of a pipe from now on, some of it if it is much. It
// holds nothing up. Errors: NotFound for a pipe or step, Invalid, Unprocessable for
// stages, Unavailable when it is stopped, and those of Host.Ask.
func (r *Registry) Tap(ctx context.Context, name string, q TapRequest) (TapAnswer, error) {
	var a TapAnswer
	if q.Wait < 0 || q.Wait > MaxTapWait || q.After < 0 {
		return a, parley.BadField("wait", "is "+q.Wait.String(), `send "0s" to "30s"`)
	}
	e, err := r.find(ctx, name)
	if err != nil {
		return a, err
	}
	switch i := e.info(); {
	case i.Stages:
		return a, noRun(name)
	case i.State == Stopped:
		return a, &parley.Error{Code: parley.Unavailable, Field: "pipe", Detail: "the pipe " + name + " is stopped", Fix: "start it"}
	}
	if rec, _, _ := e.now(); rec.parts > 1 {
		return e.tap(ctx, rec.parts, q)
	}
	q.Parts = nil
	err = e.ask(ctx, 0, request{Op: "tap", Tap: q}, &a)
	return a, err
}

// taps are the steps of a pipe that somebody looks at.
type taps struct {
	term uint64
	any  atomic.Bool // there are some: else the worker looks no further

	mu    sync.Mutex
	steps map[string]string // names and paths of the steps that there are, to paths
	open  map[string]*tap   // by path

	frames []tapFrame // the worker's
}

// tap is what passed one step lately.
type tap struct {
	records []TapRecord
	bytes   int
	number  int64 // of what passed
	news    chan struct{}
	asked   time.Time
	second  int64 // for the rate
	shown   int
}

// tapFrame is a tapped step that was entered and not left.
type tapFrame struct {
	path    string
	records []TapRecord
	at      map[[2]int64]int // by origin
	passed  int
}

// know tells which steps there are.
func (t *taps) know(all []graph.Spec) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.frames = nil
	t.steps = map[string]string{}
	for _, s := range all {
		t.steps[s.Path] = s.Path
	}
	for _, s := range all {
		if _, taken := t.steps[s.Name]; !taken {
			t.steps[s.Name] = s.Path
		}
	}
}

// take answers a request at the owner.
// share says how many owners make one answer.
func (t *taps) take(ctx context.Context, q TapRequest, share int) (TapAnswer, error) {
	end := time.Now().Add(q.Wait)
	for {
		a, news, err := t.look(&q, share)
		left := time.Until(end)
		if err != nil || len(a.Records) > 0 || a.Dropped > 0 || left <= 0 {
			return a, err
		}
		timer := time.NewTimer(left)
		select {
		case <-news:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return a, context.Cause(ctx)
		}
		timer.Stop()
	}
}

func (t *taps) look(q *TapRequest, share int) (TapAnswer, <-chan struct{}, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := TapAnswer{Term: t.term, Records: []TapRecord{}}
	if t.steps == nil {
		return a, nil, &parley.Error{Code: parley.Unavailable, Field: "pipe", Detail: "the pipe has not begun yet, or is paused", Fix: "ask again when it runs"}
	}
	path, there := t.steps[q.Step]
	if !there {
		return a, nil, &parley.Error{Code: parley.NotFound, Field: "step", Detail: "the pipe has no step " + strconv.Quote(q.Step), Fix: "give its path or name, as the pipe's stats have them"}
	}
	p := t.open[path]
	if p == nil {
		if len(t.open) >= maxTaps {
			return a, nil, parley.Errorf(parley.Overloaded, "%d steps of the pipe are looked at already", maxTaps)
		}
		p = &tap{number: 1, news: make(chan struct{})} // 0 means from now on
		if t.open == nil {
			t.open = map[string]*tap{}
		}
		t.open[path] = p
		t.any.Store(true)
	}
	p.asked = time.Now()
	if q.Term != t.term || q.After > p.number {
		q.Term, q.After = t.term, 0
	}
	if q.After == 0 {
		q.After = p.number // from now on
	}
	a.Next = p.number
	size := 0
	for _, r := range p.records {
		if r.Number <= q.After {
			continue
		}
		if len(a.Records) == tapAtOnce || size > tapAnswerBy/share {
			a.Next = a.Records[len(a.Records)-1].Number
			break
		}
		a.Records = append(a.Records, r)
		size += r.size()
	}
	a.Dropped = a.Next - q.After - int64(len(a.Records))
	return a, p.news, nil
}

func (r *TapRecord) size() int {
	n := 200 + len(r.Before)
	for _, e := range r.After {
		n += len(e)
	}
	return n
}

// probe is told by the machine, in the worker's goroutine.
func (t *taps) probe(s graph.Spec, way graph.Way, p graph.Passing) {
	if !t.any.Load() && len(t.frames) == 0 {
		return
	}
	var f *tapFrame
	if n := len(t.frames); n > 0 && t.frames[n-1].path == s.Path {
		f = &t.frames[n-1]
	} else {
		for i := range t.frames { // a catch may come in between
			if t.frames[i].path == s.Path {
				f = &t.frames[i]
			}
		}
	}
	switch way {
	case graph.Entered:
		if t.tapped(s.Path) {
			t.frames = append(t.frames, tapFrame{path: s.Path, at: map[[2]int64]int{}})
			t.frames[len(t.frames)-1].enter(p)
		}
	case graph.Emitted:
		if f == nil && t.tapped(s.Path) { // it was kept
			t.publish(&tapFrame{path: s.Path, records: keptRecords(p), passed: p.Len()})
		} else if f != nil {
			f.emit(p)
		}
	case graph.Failed:
		if f != nil {
			f.fail(p)
		}
	case graph.Left:
		if f != nil {
			t.publish(f)
			t.frames = t.frames[:len(t.frames)-1]
		}
	}
}

func (t *taps) tapped(path string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.open[path] != nil
}

// enter begins a record for each event, up to the rate of a second.
func (f *tapFrame) enter(p graph.Passing) {
	for i := range min(p.Len(), tapRate) {
		lane, number := p.Origin(i)
		f.at[[2]int64{int64(lane), number}] = len(f.records)
		f.records = append(f.records, TapRecord{Before: show(p.Event(i))})
	}
	f.passed = p.Len()
}

// record finds that of an event.
func (f *tapFrame) record(p graph.Passing, i int) *TapRecord {
	lane, number := p.Origin(i)
	if at, there := f.at[[2]int64{int64(lane), number}]; there {
		return &f.records[at]
	}
	return nil
}

const mostAfter = 20 // events that one record shows as come out

func (f *tapFrame) emit(p graph.Passing) {
	for i := range p.Len() {
		r := f.record(p, i)
		switch {
		case r != nil && len(r.After) < mostAfter:
			r.After = append(r.After, show(p.Event(i)))
		case r == nil && f.passed <= tapRate: // it was kept from before
			f.records = append(f.records, TapRecord{After: []json.RawMessage{show(p.Event(i))}})
			f.passed++
		}
	}
}

func (f *tapFrame) fail(p graph.Passing) {
	for i := range p.Len() {
		if r := f.record(p, i); r != nil {
			r.Failed = &TapFailure{Code: parley.CodeOf(p.Err).String(), Cause: p.Err.Error(), Attempts: p.Attempts}
		}
	}
}

func keptRecords(p graph.Passing) (all []TapRecord) {
	for i := range min(p.Len(), tapRate) {
		all = append(all, TapRecord{After: []json.RawMessage{show(p.Event(i))}})
	}
	return all
}

// show gives an event as a tap shows it: one that is large without its data.
func show(e *parley.Event) json.RawMessage {
	if len(e.Data) <= tapEvent {
		return e.AppendJSON(nil)
	}
	c := *e
	c.Data, c.DataContentType = []byte(`"`+strconv.Itoa(len(e.Data))+` bytes of data"`), "application/json"
	return c.AppendJSON(nil)
}

// publish lets those see records who look, as far as the rate allows.
func (t *taps) publish(f *tapFrame) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.open[f.path]
	if p == nil {
		return
	}
	if now.Sub(p.asked) > tapIdle {
		delete(t.open, f.path)
		t.any.Store(len(t.open) > 0)
		return
	}
	if now.Unix() != p.second {
		p.second, p.shown = now.Unix(), 0
	}
	for _, r := range f.records {
		if p.number++; p.shown == tapRate {
			continue
		}
		p.shown++
		r.Number, r.Time, r.Step = p.number, now.UTC(), f.path
		p.records = append(p.records, r)
		p.bytes += r.size()
	}
	p.number += int64(max(0, f.passed-len(f.records)))
	for len(p.records) > tapRecords || p.bytes > tapBytes {
		p.bytes -= p.records[0].size()
		p.records = p.records[1:]
	}
	close(p.news)
	p.news = make(chan struct{})
}
