package declared

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/roll"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/pattern/pipe"
	"github.com/parleyhq/parley/pattern/pipe/graph"
	"github.com/parleyhq/parley/pattern/pubsub"
)

// Options of a Registry. Topics, Hub and Graph are required.
type Options struct {
	Topics *topic.Registry
	Hub    *pubsub.Hub
	// Graph has the languages of expressions and what runs programs.
	Graph graph.Options
	// Exec lets definitions of Remote origin run programs on this machine.
	Exec bool
	// HTTP lets them ask and post to URLs.
	HTTP bool
	// Client is for URLs; nil is one of its own.
	Client *http.Client
	// Retry is for sinks other than topics; default 5 attempts.
	Retry pipe.Retry
	// MaxPipes bounds the pipes that there are; default DefaultMaxPipes.
	MaxPipes int
	// Now gives the time of changes; nil is time.Now.
	Now func() time.Time
	// Logger hears of what goes wrong behind the calls; nil is slog.Default.
	Logger *slog.Logger
}

// Registry knows the pipes of one log, and runs them on this node. It starts
// nothing; Load must be called before anything else, and Run should be running. All
// methods may be called from any goroutine.
type Registry struct {
	log  parley.Log
	host shard.Host
	opt  Options
	roll *roll.Roll // of RegistryStream

	holders topic.Owners

	mu      sync.Mutex // never held over a call that can wait
	catalog catalog
	entries map[string]*entry
}

