package schema

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
)

// Stream is where schemas are kept: events of these types, whose subject is the
// name of a topic.
const (
	Stream      = "$schemas"
	TypePut     = "parley.schema.put"
	TypeDeleted = "parley.schema.deleted"
)

const source = "/schemas"

// Limits of what is kept.
const (
	MaxVersions = 200      // of one subject
	MaxSubjects = 10_000   // of all topics
	MaxBytes    = 64 << 20 // of all versions together
)

// subjectKey is a topic, as it was created at one time, and a type of event, ""
// for all.
type subjectKey struct {
	topic string
	epoch uint32
	kind  string
}

// subject is what is known of one: its versions, oldest first, and the rule. Number
// last was given last, also when the versions are deleted.
type subject struct {
	versions []stored
	rule     Rule
	last     int
}

type stored struct {
	number  int
	text    json.RawMessage
	created time.Time
}

// machine is what Stream folds to. It is pure: no lock, clock or log.
type machine struct {
	subjects map[subjectKey]*subject
	bytes    int // of all versions
}

// moved is the data of an event of Stream.
type moved struct {
	Epoch   uint32          `json:"epoch"`
	Type    string          `json:"type,omitempty"`
	Version int             `json:"version,omitempty"`
	Rule    Rule            `json:"compatibility,omitempty"`
	Schema  json.RawMessage `json:"schema,omitempty"` // absent: only the rule is another
}

// apply folds one event and names the topic that it changed, "" for none: events of
// types that are not known do nothing, since a later version wrote them. Error:
// Damaged, and the machine is as it was.
func (m *machine) apply(e *parley.Event) (topic string, err error) {
	if e.Type != TypePut && e.Type != TypeDeleted {
		return "", nil
	}
	var data moved
	if err := json.Unmarshal(e.Data, &data); err != nil {
		return "", parley.Errorf(parley.Damaged, "schema of %s in %s: %w", e.Subject, Stream, err)
	}
	key := subjectKey{e.Subject, data.Epoch, data.Type}
	s := m.subjects[key]
	if e.Type == TypeDeleted {
		if s != nil {
			m.bytes -= s.size()
			s.versions = nil
		}
		return e.Subject, nil
	}
	if s == nil {
		s = &subject{}
		m.subjects[key] = s
	}
	s.rule = data.Rule
	if data.Schema == nil {
		return e.Subject, nil
	}
	if data.Version <= s.last {
		return "", parley.Errorf(parley.Damaged, "version %d of the schema of %s in %s after %d", data.Version, e.Subject, Stream, s.last)
	}
	s.last = data.Version
	s.versions = append(s.versions, stored{data.Version, data.Schema, e.Time})
	m.bytes += len(data.Schema)
	return e.Subject, nil
}

func (s *subject) size() (n int) {
	for _, v := range s.versions {
		n += len(v.text)
	}
	return n
}

// newest gives the newest version; nil when there is none.
func (s *subject) newest() *stored {
	if s == nil || len(s.versions) == 0 {
		return nil
	}
	return &s.versions[len(s.versions)-1]
}

// put decides what event makes text the newest version under the rule, "" for the
// one there is. A nil event means that it is so already; that it is compatible was
// found out before. Error: Overloaded.
func (m *machine) put(key subjectKey, text json.RawMessage, rule Rule) (*parley.Event, error) {
	s := m.subjects[key]
	data := moved{Epoch: key.epoch, Type: key.kind, Rule: m.ruleOf(key, rule), Schema: text, Version: 1}
	if s != nil {
		data.Version = s.last + 1
	}
	if have := s.newest(); have != nil && string(have.text) == string(text) {
		if s.rule == data.Rule {
			return nil, nil
		}
		data.Schema, data.Version = nil, have.number
	}
	switch {
	case data.Schema == nil:
	case s == nil && len(m.subjects) >= MaxSubjects:
		return nil, full("there are schemas for " + strconv.Itoa(MaxSubjects) + " topics and types, as many as can be")
	case s != nil && len(s.versions) >= MaxVersions:
		return nil, full("there are " + strconv.Itoa(MaxVersions) + " versions of the schema, as many as can be")
	case m.bytes+len(text) > MaxBytes:
		return nil, full("all schemas together have " + strconv.Itoa(MaxBytes>>20) + " MiB, as much as they may")
	}
	return event(TypePut, key.topic, data)
}

// ruleOf is the rule that holds for a put.
func (m *machine) ruleOf(key subjectKey, asked Rule) Rule {
	if asked != "" {
		return asked
	}
	if s := m.subjects[key]; s != nil && s.newest() != nil {
		return s.rule
	}
	return DefaultRule
}

func full(detail string) error {
	return &parley.Error{Code: parley.Overloaded, Field: "schema", Detail: detail, Fix: "delete schemas that are not used any more"}
}

// remove decides what event removes a subject's versions. Error: NotFound.
func (m *machine) remove(key subjectKey) (*parley.Event, error) {
	if m.subjects[key].newest() == nil {
		return nil, notFound(key.topic, key.kind)
	}
	return event(TypeDeleted, key.topic, moved{Epoch: key.epoch, Type: key.kind})
}

// forget drops the subjects of topics that are gone, from memory: nothing can be
// published to them any more.
func (m *machine) forget(alive func(topic string, epoch uint32) bool) {
	for key, s := range m.subjects {
		if !alive(key.topic, key.epoch) {
			m.bytes -= s.size()
			delete(m.subjects, key)
		}
	}
}

func event(kind, topic string, data moved) (*parley.Event, error) {
	body, err := json.Marshal(data)
	if err != nil {
		return nil, fmt.Errorf("encoding a schema: %w", err)
	}
	return &parley.Event{Type: kind, Source: source, Subject: topic, DataContentType: "application/json", Data: body}, nil
}

func notFound(topic, kind string) error {
	detail := "topic " + topic + " has no schema"
	if kind != "" {
		detail += " for events of type " + strconv.Quote(kind[:min(len(kind), 100)])
	}
	return &parley.Error{Code: parley.NotFound, Field: "schema", Detail: detail, Fix: "put one with PUT /v1/topics/{topic}/schema"}
}
