package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pipe"
	"github.com/parleyhq/parley/pattern/pipe/graph"
)

// Bounds of what is read at once.
const (
	maxLine   = 8 << 20 // bytes of a line
	readBytes = 64 << 10
	mostLines = 1000 // that are given at once
)

// liner is a source of lines that have not to be made events of. What it gives is not
// used again.
type liner interface {
	block(ctx context.Context) (graph.Lines, error)
}

// linerOf gives a source as lines, nil if it has others, or its lines are whole events.
func linerOf(s pipe.Source[parley.Event], format string) liner {
	if l, ok := s.(liner); ok && format != "cloudevents" {
		return l
	}
	return nil
}

// lines are the lines of a reader as events. Ids are made of the source and the
// number of the line, so that they are the same every time.
type lines struct {
	format string
	source string
	in     io.ReadCloser
	n      int          // lines that were given
	there  []byte       // what was read and not given
	part   int          // bytes of it that are no whole line
	failed error        // of the last read
	ended  func() error // what the end is like; nil = good
}

// Next implements pipe.Source.
func (s *lines) Next(ctx context.Context) ([]parley.Event, error) {
	block, err := s.block(ctx)
	if err != nil {
		return nil, err
	}
	return eventsOf(block)
}

// block implements liner: the next line, and more that are there.
func (s *lines) block(context.Context) (graph.Lines, error) {
	for {
		if end := bytes.LastIndexByte(s.there[s.part:], '\n') + 1; end > 0 {
			return s.give(s.part + end), nil
		}
		s.part = len(s.there)
		if s.failed != nil {
			if len(s.there) > 0 && errors.Is(s.failed, io.EOF) {
				return s.give(len(s.there)), nil
			}
			return graph.Lines{}, s.end(s.failed)
		}
		if len(s.there) > maxLine {
			return graph.Lines{}, &parley.Error{Code: parley.TooLarge, Detail: fmt.Sprintf("line %d of %s has more than %d bytes", s.n+1, s.source, maxLine), Fix: "split it"}
		}
		s.read()
	}
}

// give gives what was read, up to an end of a line.
func (s *lines) give(end int) graph.Lines {
	n := bytes.Count(s.there[:end], []byte{'\n'})
	if n > mostLines {
		for n, end = 0, 0; n < mostLines; n++ {
			end += bytes.IndexByte(s.there[end:], '\n') + 1
		}
	}
	block := graph.Lines{Format: s.format, Source: s.source, First: s.n + 1, Text: s.there[:end:end]}
	s.n, s.there, s.part = s.n+n, s.there[end:], 0
	return block
}

// read reads more behind what is there, which moves when there is no room left.
func (s *lines) read() {
	if cap(s.there)-len(s.there) < readBytes/8 {
		s.there = append(make([]byte, 0, max(readBytes, 2*len(s.there))), s.there...)
	}
	for range 100 { // as often may a reader give nothing
		n, err := s.in.Read(s.there[len(s.there):min(cap(s.there), maxLine+1)])
		s.there = s.there[:len(s.there)+n]
		if s.failed = err; n > 0 || err != nil {
			return
		}
	}
	s.failed = io.ErrNoProgress
}

func (s *lines) end(err error) error {
	if errors.Is(err, io.EOF) && s.ended != nil {
		if err := s.ended(); err != nil {
			return err
		}
	}
	return err
}

// Close closes the reader.
func (s *lines) Close() error { return s.in.Close() }

// eventsOf makes events of lines. With an error there are those before it.
func eventsOf(l graph.Lines) (events []parley.Event, err error) {
	n := l.First
	for line := range bytes.Lines(l.Text) {
		if line = bytes.TrimSuffix(line, []byte{'\n'}); len(line) > 0 || l.Format == "text" {
			e, err := graph.FromLine(l.Format, l.Source, "line-"+strconv.Itoa(n), line)
			if err != nil {
				return events, parley.Errorf(parley.CodeOf(err), "line %d of %s: %w", n, l.Source, err)
			}
			events = append(events, e)
		}
		n++
	}
	return events, nil
}
