package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/pattern/stream"
)

func (a *app) streamExport() *cobra.Command {
	r := &reading{app: a}
	var path string
	c := &cobra.Command{
		Use: "export TOPIC", Short: "Write the events of a topic as lines of JSON.",
		Example: `  parley stream export orders --file orders.ndjson
  parley stream export orders --from @2026-01-01T00:00:00Z --to @2026-02-01T00:00:00Z | gzip > january.gz
  parley stream export orders --who backup >> orders.ndjson      only what is new`,
		Long: `Each line is a whole CloudEvent with its parleypartition and parleyposition: what
import takes. Partitions come one after the other.`,
		Args: exactly("TOPIC"),
	}
	at := a.remoteFlags(c)
	a.rangeFlags(c, r, at)
	c.Flags().StringVarP(&path, "file", "f", "", "write to this `file` instead of standard output")
	c.ValidArgsFunction = first(a.completeNames(at, topicNames))
	c.RunE = a.command(func(ctx context.Context, args []string) (answer, error) {
		if a.json && path == "" {
			return answer{}, usagef("name a --file", "standard output is for the answer under --json")
		}
		cl, err := a.client(at)
		if err != nil {
			return answer{}, err
		}
		r.topic = args[0]
		t, err := cl.Topic(ctx, r.topic)
		if err != nil {
			return answer{}, err
		}
		to := a.out
		if path != "" {
			file, err := os.Create(path)
			if err != nil {
				return answer{}, asked(parley.BadField("--file", err.Error(), "check the path"))
			}
			defer file.Close() // after an error; else it is closed before
			if err := r.export(ctx, cl, t.Events, file); err != nil {
				return answer{}, err
			}
			if err := file.Close(); err != nil {
				return answer{}, parley.Errorf(parley.Full, "closing %s: %w", path, err)
			}
		} else if err := r.export(ctx, cl, t.Events, to); err != nil {
			return answer{}, err
		}
		return answer{Summary: count(int64(r.n), "event") + " exported", Result: map[string]any{"events": r.n, "file": path}, Partial: r.n == 0}, nil
	})
	return c
}

func (r *reading) export(ctx context.Context, cl *client.Client, size int64, to io.Writer) error {
	out := bufio.NewWriterSize(to, 1<<16)
	r.bar = r.app.progress(size)
	defer r.bar.done()
	r.give = func(m *stream.Message) error {
		_, err := out.Write(withPlace(m))
		if err == nil && r.who != "" {
			err = out.Flush() // what is committed is written
		}
		return err
	}
	if err := r.run(ctx, cl); err != nil {
		return err
	}
	return out.Flush()
}

// fingerprint is an event's identity: source and id (CloudEvents 1.0 §3.1).
type fingerprint [16]byte

func fingerprintOf(e *parley.Event) (f fingerprint) {
	sum := sha256.Sum256([]byte(e.Source + "\x00" + e.ID))
	copy(f[:], sum[:])
	return f
}

// importing is one run of import.
type importing struct {
	cl    *client.Client
	topic string
	seen  map[fingerprint]struct{}
	batch []parley.Event
	bytes int
	count int // published
	known int // were there
}

func (a *app) streamImport() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use: "import TOPIC", Short: "Publish events from lines of JSON, as export writes them.",
		Example: `  parley stream import orders --file orders.ndjson
  zcat january.gz | parley stream import orders`,
		Long: `Events keep their ids, sources, times and order. Those that the topic has already,
by source and id, are left out: an import that broke off is simply repeated. For
that the topic is read first, and while it runs nobody else should import the same.`,
		Args: exactly("TOPIC"),
	}
	at := a.remoteFlags(c)
	c.Flags().StringVarP(&path, "file", "f", "", "read this `file` instead of standard input")
	c.ValidArgsFunction = first(a.completeNames(at, topicNames))
	c.RunE = a.command(func(ctx context.Context, args []string) (answer, error) {
		cl, err := a.client(at)
		if err != nil {
			return answer{}, err
		}
		in, size := a.in, int64(0)
		if path != "" {
			file, err := os.Open(path)
			if err != nil {
				return answer{}, asked(parley.BadField("--file", err.Error(), "check the path"))
			}
			defer file.Close()
			if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
				size = info.Size()
			}
			in = file
		}
		m := &importing{cl: cl, topic: args[0], seen: map[fingerprint]struct{}{}}
		err = a.importAll(ctx, m, in, size)
		result := map[string]any{"events": m.count, "known": m.known}
		if err != nil {
			return answer{Result: result}, err
		}
		summary := count(int64(m.count), "event") + " imported into " + m.topic
		if m.known > 0 {
			summary += "; " + count(int64(m.known), "event") + " had been there"
		}
		return answer{Summary: summary, Result: result}, nil
	})
	return c
}

func (a *app) importAll(ctx context.Context, m *importing, in io.Reader, size int64) error {
	look := &reading{app: a, topic: m.topic, from: "earliest", partition: -1, give: func(e *stream.Message) error {
		m.seen[fingerprintOf(&e.Event)] = struct{}{}
		return nil
	}}
	if err := look.run(ctx, m.cl); err != nil && parley.CodeOf(err) != parley.NotFound {
		return err
	}
	bar := a.progress(size)
	defer bar.done()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	lines, failed := make(chan inputLine, pubEvents), make(chan error, 1)
	go func() { defer close(lines); failed <- readLines(ctx, in, lines) }()
	var read int64
	for line := range lines {
		read += int64(len(line.text)) + 1
		if err := m.add(ctx, line.text); err != nil {
			return inLine(err, line.n)
		}
		bar.step(read, m.count+m.known)
	}
	if err := <-failed; err != nil {
		return err
	}
	return m.flush(ctx)
}

func (m *importing) add(ctx context.Context, line []byte) error {
	e, err := parley.ParseJSON(line)
	if err != nil {
		return err
	}
	if e.ID == "" || e.Source == "" {
		return parley.BadField("id", "or source is missing: without them an event has no identity", "use `parley pub --ndjson` for data alone")
	}
	f := fingerprintOf(&e)
	if _, there := m.seen[f]; there {
		m.known++
		return nil
	}
	m.seen[f] = struct{}{}
	delete(e.Extensions, "parleypartition")
	delete(e.Extensions, "parleyposition")
	delete(e.Extensions, "parleycursor")
	m.batch = append(m.batch, e)
	if m.bytes += len(line); len(m.batch) < pubEvents && m.bytes < pubBytes {
		return nil
	}
	return m.flush(ctx)
}

// flush publishes what was gathered. It is sent again after a lost answer, and
// stored once.
func (m *importing) flush(ctx context.Context) error {
	if len(m.batch) == 0 {
		return nil
	}
	placed, err := m.cl.Publish(ctx, m.topic, m.batch...)
	if err != nil {
		return err
	}
	m.count += len(placed)
	m.batch, m.bytes = m.batch[:0], 0
	return nil
}
