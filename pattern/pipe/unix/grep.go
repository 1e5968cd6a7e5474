package unix

import (
	"bytes"
	"context"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/parleyhq/parley/pattern/pipe"
)

// grepper is what grep was asked for.
type grepper struct {
	patterns []string
	syntax   byte // B, E or F
	fold     bool
	invert   bool
	count    bool
	number   bool
	only     bool
	text     bool
	name     string
	found    *atomic.Bool // a line was selected
}

func buildGrep(s *step, a *arguments) error {
	g := &grepper{syntax: 'B', name: "(standard input)", found: &s.found}
	for _, o := range a.given {
		switch o.option.Short {
		case "E", "F", "G":
			g.syntax = o.option.Short[0]
			if g.syntax == 'G' {
				g.syntax = 'B'
			}
		case "e":
			g.patterns = append(g.patterns, strings.Split(o.value, "\n")...)
		}
	}
	at := a.name
	if len(g.patterns) == 0 {
		if len(a.operands) == 0 {
			return a.wrong(a.name, "write it like: grep error", "grep needs a pattern")
		}
		at = a.operands[0]
		g.patterns, a.operands = strings.Split(at.Text, "\n"), a.operands[1:]
	}
	g.fold, g.invert, g.count = a.has("i"), a.has("v"), a.has("c")
	g.number, g.only, g.text = a.has("n"), a.has("o"), a.has("a")
	if err := s.input(a, 1); err != nil {
		return err
	}
	if s.reads != nil && s.reads[0] != "-" {
		g.name = s.reads[0]
	}
	if _, err := compile(g.patterns, g.syntax, g.fold); err != nil {
		fix := "see POSIX XBD 9 for the syntax; grep -F takes the pattern as it is"
		if hint(err) {
			fix = "use: exec grep …"
		}
		return a.wrong(at, fix, "the pattern cannot be used: %s", strings.TrimPrefix(err.Error(), "exec: "))
	}
	s.grep = g
	s.needsLines, s.givesLines, s.last = true, true, selects
	s.put = func(r *running, f flow) (after flow) {
		if !g.text {
			f = pipe.Apply(f, false, func() pipe.Stage[*block, *block] { return &nullMarker{} })
			defer func() {
				after = pipe.Apply(after, false, func() pipe.Stage[*block, *block] { return &nullEnder{tell: r.binary(g.name)} })
			}()
		}
		if g.count || g.number {
			return pipe.Apply(f, false, g.stage)
		}
		lanes := pipe.Lanes[*block]{N: min(runtime.GOMAXPROCS(0), 8), Order: pipe.OrderTotal, Limit: pipe.Limit[*block]{Size: blockSize}}
		return pipe.Parallel(f, lanes, func(f flow) flow { return pipe.Apply(f, false, g.stage) })
	}
	return nil
}

func (g *grepper) stage() pipe.Stage[*block, *block] {
	x, err := compile(g.patterns, g.syntax, g.fold)
	return &grepStage{g: g, err: err, scan: scan{x: x}}
}

type grepStage struct {
	g     *grepper
	err   error // compiling failed, as it did not before
	scan  scan
	out   output
	lines int64 // before the block at hand, from 0
	count int64
	split bool // the block at hand is binary
	over  bool // and has matched: that is all
	num   []byte
}

// Push implements pipe.Stage.
func (s *grepStage) Push(_ context.Context, in []*block, to emit) error {
	if s.err != nil {
		return s.err
	}
	for _, b := range in {
		s.split, s.over = b.binary, false
		err := s.block(b.data, to)
		if s.g.number {
			s.lines += int64(bytes.Count(b.data, newline))
		}
		b.free()
		if err != nil {
			return err
		}
	}
	return s.out.flush(to)
}

