package graph

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
)

// snapshot is the form of a machine's state.
type snapshot struct {
	Version int                        `json:"version"`
	Graph   string                     `json:"graph"` // of the stages that have state
	Now     time.Time                  `json:"now,omitzero"`
	Done    bool                       `json:"done,omitempty"`
	Waiting int                        `json:"waiting,omitempty"`
	Lanes   []laneState                `json:"lanes"`
	Stages  map[string]json.RawMessage `json:"stages,omitempty"` // by name, or else by path
}

// Snapshot gives all that the machine's stages remember, as JSON. Taken between two
// steps and kept with the source's place, it lets another machine of the same plan go
// on. Programs of exec stages have no state that we know of.
func (m *Machine) Snapshot() ([]byte, error) {
	s := snapshot{Version: 1, Graph: m.plan.print(), Now: m.now, Done: m.done, Waiting: m.waiting, Lanes: m.lanes, Stages: map[string]json.RawMessage{}}
	for _, n := range m.nodes {
		k, ok := n.(keeping)
		if !ok {
			continue
		}
		text, err := json.Marshal(k.save())
		if err != nil {
			return nil, parley.Errorf(parley.Internal, "the state of stage %s: %w", n.common().spec.name, err)
		}
		s.Stages[n.common().spec.key()] = text
	}
	return json.Marshal(s)
}

// Restore takes what Snapshot gave. It fails with the code Conflict when that was of
// a graph whose stages with state are not the same, and with Damaged when it is
// nothing of ours.
func (m *Machine) Restore(state []byte) error {
	var s snapshot
	if err := json.Unmarshal(state, &s); err != nil || s.Version != 1 || len(s.Lanes) == 0 {
		return parley.Errorf(parley.Damaged, "the state of the pipe cannot be read")
	}
	if s.Graph != m.plan.print() || len(s.Lanes) != len(m.lanes) {
		return &parley.Error{Code: parley.Conflict, Detail: "the state is that of another pipe, or of this one before its stages were changed", Fix: "begin without state, or take the change back"}
	}
	for _, n := range m.nodes {
		text, there := s.Stages[n.common().spec.key()]
		k, ok := n.(keeping)
		if !there || !ok {
			continue
		}
		if err := k.load(text); err != nil {
			return parley.Errorf(parley.Damaged, "the state of stage %s cannot be read: %w", n.common().spec.name, err)
		}
	}
	m.now, m.done, m.waiting, m.lanes = s.Now, s.Done, s.Waiting, s.Lanes
	return nil
}

// key is what a stage's state is known by: a name, so that it may move, or else its
// place.
func (s *spec) key() string { return stateKey(s.step, s.path) }

func stateKey(s Step, path string) string {
	if s.Name != "" {
		return "=" + s.Name
	}
	return path
}

// print is what two plans have in common whose states fit each other: the sources
// and all stages with state, with their arguments and places.
func (p *Plan) print() string {
	h := sha256.New()
	var walk func(prefix string, steps []Step)
	walk = func(prefix string, steps []Step) {
		for i, s := range steps {
			path := prefix + "." + strconv.Itoa(i)
			if stateful(s.Kind) {
				h.Write([]byte(stateKey(s, path) + " " + s.Text() + "\n"))
			}
			for _, k := range []string{"sources", "to", "late"} {
				for j, branch := range s.Args[k].Pipes {
					walk(path+"."+k+strconv.Itoa(j), branch)
				}
			}
		}
	}
	walk("", p.Graph.Steps)
	walk("dead", p.Graph.Dead)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

func stateful(kind string) bool {
	k, _ := KindNamed(kind)
	return k.Holds != "" || kind == "uniq" || kind == "head"
}

// itemState is an item as it is kept.
type itemState struct {
	Event  json.RawMessage `json:"event"`
	Origin json.RawMessage `json:"origin,omitempty"`
	From   origin          `json:"from"`
	More   []origin        `json:"more,omitempty"`
	At     time.Time       `json:"at,omitzero"`   // when it goes on, or came
	Key    string          `json:"key,omitempty"` // of a throttle
}

func saveItem(it *item) itemState {
	s := itemState{Event: it.event.AppendJSON(nil), From: it.from, More: it.more}
	if it.origin != nil {
		s.Origin = it.origin.AppendJSON(nil)
	}
	return s
}

func loadItem(s itemState) (item, error) {
	it := item{from: s.From, more: s.More}
	var err error
	if it.event, err = parley.ParsePartialJSON(s.Event); err != nil {
		return it, err
	}
	if s.Origin != nil {
		e, err := parley.ParsePartialJSON(s.Origin)
		if err != nil {
			return it, err
		}
		it.origin = &e
	}
	return it, nil
}

func saveItems(items []item) []itemState {
	all := make([]itemState, 0, len(items))
	for i := range items {
		all = append(all, saveItem(&items[i]))
	}
	return all
}

func loadItems(states []itemState) ([]item, error) {
	var all []item
	for _, s := range states {
		it, err := loadItem(s)
		if err != nil {
			return nil, err
		}
		all = append(all, it)
	}
	return all, nil
}
