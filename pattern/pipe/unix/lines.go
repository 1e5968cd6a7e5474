package unix

import (
	"bytes"
	"context"
	"strconv"

	"github.com/parleyhq/parley/pattern/pipe"
)

// header is head: the first lines, or all but the last.
type header struct {
	left int64
	back *keeper // for all but the last
	one  [1]*block
	out  output
}

// Push implements pipe.Stage.
func (h *header) Push(_ context.Context, in []*block, to emit) error {
	for _, b := range in {
		if h.back != nil {
			if err := h.back.add(b, func(line []byte) error { return h.out.write(to, line) }); err != nil {
				return err
			}
			continue
		}
		if h.left == 0 {
			return pipe.Stop
		}
		at := 0
		for h.left > 0 && at < len(b.data) {
			n := bytes.IndexByte(b.data[at:], '\n')
			if n < 0 {
				at = len(b.data)
				break
			}
			at += n + 1
			h.left--
		}
		b.data = b.data[:at]
		h.one[0] = b
		if err := to(h.one[:]); err != nil {
			return err
		}
		if h.left == 0 {
			return pipe.Stop
		}
	}
	return h.out.flush(to)
}

// End implements pipe.Stage.
func (h *header) End(context.Context, emit) error { return nil }

// keeper keeps the last n lines, with their newlines.
type keeper struct {
	n     int64
	lines [][]byte // a ring, once it is full
	at    int
}

// add takes lines, and gives those that are not among the last any more.
func (k *keeper) add(b *block, old func([]byte) error) error {
	err := eachLine(b.data, func(line []byte, ended bool) error {
		if ended {
			line = line[:len(line)+1]
		}
		if k.n == 0 {
			return old(line)
		}
		if int64(len(k.lines)) < k.n {
			k.lines = append(k.lines, append([]byte(nil), line...))
			return nil
		}
		if err := old(k.lines[k.at]); err != nil {
			return err
		}
		k.lines[k.at] = append(k.lines[k.at][:0], line...)
		k.at = (k.at + 1) % len(k.lines)
		return nil
	})
	b.free()
	return err
}

// all calls do with what is kept, oldest first.
func (k *keeper) all(do func([]byte) error) error {
	for i := range k.lines {
		if err := do(k.lines[(k.at+i)%len(k.lines)]); err != nil {
			return err
		}
	}
	return nil
}

// trailer is tail: the last lines, or all from one on.
type trailer struct {
	keep keeper
	from int64 // lines still to leave out, with plus
	plus bool
	one  [1]*block
	out  output
}

// Push implements pipe.Stage.
func (s *trailer) Push(_ context.Context, in []*block, to emit) error {
	for _, b := range in {
		if !s.plus {
			if err := s.keep.add(b, func([]byte) error { return nil }); err != nil {
				return err
			}
			continue
		}
		at := 0
		for s.from > 0 && at < len(b.data) {
			n := bytes.IndexByte(b.data[at:], '\n')
			if n < 0 {
				at = len(b.data)
				break
			}
			at += n + 1
			s.from--
		}
		if at == len(b.data) {
			b.free()
			continue
		}
		b.data = b.data[:copy(b.data, b.data[at:])]
		s.one[0] = b
		if err := to(s.one[:]); err != nil {
			return err
		}
	}
	return nil
}

// End implements pipe.Stage.
func (s *trailer) End(_ context.Context, to emit) error {
	if s.plus {
		return nil
	}
	if err := s.keep.all(func(line []byte) error { return s.out.write(to, line) }); err != nil {
		return err
	}
	return s.out.flush(to)
}

// countLines reads the argument of -n.
func countLines(a *arguments, sign string) (n int64, marked bool, err error) {
	g, ok := a.last("n")
	if !ok {
		return 10, false, nil
	}
	digits := g.value
	if len(digits) > 0 && (digits[:1] == sign || digits[0] == '-' && sign == "+") {
		marked, digits = digits[:1] == sign, digits[1:]
	}
	n, e := strconv.ParseInt(digits, 10, 63)
	if e != nil || digits[0] < '0' || digits[0] > '9' {
		return 0, false, a.wrong(g.word, "write it like -n 5", "%q is not a number of lines", g.value)
	}
	return n, marked, nil
}

func buildHead(s *step, a *arguments) error {
	n, back, err := countLines(a, "-")
	if err != nil {
		return err
	}
	s.needsLines, s.keepsLines = back, true
	if err := s.input(a, 1); err != nil {
		return err
	}
	s.put = func(_ *running, f flow) flow {
		return pipe.Apply(f, false, func() pipe.Stage[*block, *block] {
			h := &header{left: n}
			if back {
				h.back = &keeper{n: n}
			}
			return h
		})
	}
	return nil
}

func buildTail(s *step, a *arguments) error {
	n, plus, err := countLines(a, "+")
	if err != nil {
		return err
	}
	s.needsLines, s.keepsLines, s.follows = !plus, true, a.has("f")
	if err := s.input(a, 1); err != nil {
		return err
	}
	if s.follows && (s.reads == nil || s.reads[0] == "-") {
		return a.wrong(a.name, "write it like: tail -f app.log | …", "only a file that tail reads itself can be followed")
	}
	if s.follows {
		s.source = func(r *running) pipe.Source[*block] { return newFollower(r, s.reads[0], n, plus) }
		s.needsLines, s.keepsLines = false, false
		s.put = func(_ *running, f flow) flow { return f }
		return nil
	}
	s.put = func(_ *running, f flow) flow {
		return pipe.Apply(f, false, func() pipe.Stage[*block, *block] {
			return &trailer{keep: keeper{n: n}, plus: plus, from: max(n-1, 0)}
		})
	}
	return nil
}
