package unix

import (
	"bytes"
	"context"
	"fmt"

	"github.com/parleyhq/parley/pattern/pipe"
)

// choice is what uniq makes of lines that are equal.
type choice struct {
	count    bool
	repeated bool // only lines that come more than once
	unique   bool // only lines that come once
}

// write writes a line that came so often.
func (c choice) write(o *output, to emit, line []byte, times uint64) error {
	if c.repeated && times < 2 || c.unique && times > 1 {
		return nil
	}
	b, err := o.room(to)
	if err != nil {
		return err
	}
	if c.count {
		b.data = fmt.Appendf(b.data, "%7d ", times)
	}
	b.data = append(append(b.data, line...), '\n')
	return nil
}

type uniqStage struct {
	choice choice
	last   []byte
	times  uint64
	out    output
}

// Push implements pipe.Stage.
func (s *uniqStage) Push(_ context.Context, in []*block, to emit) error {
	for _, b := range in {
		err := eachLine(b.data, func(line []byte, _ bool) error {
			if s.times > 0 && bytes.Equal(line, s.last) {
				s.times++
				return nil
			}
			if s.times > 0 {
				if err := s.choice.write(&s.out, to, s.last, s.times); err != nil {
					return err
				}
			}
			s.last, s.times = append(s.last[:0], line...), 1
			return nil
		})
		b.free()
		if err != nil {
			return err
		}
	}
	return s.out.flush(to)
}

// End implements pipe.Stage.
func (s *uniqStage) End(_ context.Context, to emit) error {
	if s.times > 0 {
		if err := s.choice.write(&s.out, to, s.last, s.times); err != nil {
			return err
		}
	}
	return s.out.flush(to)
}

func buildUniq(s *step, a *arguments) error {
	c := choice{a.has("c"), a.has("d"), a.has("u")}
	if len(a.operands) > 1 {
		return a.wrong(a.operands[1], "end the pipe with: tee FILE", "uniq writes to the next stage")
	}
	if err := s.input(a, 1); err != nil {
		return err
	}
	s.needsLines, s.givesLines, s.uniq = true, true, &c
	s.put = func(_ *running, f flow) flow {
		return pipe.Apply(f, false, func() pipe.Stage[*block, *block] { return &uniqStage{choice: c} })
	}
	return nil
}
