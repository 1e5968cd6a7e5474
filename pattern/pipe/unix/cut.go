package unix

import (
	"bytes"
	"context"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/parleyhq/parley/pattern/pipe"
)

// span is fields or bytes from one to another, from 1.
type span struct{ from, to int }

type cutStage struct {
	spans  []span // in order, none of which overlap
	fields bool
	delim  byte
	strict bool // -s: lines without the delimiter are left out
	out    output
}

// Push implements pipe.Stage.
func (s *cutStage) Push(_ context.Context, in []*block, to emit) error {
	for _, b := range in {
		err := eachLine(b.data, func(line []byte, _ bool) error {
			o, err := s.out.room(to)
			if err != nil {
				return err
			}
			if s.fields {
				o.data = s.cut(o.data, line)
				return nil
			}
			for _, r := range s.spans {
				if r.from > len(line) {
					break
				}
				o.data = append(o.data, line[r.from-1:min(r.to, len(line))]...)
			}
			o.data = append(o.data, '\n')
			return nil
		})
		b.free()
		if err != nil {
			return err
		}
	}
	return s.out.flush(to)
}

// cut appends the fields of a line.
func (s *cutStage) cut(to, line []byte) []byte {
	n := bytes.IndexByte(line, s.delim)
	if n < 0 {
		if s.strict {
			return to
		}
		return append(append(to, line...), '\n')
	}
	field, first := 1, true
	for _, r := range s.spans {
		for ; field < r.from; field++ {
			if n < 0 {
				return append(to, '\n')
			}
			line = line[n+1:]
			n = bytes.IndexByte(line, s.delim)
		}
		for ; field <= r.to; field++ {
			if !first {
				to = append(to, s.delim)
			}
			first = false
			if n < 0 {
				return append(append(to, line...), '\n')
			}
			to = append(to, line[:n]...)
			line = line[n+1:]
			n = bytes.IndexByte(line, s.delim)
		}
	}
	return append(to, '\n')
}

// End implements pipe.Stage.
func (s *cutStage) End(context.Context, emit) error { return nil }

func buildCut(s *step, a *arguments) error {
	st := cutStage{delim: '\t', fields: a.has("f"), strict: a.has("s")}
	var list given
	kinds := 0
	for _, name := range []string{"b", "c", "f"} {
		if g, ok := a.last(name); ok {
			list = g
			kinds++
		}
	}
	if kinds != 1 {
		return a.wrong(a.name, "write it like: cut -d , -f 1,3", "cut needs one of -b, -c and -f")
	}
	if d, ok := a.last("d"); ok {
		if len(d.value) > 1 || d.value == "\n" || !st.fields {
			return a.wrong(d.word, "write it like: cut -d , -f 1,3", "-d takes one character that is no newline, and goes with -f")
		}
		st.delim = 0
		if d.value != "" {
			st.delim = d.value[0]
		}
	}
	if st.strict && !st.fields {
		return a.wrong(a.name, "take -s away", "-s goes with -f")
	}
	var ok bool
	if st.spans, ok = parseList(list.value); !ok {
		return a.wrong(list.word, "write it like 1,3-5,7-", "%q is not a list of places, which begin with 1", list.value)
	}
	if err := s.input(a, math.MaxInt); err != nil {
		return err
	}
	s.needsLines, s.givesLines, s.linesEach = true, true, true
	s.put = func(_ *running, f flow) flow {
		return pipe.Apply(f, false, func() pipe.Stage[*block, *block] { c := st; return &c })
	}
	return nil
}

// parseList reads "1,3-5,-2,7-" and gives what it covers, in order.
func parseList(text string) ([]span, bool) {
	var all []span
	for part := range strings.FieldsFuncSeq(text+",", func(r rune) bool { return r == ',' || r == ' ' || r == '\t' }) {
		from, to, dash := strings.Cut(part, "-")
		s := span{1, math.MaxInt - 1}
		var errs [2]error
		if from != "" {
			s.from, errs[0] = strconv.Atoi(from)
		}
		if to != "" {
			s.to, errs[1] = strconv.Atoi(to)
		}
		if !dash {
			s.to = s.from
		}
		bad := errs[0] != nil || errs[1] != nil || strings.Trim(from+to, "0123456789") != "" || from+to == ""
		if bad || s.from < 1 || s.to < s.from || s.to == math.MaxInt {
			return nil, false
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b span) int { return a.from - b.from })
	var merged []span
	for _, s := range all {
		if n := len(merged); n > 0 && s.from <= merged[n-1].to+1 {
			merged[n-1].to = max(merged[n-1].to, s.to)
			continue
		}
		merged = append(merged, s)
	}
	return merged, len(merged) > 0
}
