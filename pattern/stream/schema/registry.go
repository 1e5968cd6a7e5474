package schema

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/roll"
	"github.com/parleyhq/parley/base/topic"
)

// Options of a Registry. The zero value works.
type Options struct {
	// Now gives the time of versions; nil is time.Now.
	Now func() time.Time
	// Logger hears of what Run could not do; nil is slog.Default.
	Logger *slog.Logger
}

// Version is one version of a schema.
type Version struct {
	Topic string `json:"topic"`
	// Type is that of the events it is for; absent for all events of the topic.
	Type    string `json:"type,omitempty"`
	Version int    `json:"version"`
	// Compatibility is the rule of the subject, the same for all its versions.
	Compatibility Rule            `json:"compatibility"`
	Created       time.Time       `json:"created"`
	Schema        json.RawMessage `json:"schema,omitempty"`
}

// Registry knows the schemas of one log. It starts nothing; Load must be called
// first, and Run should be running. All methods may be called from any goroutine.
type Registry struct {
	opts   Options
	topics *topic.Registry // set by Load
	table  atomic.Pointer[map[string][]*active]
	roll   *roll.Roll // of what was put

	mu      sync.Mutex // never held over a call that can wait
	machine *machine
	changed map[string]bool // topics, by the read that is being folded
}

// active is a schema that is in force.
type active struct {
	key     subjectKey
	version int
	doc     *document // nil when this version of the program does not understand it
}

// New makes a registry over a log.
func New(log parley.Log, o Options) *Registry {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	r := &Registry{opts: o, machine: &machine{subjects: map[subjectKey]*subject{}}, changed: map[string]bool{}}
	r.roll = roll.New(log, roll.Options{Stream: Stream, Lock: &r.mu, Take: r.take, Taken: r.taken, ID: topic.NewID, Now: o.Now, Logger: o.Logger})
	r.table.Store(&map[string][]*active{})
	return r
}

// Load reads Stream. topics, which has to be loaded, says which topics there are.
// Errors: Damaged, and those of Log.Read.
func (r *Registry) Load(ctx context.Context, topics *topic.Registry) error {
	r.topics = topics
	return r.roll.CatchUp(ctx)
}

// Check is a topic.Options.Check: it gives what the events of a topic have to pass,
// nil when it has no schema. Errors of what it gives are Unprocessable with Field
// data, and have a *Failure as their cause.
func (r *Registry) Check(t *topic.Topic) func(*parley.Event) error {
	all := (*r.table.Load())[t.Name]
	if all == nil {
		return nil
	}
	mine := slices.DeleteFunc(slices.Clone(all), func(a *active) bool { return a.key.epoch != t.Epoch })
	if len(mine) == 0 {
		return nil
	}
	return func(e *parley.Event) error {
		for _, a := range mine {
			if a.key.kind != "" && a.key.kind != e.Type {
				continue
			}
			if err := a.check(e); err != nil {
				return err
			}
		}
		return nil
	}
}

// Get gives a version of the schema for the events of a type, "" for all; number 0
// is the newest. Error: NotFound.
func (r *Registry) Get(name, kind string, number int) (Version, error) {
	key, err := r.keyOf(name, kind)
	if err != nil {
		return Version{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.machine.subjects[key]
	v := s.newest()
	if v == nil {
		return Version{}, notFound(name, kind)
	}
	if number != 0 {
		i := slices.IndexFunc(s.versions, func(v stored) bool { return v.number == number })
		if i < 0 {
			return Version{}, noVersion(name, number, v.number)
		}
		v = &s.versions[i]
	}
	return shown(key, s, v), nil
}

// Versions gives all versions of a schema, oldest first, without their text. Error:
// NotFound.
func (r *Registry) Versions(name, kind string) ([]Version, error) {
	key, err := r.keyOf(name, kind)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.machine.subjects[key]
	if s.newest() == nil {
		return nil, notFound(name, kind)
	}
	var list []Version
	for i := range s.versions {
		v := shown(key, s, &s.versions[i])
		v.Schema = nil
		list = append(list, v)
	}
	return list, nil
}

// Subjects gives the newest versions of all schemas of a topic, without their text:
// that for all events first, then by type. Error: NotFound, for a topic that is not
// there.
func (r *Registry) Subjects(name string) ([]Version, error) {
	key, err := r.keyOf(name, "")
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	list := []Version{}
	for _, a := range (*r.table.Load())[name] {
		s := r.machine.subjects[a.key]
		if v := s.newest(); v != nil && a.key.epoch == key.epoch {
			one := shown(a.key, s, v)
			one.Schema = nil
			list = append(list, one)
		}
	}
	return list, nil
}

func shown(key subjectKey, s *subject, v *stored) Version {
	return Version{Topic: key.topic, Type: key.kind, Version: v.number, Compatibility: s.rule, Created: v.created, Schema: v.text}
}

// keyOf finds the topic of a subject as it is now. Errors: NotFound, Forbidden,
// Invalid.
func (r *Registry) keyOf(name, kind string) (subjectKey, error) {
	if err := topic.CheckName(name); err != nil {
		return subjectKey{}, err
	}
	if topic.IsEphemeral(name) {
		return subjectKey{}, parley.BadField("topic", "an ephemeral topic has no schema of its own", "put it on "+name[1:]+", which it follows")
	}
	if err := checkType(kind); err != nil {
		return subjectKey{}, err
	}
	if r.topics == nil { // nothing was loaded
		return subjectKey{}, notFound(name, kind)
	}
	t, err := r.topics.Get(name)
	if err != nil {
		return subjectKey{}, err
	}
	return subjectKey{name, t.Epoch, kind}, nil
}

// maxType is the longest type of event that a schema can be for.
const maxType = 255

func checkType(kind string) error {
	if kind == "" {
		return nil
	}
	e := parley.Event{ID: "1", Source: "/", Type: kind}
	if len(kind) > maxType || e.Check() != nil {
		return parley.BadField("type", "is not a type of event", "send up to 255 bytes of text without control characters, or leave it away")
	}
	return nil
}