// NewRegistry makes a registry over a log; the host runs its pipes.
func NewRegistry(log parley.Log, host shard.Host, o Options) (*Registry, error) {
	if o.Topics == nil || o.Hub == nil || o.Graph.Expr == nil {
		return nil, parley.BadField("options", "Topics, Hub or Graph.Expr is missing", "give all three")
	}
	if o.MaxPipes <= 0 {
		o.MaxPipes = DefaultMaxPipes
	}
	if o.Retry.Attempts <= 0 {
		o.Retry.Attempts = 5
	}
	if o.Client == nil {
		o.Client = &http.Client{}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	r := &Registry{log: log, host: host, opt: o, catalog: catalog{pipes: map[string]record{}}, entries: map[string]*entry{}}
	r.holders.Logger = o.Logger
	r.roll = roll.New(log, roll.Options{Stream: RegistryStream, Lock: &r.mu, Take: r.take, ID: topic.NewID, Now: o.Now, Logger: o.Logger})
	return r, nil
}

// Load reads which pipes there are, and removes what an interrupted deletion has
// left. Errors: Damaged when the stream cannot be understood (never taken for empty),
// and those of the log.
func (r *Registry) Load(ctx context.Context) error {
	var streams []parley.Stream
	if lister, ok := r.log.(parley.Lister); ok {
		var err error
		if streams, err = lister.Streams(ctx, ""); err != nil { // before the fold: what it holds is then known to the fold
			return err
		}
	}
	if err := r.roll.CatchUp(ctx); err != nil {
		return err
	}
	for _, s := range streams {
		if r.catalog.left(s.Name) {
			if err := r.remove(ctx, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// Info is what is known of a pipe without asking its owner.
type Info struct {
	Name       string    `json:"name"`
	Stages     bool      `json:"stages,omitempty"` // it is no pipe, but stages for pipes
	State      State     `json:"state"`            // what it is to do: running, paused or stopped
	Revision   uint64    `json:"revision"`         // of its definition
	Origin     Origin    `json:"origin,omitempty"` // file: it can be changed in the server's files only
	Definition string    `json:"definition,omitempty"`
	Uses       []string  `json:"uses,omitempty"`     // shared stages
	Problems   []Problem `json:"problems,omitempty"` // that keep the definition from being run here
}

// Get gives one pipe, with its definition. One that is not known here is looked for
// in the log: another node may have made it. Errors: NotFound, and those of Log.Read.
func (r *Registry) Get(ctx context.Context, name string) (Info, error) {
	e, err := r.find(ctx, name)
	if err != nil {
		return Info{}, err
	}
	info := e.info()
	return info, nil
}

func (r *Registry) find(ctx context.Context, name string) (*entry, error) {
	if e := r.entry(name); e != nil {
		return e, nil
	}
	if err := r.roll.CatchUp(ctx); err != nil {
		return nil, err
	}
	if e := r.entry(name); e != nil {
		return e, nil
	}
	return nil, noPipe(name)
}

func (r *Registry) entry(name string) *entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.entries[name]
}

// List gives all pipes that are known here, sorted by name, without definitions.
func (r *Registry) List() []Info {
	r.mu.Lock()
	list := make([]*entry, 0, len(r.entries))
	for _, e := range r.entries {
		list = append(list, e)
	}
	r.mu.Unlock()
	slices.SortFunc(list, func(a, b *entry) int { return strings.Compare(a.name, b.name) })
	all := make([]Info, 0, len(list))
	for _, e := range list {
		info := e.info()
		info.Definition = ""
		all = append(all, info)
	}
	return all
}

// PutOptions go with one Put.
type PutOptions struct {
	// Drain lets out what stages keep, when they cannot go on with the new
	// definition, or have those of all partitions since an earlier version: open windows
	// and batches end, and the stages begin anew.
	Drain bool
	// State is what the pipe is to do; "" = what it does, and running when it is new.
	State State
	// Origin is who wrote the definition.
	Origin Origin
}

// Put stores the definition of a pipe, or of stages for pipes, if it has changed. The
// running pipe goes on with it, in the state it has. changed is false when it was
// there already; created, that it is new.
//
// Errors: Invalid and TooLarge with all that is wrong, Forbidden for one of the
// server's files, Conflict when its stages, or those of a pipe that uses it, cannot go
// on in their state, Overloaded, and those of the log; after Unknown, call it again.
func (r *Registry) Put(ctx context.Context, name string, text []byte, o PutOptions) (changed, created bool, err error) {
	if err := CheckName(name); err != nil {
		return false, false, err
	}
	if o.State != "" && o.State != Running && o.State != Paused && o.State != Stopped {
		return false, false, parley.BadField("state", strconv.Quote(string(o.State))+" cannot be set", "use running, paused or stopped")
	}
	err = r.write(ctx, func(c *catalog) (*parley.Event, error) {
		was, there := c.pipes[name]
		created = !there
		if there && was.origin == Folder && o.Origin == Remote {
			return nil, ofFolder(name)
		}
		same := there && was.text == string(text) && was.origin == o.Origin && (o.State == "" || o.State == was.want)
		if same && !o.Drain {
			return nil, nil
		}
		begin, err := r.judge(c, name, o, text)
		if err != nil || same && !begin {
			return nil, err
		}
		changed = true
		return c.put(name, string(text), putData{Begin: begin, Origin: o.Origin, State: o.State}, r.opt.MaxPipes)
	})
	return changed && err == nil, created && err == nil, err
}

func ofFolder(name string) error {
	return &parley.Error{Code: parley.Forbidden, Field: "pipe", Detail: "the pipe " + name + " is in the server's files", Fix: "change it there: in the folder of pipes.dir"}
}

// Set says what a pipe is to do: Running, Paused or Stopped. Errors: Invalid,
// NotFound, Unprocessable for stages, and those of the log.
func (r *Registry) Set(ctx context.Context, name string, want State) error {
	if want != Running && want != Paused && want != Stopped {
		return parley.BadField("state", strconv.Quote(string(want))+" cannot be set", "use running, paused or stopped")
	}
	return r.write(ctx, func(c *catalog) (*parley.Event, error) {
		was, there := c.pipes[name]
		switch {
		case !there:
			return nil, noPipe(name)
		case r.isShelf(was):
			return nil, noRun(name)
		case was.want == want:
			return nil, nil
		}
		return event(TypeState, name, stateData{want})
	})
}

func noRun(name string) error {
	return &parley.Error{Code: parley.Unprocessable, Field: "pipe", Detail: name + " is stages for pipes, and runs by itself nowhere", Fix: "name a pipe that uses it"}
}

// Delete removes a pipe and its state; what it published stays. Errors: NotFound,
// Forbidden for one of the server's files that still runs, Conflict for stages that a
// pipe uses, and those of the log.
func (r *Registry) Delete(ctx context.Context, name string) error {
	var gone *entry
	err := r.write(ctx, func(c *catalog) (*parley.Event, error) {
		was, there := c.pipes[name]
		if !there {
			return nil, noPipe(name)
		}
		if was.origin == Folder && was.want != Stopped {
			return nil, ofFolder(name)
		}
		if users := c.users(name); len(users) > 0 {
			return nil, &parley.Error{Code: parley.Conflict, Field: "pipe", Detail: "the pipe " + users[0] + " uses stages of it", Fix: "change that first"}
		}
		gone = r.entry(name)
		return event(TypeDeleted, name, nil)
	})
	if err != nil || gone == nil {
		return err
	}
	r.mu.Lock()
	running := gone.running
	r.mu.Unlock()
	if running == nil {
		return r.removeAll(ctx, gone)
	}
	select {
	case <-running:
		return gone.left
	case <-ctx.Done():
		return ctx.Err()
	}
}
