package unix

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pipe"
)

// files reads files one after the other; "-" is standard input.
type files struct {
	r         *running
	names     []string
	linesEach bool // each file's last line gets a newline
	lines     bool // what comes after the last newline of a block may wait for the next
	rest      []byte
	at        int
	now       io.Reader
	close     func() error
	last      byte // that was read of the file at hand
	one       [1]*block
}

func openFile(name string) (*os.File, error) {
	f, err := os.Open(name)
	if err == nil {
		var info fs.FileInfo
		if info, err = f.Stat(); err == nil && info.IsDir() {
			err = &fs.PathError{Op: "read", Path: name, Err: errors.New("is a directory")}
		}
		if err != nil {
			_ = f.Close() // only read
		}
	}
	return f, fileError(err)
}

func fileError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return pipe.Permanent(&parley.Error{Code: parley.NotFound, Detail: err.Error(), Fix: "check the path", Err: err})
	}
	return pipe.Permanent(&parley.Error{Code: parley.CodeOf(err), Detail: err.Error(), Err: err})
}

func (s *files) open() error {
	s.last = '\n'
	name := s.names[s.at]
	if name == "-" {
		s.now, s.close = s.r.in, nil
		return nil
	}
	f, err := openFile(name)
	if err != nil {
		return err
	}
	s.now, s.close = f, f.Close
	return nil
}

// Next implements pipe.Source.
func (s *files) Next(ctx context.Context) ([]*block, error) {
	for s.at < len(s.names) {
		if s.now == nil {
			if err := s.open(); err != nil {
				return nil, err
			}
		}
		b, err := s.read(ctx)
		if err != nil {
			return nil, err
		}
		if len(b.data) == 0 {
			b.free()
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			continue
		}
		s.one[0] = b
		return s.one[:], nil
	}
	return nil, io.EOF
}

// read reads a block, empty when there was nothing, and goes on to the next file
// at the end of one.
func (s *files) read(ctx context.Context) (*block, error) {
	b := newBlock()
	b.data = append(b.data, s.rest...)
	kept := len(b.data)
	s.rest = s.rest[:0]
	n, err := s.now.Read(b.data[kept:cap(b.data)])
	b.data = b.data[:kept+n]
	if n > 0 {
		s.last = b.data[kept+n-1]
	}
	if err != nil && !errors.Is(err, io.EOF) {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fileError(err)
	}
	if err != nil {
		if s.at++; s.linesEach && s.last != '\n' && s.at < len(s.names) {
			b.data = append(b.data, '\n')
		}
		if e := s.Close(); e != nil {
			return nil, fileError(e)
		}
		return b, nil
	}
	if end := bytes.LastIndexByte(b.data, '\n') + 1; s.lines && len(b.data)-end < blockBytes/2 {
		s.rest = append(s.rest, b.data[end:]...)
		b.data = b.data[:end]
	}
	return b, nil
}

// Close closes the file at hand.
func (s *files) Close() error {
	s.now = nil
	if s.close == nil {
		return nil
	}
	err := s.close()
	s.close = nil
	return err
}

// followEvery is how often a file that is followed is looked at.
const followEvery = 200 * time.Millisecond

// follower is tail -f: the last lines of a file, and then what is appended to it.
type follower struct {
	r     *running
	name  string
	n     int64
	plus  bool
	file  *os.File
	at    int64
	first []*block // the last lines, not given yet
	tick  *time.Ticker
	one   [1]*block
}

func newFollower(r *running, name string, n int64, plus bool) *follower {
	return &follower{r: r, name: name, n: n, plus: plus}
}

// Next implements pipe.Source.
func (s *follower) Next(ctx context.Context) ([]*block, error) {
	if s.file == nil {
		if err := s.begin(ctx); err != nil {
			return nil, err
		}
		s.tick = time.NewTicker(followEvery)
	}
	if len(s.first) > 0 {
		all := s.first
		s.first = nil
		return all, nil
	}
	for {
		b := newBlock()
		n, err := s.file.Read(b.data[:cap(b.data)])
		if n > 0 {
			s.at += int64(n)
			b.data = b.data[:n]
			s.one[0] = b
			return s.one[:], nil
		}
		b.free()
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fileError(err)
		}
		if err := s.truncated(); err != nil {
			return nil, err
		}
		select {
		case <-s.tick.C:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// begin reads what is there, and keeps the last lines of it.
func (s *follower) begin(ctx context.Context) error {
	f, err := openFile(s.name)
	if err != nil {
		return err
	}
	s.file = f
	t := &trailer{keep: keeper{n: s.n}, plus: s.plus, from: max(s.n-1, 0)}
	to := func(all []*block) error { s.first = append(s.first, all...); return nil }
	a := &aligner{most: s.r.line}
	lines := func(all []*block) error { return t.Push(ctx, all, to) }
	for ctx.Err() == nil {
		b := newBlock()
		n, err := f.Read(b.data[:cap(b.data)])
		b.data = b.data[:n]
		s.at += int64(n)
		if n > 0 {
			if err := a.Push(ctx, []*block{b}, lines); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fileError(err)
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := a.End(ctx, lines); err != nil {
		return err
	}
	return t.End(ctx, to)
}

// truncated begins anew when the file has become shorter.
func (s *follower) truncated() error {
	info, err := s.file.Stat()
	if err != nil {
		return fileError(err)
	}
	if info.Size() >= s.at {
		return nil
	}
	s.r.say("tail: " + s.name + ": file truncated\n")
	if s.at, err = s.file.Seek(0, io.SeekStart); err != nil {
		return fileError(err)
	}
	return nil
}

// Close closes the file.
func (s *follower) Close() error {
	if s.tick != nil {
		s.tick.Stop()
	}
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}
