package topic

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/parleyhq/parley"
)

// Types of the events in $topics. The subject is the topic's name.
const (
	TypeCreated = "parley.topic.created"
	TypeUpdated = "parley.topic.updated"
	TypeDeleted = "parley.topic.deleted"
)

// machine is what $topics folds to. It is pure: no lock, clock or log.
type machine struct {
	topics map[string]*Topic
	byNum  map[uint64]slot
	next   uint64 // the next stream number
	epoch  uint32 // of the newest creation
}

type slot struct {
	topic *Topic
	index int // of the partition
}

// change is what one event did, for watchers and for cleaning up.
type change struct {
	topic   *Topic
	removed bool
}

// moved is the data of an event of $topics.
type moved struct {
	Settings json.RawMessage `json:"settings,omitempty"`
	First    uint64          `json:"first_number,omitempty"` // of the streams that the event adds
	Epoch    uint32          `json:"epoch,omitempty"`
}

func newMachine() *machine {
	m := &machine{topics: make(map[string]*Topic), byNum: make(map[uint64]slot), next: FirstNumber}
	own := newTopic(TopicsStream, ownSettings(), time.Time{}, 0, []uint64{TopicsNumber})
	m.put(own)
	return m
}

// ownSettings are those of the server's own streams: what trims them is who
// writes them.
func ownSettings() Settings {
	return Settings{Partitions: 1, Durability: Fsync, MaxAge: NoLimit, MaxBytes: NoLimit, MaxEvent: LargestMaxEvent}
}

func (m *machine) put(t *Topic) {
	m.topics[t.Name] = t
	for i, p := range t.Partitions {
		m.byNum[p.Number] = slot{t, i}
	}
}

// create decides whether a topic may be made. A nil event and no error mean
// that it is there already, with the same settings. Errors: Exists, Overloaded.
func (m *machine) create(name string, s Settings, limit int) (*parley.Event, error) {
	if t := m.topics[name]; t != nil {
		member, has, asked, differ := t.Settings.differs(s)
		if !differ {
			return nil, nil
		}
		return nil, &parley.Error{Code: parley.Exists, Field: member, Detail: fmt.Sprintf("topic %s exists with %s %s, not %s", name, member, has, asked), Fix: "update the topic, or create it with the settings it has"}
	}
	if len(m.topics) > limit { // the built-in one is not counted
		return nil, &parley.Error{Code: parley.Overloaded, Field: "topic", Detail: fmt.Sprintf("there are %d topics, as many as allowed", limit), Fix: "delete topics that are not used, or raise the limit"}
	}
	return topicEvent(TypeCreated, name, moved{Settings: s.stored(), First: m.next, Epoch: m.epoch + 1}), nil
}

// update decides whether a topic may get other settings; a nil event and no
// error mean that it has them. Errors: NotFound, Unprocessable.
func (m *machine) update(name string, s Settings) (*parley.Event, error) {
	t := m.topics[name]
	if t == nil {
		return nil, notFound(name)
	}
	had := t.Settings
	switch {
	case s == had:
		return nil, nil
	case s.Partitions < had.Partitions:
		return nil, &parley.Error{Code: parley.Unprocessable, Field: "partitions", Detail: fmt.Sprintf("topic %s has %d partitions and cannot shrink to %d", name, had.Partitions, s.Partitions), Fix: "keep or raise the number, or create another topic"}
	case s.Partitions > had.Partitions && (s.Compact || had.Compact):
		return nil, &parley.Error{Code: parley.Unprocessable, Field: "partitions", Detail: fmt.Sprintf("topic %s is compacted and keeps its %d partitions: the newest event of a key would be in another one", name, had.Partitions), Fix: "keep the number, or create another topic"}
	case s.Durability != had.Durability && (s.Durability == Memory || had.Durability == Memory):
		return nil, &parley.Error{Code: parley.Unprocessable, Field: "durability", Detail: fmt.Sprintf("topic %s is %s and cannot become %s", name, had.Durability, s.Durability), Fix: "create another topic; only fsync and os can be exchanged"}
	}
	data := moved{Settings: s.stored()}
	if s.Partitions > had.Partitions {
		data.First = m.next
	}
	return topicEvent(TypeUpdated, name, data), nil
}

// remove decides whether a topic may go. Error: NotFound.
func (m *machine) remove(name string) (*parley.Event, error) {
	if m.topics[name] == nil {
		return nil, notFound(name)
	}
	return topicEvent(TypeDeleted, name, moved{}), nil
}

