package declared

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/parleyhq/parley/pattern/pipe/graph"
)

// meter counts what a pipe does, since this node owns it.
type meter struct {
	mu         sync.Mutex
	since      time.Time
	now        State
	problem    string // that the pipe tries again after
	refused    string // why the newest definition is not the one that runs
	kept       kept
	stateBytes int
	commits    int64
	took       time.Duration // by the last commit, from its first step on
	lost       int64
	lanes      []*lane
	order      []string // paths of steps
	steps      map[string]*stepMeter

	frames []frame // of the steps that are entered; the worker's
}

// stepMeter counts at one step.
type stepMeter struct {
	name, kind           string
	in, out, failed      atomic.Int64
	nanos, most, entries atomic.Int64
}

// frame is a step that was entered and not left.
type frame struct {
	step  *stepMeter
	at    time.Time
	inner time.Duration // in steps behind it
}

// begin readies counters for the steps of a machine; those that are there go on.
func (t *meter) begin(d *definition, m *graph.Machine) {
	t.mu.Lock()
	defer t.mu.Unlock()
	steps := map[string]*stepMeter{}
	for _, s := range m.Steps() {
		old := t.steps[s.Path]
		if old == nil || old.kind != s.Kind {
			old = &stepMeter{name: s.Name, kind: s.Kind}
		}
		steps[s.Path] = old
	}
	t.steps, t.order, t.frames = steps, nil, nil
	for _, e := range graph.Explain(d.graph) {
		if steps[e.Path] != nil {
			t.order = append(t.order, e.Path)
		}
	}
}

// probe is told by the machine, in the worker's goroutine.
func (t *meter) probe(s graph.Spec, way graph.Way, p graph.Passing) {
	step := t.steps[s.Path] // only begin changes it, in this goroutine
	if step == nil {
		return
	}
	switch way {
	case graph.Entered:
		step.in.Add(int64(p.Len()))
		t.frames = append(t.frames, frame{step: step, at: time.Now()})
	case graph.Emitted:
		step.out.Add(int64(p.Len()))
	case graph.Failed:
		step.failed.Add(int64(p.Len()))
	case graph.Left:
		last := len(t.frames) - 1
		if last < 0 {
			return
		}
		f := t.frames[last]
		t.frames = t.frames[:last]
		all := time.Since(f.at)
		own := int64(all - f.inner)
		f.step.nanos.Add(own)
		f.step.entries.Add(1)
		if own > f.step.most.Load() {
			f.step.most.Store(own)
		}
		if last > 0 {
			t.frames[last-1].inner += all
		}
	}
}

func (t *meter) state(s State) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now, t.problem = s, ""
}

// trouble notes why the pipe does not go on.
func (t *meter) trouble(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now, t.problem = Failing, err.Error()
}

// note notes what a source tells, which goes on.
func (t *meter) note(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.problem = text
}

func (t *meter) refuse(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.refused = ""; err != nil {
		t.refused = err.Error()
	}
}

func (t *meter) idle() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.now == idle
}

// told gives why the newest definition is not the one that runs; "" = it is.
func (t *meter) told() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.refused
}

func (t *meter) reads(lanes []*lane) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lanes = lanes
}

func (t *meter) lose() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lost++
}

func (t *meter) committed(k kept, state int, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept, t.stateBytes, t.took = k, state, took
	t.commits++
	t.now, t.problem = Running, ""
}
