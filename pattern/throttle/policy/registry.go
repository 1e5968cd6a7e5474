package policy

import (
	"cmp"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/roll"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/pattern/throttle"
)

// Options of a Registry. The zero value works.
type Options struct {
	// Fixed are the limits of the configuration, by name. They cannot be changed,
	// and stand before limits of the same name that were put.
	Fixed map[string]Definition
	// Trusted proxies may say, by X-Forwarded-For, whose address the key ip is.
	Trusted []netip.Prefix
	// MaxLimits bounds the limits that are put; default 1,000.
	MaxLimits int
	// Observe is told of every decision; it must not wait. nil = nobody.
	Observe func(limit string, o Outcome)
	// Gone is told of limits that are no more.
	Gone func(limit string)
	// Sharing is where limits are counted for all nodes; the zero value is nowhere.
	Sharing Sharing
	// Now gives the time of changes; nil is time.Now.
	Now func() time.Time
	// Logger hears of what Run could not do; nil is slog.Default.
	Logger *slog.Logger
}

// Outcome is what became of a request at one limit.
type Outcome string

// The outcomes.
const (
	Allowed     Outcome = "allowed"
	Rejected    Outcome = "rejected"
	Shaped      Outcome = "shaped"       // it waited its turn and was let in
	WouldReject Outcome = "would_reject" // in shadow mode
)

// Origin says where a limit comes from.
type Origin string

// The origins.
const (
	FromConfig Origin = "config"
	FromAPI    Origin = "api"
)

// Info is a limit as it is shown.
type Info struct {
	Name string `json:"name"`
	Definition
	Origin Origin `json:"origin"`
	// Changed is when it was put; zero for those of the configuration.
	Changed time.Time `json:"changed,omitzero"`
	// Keys is how many keys are being counted here now, and Waiting how many
	// requests stand in line.
	Keys    int `json:"keys"`
	Waiting int `json:"waiting"`
	// Counts are this node's decisions since Since, when it began to count.
	Counts Counts    `json:"counts"`
	Since  time.Time `json:"since"`
	// Shared says that units are counted for all nodes together. Keys is then of those
	// that were counted here while the others could not be asked.
	Shared bool `json:"shared,omitempty"`
}

// Registry holds the limits of a node. All methods may be called from any
// goroutine.
type Registry struct {
	opts  Options
	table atomic.Pointer[table]
	roll  *roll.Roll // of what was put

	mu      sync.Mutex // never held over a call that can wait
	machine *machine
	fixed   map[string]*limit
	put     map[string]*limit
	changed map[string]bool // by the read that is being folded
}

// table is what requests look at: it is replaced as a whole.
type table struct {
	all     map[string]*limit
	applied []*limit // those with targets, by name
	headers []string // fields that keys look at
}

// New makes a registry over a log. Errors: Invalid for a limit of Options.Fixed,
// naming the member as "NAME.member".
func New(log parley.Log, o Options) (*Registry, error) {
	if o.MaxLimits <= 0 {
		o.MaxLimits = 1000
	}
	if o.Observe == nil {
		o.Observe = func(string, Outcome) {}
	}
	if o.Gone == nil {
		o.Gone = func(string) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	o.Sharing = o.Sharing.withDefaults()
	r := &Registry{opts: o, machine: &machine{limits: map[string]stored{}}, put: map[string]*limit{}, changed: map[string]bool{}}
	r.roll = roll.New(log, roll.Options{Stream: Stream, Lock: &r.mu, Take: r.take, Taken: r.taken, ID: topic.NewID, Now: o.Now, Logger: o.Logger})
	var err error
	if r.fixed, err = fixed(o); err != nil {
		return nil, err
	}
	r.rebuild()
	return r, nil
}

func fixed(o Options) (map[string]*limit, error) {
	out := make(map[string]*limit, len(o.Fixed))
	for _, name := range slices.Sorted(maps.Keys(o.Fixed)) {
		if err := CheckName(name); err != nil {
			return nil, below(name, err)
		}
		l, err := compile(name, o.Fixed[name], o.Trusted)
		if err != nil {
			return nil, below(name, err)
		}
		l.origin = FromConfig
		if err := l.start(nil, o.Now()); err != nil {
			return nil, below(name, err)
		}
		// Of nodes whose configurations differ, the one that was started last holds.
		if err := o.Sharing.open(l, o.Now().UnixNano()); err != nil {
			return nil, below(name, uncounted(err))
		}
		out[name] = l
	}
	return out, nil
}

func below(name string, err error) error {
	e, ok := err.(*parley.Error) //nolint:errorlint // ours, unwrapped
	if !ok {
		return err
	}
	at := *e
	at.Field = name + "." + e.Field
	return &at
}

// start gives a limit its limiter: that of the limit which it replaces where keys
// mean the same, so that they keep what they have spent.
func (l *limit) start(old *limit, now time.Time) error {
	parsed, err := l.def.parse()
	if err != nil {
		return err
	}
	if old != nil && old.key.text == l.key.text && old.limiter.SetLimit(parsed) == nil {
		l.limiter, l.tally = old.limiter, old.tally
		return nil
	}
	l.tally = newTally(now.UTC())
	l.limiter, err = throttle.New(parsed, throttle.Options{Name: l.name, MaxWait: longestWait})
	if err != nil {
		return parley.BadField("limit", err.Error(), "change the limit")
	}
	return nil
}

// rebuild makes the table anew; it is called with mu held, but by New.
func (r *Registry) rebuild() {
	t := &table{all: maps.Clone(r.put)}
	maps.Copy(t.all, r.fixed)
	for _, l := range t.all {
		if len(l.on) > 0 {
			t.applied = append(t.applied, l)
			t.headers = append(t.headers, l.key.headers...)
		}
	}
	slices.SortFunc(t.applied, func(a, b *limit) int { return cmp.Compare(a.name, b.name) })
	slices.Sort(t.headers)
	t.headers = slices.Compact(t.headers)
	r.table.Store(t)
}

// Headers are the request fields that the limits look at now.
func (r *Registry) Headers() []string { return r.table.Load().headers }

// List gives all limits, sorted by name.
func (r *Registry) List() []Info {
	all := r.table.Load().all
	out := make([]Info, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		out = append(out, all[name].info())
	}
	return out
}

// Get gives one limit. Error: NotFound.
func (r *Registry) Get(name string) (Info, error) {
	if l := r.table.Load().all[name]; l != nil {
		return l.info(), nil
	}
	return Info{}, notFound(name)
}

func (l *limit) info() Info {
	s := l.limiter.Stats()
	if l.shared != nil && l.shared.turns != nil {
		s.Waiting += l.shared.turns.Stats().Waiting
	}
	return Info{Name: l.name, Definition: l.def, Origin: l.origin, Changed: l.changed, Keys: s.Keys, Waiting: s.Waiting, Counts: l.tally.counts(), Since: l.tally.since, Shared: l.shared != nil}
}
