package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/client"
)

// pubFlags say what `pub` makes of its input.
type pubFlags struct {
	file        string
	key         string
	kind        string
	subject     string
	contentType string
	whole       bool
	ndjson      bool
	cloudevents bool
	ephemeral   bool
}

func (a *app) pubCommand() *cobra.Command {
	var f pubFlags
	c := &cobra.Command{
		Use:   "pub TOPIC [DATA|-]",
		Short: "Publish events.",
		Example: `  parley pub orders '{"total": 12}'
  parley pub orders --file orders.ndjson          one event a line
  tail -f app.log | parley pub logs               one event a line, as it comes
  parley pub photos --file cat.jpg --content-type image/jpeg
  parley sub orders --from earliest --json | parley pub copy --cloudevents`,
		Long: `DATA is one event. Without it, or with "-", standard input is read: each line is
an event. A file is one event, unless it ends in .ndjson or .jsonl or --ndjson is
given: then each line of it is. Events are published in order, in batches; when
the command ends well, all of them are durable.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return exactly("TOPIC")(cmd, args)
			}
			return exactly("TOPIC", "DATA")(cmd, args)
		},
	}
	at := a.remoteFlags(c)
	c.Flags().StringVar(&f.file, "file", "", "publish a `file` instead of DATA")
	c.Flags().StringVar(&f.key, "key", "", "partition key: events of one key keep their order")
	c.Flags().StringVar(&f.kind, "type", "", "the events' `type`")
	c.Flags().StringVar(&f.subject, "subject", "", "the events' subject")
	c.Flags().StringVar(&f.contentType, "content-type", "", "`media type` of the data; default what it looks like")
	c.Flags().BoolVar(&f.whole, "whole", false, "standard input is one event")
	c.Flags().BoolVar(&f.ndjson, "ndjson", false, "each line is an event in JSON")
	c.Flags().BoolVar(&f.cloudevents, "cloudevents", false, "each line is a whole CloudEvent in JSON, as `sub --json` prints it")
	c.Flags().BoolVar(&f.ephemeral, "ephemeral", false, "deliver to who listens now, store nothing")
	c.MarkFlagsMutuallyExclusive("whole", "ndjson", "cloudevents")
	c.RunE = a.command(func(ctx context.Context, args []string) (answer, error) {
		if err := topic.CheckName(args[0]); err != nil {
			return answer{}, asked(err)
		}
		cl, err := a.client(at)
		if err != nil {
			return answer{}, err
		}
		in, err := a.pubInput(&f, args)
		if err != nil {
			return answer{}, err
		}
		defer in.close()
		p := &publishing{noun: "event", flags: f}
		p.send = p.sender(cl, args[0])
		err = a.publish(ctx, p, in)
		return p.answer(args[0]), err
	})
	return c
}

// pubInput is where events come from, and of what size it is, if that is known.
type pubInput struct {
	r     io.Reader
	size  int64
	lines bool
	close func()
}

func (a *app) pubInput(f *pubFlags, args []string) (*pubInput, error) {
	lines := f.ndjson || f.cloudevents
	switch {
	case f.file != "" && len(args) == 2:
		return nil, usagef("give one of the two", "both DATA and --file are there")
	case f.file != "":
		file, err := os.Open(f.file)
		if err != nil {
			return nil, &parley.Error{Code: parley.NotFound, Field: "--file", Detail: err.Error(), Fix: "check the path"}
		}
		in := &pubInput{r: file, lines: lines, close: func() { _ = file.Close() }}
		if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
			in.size = info.Size()
		}
		if ext := filepath.Ext(f.file); (ext == ".ndjson" || ext == ".jsonl") && !f.whole && !f.cloudevents {
			in.lines, f.ndjson = true, true
		}
		return in, nil
	case len(args) == 2 && args[1] != "-":
		return &pubInput{r: strings.NewReader(args[1]), lines: lines, close: func() {}}, nil
	}
	return &pubInput{r: a.in, lines: !f.whole, close: func() {}}, nil
}

// publishing is one run of pub, or of push.
type publishing struct {
	send   func(context.Context, []parley.Event) error
	noun   string // of what is published
	flags  pubFlags
	steady bool // the same input gives the same batches
	batch  []parley.Event
	bytes  int
	read   int64
	count  int
	last   []client.Placed
}

// Batches are at most so large, and wait at most so long for another line.
const (
	pubEvents = 1000
	pubBytes  = 1 << 20
	pubLinger = 20 * time.Millisecond
)

func (a *app) publish(ctx context.Context, p *publishing, in *pubInput) error {
	if !in.lines {
		data, err := io.ReadAll(in.r)
		if err != nil {
			return parley.Errorf(parley.Internal, "reading the input: %w", err)
		}
		if err := p.add(data); err != nil {
			return err
		}
		return p.flush(ctx)
	}
	bar := a.progress(in.size)
	defer bar.done()
	err := p.lines(ctx, in.r, bar)
	if err != nil && p.count > 0 {
		a.say("%s were published before\n", count(int64(p.count), p.noun))
	}
	return err
}

// lines publishes line by line. A reader of its own lets a batch go when no
// further line comes for a moment.
func (p *publishing) lines(ctx context.Context, r io.Reader, bar *progress) error {
	lines, failed := make(chan inputLine, pubEvents), make(chan error, 1)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() { defer close(lines); failed <- readLines(ctx, r, lines) }()
	for {
		line, open := p.next(ctx, lines)
		if line.text == nil && open { // a pause in the input
			if err := p.flush(ctx); err != nil {
				return err
			}
			continue
		}
		if !open {
			break
		}
		bar.step(p.read, p.count+len(p.batch))
		if err := p.add(line.text); err != nil {
			return inLine(err, line.n)
		}
		if len(p.batch) >= pubEvents || p.bytes >= pubBytes {
			if err := p.flush(ctx); err != nil {
				return err
			}
		}
	}
	if err := <-failed; err != nil {
		return err
	}
	return p.flush(ctx)
}

// inputLine is a line that is not blank, and its number in the input, from 1.
type inputLine struct {
	n    int
	text []byte
}

// next waits for a line; one without text and true say that none comes for now.
func (p *publishing) next(ctx context.Context, lines <-chan inputLine) (line inputLine, open bool) {
	if len(p.batch) == 0 || p.steady {
		line, open = <-lines
	} else {
		linger := time.NewTimer(pubLinger)
		defer linger.Stop()
		select {
		case line, open = <-lines:
		case <-linger.C:
			return line, true
		case <-ctx.Done():
			return line, false
		}
	}
	p.read += int64(len(line.text)) + 1
	return line, open
}

// maxLine bounds one line: the largest event that a topic may take.
const maxLine = 8 << 20

func readLines(ctx context.Context, r io.Reader, out chan<- inputLine) error {
	in := bufio.NewScanner(r)
	in.Buffer(nil, maxLine)
	in.Split(func(data []byte, atEOF bool) (int, []byte, error) {
		if i := bytes.IndexByte(data, '\n'); i >= 0 {
			return i + 1, data[:i], nil
		}
		if atEOF && len(data) > 0 {
			return len(data), data, nil
		}
		return 0, nil, nil
	})
	for n := 1; in.Scan(); n++ {
		if len(bytes.TrimSpace(in.Bytes())) == 0 {
			continue
		}
		select {
		case out <- inputLine{n, bytes.Clone(in.Bytes())}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if errors.Is(in.Err(), bufio.ErrTooLong) {
		return &parley.Error{Code: parley.TooLarge, Field: "input", Detail: fmt.Sprintf("a line is over %d bytes", maxLine), Fix: "publish it as a --file of its own"}
	}
	return in.Err()
}

// add makes an event of data.
func (p *publishing) add(data []byte) error {
	f := &p.flags
	if f.cloudevents {
		e, err := parley.ParsePartialJSON(data)
		if err != nil {
			return err
		}
		f.complete(&e)
		p.batch = append(p.batch, e)
		p.bytes += len(data)
		return nil
	}
	if f.ndjson && !json.Valid(data) {
		return parley.BadField("input", "not valid JSON", "leave --ndjson away to publish lines of any kind")
	}
	e := parley.Event{Data: data, Type: f.kind, Subject: f.subject, DataContentType: f.contentType}
	if e.DataContentType == "" {
		e.DataContentType = looksLike(data)
	}
	e.Set(parley.PartitionKey, f.key)
	p.batch = append(p.batch, e)
	p.bytes += len(data)
	return nil
}

// complete gives a whole event what the flags say and it does not.
func (f *pubFlags) complete(e *parley.Event) {
	if e.Type == "" {
		e.Type = f.kind
	}
	if e.Subject == "" {
		e.Subject = f.subject
	}
	if e.DataContentType == "" && e.Data != nil {
		e.DataContentType = f.contentType
	}
	if e.Extensions[parley.PartitionKey] == "" {
		e.Set(parley.PartitionKey, f.key)
	}
}

func looksLike(data []byte) string {
	switch {
	case json.Valid(data):
		return "application/json"
	case utf8.Valid(data):
		return "text/plain; charset=utf-8"
	}
	return "application/octet-stream"
}

func inLine(err error, n int) error {
	var e *parley.Error
	if !errors.As(err, &e) {
		return err
	}
	at := *e
	at.Field = fmt.Sprintf("line %d", n)
	return &at
}

func (p *publishing) flush(ctx context.Context) error {
	if len(p.batch) == 0 {
		return nil
	}
	if err := p.send(ctx, p.batch); err != nil {
		return err
	}
	p.count += len(p.batch)
	p.batch, p.bytes = p.batch[:0:0], 0
	return nil
}

// sender publishes to a topic.
func (p *publishing) sender(cl *client.Client, to string) func(context.Context, []parley.Event) error {
	send := cl.Publish
	if p.flags.ephemeral {
		send = cl.PublishEphemeral
	}
	return func(ctx context.Context, events []parley.Event) (err error) {
		p.last, err = send(ctx, to, events...)
		return err
	}
}

func (p *publishing) answer(to string) answer {
	result := map[string]any{"topic": to, "events": p.count}
	summary := fmt.Sprintf("published %d events to %s", p.count, to)
	if p.count == 1 && len(p.last) == 1 {
		summary = fmt.Sprintf("published to %s, partition %d, position %d", p.last[0].Topic, p.last[0].Partition, p.last[0].Position)
	}
	if len(p.last) > 0 {
		result["last"] = p.last[len(p.last)-1]
	}
	return answer{Summary: summary, Result: result, Partial: p.count == 0}
}
