package queue

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/roll"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/pattern/pubsub"
)

// DefaultMaxQueues bounds the queues of a Registry that is told nothing else. Each
// of them costs a node a few goroutines and about 70 KB, whether it is used or not.
const DefaultMaxQueues = 1000

// RegistryOptions of a Registry. The zero value works.
type RegistryOptions struct {
	// AutoCreate makes Ensure create a queue that is not there.
	AutoCreate bool
	// MaxQueues bounds the queues that there are; default DefaultMaxQueues.
	MaxQueues int
	// Fixed are queues of the configuration with their settings, by name. Load makes
	// those that are missing, Run gives them their settings, and they can be neither
	// configured nor deleted by others.
	Fixed map[string]Settings
	// Topics is handed to the queues, and makes RegistryStream readable as a topic.
	Topics *topic.Registry
	// Hub is handed to the queues: it feeds them with the events of topics.
	Hub *pubsub.Hub
	// Now gives the time of changes; nil is time.Now.
	Now func() time.Time
	// Logger hears of what Run could not do; nil is slog.Default.
	Logger *slog.Logger
}

// Registry knows the queues of one log, and runs them on this node. It starts
// nothing; Load must be called before anything else, and Run should be running.
// All methods may be called from any goroutine.
type Registry struct {
	log  parley.Log
	host shard.Host
	opt  RegistryOptions
	roll *roll.Roll // of RegistryStream

	holders topic.Owners
	mu      sync.Mutex // never held over a call that can wait
	catalog catalog
	entries map[string]*listed
}

// listed is one queue that is there.
type listed struct {
	queue   *Queue
	life    context.Context //nolint:containedctx // of the queue: it ends when it is deleted, with the reason
	end     context.CancelCauseFunc
	running chan struct{} // closed when Run has it no more, and of a deleted queue nothing is left; nil = Run has not got it
	err     error         // what kept the remains from being removed
}

// NewRegistry makes a registry over a log; the host runs its queues. Errors:
// Invalid and Forbidden for Options.Fixed, naming the member as "NAME.member".
func NewRegistry(log parley.Log, host shard.Host, o RegistryOptions) (*Registry, error) {
	o.MaxQueues = orElse(max(o.MaxQueues, 0), DefaultMaxQueues)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	fixed := make(map[string]Settings, len(o.Fixed))
	for _, name := range slices.Sorted(maps.Keys(o.Fixed)) {
		err := CheckName(name)
		if err == nil {
			fixed[name], err = o.Fixed[name].Defaults()
		}
		if err != nil {
			at := *err.(*parley.Error) //nolint:errorlint,forcetypeassert // as both promise
			at.Field = name + "." + at.Field
			return nil, &at
		}
	}
	o.Fixed = fixed
	r := &Registry{log: log, host: host, opt: o, catalog: catalog{numbers: map[string]uint64{}}, entries: map[string]*listed{}}
	r.holders.Logger = o.Logger
	r.roll = roll.New(log, roll.Options{Stream: RegistryStream, Lock: &r.mu, Take: r.take, ID: topic.NewID, Now: o.Now, Logger: o.Logger})
	return r, nil
}

