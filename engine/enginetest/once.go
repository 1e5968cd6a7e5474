package enginetest

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"

	"github.com/parleyhq/parley"
)

var onceChecks = []check{
	{"Once/Repeat", "a repeated key appends nothing and answers the first position as a repeat, whatever Expect and Batch say now", onceRepeat},
	{"Once/PerStream", "a key belongs to its stream: the same key in another stream is another", oncePerStream},
	{"Once/Alone", "a write with a key must be the only one of its Append, and carry a batch; otherwise Invalid", onceAlone},
	{"Once/FailureIsNoFirst", "an Append that failed does not use up its key", onceFailure},
	{"Once/Race", "of Appends at the same time with one key, exactly one appends; all answer its position", onceRace},
	{"Once/Window", "a key is recognised within OnceWindow while fewer than OnceKeys newer ones came", onceWindow},
	{"Once/Trim", "a key is recognised also when its batch was trimmed", onceTrim},
}

func key(n uint64) (k parley.Key) {
	binary.BigEndian.PutUint64(k[8:], n+1)
	return k
}

// once appends with a key.
func (e *env) once(k parley.Key, w parley.Write) (parley.Appended, error) {
	w.Once = k
	got, err := e.try(w)
	if err != nil {
		return parley.Appended{}, err
	}
	return got[0], nil
}

func (e *env) mustOnce(k parley.Key, w parley.Write, repeat bool) parley.Position {
	e.Helper()
	got, err := e.once(k, w)
	if err != nil || got.Repeat != repeat {
		e.Fatalf("append with key %x: %+v, %v; want repeat %v", k[8:], got, err, repeat)
	}
	return got.Base
}

func onceRepeat(e *env) {
	first := e.mustOnce(key(1), expecting(parley.Empty, write(sA, "1")), false)
	e.add(sA, "2")
	for what, w := range map[string]parley.Write{
		"the same":                        expecting(parley.Empty, write(sA, "1")),
		"another body":                    write(sA, "3", "4"),
		"a comparison that does not hold": expecting(first, write(sA, "1")),
	} {
		if at := e.mustOnce(key(1), w, true); at != first {
			e.Fatalf("%s: answered %d, the first went to %d", what, at, first)
		}
	}
	e.wantValues(sA, "1", "2")
	if at := e.mustOnce(key(2), write(sA, "5"), false); at <= first {
		e.Fatalf("another key went to %d, not above %d", at, first)
	}
	e.wantValues(sA, "1", "2", "5")
}

func oncePerStream(e *env) {
	e.mustOnce(key(1), write(sA, "a"), false)
	e.mustOnce(key(1), write(sB, "b"), false)
	e.mustOnce(key(1), write(sA, "a"), true)
	e.wantValues(sA, "a")
	e.wantValues(sB, "b")
}

func onceAlone(e *env) {
	keyed := write(sA, "no")
	keyed.Once = key(1)
	e.refuse(parley.Invalid, "a keyed write beside another", keyed, write(sB, "no"))
	e.refuse(parley.Invalid, "a keyed write beside a guard", guard(sB, parley.Empty), keyed)
	alone := guard(sA, parley.Empty)
	alone.Once = key(2)
	e.refuse(parley.Invalid, "a guard with a key", alone)
	e.wantValues(sA)
	e.wantValues(sB)
	e.mustOnce(key(1), keyed, false)
}

func onceFailure(e *env) {
	e.add(sA, "1")
	w := expecting(parley.Empty, write(sA, "2"))
	w.Once = key(1)
	e.refuse(parley.Conflict, "a keyed write whose comparison does not hold", w)
	e.mustOnce(key(1), write(sA, "2"), false)
	e.wantValues(sA, "1", "2")
}

func onceRace(e *env) {
	for i := range max(e.suite.Rounds/10, 3) {
		var firsts, base atomic.Int64
		answers := make([]parley.Position, 8)
		e.together(8, func(k int) error {
			got, err := e.once(key(uint64(i)), write(sA, fmt.Sprintf("%d.%d", i, k)))
			if err == nil && !got.Repeat {
				firsts.Add(1)
				base.Store(int64(got.Base))
			}
			answers[k] = got.Base
			return err
		})
		for _, a := range answers {
			if firsts.Load() != 1 || int64(a) != base.Load() {
				e.Fatalf("round %d: %d firsts at %d, answers %v", i, firsts.Load(), base.Load(), answers)
			}
		}
		if n := len(e.all(sA)); n != i+1 {
			e.Fatalf("round %d: the stream has %d batches", i, n)
		}
	}
}

func onceWindow(e *env) {
	n := uint64(5 * e.suite.Rounds)
	bases := make([]parley.Position, n)
	e.together(4, func(k int) error {
		for i := uint64(k); i < n; i += 4 {
			got, err := e.once(key(i), write(sA, fmt.Sprint(i)))
			if err != nil || got.Repeat {
				return fmt.Errorf("key %d: %+v, %w", i, got, err)
			}
			bases[i] = got.Base
		}
		return nil
	})
	for i := range n {
		if at := e.mustOnce(key(i), write(sA, "again"), true); at != bases[i] {
			e.Fatalf("key %d went to %d, its repeat is answered with %d", i, bases[i], at)
		}
	}
	if got := len(e.all(sA)); got != int(n) {
		e.Fatalf("%d keys made %d batches", n, got)
	}
}

func onceTrim(e *env) {
	first := e.mustOnce(key(1), write(sA, "1"), false)
	e.add(sA, "2")
	e.trimAway(sA, first)
	if at := e.mustOnce(key(1), write(sA, "1"), true); at != first {
		e.Fatalf("answered %d, the first went to %d", at, first)
	}
}
