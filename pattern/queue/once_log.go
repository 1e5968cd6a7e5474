package queue

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"slices"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
)

// MaxOnce is how many keys a LogOnce remembers: the newest. A job that comes back
// when so many others were done in between is run again.
const MaxOnce = 100_000

// LogOnce is a OnceStore in one stream of a log, "$once.{name}", which any number
// of processes may share. It is written by compare-and-append, so that of two who
// begin one does. It keeps about 150 bytes of memory a key; outputs stay in the
// log. It starts nothing.
type LogOnce struct {
	log    parley.Log
	stream parley.Stream
	most   int

	turn chan struct{} // a place for one at a time, who has what follows

	marks  map[string]onceMark
	order  []oncePlace     // ascending; out of date where the mark is elsewhere
	next   parley.Position // read up to here
	newest parley.Position // base of the newest batch, or Empty
}

type onceMark struct {
	done  bool
	since int64 // in milliseconds
	at    parley.Position
	nonce string // of who made it
}

type oncePlace struct {
	at  parley.Position
	key string
}

// onceRecord is the value of a record; its key is the kind and the key.
type onceRecord struct {
	Nonce  string  `json:"nonce"`
	Output *Output `json:"output,omitempty"`
}

const (
	onceBegin   = 'b'
	onceFinish  = 'd'
	onceRelease = 'r'
)

var _ OnceStore = (*LogOnce)(nil)

// NewLogOnce gives the store of a name, as a topic's without ~ and $. Errors:
// Invalid, Forbidden.
func NewLogOnce(log parley.Log, name string) (*LogOnce, error) {
	if err := topic.CheckName(name); err != nil {
		return nil, err
	}
	if topic.IsEphemeral(name) || len(name) > MaxName {
		return nil, parley.BadField("name", "cannot be a store's name", "choose one without ~, of at most 200 bytes")
	}
	s := &LogOnce{log: log, stream: parley.Stream{Name: "$once." + name}, most: MaxOnce, turn: make(chan struct{}, 1)}
	s.reset()
	return s, nil
}

func (s *LogOnce) reset() {
	s.marks, s.order, s.next, s.newest = make(map[string]onceMark), nil, 0, parley.Empty
}

// Begin implements OnceStore. Errors: those of the log.
func (s *LogOnce) Begin(ctx context.Context, key string) (mark OnceMark, err error) {
	var at parley.Position
	nonce := rand.Text()
	err = s.write(ctx, onceBegin, key, onceRecord{Nonce: nonce}, func(m onceMark, there bool) bool {
		mark = OnceMark{State: OnceNew, Since: timeOf(m.since)}
		if at = m.at; there && m.nonce != nonce {
			if mark.State = OnceBegun; m.done {
				mark.State = OnceDone
			}
		}
		return !there
	})
	if err == nil && mark.State == OnceDone {
		mark.Output, err = s.output(ctx, at)
	}
	return mark, err
}

// Finish implements OnceStore. Errors: TooLarge; those of the log.
func (s *LogOnce) Finish(ctx context.Context, key string, out *Output) error {
	if out != nil && len(out.Data) > MaxResult {
		return &parley.Error{Code: parley.TooLarge, Field: "result", Detail: "has more than 256 KiB", Fix: "store the data elsewhere, and return a reference"}
	}
	return s.write(ctx, onceFinish, key, onceRecord{Output: out}, func(m onceMark, there bool) bool { return !there || !m.done })
}

// Release implements OnceStore. Errors: those of the log.
func (s *LogOnce) Release(ctx context.Context, key string) error {
	return s.write(ctx, onceRelease, key, onceRecord{}, func(_ onceMark, there bool) bool { return there })
}

