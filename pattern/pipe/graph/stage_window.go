package graph

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pipe"
)

// mostCollected bounds what --collect keeps of one window, and mostAhead how far an
// event may be in the future: one with a wrong clock would close all windows.
const (
	mostCollected = 10_000
	mostAhead     = 24 * time.Hour
)

// figures are what is known of a window.
type figures struct {
	Sum   float64           `json:"sum,omitempty"`
	Min   float64           `json:"min,omitempty"`
	Max   float64           `json:"max,omitempty"`
	Of    int               `json:"of,omitempty"` // numbers
	Data  []json.RawMessage `json:"data,omitempty"`
	Bytes int               `json:"bytes,omitempty"`
	From  []origin          `json:"from"`
}

func (f *figures) add(n float64) {
	if f.Of == 0 {
		f.Min, f.Max = n, n
	}
	f.Sum, f.Min, f.Max, f.Of = f.Sum+n, min(f.Min, n), max(f.Max, n), f.Of+1
}

func mergeFigures(into *figures, from figures) {
	if from.Of > 0 {
		if into.Of == 0 {
			into.Min, into.Max = from.Min, from.Max
		}
		into.Min, into.Max = min(into.Min, from.Min), max(into.Max, from.Max)
	}
	into.Sum, into.Of = into.Sum+from.Sum, into.Of+from.Of
	into.Data, into.Bytes = append(into.Data, from.Data...), into.Bytes+from.Bytes
	for _, o := range from.From {
		into.From = addOrigin(into.From, o)
	}
}

// windowing groups events by their own time.
type windowing struct {
	stage
	open    *pipe.Windower[figures]
	key     *eval
	time    *eval
	of      *eval
	collect bool
	idle    time.Duration
	late    []node

	newest time.Time // event time
	came   time.Time // when the last event did
}

func makeWindow(c *compiler, s *spec) (node, error) {
	w := &windowing{collect: s.on("collect"), idle: s.duration("idle", 0)}
	var err error
	w.open, err = pipe.NewWindower(pipe.Windows{Size: s.duration("size", 0), Slide: s.duration("slide", 0), Gap: s.duration("gap", 0), Late: s.duration("lateness", 0)}, mergeFigures)
	if err != nil {
		e, _ := errorsAs(err)
		return nil, s.wrong("", e.Detail, "give a size, as in window 1m, or --gap for sessions; --slide is at most the size")
	}
	for param, f := range map[string]**eval{"key": &w.key, "time": &w.time, "of": &w.of} {
		if *f, err = c.expr(s, param); err != nil {
			return nil, err
		}
	}
	w.late, err = c.pipes(s, "late")
	return w, err
}

func (s *windowing) care() care { return opened }

func (s *windowing) push(items []item) error {
	for i := range items {
		late, err := s.add(&items[i])
		if parley.CodeOf(err) == parley.Overloaded && err != nil {
			return err // the state is at its bound
		}
		if late && len(s.late) > 0 {
			err = side(s.late[0], items[i:i+1])
			if err != nil {
				return err
			}
			continue
		}
		if late {
			err = &parley.Error{Code: parley.Unprocessable, Detail: "the event is late: all its windows are closed", Fix: "allow more lateness, or give late a pipe"}
		}
		if err != nil {
			if err := s.fail(&items[i], err, 1); err != nil {
				return err
			}
			continue
		}
		if err := s.closed(s.open.Closed); err != nil {
			return err
		}
	}
	return nil
}

// add puts an event into its windows.
func (s *windowing) add(it *item) (late bool, err error) {
	at, err := s.timeOf(it)
	if err != nil {
		return false, err
	}
	key := ""
	if s.key != nil {
		if key, err = s.key.key(it); err != nil {
			return false, err
		}
	}
	var n float64
	if s.of != nil {
		v, err := s.of.on(it)
		if err != nil {
			return false, err
		}
		var ok bool
		if n, ok = number(v); !ok {
			return false, parley.Errorf(parley.Unprocessable, "what is counted is %s; a number is needed", kindOf(v))
		}
	}
	var data []byte
	if s.collect {
		v, err := it.value()
		if err != nil {
			return false, err
		}
		if data, err = encode(v); err != nil {
			return false, err
		}
	}
	full := false
	late, err = s.open.Add(key, at, func(f *figures) {
		if s.of != nil {
			f.add(n)
		}
		if s.collect {
			f.Data, f.Bytes = append(f.Data, data), f.Bytes+len(data)+1
			full = full || len(f.Data) > mostCollected || f.Bytes > MaxData-1024
		}
		f.From = addOrigin(f.From, it.from)
		for _, o := range it.more {
			f.From = addOrigin(f.From, o)
		}
	})
	if full {
		return false, &parley.Error{Code: parley.Overloaded, Field: s.spec.name, Detail: "a window collects more than 10000 events or 8 MB", Fix: "leave collect away, or make the window smaller"}
	}
	if err == nil && !late {
		s.came = s.m.now
		if at.After(s.newest) {
			s.newest = at
		}
	}
	return late, err
}

