package journal

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/internal/script"
)

// TestLedger plays calls and Appends: who is answered when, and what.
func TestLedger(t *testing.T) {
	script.Run(t, "testdata/ledger_*.txt", func(t *testing.T) func(script.Case) string {
		l, names := &ledger{open: newGroup()}, map[*call]string{}
		told := func(calls []*call, say func(*call) string) string {
			var out []string
			for _, c := range calls {
				out = append(out, names[c]+": "+say(c))
			}
			if out == nil {
				return "nobody"
			}
			return strings.Join(out, "\n")
		}
		return func(c script.Case) string {
			switch c.Name {
			case "call":
				call := &call{}
				names[call] = fmt.Sprintf("%s %d", c.Rest, len(names)+1)
				switch c.Rest {
				case "firm":
					call.moves, call.firm = 1, true
				case "lazy":
					call.moves = 1
				}
				if l.taken(call) {
					return "answered"
				}
				return "waits"
			case "send":
				l.send(newGroup())
				return "ok"
			case "landed":
				return told(l.landed().waiters, func(*call) string { return "answered" })
			case "fail":
				lost := l.flight
				return told(l.lost(), func(call *call) string {
					why := parley.Errorf(parley.Conflict, "another owner")
					return parley.CodeOf(call.fate(lost, c.Rest == "certain", why)).String()
				})
			}
			return "unknown command"
		}
	})
}

func TestSurvey(t *testing.T) {
	script.Run(t, "testdata/survey.txt", func(t *testing.T) func(script.Case) string {
		return func(c script.Case) string {
			s := newSurvey()
			at := parley.Position(1)
			var w sum
			for line := range strings.Lines(c.Input) {
				b := written(t, strings.Fields(line), &w)
				parley.SetBase(b.Bytes(), at, 0)
				at = b.Next()
				s.batch(b)
			}
			out := fmt.Sprintf("%d moves, term %d", s.number, s.term)
			from := s.from()
			if from == nil {
				return out + "\nrefused: " + s.cause.Error()
			}
			for _, f := range from {
				out += "\nfrom the first move"
				if f.at > 0 {
					out = strings.TrimSuffix(out, "from the first move") + fmt.Sprintf("from the snapshot at %d, of %d moves in %d parts", f.at, f.number, f.sum.count)
				}
			}
			return out
		}
	})
}

// written encodes one batch of records; w goes with the snapshot being written.
func written(t *testing.T, words []string, w *sum) parley.Batch {
	t.Helper()
	var b parley.Builder
	for i, word := range words {
		number, err := strconv.ParseUint(strings.TrimPrefix(word[1:], "="), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		k, value := kind(word[0]), []byte("value "+strconv.Itoa(i))
		switch k {
		case kindTake:
			value = appendTake(nil, 7, [nonceSize]byte{}, "me")
		case kindBegin:
			value, *w = appendBegin(nil, 7), sum{}
		case kindPart:
			w.add(value)
		case kindEnd:
			if value = appendEnd(nil, *w); strings.Contains(word, "=") {
				value[0]++
			}
		}
		if err := b.AddRecord(time.UnixMilli(1000), appendKey(nil, k, number), value); err != nil {
			t.Fatal(err)
		}
	}
	batch, err := b.Batch()
	if err != nil {
		t.Fatal(err)
	}
	return batch.Clone()
}

func TestClock(t *testing.T) {
	ms := func(list ...int64) (out []int64) {
		var c clock
		c.saw(list[0])
		for _, wall := range list[1:] {
			out = append(out, c.at(time.UnixMilli(wall)).UnixMilli())
		}
		return out
	}
	for _, c := range []struct{ in, want []int64 }{
		{[]int64{0, 100, 101, 101, 150}, []int64{100, 101, 101, 150}},
		{[]int64{500, 100, 110, 600}, []int64{500, 510, 1000}}, // behind the owner before
		{[]int64{0, 100, 50, 60}, []int64{100, 100, 110}},      // set back on the way
	} {
		if got := ms(c.in...); !slices.Equal(got, c.want) {
			t.Errorf("clock at %v gives %v, want %v", c.in, got, c.want)
		}
	}
	c := clock{ahead: 400}
	if d := c.until(time.UnixMilli(1000).Add(time.Microsecond), time.UnixMilli(100)); d != 501*time.Millisecond {
		t.Errorf("a deadline in the middle of a millisecond is %v away", d)
	}
}

func TestSnapshotPolicy(t *testing.T) {
	for _, c := range []struct {
		s    snapshots
		want bool
	}{
		{snapshots{every: 10, size: 100, records: 9, bytes: 99}, false},
		{snapshots{every: 10, size: 100, records: 10, bytes: 1}, true},
		{snapshots{every: 10, size: 100, records: 1, bytes: 100}, true},
		{snapshots{every: 10, size: 100, records: 10, bytes: 499, last: 500}, false}, // the state is large, the moves are few
		{snapshots{every: 10, size: 100, records: 10, bytes: 500, last: 500}, true},
		{snapshots{size: 100, records: 10, bytes: 500}, false}, // switched off
	} {
		if got := c.s.due(); got != c.want {
			t.Errorf("%+v: due %v", c.s, got)
		}
	}
}
