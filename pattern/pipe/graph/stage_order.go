package graph

import (
	"cmp"
	"encoding/json"
	"slices"

	"github.com/parleyhq/parley"
)

// mostSorted bounds what sort and tail keep.
const mostSorted = 100_000

// sorting keeps all events and gives them in order at the end.
type sorting struct {
	stage
	key     *eval
	reverse bool
	kept    []item
}

func makeSort(c *compiler, s *spec) (node, error) {
	key, err := c.expr(s, "key")
	return &sorting{key: key, reverse: s.on("reverse")}, err
}

func (s *sorting) push(items []item) error {
	if len(s.kept)+len(items) > mostSorted {
		return &parley.Error{Code: parley.Overloaded, Field: s.spec.name, Detail: "more than 100000 events would have to be kept", Fix: "leave out what is not needed before it"}
	}
	s.kept = append(s.kept, items...)
	return nil
}

func (s *sorting) end() error {
	type keyed struct {
		by any
		it *item
	}
	var all []keyed
	for i := range s.kept {
		it := &s.kept[i]
		v, err := it.value()
		if err == nil && s.key != nil {
			v, err = s.key.on(it)
		}
		if err != nil {
			if err := s.fail(it, err, 1); err != nil {
				return err
			}
			continue
		}
		all = append(all, keyed{v, it})
	}
	slices.SortStableFunc(all, func(a, b keyed) int {
		if s.reverse {
			a, b = b, a
		}
		return compare(a.by, b.by)
	})
	out := make([]item, 0, len(all))
	for _, k := range all {
		out = append(out, *k.it)
	}
	s.kept = nil
	return s.emit(out)
}

// compare orders values as jq does: null, false, true, numbers, text, and then all
// else as it is written.
func compare(a, b any) int {
	ra, rb := rank(a), rank(b)
	if ra != rb {
		return cmp.Compare(ra, rb)
	}
	if ra == 3 {
		x, _ := number(a)
		y, _ := number(b)
		return cmp.Compare(x, y)
	}
	if ra == 4 {
		return cmp.Compare(a.(string), b.(string))
	}
	x, errX := encode(a)
	y, errY := encode(b)
	if errX != nil || errY != nil {
		return 0
	}
	return slices.Compare(x, y)
}

func rank(v any) int {
	switch v := v.(type) {
	case nil:
		return 0
	case bool:
		if v {
			return 2
		}
		return 1
	case string:
		return 4
	}
	if _, ok := number(v); ok {
		return 3
	}
	return 5
}

func (s *sorting) held(visit func(*item)) {
	for i := range s.kept {
		visit(&s.kept[i])
	}
}

func (s *sorting) save() any { return saveItems(s.kept) }

func (s *sorting) load(text []byte) (err error) {
	var states []itemState
	if err = json.Unmarshal(text, &states); err == nil {
		s.kept, err = loadItems(states)
	}
	return err
}

// heading passes the first events.
type heading struct {
	stage
	most int
	left int
}

func makeHead(_ *compiler, s *spec) (node, error) {
	n := s.number("count", 10)
	return &heading{most: n, left: n}, nil
}

func (s *heading) care() care { return little }

func (s *heading) push(items []item) error {
	n := min(s.left, len(items))
	s.left -= n
	if err := s.emit(items[:n]); err != nil {
		return err
	}
	if s.left == 0 {
		return errEnough
	}
	return nil
}

func (s *heading) save() any              { return s.left }
func (s *heading) load(text []byte) error { return json.Unmarshal(text, &s.left) }

// tailing keeps the last events and gives them at the end.
type tailing struct {
	sorting
	most int
}

func makeTail(_ *compiler, s *spec) (node, error) {
	n := s.number("count", 10)
	if n > mostSorted {
		return nil, s.wrong("count", "at most 100000 events can be kept", "take fewer")
	}
	return &tailing{most: n}, nil
}

func (s *tailing) push(items []item) error {
	s.kept = append(s.kept, items...)
	if n := len(s.kept) - s.most; n > 0 {
		s.kept = append([]item(nil), s.kept[n:]...)
	}
	return nil
}