func (s *grepStage) block(data []byte, to emit) error {
	s.scan.reset(data)
	counted, at := 0, 0 // up to where newlines are in s.lines; the start of a line
	lines := s.lines
	for at < len(data) && !s.over {
		from, end, ok := s.scan.line(at)
		if s.g.invert {
			rest := len(data)
			if ok {
				rest = from
			}
			if err := s.rest(data, at, rest, &counted, &lines, to); err != nil {
				return err
			}
		} else if ok {
			if err := s.selected(data, from, end, &counted, &lines, to); err != nil {
				return err
			}
		}
		if !ok {
			return nil
		}
		at = end + 1
	}
	return nil
}

// rest selects all lines between two places.
func (s *grepStage) rest(data []byte, from, to int, counted *int, lines *int64, out emit) error {
	if from == to {
		return nil
	}
	if s.g.count || s.split || s.g.number || s.g.only {
		for from < to && !s.over {
			end := to
			if n := bytes.IndexByte(data[from:to], '\n'); n >= 0 {
				end = from + n
			}
			if err := s.selected(data, from, end, counted, lines, out); err != nil {
				return err
			}
			from = end + 1
		}
		return nil
	}
	s.g.found.Store(true)
	for len(data[from:to]) > blockBytes/2 { // in parts, each to the end of a line
		n := bytes.LastIndexByte(data[from:from+blockBytes/2], '\n') + 1
		if n == 0 {
			break
		}
		if err := s.out.write(out, data[from:from+n]); err != nil {
			return err
		}
		from += n
	}
	if err := s.out.write(out, data[from:to]); err != nil {
		return err
	}
	if to > from && data[to-1] != '\n' {
		return s.out.write(out, newline)
	}
	return nil
}

// selected handles one line that is selected.
func (s *grepStage) selected(data []byte, from, end int, counted *int, lines *int64, to emit) error {
	s.g.found.Store(true)
	if s.g.count {
		s.count++
		return nil
	}
	if s.split {
		s.over = true
		return to([]*block{{binary: true}}) // instead of its lines
	}
	s.num = s.num[:0]
	if s.g.number {
		*lines += int64(bytes.Count(data[*counted:from], newline))
		*counted = from
		s.num = append(strconv.AppendInt(s.num, *lines+1, 10), ':')
	}
	if s.g.only {
		if s.g.invert {
			return nil
		}
		return s.scan.x.matches(data[from:end], func(part []byte) error {
			if err := s.out.write(to, s.num); err != nil {
				return err
			}
			return s.out.line(to, part)
		})
	}
	if err := s.out.write(to, s.num); err != nil {
		return err
	}
	return s.out.line(to, data[from:end])
}

// End implements pipe.Stage.
func (s *grepStage) End(_ context.Context, to emit) error {
	if s.g.count {
		if err := s.out.line(to, strconv.AppendInt(nil, s.count, 10)); err != nil {
			return err
		}
	}
	return s.out.flush(to)
}

// nullMarker finds NUL bytes: from the first on, input is binary. Each is then the
// end of a line, as it is for GNU.
type nullMarker struct {
	binary bool
	one    [1]*block
}

// Push implements pipe.Stage.
func (s *nullMarker) Push(_ context.Context, in []*block, to emit) error {
	for _, b := range in {
		s.binary = s.binary || bytes.IndexByte(b.data, 0) >= 0
		if b.binary = s.binary; s.binary {
			for i, c := range b.data {
				if c == 0 {
					b.data[i] = '\n'
				}
			}
		}
		s.one[0] = b
		if err := to(s.one[:]); err != nil {
			return err
		}
	}
	return nil
}

// End implements pipe.Stage.
func (s *nullMarker) End(context.Context, emit) error { return nil }

// nullEnder ends the stage when a binary part of the input has matched.
type nullEnder struct{ tell func() }

// Push implements pipe.Stage.
func (s *nullEnder) Push(_ context.Context, in []*block, to emit) error {
	for i, b := range in {
		if b.binary {
			s.tell()
			return pipe.Stop
		}
		if err := to(in[i : i+1]); err != nil {
			return err
		}
	}
	return nil
}

// End implements pipe.Stage.
func (s *nullEnder) End(context.Context, emit) error { return nil }
