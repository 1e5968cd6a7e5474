package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pipe"
	"github.com/parleyhq/parley/pattern/pipe/graph"
)

func (d *driver) source(ctx context.Context, s graph.Spec) (pipe.Source[parley.Event], error) {
	switch s.Kind {
	case "topic":
		if d.env.Topics == nil {
			return nil, s.Wrong("", "there is no server to read topics from", "use file or stdin")
		}
		from := s.Text("from")
		if from == "" {
			from = "earliest"
		}
		return d.env.Topics.Source(ctx, s.Words("name"), from, s.Text("until") == "end")
	case "stdin":
		return &lines{format: s.Text("format"), source: "/stdin", in: io.NopCloser(d.env.In)}, nil
	case "file":
		return d.fileSource(s)
	case "generate":
		return &generator{left: s.Number("count", -1), every: s.Duration("every", 0)}, nil
	case "cron":
		c, err := parseCron(s.Text("schedule"))
		if err != nil {
			return nil, s.Wrong("schedule", err.Error(), "write it like '*/5 * * * *': minute, hour, day of month, month, day of week")
		}
		return &cronSource{schedule: c, text: s.Text("schedule")}, nil
	case "http":
		return newPoll(d, s)
	case "exec":
		return newProgramSource(ctx, d, s)
	}
	return nil, s.Wrong("", s.Kind+" cannot be opened here", "use another source")
}

// files are the lines of several files.
type files struct {
	d      *driver
	format string
	names  []string
	now    *lines
}

func (d *driver) fileSource(s graph.Spec) (pipe.Source[parley.Event], error) {
	f := &files{d: d, format: s.Text("format"), names: s.Words("path")}
	if f.format == "data" {
		return nil, s.Wrong("format", "data is the format of a sink", "use auto, text or cloudevents")
	}
	var all int64
	for _, name := range f.names {
		in, size, err := d.env.open(name)
		if err != nil {
			return nil, &parley.Error{Code: parley.NotFound, Field: s.Name, Detail: err.Error(), Fix: "check the path", Err: err}
		}
		all += size
		if err := in.Close(); err != nil {
			return nil, err
		}
	}
	d.files.size.Store(all)
	return f, nil
}

// Next implements pipe.Source.
func (f *files) Next(ctx context.Context) ([]parley.Event, error) {
	block, err := f.block(ctx)
	if err != nil {
		return nil, err
	}
	return eventsOf(block)
}

// block implements liner.
func (f *files) block(ctx context.Context) (graph.Lines, error) {
	for {
		if ctx.Err() != nil {
			return graph.Lines{}, context.Cause(ctx)
		}
		if f.now == nil {
			if len(f.names) == 0 {
				return graph.Lines{}, io.EOF
			}
			in, _, err := f.d.env.open(f.names[0])
			if err != nil {
				return graph.Lines{}, err
			}
			path := (&url.URL{Path: filepath.ToSlash(f.names[0])}).EscapedPath()
			f.now = &lines{format: f.format, source: "/files/" + path, in: counting{in, f.d.files}}
			f.names = f.names[1:]
		}
		block, err := f.now.block(ctx)
		if !errors.Is(err, io.EOF) {
			return block, err
		}
		err = f.now.Close()
		if f.now = nil; err != nil {
			return graph.Lines{}, err
		}
	}
}

// Close closes the file that is open.
func (f *files) Close() error {
	if f.now == nil {
		return nil
	}
	return f.now.Close()
}

type counting struct {
	io.ReadCloser
	to *fileProgress
}

// Read implements io.Reader.
func (c counting) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.to.read.Add(int64(n))
	return n, err
}

// generator makes events of a number.
type generator struct {
	left  int // negative = no end
	n     int
	every time.Duration
	next  time.Time
}

// Next implements pipe.Source.
func (g *generator) Next(ctx context.Context) ([]parley.Event, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	part := 256
	if g.every > 0 {
		part = 1
	}
	if g.left >= 0 {
		part = min(part, g.left)
	}
	if part == 0 {
		return nil, io.EOF
	}
	if g.every > 0 {
		now := time.Now()
		if g.next.IsZero() {
			g.next = now
		}
		if err := sleep(ctx, g.next.Sub(now)); err != nil {
			return nil, err
		}
		g.next = g.next.Add(g.every)
	}
	var all []parley.Event
	for range part {
		e := parley.Event{ID: strconv.Itoa(g.n), Source: "/generate", Type: "parley.pipe.generated", Time: time.Now().UTC(), DataContentType: "application/json", Data: fmt.Appendf(nil, `{"n":%d}`, g.n)}
		all = append(all, e)
		g.n++
	}
	if g.left > 0 {
		g.left -= part
	}
	return all, nil
}

// sleep waits, or gives the cause of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// cronSource makes an event at each time of a schedule.
type cronSource struct {
	schedule cron
	text     string
	last     time.Time
}

// Next implements pipe.Source.
func (c *cronSource) Next(ctx context.Context) ([]parley.Event, error) {
	if c.last.IsZero() {
		c.last = time.Now().UTC()
	}
	at, ok := c.schedule.next(c.last)
	if !ok {
		return nil, pipe.Permanent(parley.Errorf(parley.Unprocessable, "the schedule %s has no time in the next four years", c.text))
	}
	if err := sleep(ctx, time.Until(at)); err != nil {
		return nil, err
	}
	c.last = at
	said := at.Format(time.RFC3339)
	data, err := json.Marshal(map[string]string{"at": said})
	return []parley.Event{{ID: said, Source: "/cron", Type: "parley.pipe.cron", Subject: c.text, Time: at, DataContentType: "application/json", Data: data}}, err
}
