package schema

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/parleyhq/parley"
)

// Put makes text the newest version of the schema for the events of a type, "" for
// all; rule "" keeps the one there is, or is DefaultRule. created says that there
// was no schema before. Putting the newest version again changes nothing but the
// rule. The change is durable, and in force on this node, when Put returns; other
// nodes follow a moment later.
//
// Errors: Invalid and TooLarge for a schema that cannot be, naming the place in it;
// Unprocessable when the rule does not let it through, with an *Incompatible as its
// cause; NotFound for the topic; Overloaded; those of the log. After Unknown, put
// it again.
func (r *Registry) Put(ctx context.Context, name, kind string, text []byte, rule Rule) (v Version, created bool, err error) {
	key, err := r.keyOf(name, kind)
	if err != nil {
		return Version{}, false, err
	}
	doc, err := compileField("schema", text)
	if err != nil {
		return Version{}, false, err
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		return Version{}, false, parley.BadField("schema", err.Error(), "send JSON")
	}
	err = r.write(ctx, func() (*parley.Event, error) {
		before, hard := r.before(key, compact.Bytes(), rule)
		created = before == nil && !r.has(key)
		for _, old := range before { // slow, and without the lock: the turn is ours, and others are found out by Expect
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if conflicts := old.compare(hard, doc); conflicts != nil {
				return nil, refused(conflicts)
			}
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.machine.put(key, compact.Bytes(), rule)
	})
	if err != nil {
		return Version{}, false, err
	}
	v, err = r.Get(name, kind, 0)
	return v, created, err
}

func (r *Registry) has(key subjectKey) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.machine.subjects[key].newest() != nil
}

// before gives the versions that a new one has to fit, the newest first, and the
// rule. There are none for what is the newest already.
func (r *Registry) before(key subjectKey, text []byte, asked Rule) ([]stored, Rule) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rule := r.machine.ruleOf(key, asked)
	s := r.machine.subjects[key]
	newest := s.newest()
	if rule == None || newest == nil || bytes.Equal(newest.text, text) {
		return nil, rule
	}
	if !rule.transitive() {
		return []stored{*newest}, rule
	}
	all := slices.Clone(s.versions)
	slices.Reverse(all)
	return all, rule
}

func (s stored) compare(rule Rule, fresh *document) []Conflict {
	old, err := compile(s.text)
	if err != nil { // a later version of the program wrote it
		return []Conflict{{Direction: rule, Version: s.number, Reason: Reason{Text: "it is not understood by this server: " + err.Error(), Undecided: true}}}
	}
	return compare(rule, s.number, old, fresh)
}

func refused(conflicts []Conflict) error {
	all := &Incompatible{conflicts}
	detail := all.Error()
	if n := len(conflicts); n > 1 {
		detail += ", and " + strconv.Itoa(n-1) + " more"
	}
	return &parley.Error{Code: parley.Unprocessable, Field: "schema", Detail: detail, Fix: "change the schema there, or put it with compatibility none", Err: all}
}

// Try tells what keeps a schema from being the newest version; nil is nothing. rule
// "" is the one there is. Errors: as Put, but for Unprocessable.
func (r *Registry) Try(name, kind string, text []byte, rule Rule) ([]Conflict, error) {
	key, err := r.keyOf(name, kind)
	if err != nil {
		return nil, err
	}
	doc, err := compileField("schema", text)
	if err != nil {
		return nil, err
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		return nil, parley.BadField("schema", err.Error(), "send JSON")
	}
	before, hard := r.before(key, compact.Bytes(), rule)
	for _, old := range before {
		if conflicts := old.compare(hard, doc); conflicts != nil {
			return conflicts, nil
		}
	}
	return nil, nil
}

// Delete removes the schema for the events of a type, "" for all, with all its
// versions; their numbers are not used again. Errors: NotFound, Invalid, and those
// of the log.
func (r *Registry) Delete(ctx context.Context, name, kind string) error {
	key, err := r.keyOf(name, kind)
	if err != nil {
		return err
	}
	return r.write(ctx, func() (*parley.Event, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.machine.remove(key)
	})
}

// write decides on the state as it is, without what belongs to topics that are gone.
func (r *Registry) write(ctx context.Context, decide func() (*parley.Event, error)) error {
	return r.roll.Write(ctx, func() (*parley.Event, error) {
		r.mu.Lock()
		r.machine.forget(r.alive)
		r.mu.Unlock()
		return decide()
	})
}

// alive says whether a topic is still the one that a schema was put for. One that
// is newer than all that this node knows of may have been made elsewhere.
func (r *Registry) alive(name string, epoch uint32) bool {
	t, err := r.topics.Get(name)
	return err == nil && t.Epoch == epoch || epoch > r.topics.Epoch()
}
