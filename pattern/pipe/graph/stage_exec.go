package graph

import (
	"strconv"
	"strings"
	"time"

	"github.com/parleyhq/parley"
)

// executing gives the data of events to a program.
type executing struct {
	stage
	program Program
	running Running
}

func makeExec(c *compiler, s *spec) (node, error) {
	if c.o.Programs == nil {
		return nil, s.wrong("", "programs are not allowed here", "have the operator allow exec, or use another stage")
	}
	p := Program{
		Command: s.step.Args["command"].Words, Mode: s.text("mode"), Framing: s.text("framing"), Env: s.step.Args["env"].Words,
		Timeout: s.duration("timeout", 30*time.Second), MaxOutput: min(s.size("max-output", 1<<20), MaxData), Attempts: s.number("retry", 3), Exit: map[int]string{},
	}
	if p.Mode == "" {
		p.Mode = "each"
	}
	if p.Framing == "" {
		p.Framing = "lines"
	}
	for _, w := range s.step.Args["exit"].Words {
		code, what, ok := strings.Cut(w, "=")
		n, err := strconv.Atoi(code)
		if !ok || err != nil || n < 0 || n > 255 || what != "drop" && what != "retry" && what != "dead" {
			return nil, s.wrong("exit", strconv.Quote(w)+" says nothing about an exit code", "write it like 3=drop, 75=retry or 2=dead")
		}
		p.Exit[n] = what
	}
	if s.text("framing") != "" && p.Mode != "filter" {
		return nil, s.wrong("framing", "only a filter has a framing", "add --mode filter")
	}
	n := &executing{program: p}
	if c.mach == nil {
		return n, nil
	}
	running, err := c.o.Programs.Open(p)
	if err != nil {
		return nil, err
	}
	n.running = running
	c.mach.doing = append(c.mach.doing, running)
	return n, nil
}

func (s *executing) care() care { return opened }

func (s *executing) push(items []item) error {
	if s.program.Mode == "batch" {
		return s.together(items)
	}
	inputs := make([][]byte, len(items))
	for i := range items {
		inputs[i] = items[i].event.Data
	}
	out := s.buf[:0]
	for i, r := range s.running.Do(s.m.ctx, inputs) {
		it := &items[i]
		if r.Err != nil {
			if err := s.fail(it, r.Err, r.Attempts); err != nil {
				return err
			}
			continue
		}
		for n, data := range r.Out {
			out = append(out, s.with(it, data, s.typeOf(it, data), n))
		}
	}
	s.buf = out
	return s.emit(out)
}

// typeOf is the content type of what a program made: that of its input, if it may be.
func (s *executing) typeOf(it *item, data []byte) string {
	was := it.event.DataContentType
	if was != "" && !parley.IsJSON(was) || isOne(data) {
		if was == "" {
			return "application/json"
		}
		return was
	}
	return textType(data)
}

// together gives a program the data of all events at hand, a line each.
func (s *executing) together(items []item) error {
	inputs := make([][]byte, len(items))
	for i := range items {
		inputs[i] = items[i].event.Data
	}
	results := s.running.Do(s.m.ctx, inputs)
	if len(results) != 1 {
		return parley.Errorf(parley.Internal, "a program gave %d results for one batch", len(results))
	}
	r := results[0]
	if r.Err != nil {
		for i := range items {
			if err := s.fail(&items[i], r.Err, r.Attempts); err != nil {
				return err
			}
		}
		return nil
	}
	all, err := s.gathered(items, nil)
	if err != nil {
		return err
	}
	var out []item
	for n, data := range r.Out {
		made := s.with(&all, data, textType(data), n)
		made.open()
		made.parent = nil
		out = append(out, made)
	}
	return s.emit(out)
}