// write appends a record if it is wanted as things are, and as often as somebody
// else was faster. A repeat after an answer that was lost finds what it did.
func (s *LogOnce) write(ctx context.Context, kind byte, key string, r onceRecord, wanted func(onceMark, bool) bool) error {
	value, err := json.Marshal(r)
	if err != nil {
		return err
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		if err := s.catchUp(ctx); err != nil {
			return err
		}
		if m, there := s.marks[key]; !wanted(m, there) {
			return nil
		}
		var b parley.Builder
		if err := b.AddRecord(time.Now(), append([]byte{kind}, key...), value); err != nil {
			return err
		}
		batch, err := b.Batch()
		if err != nil {
			return err
		}
		_, err = s.log.Append(ctx, parley.Write{Stream: s.stream, Expect: s.newest, Batch: batch})
		if err != nil && parley.CodeOf(err) != parley.Conflict && parley.CodeOf(err) != parley.Unknown {
			return err
		}
		if ctx.Err() != nil {
			return err
		}
		if err == nil && kind != onceBegin {
			return nil // it is folded when it is looked for
		}
		if err == nil {
			wanted(onceMark{since: time.Now().UnixMilli(), nonce: r.Nonce}, true)
			return nil
		}
		pause(ctx, time.Millisecond)
	}
}

// catchUp folds what is new in the stream, and forgets what is oldest.
func (s *LogOnce) catchUp(ctx context.Context) error {
	for {
		run, err := s.log.Read(ctx, parley.Place{Stream: s.stream, At: s.next}, 1<<20)
		if parley.CodeOf(err) == parley.Trimmed && s.next > 0 {
			s.reset()
			continue
		}
		if err != nil {
			return err
		}
		if run.Empty() {
			return nil
		}
		err = s.fold(run)
		run.Release()
		if err == nil {
			err = s.forget(ctx)
		}
		if err != nil {
			return err
		}
	}
}

func (s *LogOnce) fold(run parley.Run) error {
	for b := range run.Batches() {
		for r, err := range b.Records() {
			if err != nil {
				return err
			}
			var v onceRecord
			if len(r.Key) < 2 || json.Unmarshal(r.Value, &v) != nil {
				return parley.Errorf(parley.Damaged, "the record at %d of %s is none of a store of what was done", r.Position, s.stream.Name)
			}
			key := string(r.Key[1:])
			if r.Key[0] == onceRelease {
				delete(s.marks, key)
				continue
			}
			s.marks[key] = onceMark{done: r.Key[0] == onceFinish, since: r.Millis, at: r.Position, nonce: v.Nonce}
			s.order = append(s.order, oncePlace{r.Position, key})
		}
		s.next, s.newest = b.Next(), b.Base()
	}
	return nil
}

// forget drops the oldest keys, and the stream below what is left.
func (s *LogOnce) forget(ctx context.Context) error {
	if len(s.order) > 4*len(s.marks)+1000 {
		s.order = slices.DeleteFunc(s.order, func(o oncePlace) bool { return s.marks[o.key].at != o.at })
	}
	cut := 0
	for cut < len(s.order) {
		o := s.order[cut]
		if m, there := s.marks[o.key]; there && m.at == o.at {
			if len(s.marks) <= s.most {
				break
			}
			delete(s.marks, o.key)
		}
		cut++
	}
	if cut == 0 {
		return nil
	}
	s.order = append([]oncePlace(nil), s.order[cut:]...)
	if len(s.order) == 0 {
		return nil
	}
	return s.log.Trim(ctx, s.stream, s.order[0].at)
}

// output reads what came out of what was done.
func (s *LogOnce) output(ctx context.Context, at parley.Position) (*Output, error) {
	run, err := s.log.Read(ctx, parley.Place{Stream: s.stream, At: at}, 1)
	if err != nil {
		return nil, err
	}
	defer run.Release()
	for r, err := range run.Records() {
		if err != nil {
			return nil, err
		}
		if r.Position == at {
			var v onceRecord
			err := json.Unmarshal(r.Value, &v)
			return v.Output, err
		}
	}
	return nil, parley.Errorf(parley.Damaged, "the record at %d of %s is not there", at, s.stream.Name)
}