// Load reads which queues there are, makes those of Options.Fixed, and removes
// what an interrupted deletion has left. Errors: Damaged when the stream cannot
// be understood (never taken for empty), Overloaded, and those of the log.
func (r *Registry) Load(ctx context.Context) error {
	if r.opt.Topics != nil {
		if _, err := r.opt.Topics.Declare(ctx, RegistryStream); err != nil {
			return err
		}
	}
	streams, err := r.streams(ctx) // before the fold: what it holds is then known to the fold
	if err != nil {
		return err
	}
	if err := r.roll.CatchUp(ctx); err != nil {
		return err
	}
	for _, s := range streams {
		if !r.catalog.left(s.Name) {
			continue
		}
		if err := r.remove(ctx, s); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.opt.Fixed)) {
		if _, _, err := r.Create(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

func (r *Registry) streams(ctx context.Context) ([]parley.Stream, error) {
	lister, ok := r.log.(parley.Lister)
	if !ok {
		return nil, nil
	}
	return lister.Streams(ctx, "")
}

// Get gives a queue. One that is not known here is looked for in the log: another
// node may have made it. A queue that is deleted answers NotFound from then on.
// Errors: NotFound, and those of Log.Read.
func (r *Registry) Get(ctx context.Context, name string) (*Queue, error) {
	if e := r.entry(name); e != nil {
		return e.queue, nil
	}
	if _, err := r.log.End(ctx, parley.Stream{Name: RegistryStream}); err != nil { // then this node has what others have
		return nil, err
	}
	if err := r.roll.CatchUp(ctx); err != nil {
		return nil, err
	}
	if e := r.entry(name); e != nil {
		return e.queue, nil
	}
	return nil, noQueue(name)
}

func (r *Registry) entry(name string) *listed {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.entries[name]
}

// List gives all queues that are known here, sorted by name.
func (r *Registry) List() []*Queue {
	r.mu.Lock()
	list := make([]*Queue, 0, len(r.entries))
	for _, e := range r.entries {
		list = append(list, e.queue)
	}
	r.mu.Unlock()
	slices.SortFunc(list, func(a, b *Queue) int { return strings.Compare(a.name, b.name) })
	return list
}

// Ensure gives a queue and makes it when it is not there and Options.AutoCreate is
// on. Errors: NotFound, and those of Create.
func (r *Registry) Ensure(ctx context.Context, name string) (*Queue, error) {
	q, err := r.Get(ctx, name)
	if err == nil || !r.opt.AutoCreate || parley.CodeOf(err) != parley.NotFound {
		return q, err
	}
	q, _, err = r.Create(ctx, name)
	return q, err
}

// Create makes a queue with the default settings; created is false when it is
// there already. Errors: Invalid, Forbidden, Overloaded, and those of the log;
// after Unknown, call it again.
func (r *Registry) Create(ctx context.Context, name string) (q *Queue, created bool, err error) {
	if err := CheckName(name); err != nil {
		return nil, false, err
	}
	err = r.write(ctx, func(c *catalog) (*parley.Event, error) {
		e, err := c.create(name, r.opt.MaxQueues)
		created = e != nil
		return e, err
	})
	if err != nil {
		return nil, false, err
	}
	q, err = r.Get(ctx, name)
	return q, created, err
}

// Configure changes the settings of a queue by a function that is given those it
// has, and makes the queue when it is not there. Errors: the function's, Invalid,
// Conflict for a queue of the configuration, those of Create and Queue.Configure.
func (r *Registry) Configure(ctx context.Context, name string, change func(*Settings) error) (s Settings, created bool, err error) {
	if err := r.changeable(name); err != nil {
		return s, false, err
	}
	q, err := r.Get(ctx, name)
	if err == nil {
		s, err = q.Settings(ctx)
	} else if parley.CodeOf(err) == parley.NotFound {
		err = nil
	}
	if err == nil {
		err = change(&s)
	}
	if err == nil {
		s, err = s.Defaults()
	}
	if err != nil {
		return s, false, err
	}
	if q, created, err = r.Create(ctx, name); err == nil {
		s, err = q.Configure(ctx, s)
	}
	return s, created, err
}

// Delete removes a queue with all its jobs; who waits for one of them is told
// NotFound. Another node may take jobs for it until it has heard of it: those are
// gone too. Errors: Invalid, NotFound, Conflict for a queue of the configuration,
// and those of the log.
func (r *Registry) Delete(ctx context.Context, name string) error {
	if err := r.changeable(name); err != nil {
		return err
	}
	var gone *listed
	err := r.write(ctx, func(c *catalog) (*parley.Event, error) {
		gone = r.entries[name] // write holds mu
		return c.remove(name)
	})
	if err != nil {
		return err
	}
	r.mu.Lock()
	running := gone.running
	r.mu.Unlock()
	if running == nil {
		return r.discard(ctx, gone.queue)
	}
	select {
	case <-running:
		return gone.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *Registry) changeable(name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if _, fixed := r.opt.Fixed[name]; fixed {
		return &parley.Error{Code: parley.Conflict, Field: "queue", Detail: "the queue " + name + " is in the server's configuration", Fix: "change it there"}
	}
	return nil
}
