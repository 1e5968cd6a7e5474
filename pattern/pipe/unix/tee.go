package unix

import (
	"context"
	"errors"
	"os"

	"github.com/parleyhq/parley/pattern/pipe"
)

// teeStage writes what passes to files, too.
type teeStage struct {
	names  []string
	how    int
	opened []*os.File
}

// Push implements pipe.Stage.
func (s *teeStage) Push(_ context.Context, in []*block, to emit) error {
	if err := s.open(); err != nil {
		return err
	}
	for _, b := range in {
		for _, f := range s.opened {
			if _, err := f.Write(b.data); err != nil {
				return fileError(err)
			}
		}
	}
	return to(in)
}

func (s *teeStage) open() error {
	for len(s.opened) < len(s.names) {
		f, err := os.OpenFile(s.names[len(s.opened)], s.how, 0o666) //nolint:gosec // as a shell: the umask decides
		if err != nil {
			return fileError(err)
		}
		s.opened = append(s.opened, f)
	}
	return nil
}

// End implements pipe.Stage.
func (s *teeStage) End(context.Context, emit) error { return s.open() }

// Close closes the files.
func (s *teeStage) Close() error {
	var err error
	for _, f := range s.opened {
		err = errors.Join(err, f.Close())
	}
	s.opened = nil
	return fileError(err)
}

func buildTee(s *step, a *arguments) error {
	how := os.O_CREATE | os.O_WRONLY | os.O_TRUNC
	if a.has("a") {
		how = os.O_CREATE | os.O_WRONLY | os.O_APPEND
	}
	var names []string
	for _, w := range a.operands {
		names = append(names, w.Text)
	}
	s.keepsLines = true
	s.put = func(_ *running, f flow) flow {
		return pipe.Apply(f, false, func() pipe.Stage[*block, *block] { return &teeStage{names: names, how: how} })
	}
	return nil
}

func buildCat(s *step, a *arguments) error {
	if err := s.input(a, maxFiles); err != nil {
		return err
	}
	s.keepsLines = true
	s.put = func(_ *running, f flow) flow { return f }
	return nil
}
