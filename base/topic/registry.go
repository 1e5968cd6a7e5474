package topic

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/roll"
)

// DefaultRetain is how often retention is applied by default.
const DefaultRetain = 30 * time.Second

// Options of a Registry. The zero value works.
type Options struct {
	// AutoCreate makes publishing create a topic that is not there.
	AutoCreate bool
	// Defaults are the settings of a topic whose creator leaves them open.
	Defaults Settings
	// MaxTopics bounds the topics, and apart from them the ephemeral ones;
	// default 100,000.
	MaxTopics int
	// RetainEvery is how often Run applies the limits of age and size; default
	// DefaultRetain.
	RetainEvery time.Duration
	// HoldMax is how many bytes a stream may reach while holders keep its
	// retention back; beyond, the oldest holder is cut. Default: no limit.
	HoldMax int64
	// Pressed says that space is short: the holder that keeps the oldest events
	// is then cut, one in each round. nil is never.
	Pressed func() bool
	// OnCut hears of each holder that was cut. It is called without locks.
	OnCut func(Cut)
	// Check gives what the events of a topic have to pass before anything of their
	// request is appended; nil, of it and by it, is nothing. It is asked once for
	// each topic of a request and must not wait; what it gives may be called from
	// several goroutines. Its errors are the publisher's, with Field as within one
	// event. A topic ~NAME has the check of NAME.
	Check func(t *Topic) func(*parley.Event) error
	// Now gives the time; nil is time.Now.
	Now func() time.Time
	// Logger hears of what Run could not do; nil is slog.Default.
	Logger *slog.Logger
}

func (o *Options) defaults() {
	o.MaxTopics = orElse(max(o.MaxTopics, 0), 100_000)
	o.RetainEvery = orElse(max(o.RetainEvery, 0), DefaultRetain)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
}

// Registry knows the topics of one log, and publishes to them. It starts
// nothing; Load must be called before anything else, and Run should be running.
// All methods may be called from any goroutine.
type Registry struct {
	log  parley.Log
	opts Options

	mu        sync.RWMutex // never held over a call that can wait
	machine   *machine
	ephemeral map[string]*ephemeral
	lastLocal uint64 // the newest number of an ephemeral stream

	roll      *roll.Roll // of $topics
	watchers  watchers
	holds     holds
	elsewhere func(context.Context) (map[parley.Stream][]Hold, error) // nil: there are no others
	commits   commits                                                 // of PublishAll
	claims    claims                                                  // of Publish
}

// New makes a registry over a log.
func New(log parley.Log, opts Options) *Registry {
	opts.defaults()
	r := &Registry{log: log, opts: opts, machine: newMachine(), ephemeral: make(map[string]*ephemeral)}
	r.roll = roll.New(log, roll.Options{
		Stream: TopicsStream, Lock: &r.mu, Take: r.take, ID: NewID, Now: opts.Now, Logger: opts.Logger,
		Taken: func(context.Context) func() { return r.watchers.deliver },
	})
	r.commits.fold.newest, r.commits.turn = parley.Empty, make(chan struct{}, 1)
	r.lastLocal = EphemeralNumber
	return r
}

// Load reads $topics, and removes the streams that a deletion left behind when
// it was interrupted. Errors: Invalid for Options.Defaults that cannot be,
// Damaged when $topics cannot be understood (never taken for empty), and those
// of Log.Read.
func (r *Registry) Load(ctx context.Context) error {
	if _, err := (Settings{}).Defaults(r.opts.Defaults); err != nil {
		return err
	}
	streams, err := r.listStreams(ctx) // before the fold: what it holds is then known to the fold
	if err != nil {
		return err
	}
	if err := r.roll.CatchUp(ctx); err != nil {
		return err
	}
	return r.sweep(ctx, streams)
}

// Get gives a topic, also an internal one that was declared. Error: NotFound;
// what another node created a moment ago may not be known yet.
func (r *Registry) Get(name string) (Topic, error) {
	if t := r.get(name); t != nil {
		return *t, nil
	}
	return Topic{}, notFound(name)
}

func (r *Registry) get(name string) *Topic {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if t := r.machine.topics[name]; t != nil {
		return t
	}
	if e := r.ephemeral[name]; e != nil {
		return e.topic
	}
	return nil
}

// List gives all topics, sorted by name: ordinary, internal and ephemeral ones.
func (r *Registry) List() []Topic {
	r.mu.RLock()
	list := make([]Topic, 0, len(r.machine.topics)+len(r.ephemeral))
	for _, t := range r.machine.topics {
		list = append(list, *t)
	}
	for _, e := range r.ephemeral {
		list = append(list, *e.topic)
	}
	r.mu.RUnlock()
	slices.SortFunc(list, func(a, b Topic) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// ByNumber finds the topic of a stream number and the partition that has it.
func (r *Registry) ByNumber(number uint64) (Partition, Topic, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	s, ok := r.machine.byNum[number]
	if !ok {
		return Partition{}, Topic{}, false
	}
	return s.topic.Partitions[s.index], *s.topic, true
}

// Retired tells whether a stream number was used once and is gone with its
// topic: a cursor of an older epoch. A number that was never given is neither
// found nor retired.
func (r *Registry) Retired(number uint64) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, live := r.machine.byNum[number]
	return !live && number >= FirstNumber && number < r.machine.next
}

// Epoch is that of the newest creation which is known here: a topic of an epoch up
// to it that is not found is gone for good.
func (r *Registry) Epoch() uint32 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.machine.epoch
}

// Ensure gives a topic and makes it when it is not there and Options.AutoCreate
// is on; an ephemeral topic is made always. Errors: Forbidden for an internal
// name, Invalid for one that is no name, NotFound, Overloaded, and those of the
// log.
func (r *Registry) Ensure(ctx context.Context, name string) (Topic, error) {
	t, err := r.ensure(ctx, name)
	if err != nil {
		return Topic{}, err
	}
	return *t, nil
}

func (r *Registry) ensure(ctx context.Context, name string) (*Topic, error) {
	if t := r.get(name); t != nil && !IsInternal(name) {
		return t, nil
	}
	if err := CheckName(name); err != nil {
		return nil, err
	}
	if IsEphemeral(name) {
		return r.ensureEphemeral(name)
	}
	if err := r.roll.CatchUp(ctx); err != nil { // another node may have made it
		return nil, err
	}
	if t := r.get(name); t != nil {
		return t, nil
	}
	if !r.opts.AutoCreate {
		return nil, notFound(name)
	}
	t, err := r.Create(ctx, name, Settings{})
	if parley.CodeOf(err) == parley.Exists { // made by somebody else in between, with settings of their own
		t, err = r.Get(name)
	}
	return &t, err
}
