package stream

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/cursor"
	"github.com/parleyhq/parley/base/roll"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/base/topic"
)

// Stream is where it is written which groups there are; a server that declares it
// makes it readable as a topic.
const Stream = "$groups"

// Options of Groups. The zero value works.
type Options struct {
	// Sealer writes and reads cursors; nil = unsigned ones.
	Sealer *cursor.Sealer
	// Bell wakes those who wait for events; nil = each has a goroutine for it.
	Bell Bell
	// Retention is how long the places of a group without members are kept; then
	// the group is deleted. 0 = for ever.
	Retention time.Duration
	// MaxGroups bounds the groups; default DefaultMaxGroups.
	MaxGroups int
	// Logger hears of what goes wrong behind the calls. Default: nobody.
	Logger *slog.Logger
}

// Groups are the consumer groups of a log. It starts nothing: Load comes before
// everything else, and Run must be running, here for what waits on this node, and
// on one node at least to own the groups. Its methods may be called from any
// goroutine.
type Groups struct {
	log    parley.Log
	host   shard.Host
	topics *topic.Registry
	opt    Options
	bell   Bell
	stat   parley.Statter // nil when the engine has none
	timer  parley.Timer

	roll *roll.Roll    // of $groups
	kick chan struct{} // something for Run

	mu     sync.Mutex                 // never held over a call that can wait
	since  map[string]parley.Position // of each group, when it was made
	groups map[string]*Group
	starts []*Group // whose members wait here
}