// apply folds one event of $topics. An event of a type that is not known does
// nothing: a later version wrote it. Error: Damaged, for one that cannot follow
// what was before it; the machine is then as it was.
func (m *machine) apply(e *parley.Event) (change, error) {
	var data moved
	name, t := e.Subject, m.topics[e.Subject]
	if !strings.HasPrefix(e.Type, "parley.topic.") {
		return change{}, nil
	}
	if e.Type != TypeDeleted {
		if err := json.Unmarshal(e.Data, &data); err != nil {
			return change{}, &parley.Error{Code: parley.Damaged, Detail: e.Type + " of " + name, Err: err}
		}
	}
	switch {
	case e.Type == TypeCreated && t == nil:
		return m.applyCreated(e, data)
	case e.Type == TypeUpdated && t != nil:
		return m.applyUpdated(t, data)
	case e.Type == TypeDeleted && t != nil && name != TopicsStream:
		delete(m.topics, name)
		for _, p := range t.Partitions {
			delete(m.byNum, p.Number)
		}
		return change{t, true}, nil
	case e.Type == TypeCreated, e.Type == TypeUpdated, e.Type == TypeDeleted:
		return change{}, parley.Errorf(parley.Damaged, "%s of %s cannot follow: the topic was there: %t", e.Type, name, t != nil)
	}
	return change{}, nil
}

func (m *machine) applyCreated(e *parley.Event, data moved) (change, error) {
	name := e.Subject
	if checkLevels("subject", name, false) != nil || IsEphemeral(name) {
		return change{}, parley.Errorf(parley.Damaged, "%s of %q: not a name", e.Type, name)
	}
	s, err := storedSettings(Settings{}, data, name)
	if err != nil {
		return change{}, err
	}
	if data.Epoch <= m.epoch {
		return change{}, parley.Errorf(parley.Damaged, "topic %s is created in epoch %d after epoch %d", name, data.Epoch, m.epoch)
	}
	numbers, err := m.take(name, data.First, s.Partitions)
	if err != nil {
		return change{}, err
	}
	t := newTopic(name, s, e.Time, data.Epoch, numbers)
	m.epoch = data.Epoch
	m.put(t)
	return change{t, false}, nil
}

func (m *machine) applyUpdated(t *Topic, data moved) (change, error) {
	s, err := storedSettings(t.Settings, data, t.Name)
	if err != nil {
		return change{}, err
	}
	added := s.Partitions - len(t.Partitions)
	if added < 0 {
		return change{}, parley.Errorf(parley.Damaged, "topic %s shrinks from %d partitions to %d", t.Name, len(t.Partitions), s.Partitions)
	}
	numbers := make([]uint64, 0, s.Partitions)
	for _, p := range t.Partitions {
		numbers = append(numbers, p.Number)
	}
	if added > 0 {
		more, err := m.take(t.Name, data.First, added)
		if err != nil {
			return change{}, err
		}
		numbers = append(numbers, more...)
	}
	t = newTopic(t.Name, s, t.Created, t.Epoch, numbers)
	m.put(t)
	return change{t, false}, nil
}

// take takes n stream numbers, first and the following ones. Numbers only grow,
// so that none is ever used again.
func (m *machine) take(name string, first uint64, n int) ([]uint64, error) {
	if first < m.next || first >= EphemeralNumber-MaxPartitions {
		return nil, parley.Errorf(parley.Damaged, "topic %s takes stream number %d, the next is %d", name, first, m.next)
	}
	numbers := make([]uint64, n)
	for i := range numbers {
		numbers[i] = first + uint64(i)
	}
	m.next = first + uint64(n)
	return numbers, nil
}

// storedSettings reads settings of the log over those before.
func storedSettings(s Settings, data moved, name string) (Settings, error) {
	err := s.parse(data.Settings, false)
	if err == nil {
		s, err = s.Defaults(Settings{})
	}
	if err != nil {
		return s, &parley.Error{Code: parley.Damaged, Detail: "settings of topic " + name, Err: err}
	}
	return s, nil
}

func topicEvent(kind, name string, data moved) *parley.Event {
	e := &parley.Event{Source: "/topics/" + name, Type: kind, Subject: name}
	if kind != TypeDeleted {
		e.DataContentType, e.Data = "application/json", mustJSON(data)
	}
	return e
}

// mustJSON encodes values of our own, which always can be.
func mustJSON(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) //nolint:forbidigo // only for kinds that JSON does not have
	}
	return b
}

func notFound(name string) error {
	return &parley.Error{Code: parley.NotFound, Field: "topic", Detail: "there is no topic " + name, Fix: "create it, or publish to it with auto_create on"}
}
