package graph

import (
	"encoding/json"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pipe"
	"github.com/parleyhq/parley/pattern/throttle"
)

// batching makes one event of several: its data is the list of theirs.
type batching struct {
	stage
	open pipe.Batcher[item]
}

func makeBatch(_ *compiler, s *spec) (node, error) {
	count := 0
	if len(s.step.Args) == 0 {
		count = 100
	}
	b := &batching{open: pipe.Batcher[item]{Count: s.number("count", count), Bytes: s.size("bytes", 0), Every: s.duration("every", 0)}}
	if b.open.Count == 0 && b.open.Bytes == 0 || b.open.Count > mostInBatch {
		b.open.Count = mostInBatch
	}
	if b.open.Bytes == 0 || b.open.Bytes > MaxData {
		b.open.Bytes = MaxData
	}
	return b, nil
}

// mostInBatch bounds a batch whatever it was asked for.
const mostInBatch = 10_000

func (s *batching) push(items []item) error {
	for i := range items {
		size := len(items[i].event.Data) + 1
		if s.open.Full(size) {
			if err := s.flush(); err != nil {
				return err
			}
		}
		if s.open.Add(s.m.now, items[i], size) {
			if err := s.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *batching) flush() error {
	all := s.open.Take()
	if len(all) == 0 {
		return nil
	}
	list := make([]any, 0, len(all))
	good := all[:0]
	for i := range all {
		v, err := all[i].value()
		if err != nil {
			if err := s.fail(&all[i], err, 1); err != nil {
				return err
			}
			continue
		}
		list, good = append(list, v), append(good, all[i])
	}
	if len(good) == 0 {
		return nil
	}
	out, err := s.gathered(good, list)
	if err != nil {
		for i := range good {
			if err := s.fail(&good[i], err, 1); err != nil {
				return err
			}
		}
		return nil
	}
	return s.emit([]item{out})
}

// gathered makes one item of several: the attributes are those of the first, the
// time is that of the last.
func (s *stage) gathered(all []item, v any) (item, error) {
	last := &all[len(all)-1]
	out, err := s.become(&all[0], v, 0)
	if err != nil {
		return out, err
	}
	out.open()
	out.event.ID = s.id(all[0].event.Source, all[0].event.ID, last.event.Source, last.event.ID)
	out.event.Time = last.event.Time
	out.origin, out.parent, out.more = nil, nil, nil // what it was made of is in it
	for i := range all {
		out.more = addOrigin(out.more, all[i].from)
		for _, o := range all[i].more {
			out.more = addOrigin(out.more, o)
		}
	}
	out.from, out.more = out.more[0], out.more[1:]
	return out, nil
}

// addOrigin adds an origin: of each lane the earliest is kept.
func addOrigin(all []origin, o origin) []origin {
	for i := range all {
		if all[i].Lane == o.Lane {
			all[i].Seq = min(all[i].Seq, o.Seq)
			return all
		}
	}
	return append(all, o)
}

func (s *batching) tick() error {
	if due, ok := s.open.Due(); ok && !s.m.now.Before(due) {
		return s.flush()
	}
	return nil
}

func (s *batching) due() (time.Time, bool) { return s.open.Due() }
func (s *batching) end() error             { return s.flush() }

func (s *batching) held(visit func(*item)) {
	for i := range s.open.State.Events {
		visit(&s.open.State.Events[i])
	}
}

func (s *batching) save() any {
	return pipe.BatchState[itemState]{Events: saveItems(s.open.State.Events), Bytes: s.open.State.Bytes, Since: s.open.State.Since}
}

func (s *batching) load(text []byte) error {
	var b pipe.BatchState[itemState]
	if err := json.Unmarshal(text, &b); err != nil {
		return err
	}
	items, err := loadItems(b.Events)
	s.open.State = pipe.BatchState[item]{Events: items, Bytes: b.Bytes, Since: b.Since}
	return err
}

// deduping leaves out what came before.
type deduping struct {
	each
	key  *eval
	seen *pipe.Seen
}

func makeDedupe(c *compiler, s *spec) (node, error) {
	key, err := c.expr(s, "key")
	most := s.number("most", 0)
	if most > 10_000_000 {
		return nil, s.wrong("most", "more than 10000000 keys are too many", "remember them for a shorter time")
	}
	n := &deduping{key: key, seen: pipe.NewSeen(most, s.duration("within", 10*time.Minute))}
	n.do = func(it *item, to []item) ([]item, error) {
		k := it.event.Source + "\x00" + it.event.ID
		if n.key != nil {
			var err error
			if k, err = n.key.key(it); err != nil {
				return to, err
			}
		}
		if n.seen.Add(n.m.now, k) {
			to = append(to, *it)
		}
		return to, nil
	}
	return n, err
}

func (s *deduping) save() any { return s.seen.State() }

func (s *deduping) load(text []byte) error {
	var keys []pipe.SeenKey
	if err := json.Unmarshal(text, &keys); err != nil {
		return err
	}
	s.seen.Restore(keys)
	return nil
}

// holding keeps items until their time has come: delay, and throttle beneath.
type holding struct {
	stage
	line []heldItem
}

type heldItem struct {
	item item
	at   time.Time
	key  string
}

func (s *holding) add(h heldItem) error {
	if s.m.waiting >= 10*MostWaiting {
		return &parley.Error{Code: parley.Overloaded, Detail: "more than 100000 events wait in the pipe", Fix: "let a stage before it give less, or let this one pass more"}
	}
	s.line = append(s.line, h)
	s.m.waiting++
	return nil
}

// pass gives items on, in the order in which they came.
func (s *holding) pass(all []item) error {
	s.m.waiting -= len(all)
	return s.emit(all)
}

func (s *holding) held(visit func(*item)) {
	for i := range s.line {
		visit(&s.line[i].item)
	}
}

func (s *holding) end() error {
	var all []item
	for _, h := range s.line {
		all = append(all, h.item)
	}
	s.line = nil
	return s.pass(all)
}

func (s *holding) states() []itemState {
	all := make([]itemState, 0, len(s.line))
	for i := range s.line {
		one := saveItem(&s.line[i].item)
		one.At, one.Key = s.line[i].at, s.line[i].key
		all = append(all, one)
	}
	return all
}

func (s *holding) restore(states []itemState) error {
	s.line = nil
	for _, one := range states {
		it, err := loadItem(one)
		if err != nil {
			return err
		}
		s.line = append(s.line, heldItem{it, one.At, one.Key})
	}
	return nil
}

func (s *holding) save() any { return s.states() }

func (s *holding) load(text []byte) error {
	var states []itemState
	if err := json.Unmarshal(text, &states); err != nil {
		return err
	}
	return s.restore(states)
}

// delaying passes items later.
type delaying struct {
	holding
	by time.Duration
}

func makeDelay(_ *compiler, s *spec) (node, error) {
	return &delaying{by: s.duration("for", 0)}, nil
}

func (s *delaying) push(items []item) error {
	for i := range items {
		if err := s.add(heldItem{item: items[i], at: s.m.now.Add(s.by)}); err != nil {
			return err
		}
	}
	return nil
}

func (s *delaying) tick() error {
	n := 0
	for n < len(s.line) && !s.line[n].at.After(s.m.now) {
		n++
	}
	if n == 0 {
		return nil
	}
	all := make([]item, 0, n)
	for _, h := range s.line[:n] {
		all = append(all, h.item)
	}
	s.line = append([]heldItem(nil), s.line[n:]...)
	return s.pass(all)
}

func (s *delaying) due() (time.Time, bool) {
	if len(s.line) == 0 {
		return time.Time{}, false
	}
	return s.line[0].at, true
}

// throttling passes items as fast as a rule allows, those of a key in their order.
type throttling struct {
	holding
	key   *eval
	rule  *throttle.Rule
	keys  map[string][]uint64
	fresh int // keys that were added since the idle ones were forgotten
	next  time.Time
}

func makeThrottle(c *compiler, s *spec) (node, error) {
	key, err := c.expr(s, "key")
	if err != nil {
		return nil, err
	}
	limit, err := throttle.ParseLimit(s.text("rate"))
	if err != nil {
		return nil, s.wrong("rate", err.Error(), "write it like 10/s")
	}
	rule, err := throttle.Compile(limit)
	if err != nil {
		return nil, s.wrong("rate", err.Error(), "write it like 10/s")
	}
	if rule.Held() || limit.Quota == 0 {
		return nil, s.wrong("rate", "a rate that lets nothing pass, or counts what is inside, is none for a pipe", "write it like 10/s")
	}
	return &throttling{key: key, rule: rule, keys: map[string][]uint64{}}, nil
}

// sinceEpoch is the time as rules take it.
func sinceEpoch(t time.Time) time.Duration { return time.Duration(max(t.UnixNano(), 0)) }

// take asks for a unit.
func (s *throttling) take(key string) throttle.Decision {
	state := s.keys[key]
	if state == nil {
		if s.fresh++; s.fresh > 1000 && s.fresh > len(s.keys)/2 {
			s.forget()
		}
		state = make([]uint64, s.rule.Words())
		s.keys[key] = state
	}
	return s.rule.Take(state, sinceEpoch(s.m.now), 1)
}

func (s *throttling) forget() {
	s.fresh = 0
	for key, state := range s.keys {
		if s.rule.Idle(state, sinceEpoch(s.m.now)) {
			delete(s.keys, key)
		}
	}
}

func (s *throttling) push(items []item) error {
	for i := range items {
		key := ""
		if s.key != nil {
			var err error
			if key, err = s.key.key(&items[i]); err != nil {
				if err := s.fail(&items[i], err, 1); err != nil {
					return err
				}
				continue
			}
		}
		if err := s.add(heldItem{item: items[i], key: key}); err != nil {
			return err
		}
	}
	return s.release()
}

func (s *throttling) tick() error {
	if len(s.line) == 0 || s.m.now.Before(s.next) {
		return nil
	}
	return s.release()
}

// release passes what may go now, and finds when the next may.
func (s *throttling) release() error {
	var all []item
	wait := time.Duration(-1)
	blocked := map[string]bool{}
	left := s.line[:0]
	for i := range s.line {
		h := s.line[i]
		if !blocked[h.key] {
			d := s.take(h.key)
			if d.OK {
				all = append(all, h.item)
				continue
			}
			if blocked[h.key] = true; wait < 0 || d.RetryAfter < wait {
				wait = d.RetryAfter
			}
		}
		left = append(left, h)
		if s.key == nil {
			left = append(left, s.line[i+1:]...) // one key: nothing behind it may pass
			break
		}
	}
	clear(s.line[len(left):])
	s.line = left
	s.next = s.m.now.Add(max(wait, 1))
	return s.pass(all)
}

func (s *throttling) due() (time.Time, bool) { return s.next, len(s.line) > 0 }

type throttleState struct {
	Line []itemState         `json:"line,omitempty"`
	Keys map[string][]uint64 `json:"keys,omitempty"`
	Next time.Time           `json:"next,omitzero"`
}

func (s *throttling) save() any {
	s.forget()
	return throttleState{Line: s.states(), Keys: s.keys, Next: s.next}
}

func (s *throttling) load(text []byte) error {
	var t throttleState
	if err := json.Unmarshal(text, &t); err != nil {
		return err
	}
	s.keys, s.next = map[string][]uint64{}, t.Next
	for k, words := range t.Keys {
		if len(words) == s.rule.Words() {
			s.keys[k] = words
		}
	}
	return s.restore(t.Line)
}