func (s *tailing) end() error {
	all := s.kept
	s.kept = nil
	return s.emit(all)
}

// counting gives the number of events and their bytes at the end.
type counting struct {
	stage
	kept countState
}

type countState struct {
	Events int64  `json:"events"`
	Bytes  int64  `json:"bytes"`
	From   origin `json:"from"` // the first: until the end none is done
}

func makeCount(*compiler, *spec) (node, error) { return &counting{}, nil }

func (s *counting) care() care { return little }

func (s *counting) push(items []item) error {
	if s.kept.Events == 0 && len(items) > 0 {
		s.kept.From = items[0].from
	}
	for i := range items {
		s.kept.Events++
		s.kept.Bytes += int64(len(items[i].event.Data))
	}
	return nil
}

func (s *counting) end() error {
	blank := item{event: parley.Event{Source: "-", ID: "-", Type: "parley.pipe.count", Time: s.m.now}, from: s.kept.From}
	out, err := s.become(&blank, map[string]any{"events": int(s.kept.Events), "bytes": int(s.kept.Bytes)}, 0)
	if err != nil {
		return err
	}
	out.open()
	out.parent = nil
	s.kept = countState{}
	return s.emit([]item{out})
}

func (s *counting) held(visit func(*item)) {
	if s.kept.Events > 0 {
		visit(&item{from: s.kept.From})
	}
}

func (s *counting) save() any              { return s.kept }
func (s *counting) load(text []byte) error { return json.Unmarshal(text, &s.kept) }

// joining makes one of equal events that follow each other.
type joining struct {
	stage
	key   *eval
	count bool
	last  *item // the first of the run
	by    string
	runs  int
}

func makeUniq(c *compiler, s *spec) (node, error) {
	key, err := c.expr(s, "key")
	return &joining{key: key, count: s.on("count")}, err
}

func (s *joining) care() care { return opened }

func (s *joining) push(items []item) error {
	out := make([]item, 0, len(items))
	for i := range items {
		it := &items[i]
		by := string(it.event.Data)
		if s.key != nil {
			var err error
			if by, err = s.key.key(it); err != nil {
				if err := s.fail(it, err, 1); err != nil {
					return err
				}
				continue
			}
		}
		if s.last != nil && by == s.by {
			s.runs++
			continue
		}
		if s.count {
			more, err := s.close(out)
			if err != nil {
				return err
			}
			out = more
		} else {
			out = append(out, *it)
		}
		kept := *it
		kept.own()
		s.last, s.by, s.runs = &kept, by, 1
	}
	return s.emit(out)
}

// close adds the run that is open, with its count.
func (s *joining) close(to []item) ([]item, error) {
	if s.last == nil {
		return to, nil
	}
	v, err := s.last.value()
	if err == nil {
		var made item
		if made, err = s.become(s.last, map[string]any{"count": s.runs, "data": v}, s.runs); err == nil {
			return append(to, made), nil
		}
	}
	return to, s.fail(s.last, err, 1)
}

func (s *joining) end() error {
	if !s.count {
		return nil
	}
	out, err := s.close(nil)
	if err != nil {
		return err
	}
	s.last = nil
	return s.emit(out)
}

func (s *joining) held(visit func(*item)) {
	if s.count && s.last != nil {
		visit(s.last)
	}
}

type joinState struct {
	Last *itemState `json:"last,omitempty"`
	By   []byte     `json:"by,omitempty"`
	Runs int        `json:"runs,omitempty"`
}

func (s *joining) save() any {
	state := joinState{By: []byte(s.by), Runs: s.runs}
	if s.last != nil {
		it := saveItem(s.last)
		state.Last = &it
	}
	return state
}

func (s *joining) load(text []byte) error {
	var state joinState
	if err := json.Unmarshal(text, &state); err != nil {
		return err
	}
	s.by, s.runs, s.last = string(state.By), state.Runs, nil
	if state.Last != nil {
		it, err := loadItem(*state.Last)
		if err != nil {
			return err
		}
		s.last = &it
	}
	return nil
}
