package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/server"
)

func (a *app) dumpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "dump DIR [STREAM]",
		Short: "Show stored data as it lies there: the streams, or the batches and records of one.",
		Example: `  parley dump ./parley-data
  parley dump ./parley-data orders/17
  parley dump ./parley-data orders/17 --json | jq 'select(.key == "customer-7")'`,
		Long: `The server that uses the directory must be stopped; nothing is changed. STREAM is a
name as ` + "`parley dump DIR`" + ` lists it, such as orders/17: a topic has a stream for
each partition, whose number the server chose; those that begin with $ are the
server's own. What cannot be read is left out and told at the end, with
exit code 1.

With --json each line of a stream is an object: {"batch": …} for a batch, with its
positions and the file and offset where it lies, then one for each of its records,
with position, time, key, value and headers (base64 where they are not UTF-8).`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 {
				return nil
			}
			return exactly("DIR")(cmd, args)
		},
		RunE: a.command(func(_ context.Context, args []string) (answer, error) {
			if len(args) == 1 {
				return listing(args[0])
			}
			return a.dump(args[0], args[1])
		}),
	}
}

func listing(dir string) (answer, error) {
	streams, err := server.ListData(dir)
	if err != nil {
		return answer{}, noData(err)
	}
	return answer{
		Summary: count(int64(len(streams)), "stream"), Partial: len(streams) == 0,
		Result: map[string]any{"dir": dir, "streams": slices.Concat([]server.StoredStream{}, streams)},
		Text: func(w io.Writer) error {
			t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
			fmt.Fprintln(t, "STREAM\tEARLIEST\tNEXT\tEVENTS\tBYTES\tSEGMENTS\tSTATE")
			for _, s := range streams {
				state := "ok"
				if s.Damaged != "" {
					state = "quarantined: " + s.Damaged
				}
				fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\t%s\n", s.Name, s.Earliest, s.Next, s.Events, s.Bytes, s.Segments, state)
			}
			return t.Flush()
		},
	}, nil
}

// dump prints one stream. With --json its lines are the answer, as those of sub.
func (a *app) dump(dir, stream string) (answer, error) {
	out := bufio.NewWriter(a.out)
	d := &dumper{out: out, json: a.json}
	err := server.DumpData(dir, stream, d)
	if flushed := out.Flush(); err == nil {
		err = flushed
	}
	if err != nil {
		return answer{}, noData(noStream(dir, stream, err))
	}
	return answer{
		Summary: fmt.Sprintf("%s in %s", count(d.records, "record"), batches(d.batches)),
		Result:  map[string]any{"stream": stream, "records": d.records, "batches": d.batches},
	}, nil
}

// noStream says of a directory that has no such stream which of the same topic it
// has.
func noStream(dir, stream string, err error) error {
	if parley.CodeOf(err) != parley.NotFound {
		return err
	}
	streams, failed := server.ListData(dir)
	if failed != nil {
		return err // there is no data at all
	}
	topic, _, _ := strings.Cut(stream, "/")
	var near []string
	for _, s := range streams {
		if name, _, _ := strings.Cut(s.Name, "/"); name == topic && len(near) < 5 {
			near = append(near, s.Name)
		}
	}
	fix := "use a name as `parley dump " + dir + "` lists it"
	if len(near) > 0 {
		fix += ": " + strings.Join(near, ", ")
	}
	return &parley.Error{Code: parley.NotFound, Field: "STREAM", Detail: dir + " has no stream " + stream, Fix: fix}
}

func batches(n int64) string {
	if n == 1 {
		return "1 batch"
	}
	return fmt.Sprintf("%d batches", n)
}

// dumper takes the lines of a dump, one for each call of Write, and prints them.
type dumper struct {
	out              io.Writer
	json             bool
	batches, records int64
}

// line of a dump: of a batch, or of a record.
type line struct {
	Batch *struct {
		Base, Next, Epoch, Events, Bytes int64
		Codec, File                      string
		Offset                           *int64
	}
	Position int64
	Time     time.Time
	Key      *string
	Key64    []byte `json:"key_base64"`
	Value    *string
	Value64  []byte `json:"value_base64"`
	Headers  map[string]string
	Error    string
}

// Write implements io.Writer.
func (d *dumper) Write(p []byte) (int, error) {
	var l line
	if err := json.Unmarshal(p, &l); err != nil {
		return 0, err
	}
	if l.Batch != nil {
		d.batches++
	} else {
		d.records++
	}
	if d.json {
		return d.out.Write(p)
	}
	_, err := io.WriteString(d.out, l.String())
	return len(p), err
}

// String is the line for people.
func (l *line) String() string {
	if b := l.Batch; b != nil {
		at := b.File
		if b.Offset != nil {
			at += fmt.Sprintf(" at %d", *b.Offset)
		}
		return fmt.Sprintf("batch %d to %d   %s   %d bytes   codec %s   epoch %d   %s\n", b.Base, b.Next-1, count(b.Events, "record"), b.Bytes, b.Codec, b.Epoch, at)
	}
	if l.Error != "" {
		return fmt.Sprintf("  %d  cannot be decoded: %s\n", l.Position, l.Error)
	}
	s := fmt.Sprintf("  %d  %s", l.Position, l.Time.UTC().Format("2006-01-02T15:04:05.000Z"))
	switch {
	case l.Key != nil:
		s += fmt.Sprintf("  key %q", *l.Key)
	case l.Key64 != nil:
		s += fmt.Sprintf("  key %x", l.Key64)
	}
	for _, name := range []string{"ce_type", "ce_id", "content-type"} {
		if v, ok := l.Headers[name]; ok {
			s += fmt.Sprintf("  %s %q", strings.TrimPrefix(name, "ce_"), v)
		}
	}
	switch {
	case l.Value != nil:
		s += fmt.Sprintf("  %q", *l.Value)
	case l.Value64 != nil:
		s += fmt.Sprintf("  %d bytes", len(l.Value64))
	default:
		s += "  deleted"
	}
	return s + "\n"
}