func (s *windowing) timeOf(it *item) (time.Time, error) {
	at := it.event.Time
	if s.time != nil {
		v, err := s.time.on(it)
		if err != nil {
			return at, err
		}
		if at, err = asTime(v); err != nil {
			return at, err
		}
	}
	if at.IsZero() {
		at = s.m.now
	}
	if at.Sub(s.m.now) > mostAhead {
		return at, parley.Errorf(parley.Unprocessable, "its time, %s, is more than a day ahead", at.UTC().Format(time.RFC3339))
	}
	return at.UTC(), nil
}

func asTime(v any) (time.Time, error) {
	switch v := v.(type) {
	case time.Time:
		return v, nil
	case string:
		t, err := time.Parse(time.RFC3339Nano, v)
		if err == nil {
			return t, nil
		}
	}
	if n, ok := number(v); ok && n >= 0 && n < 1e11 {
		return time.Unix(int64(n), int64((n-float64(int64(n)))*1e9)), nil
	}
	return time.Time{}, parley.Errorf(parley.Unprocessable, "its time is %s; RFC 3339 or seconds since 1970 are needed", kindOf(v))
}

// closed gives windows on.
func (s *windowing) closed(next func() (pipe.Pane[figures], bool)) error {
	for p, ok := next(); ok; p, ok = next() {
		out, err := s.result(p)
		if err != nil {
			return err
		}
		if err := s.emit([]item{out}); err != nil {
			return err
		}
	}
	return nil
}

// result makes the event of a window. Its id says which window of which key it is,
// so that it is the same whenever the window is counted.
func (s *windowing) result(p pipe.Pane[figures]) (item, error) {
	f := p.Value
	v := map[string]any{"start": p.Start.Format(time.RFC3339Nano), "end": p.End.Format(time.RFC3339Nano), "count": p.Events}
	if s.key != nil {
		v["key"] = p.Key
	}
	if s.of != nil && f.Of > 0 {
		v["sum"], v["min"], v["max"], v["mean"] = f.Sum, f.Min, f.Max, f.Sum/float64(f.Of)
	}
	if s.collect {
		list := make([]any, 0, len(f.Data))
		for _, text := range f.Data {
			one, err := decode(text)
			if err != nil {
				return item{}, err
			}
			list = append(list, one)
		}
		v["events"] = list
	}
	blank := item{event: parley.Event{Source: "-", ID: "-", Type: "parley.pipe.window", Time: p.End}, from: f.From[0], more: f.From[1:]}
	out, err := s.become(&blank, v, 0)
	if err != nil {
		return item{}, err
	}
	out.open()
	out.parent = nil
	out.event.ID = s.id("window", p.Key, p.Start.Format(time.RFC3339Nano), p.End.Format(time.RFC3339Nano), strconv.Itoa(len(f.From)))
	if printable(p.Key) == p.Key && len(p.Key) <= parley.MaxAttributeBytes {
		out.event.Subject = p.Key
	}
	return out, nil
}

// With idle, event time goes on with the clock when nothing comes.
func (s *windowing) tick() error {
	if s.idle <= 0 || s.open.Len() == 0 || s.m.now.Before(s.came.Add(s.idle)) {
		return nil
	}
	s.open.Advance(s.newest.Add(s.m.now.Sub(s.came)))
	return s.closed(s.open.Closed)
}

func (s *windowing) due() (time.Time, bool) {
	if s.idle <= 0 || s.open.Len() == 0 {
		return time.Time{}, false
	}
	first := s.came.Add(s.idle)
	if closes := s.came.Add(s.open.Next().Sub(s.newest)); closes.After(first) {
		return closes, true
	}
	return first, true
}

func (s *windowing) end() error { return s.closed(s.open.Flush) }

func (s *windowing) held(visit func(*item)) {
	s.open.Each(func(f *figures) {
		for _, o := range f.From {
			visit(&item{from: o})
		}
	})
}

type windowState struct {
	Open   pipe.WindowState[figures] `json:"open"`
	Newest time.Time                 `json:"newest,omitzero"`
	Came   time.Time                 `json:"came,omitzero"`
}

func (s *windowing) save() any { return windowState{s.open.State(), s.newest, s.came} }

func (s *windowing) load(text []byte) error {
	var state windowState
	if err := json.Unmarshal(text, &state); err != nil {
		return err
	}
	for _, p := range state.Open.Panes {
		if len(p.Value.From) == 0 {
			return parley.Errorf(parley.Damaged, "a window is of no event")
		}
	}
	s.newest, s.came = state.Newest, state.Came
	s.open.Restore(state.Open)
	return nil
}
