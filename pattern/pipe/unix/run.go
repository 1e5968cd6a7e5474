package unix

import (
	"context"
	"errors"
	"io"
	"math"
	"os"
	"sync"

	"github.com/parleyhq/parley/pattern/pipe"
)

// IO is what a run reads and writes besides the files that it names.
type IO struct {
	In   io.Reader // standard input; nil is empty. A Read that cannot be interrupted holds up the end of a run that is cancelled
	Out  io.Writer // of the last stage; nil drops it
	Err  io.Writer // what programs and grep say; nil drops it
	Temp string    // folder for temporary files; "" is the system's
	// MaxLine is the longest line, in bytes, that a stage takes which works line by
	// line: it holds a line up to four times. 0 is DefaultMaxLine; at least a block
	// of 128 KiB is taken. cat, head,
	// tail -n +N, wc and tee pass lines of any length.
	MaxLine int
}

// DefaultMaxLine keeps a pipe below 512 MiB, whatever it reads.
const DefaultMaxLine = 16 << 20

// Outcome is how a run went.
type Outcome struct {
	Found bool // false when the last stage is a grep that selected no line
}

// running is one run.
type running struct {
	in   io.Reader
	err  io.Writer
	temp string
	line int // bytes of the longest
}

// say tells whoever started the run.
func (r *running) say(text string) { _, _ = io.WriteString(r.err, text) }

func (r *running) binary(name string) func() {
	return func() { r.say("grep: " + name + ": binary file matches\n") }
}

// Run runs the pipe and returns when all of it has ended. It is no error when Out
// is a pipe that nobody reads any more: the run ends early. A program that fails
// gives an *ExitError in the chain of the *parley.Error.
func (p *Plan) Run(ctx context.Context, std IO) (Outcome, error) {
	r := &running{in: std.In, err: std.Err, temp: std.Temp, line: std.MaxLine}
	if r.in == nil {
		r.in = eof{}
	}
	if r.err == nil {
		r.err = io.Discard
	}
	if _, ok := r.err.(*os.File); !ok { // programs and stages write to it at once
		r.err = &locked{to: r.err}
	}
	if r.line == 0 {
		r.line = DefaultMaxLine
	}
	for _, s := range p.steps {
		s.found.Store(false)
	}
	out := std.Out
	if out == nil {
		out = io.Discard
	}
	err := pipe.Run(ctx, pipe.Options{}, pipe.To(p.build(r), &writer{out}))
	last := p.steps[len(p.steps)-1]
	return Outcome{Found: last.last != selects || last.found.Load()}, err
}

type eof struct{}

// Read implements io.Reader.
func (eof) Read([]byte) (int, error) { return 0, io.EOF }

type locked struct {
	mu sync.Mutex
	to io.Writer
}

// Write implements io.Writer.
func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.to.Write(p)
}

// writer is the end of a pipe.
type writer struct{ to io.Writer }

// Put implements pipe.Sink.
func (w *writer) Put(_ context.Context, all []*block) error {
	for _, b := range all {
		_, err := w.to.Write(b.data)
		b.free()
		if errors.Is(err, closedPipe) || errors.Is(err, io.ErrClosedPipe) || errors.Is(err, os.ErrClosed) {
			return pipe.Stop
		}
		if err != nil {
			return pipe.Permanent(err)
		}
	}
	return nil
}

// width is how wide wc writes its counts: as wide as the size of what it reads
// itself, if that is a file, and 7 otherwise.
func (r *running) width(s *step) int {
	var size int64 = -1
	if s.first {
		size = r.regular(s.reads)
	}
	if size < 0 {
		return 7
	}
	return max(1, int(math.Log10(float64(max(size, 1))))+1)
}

func (r *running) regular(names []string) int64 {
	if names != nil && names[0] != "-" {
		if info, err := os.Stat(names[0]); err == nil && info.Mode().IsRegular() {
			return info.Size()
		}
		return -1
	}
	if f, ok := r.in.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			return info.Size()
		}
	}
	return -1
}
