package local

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pipe"
	"github.com/parleyhq/parley/pattern/pipe/graph"
)

// sink opens a sink. one says that it may refuse single events, and gets one at a
// time.
func (d *driver) sink(ctx context.Context, s graph.Spec) (_ pipe.Sink[parley.Event], one bool, err error) {
	switch s.Kind {
	case "stdout":
		return &writer{format: s.Text("format"), to: d.env.Out}, false, nil
	case "discard":
		return pipe.SinkFunc[parley.Event](func(context.Context, []parley.Event) error { return nil }), false, nil
	case "file":
		sink, err := newFileSink(s)
		return sink, false, err
	case "topic":
		if d.env.Topics == nil {
			return nil, false, s.Wrong("", "there is no server to publish to", "use file or stdout")
		}
		sink, err := d.env.Topics.Sink(ctx, s.Text("name"))
		return sink, false, err
	case "http":
		r, err := newRequest(d, s)
		return &post{r}, true, err
	}
	return nil, false, s.Wrong("", s.Kind+" cannot be opened here", "use another sink")
}

// writer writes events, a line each.
type writer struct {
	format string
	to     io.Writer
	buf    []byte
}

// Put implements pipe.Sink. A reader that has gone away ends the pipe.
func (w *writer) Put(_ context.Context, events []parley.Event) error {
	w.buf = w.buf[:0]
	for i := range events {
		w.buf = append(append(w.buf, graph.ToLine(w.format, &events[i])...), '\n')
	}
	_, err := w.to.Write(w.buf)
	if gone(err) || errors.Is(err, io.ErrClosedPipe) || errors.Is(err, os.ErrClosed) {
		return pipe.Stop
	}
	if err != nil {
		return pipe.Permanent(err) // a part of it may be written
	}
	return nil
}

// fileSink writes events to a file.
type fileSink struct {
	writer
	file *os.File
}

func newFileSink(s graph.Spec) (*fileSink, error) {
	if f := s.Text("format"); f == "auto" || f == "text" {
		return nil, s.Wrong("format", f+" is the format of a source", "use data or cloudevents")
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if s.Switch("append") {
		flags = os.O_WRONLY | os.O_CREATE | os.O_APPEND
	}
	f, err := os.OpenFile(s.Text("path"), flags, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return nil, s.Wrong("path", s.Text("path")+" is there already", "add --append, or take it away")
	}
	if err != nil {
		return nil, s.Wrong("path", err.Error(), "check the path")
	}
	return &fileSink{writer{s.Text("format"), f, nil}, f}, nil
}

// Close implements io.Closer.
func (f *fileSink) Close() error { return f.file.Close() }
