package declared

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/pattern/pipe/graph"
)

// entry is one pipe, or shelf, that is there.
type entry struct {
	r      *Registry
	name   string
	number uint64
	stream parley.Stream   // of its journal; also the name of its shard
	life   context.Context //nolint:containedctx // of the pipe: it ends when it is deleted, with the reason
	end    context.CancelCauseFunc

	running chan struct{} // closed when Run has it no more, and of a deleted pipe nothing is left; nil = Run has not got it; by Registry.mu
	left    error         // what kept the remains from being removed; before running is closed

	mu        sync.Mutex
	rec       record
	effective uint64 // the newest revision of it and of the stages that it uses
	changed   chan struct{}
	checked   *checked
	trouble   string                     // why it cannot be run here
	owned     map[int]context.CancelFunc // parts that this node has, and what ends that
}

// checked is a definition that was read, for one effective revision.
type checked struct {
	effective uint64
	def       *definition
	err       error
}

func (r *Registry) newEntry(ctx context.Context, name string, number uint64) *entry {
	life, end := context.WithCancelCause(context.WithoutCancel(ctx)) // a pipe lives until it is deleted, whoever heard of it
	return &entry{r: r, name: name, number: number, stream: streamOf(name, number), life: life, end: end, changed: make(chan struct{})}
}

// set tells of a change. It does not wait.
func (e *entry) set(rec record, effective uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.rec, e.effective = rec, max(effective, e.effective)
	e.stir()
}

// stir has everything that runs here look at the pipe again. It is called with mu held.
func (e *entry) stir() {
	close(e.changed)
	e.changed = make(chan struct{})
}

func (e *entry) revision() uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.effective
}

// now gives what is wanted of the pipe, and what is closed when that changes.
func (e *entry) now() (rec record, effective uint64, changed <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.rec, e.effective, e.changed
}

// definition reads the pipe's text with the stages that there are now.
func (e *entry) definition() (*definition, uint64, error) {
	rec, effective, _ := e.now()
	e.mu.Lock()
	c := e.checked
	e.mu.Unlock()
	if c != nil && c.effective == effective {
		return c.def, effective, c.err
	}
	c = &checked{effective: effective}
	var shared map[string][]graph.Step
	if len(rec.uses) > 0 {
		shared = e.r.shared(e.r.copy(), rec.uses)
	}
	c.def, c.err = e.r.opt.check(e.name, []byte(rec.text), rec.origin, shared)
	e.mu.Lock()
	e.checked = c
	e.mu.Unlock()
	return c.def, effective, c.err
}

func (e *entry) info() Info {
	def, _, err := e.definition()
	rec, _, _ := e.now()
	i := Info{Name: e.name, State: rec.want, Revision: rec.revision, Origin: rec.origin, Definition: rec.text, Uses: rec.uses}
	if err != nil {
		i.Problems = problems(err)
	} else {
		i.Stages = !def.isPipe()
	}
	return i
}

func (e *entry) troubled(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.trouble = ""; err != nil {
		e.trouble = err.Error()
	}
}

// Run makes this node one that may own every pipe, those too that others make
// meanwhile, until ctx ends; what fails is logged and tried again. It runs once at a
// time, and may be called again. It returns nil, or Damaged when the list of pipes is.
func (r *Registry) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var tasks sync.WaitGroup
	defer tasks.Wait()
	defer cancel()
	defer r.opt.Topics.Watch(r.grown)()
	return r.roll.Follow(ctx, func() {
		for _, e := range r.unstarted() {
			tasks.Go(func() { r.keep(ctx, e) })
		}
	})
}

// The pauses between two tries, doubling.
const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// keep runs one pipe, whenever it is not stopped, until ctx ends or it is deleted, and
// then removes what is left of it.
func (r *Registry) keep(ctx context.Context, e *entry) {
	defer r.kept(e)
	living, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.life, cancel)()
	for living.Err() == nil {
		rec, _, changed := e.now()
		def, _, err := e.definition()
		if rec.want == Stopped || err == nil && !def.isPipe() {
			select {
			case <-changed:
			case <-living.Done():
			}
			continue
		}
		e.run(living)
	}
	if e.life.Err() != nil {
		if e.left = r.removeAll(ctx, e); e.left != nil {
			r.opt.Logger.LogAttrs(ctx, slog.LevelWarn, "a deleted pipe leaves its stream until the next start", slog.String("pipe", e.name), slog.Any("error", e.left))
		}
	}
}

// kept ends what unstarted began.
func (r *Registry) kept(e *entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(e.running)
	e.running = nil
}

// removeAll removes what a pipe has left.
func (r *Registry) removeAll(ctx context.Context, e *entry) error {
	rec, _, _ := e.now()
	var errs []error
	for part := range max(1, rec.parts) {
		errs = append(errs, r.remove(ctx, partOf(e.stream, part)))
	}
	return errors.Join(errs...)
}

// run runs the pipe on this node, as many parts of it as it owns, until ctx ends or it
// is stopped.
func (e *entry) run(ctx context.Context) {
	ctx, stop := context.WithCancel(ctx)
	var parts sync.WaitGroup
	defer parts.Wait()
	defer stop()
	for running := 0; ; {
		rec, _, changed := e.now()
		if rec.want == Stopped {
			return
		}
		if running <= 1 && rec.parts > 1 {
			parts.Go(func() { e.balance(ctx) })
		}
		for ; running < max(1, rec.parts); running++ {
			part := running
			parts.Go(func() { e.keepPart(ctx, part) })
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// keepPart makes this node one that may own a part, until ctx ends.
func (e *entry) keepPart(ctx context.Context, part int) {
	wait := firstRetry
	for ctx.Err() == nil {
		stay, leave := context.WithCancel(ctx)
		err := e.r.host.Run(stay, partOf(e.stream, part), func(ctx context.Context, s *shard.Owner) error {
			e.have(part, leave)
			defer e.lose(part)
			return e.own(ctx, part, s)
		})
		left := stay.Err() != nil
		leave()
		switch {
		case ctx.Err() != nil:
		case left:
			pause(ctx, yieldFor)
			wait = firstRetry
		case err != nil:
			e.troubled(err)
			e.r.opt.Logger.LogAttrs(ctx, slog.LevelError, "a pipe cannot be run here", slog.String("pipe", e.name), slog.Any("error", err))
			pause(ctx, wait)
			wait = min(2*wait, lastRetry)
		default:
			wait = firstRetry
		}
	}
}

// pause waits; it is for failures only.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