// New makes the groups of a log. topics is required. Errors: Invalid options.
func New(log parley.Log, host shard.Host, topics *topic.Registry, o Options) (*Groups, error) {
	if o.Retention < 0 || o.MaxGroups < 0 {
		return nil, parley.BadField("retention", "a negative number or duration", "leave it 0 for the default")
	}
	if o.MaxGroups == 0 {
		o.MaxGroups = DefaultMaxGroups
	}
	if o.Sealer == nil {
		o.Sealer = new(cursor.Sealer)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	gs := &Groups{
		log: log, host: host, topics: topics, opt: o, bell: o.Bell,
		kick: make(chan struct{}, 1), since: make(map[string]parley.Position), groups: make(map[string]*Group),
	}
	gs.roll = roll.New(log, roll.Options{
		Stream: Stream, Lock: &gs.mu, Take: gs.take, Taken: gs.taken, Anew: func() { clear(gs.since) }, ID: topic.NewID, Logger: o.Logger,
	})
	if gs.bell == nil {
		gs.bell = ownBell{gs}
	}
	gs.stat, _ = log.(parley.Statter)
	gs.timer, _ = log.(parley.Timer)
	return gs, nil
}

// Load reads which groups there are. Errors: Damaged; those of Log.Read.
func (gs *Groups) Load(ctx context.Context) error { return gs.roll.CatchUp(ctx) }

// List gives the names of the groups, sorted.
func (gs *Groups) List() []string {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	return slices.Sorted(maps.Keys(gs.groups))
}

// Get gives a group. Errors: Invalid for what cannot be a name, NotFound.
func (gs *Groups) Get(ctx context.Context, name string) (*Group, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	if g := gs.get(name); g != nil {
		return g, nil
	}
	// Another node may have made it. What the end says is there for this one, too.
	if _, err := gs.log.End(ctx, groupsStream); err != nil {
		return nil, err
	}
	if err := gs.roll.CatchUp(ctx); err != nil {
		return nil, err
	}
	if g := gs.get(name); g != nil {
		return g, nil
	}
	return nil, &parley.Error{Code: parley.NotFound, Field: "group", Detail: "no group " + name, Fix: "join it: the first member makes it"}
}

func (gs *Groups) get(name string) *Group {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	return gs.groups[name]
}

// Ensure gives a group and makes it when it is not there. Errors: Invalid,
// Overloaded (MaxGroups), and those of the log.
func (gs *Groups) Ensure(ctx context.Context, name string) (*Group, error) {
	g, err := gs.Get(ctx, name)
	if parley.CodeOf(err) != parley.NotFound {
		return g, err
	}
	err = gs.write(ctx, func() (*parley.Event, error) {
		switch {
		case gs.groups[name] != nil:
			return nil, nil
		case len(gs.groups) >= gs.opt.MaxGroups:
			return nil, &parley.Error{Code: parley.Overloaded, Field: "group", Detail: "there are " + strconv.Itoa(gs.opt.MaxGroups) + " groups", Fix: "delete those that nobody uses", RetryAfter: time.Minute}
		}
		return groupEvent(createdType, name), nil
	})
	if err != nil {
		return nil, err
	}
	return gs.Get(ctx, name)
}

// Delete deletes a group with all its places. Errors: Invalid, NotFound, Conflict
// while it has members, unless force is set, which takes them out; those of
// Host.Ask and of the log.
func (gs *Groups) Delete(ctx context.Context, name string, force bool) error {
	g, err := gs.Get(ctx, name)
	if err != nil {
		return err
	}
	if _, err := g.ask(ctx, &request{Op: "clear", Force: force}); err != nil {
		return err
	}
	return gs.forget(ctx, g)
}

// forget takes a group off the list.
func (gs *Groups) forget(ctx context.Context, g *Group) error {
	return gs.write(ctx, func() (*parley.Event, error) {
		if gs.groups[g.name] != g {
			return nil, nil
		}
		return groupEvent(deletedType, g.name), nil
	})
}

// Run makes this node one that may own groups, and wakes those who wait here,
// until ctx ends. Errors: Damaged; those of the log that do not pass.
func (gs *Groups) Run(ctx context.Context) error {
	var tasks sync.WaitGroup
	defer tasks.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	failed := make(chan error, 1)
	tasks.Go(func() {
		if err := gs.roll.Follow(ctx, nil); err != nil {
			failed <- err
		}
	})
	running := make(map[*Group]context.CancelFunc)
	for {
		gs.mu.Lock()
		want, starts := maps.Clone(gs.groups), gs.starts
		gs.starts = nil
		gs.mu.Unlock()
		for g, end := range running {
			if want[g.name] != g {
				end()
				delete(running, g)
			}
		}
		for _, g := range want {
			if running[g] == nil {
				gctx, end := context.WithCancel(ctx)
				running[g] = end
				tasks.Go(func() { gs.runGroup(ctx, gctx, g) })
			}
		}
		for _, g := range starts {
			tasks.Go(func() { g.watch(ctx) })
		}
		select {
		case <-gs.kick:
		case err := <-failed:
			return err
		case <-ctx.Done():
			return nil
		}
	}
}

// runGroup runs a group until it is deleted or life ends. A group that cannot be
// run is told, and tried again: the others go on.
func (gs *Groups) runGroup(life, ctx context.Context, g *Group) {
	for wait := firstRetry; ; wait = min(2*wait, time.Minute) {
		err := gs.host.Run(ctx, g.moves, func(ctx context.Context, o *shard.Owner) error { return own(ctx, g, gs.log, o) })
		if ctx.Err() != nil {
			break
		}
		gs.opt.Logger.Error("a group cannot be run", slog.String("group", g.name), slog.Any("error", err))
		pause(ctx, wait)
	}
	if life.Err() != nil {
		return
	}
	// It is deleted, and its owner has left: its stream's name is nobody else's.
	if remover, ok := gs.log.(parley.Remover); ok {
		if err := remover.Remove(life, g.moves); err != nil && life.Err() == nil {
			gs.opt.Logger.Warn("the memory of a deleted group was not removed", slog.String("group", g.name), slog.Any("error", err))
		}
	}
}

// start has Run watch a group on behalf of those who wait here.
func (gs *Groups) start(g *Group) {
	gs.mu.Lock()
	gs.starts = append(gs.starts, g)
	gs.mu.Unlock()
	gs.nudge()
}

func (gs *Groups) nudge() {
	select {
	case gs.kick <- struct{}{}:
	default: // one is enough for all
	}
}
