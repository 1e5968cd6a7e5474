package unix

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/parleyhq/parley/pattern/pipe"
)

type wcStage struct {
	lines, words, bytes bool
	width               int
	name                string
	sum                 struct{ lines, words, bytes uint64 }
	within              bool // a word
	out                 output
}

// Push implements pipe.Stage.
func (s *wcStage) Push(_ context.Context, in []*block, _ emit) error {
	for _, b := range in {
		s.sum.bytes += uint64(len(b.data))
		if s.lines {
			s.sum.lines += uint64(bytes.Count(b.data, newline))
		}
		if s.words {
			s.count(b.data)
		}
		b.free()
	}
	return nil
}

// count counts words as GNU does in the C locale: what cannot be printed neither
// begins nor ends one.
func (s *wcStage) count(data []byte) {
	within := s.within
	for _, c := range data {
		switch {
		case isSpace(c):
			if within {
				s.sum.words++
			}
			within = false
		case isPrint(c):
			within = true
		}
	}
	s.within = within
}

// End implements pipe.Stage.
func (s *wcStage) End(_ context.Context, to emit) error {
	if s.within {
		s.sum.words++
	}
	var parts []string
	for _, c := range []struct {
		on bool
		n  uint64
	}{{s.lines, s.sum.lines}, {s.words, s.sum.words}, {s.bytes, s.sum.bytes}} {
		if c.on {
			parts = append(parts, fmt.Sprintf("%*d", s.width, c.n))
		}
	}
	if s.name != "" {
		parts = append(parts, s.name)
	}
	if err := s.out.line(to, []byte(strings.Join(parts, " "))); err != nil {
		return err
	}
	return s.out.flush(to)
}

func buildWc(s *step, a *arguments) error {
	l, w, c := a.has("l"), a.has("w"), a.has("c")
	if !l && !w && !c {
		l, w, c = true, true, true
	}
	several := l && w || l && c || w && c
	if err := s.input(a, 1); err != nil {
		return err
	}
	name := ""
	if s.reads != nil {
		name = a.operands[0].Text
	}
	s.givesLines = true
	s.put = func(r *running, f flow) flow {
		width := 1
		if several {
			width = r.width(s)
		}
		return pipe.Apply(f, false, func() pipe.Stage[*block, *block] {
			return &wcStage{lines: l, words: w, bytes: c, width: width, name: name}
		})
	}
	return nil
}
