package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/pattern/stream"
)

// reading is what is read of a topic, and where it goes.
type reading struct {
	app       *app
	topic     string
	from, to  string
	who       string
	partition int // −1 = all
	count     int // 0 = all
	give      func(m *stream.Message) error
	n         int
	bar       *progress
}

// rangeFlags are those of commands that read what is there.
func (a *app) rangeFlags(c *cobra.Command, r *reading, at *remote) {
	f := c.Flags()
	f.StringVar(&r.from, "from", "earliest", "where to begin: earliest, a `position`, a cursor, or @ and an RFC 3339 time")
	f.StringVar(&r.to, "to", "", "where to end: before this `position` or @time; default: with what is there now")
	f.StringVar(&r.who, "who", "", "read as this consumer `group`, from its committed places, and commit")
	f.IntVar(&r.partition, "partition", -1, "only this partition")
	_ = c.RegisterFlagCompletionFunc("who", a.completeNames(at, groupNames)) // the flag is there
}

func (a *app) streamRead() *cobra.Command {
	r := &reading{app: a}
	c := &cobra.Command{
		Use: "read TOPIC", Short: "Print the events of a topic that are there, one partition after the other.",
		Example: `  parley stream read orders
  parley stream read orders --partition 0 --from 100 --to 200
  parley stream read orders --from @2026-01-31T12:00:00Z --json
  parley stream read orders --who billing --count 10`,
		Long: `Each event's data is printed on a line of its own; with --json each line is a whole
CloudEvent with its parleypartition and parleyposition. With --who the events are
those that the group has not committed, shared with its other members; what was
printed is committed.`,
		Args: exactly("TOPIC"),
	}
	at := a.remoteFlags(c)
	a.rangeFlags(c, r, at)
	c.Flags().IntVar(&r.count, "count", 0, "end after so many events")
	c.ValidArgsFunction = first(a.completeNames(at, topicNames))
	c.RunE = a.command(func(ctx context.Context, args []string) (answer, error) {
		cl, err := a.client(at)
		if err != nil {
			return answer{}, err
		}
		r.topic, r.give = args[0], a.giveMessage
		if err := r.run(ctx, cl); err != nil {
			return answer{}, err
		}
		return answer{Summary: count(int64(r.n), "event"), Result: map[string]any{"events": r.n}, Partial: r.n == 0}, nil
	})
	return c
}

// giveMessage prints an event.
func (a *app) giveMessage(m *stream.Message) error {
	text := []byte(a.eventText(m.Event))
	if a.json {
		text = withPlace(m)
	}
	_, err := a.out.Write(text)
	return err
}

// withPlace is an event on one line, with its place, its data byte for byte.
func withPlace(m *stream.Message) []byte {
	line := m.Event.AppendJSON(nil)
	if bytes.IndexByte(line, '\n') >= 0 { // JSON that was written over several lines
		line = m.Event.AppendJSONBase64(line[:0])
	}
	return fmt.Appendf(line[:len(line)-1], `,"parleypartition":%d,"parleyposition":%d}`+"\n", m.Partition, m.Position)
}

// errEnough ends a reading.
var errEnough = errors.New("enough")

func (r *reading) take(m *stream.Message) error {
	if err := r.give(m); err != nil {
		return err
	}
	if r.n++; r.n == r.count {
		return errEnough
	}
	return nil
}

func (r *reading) run(ctx context.Context, cl *client.Client) error {
	if r.who != "" {
		if err := checkGroup("--who", r.who); err != nil {
			return err
		}
	}
	t, err := cl.Topic(ctx, r.topic)
	if err != nil {
		return err
	}
	if r.partition >= len(t.Partitions) {
		return usagef("it has partitions 0 to "+strconv.Itoa(len(t.Partitions)-1), "%s has no partition %d", r.topic, r.partition)
	}
	if r.who != "" {
		err = r.asGroup(ctx, cl, &t)
	} else {
		for _, p := range t.Partitions {
			if r.partition >= 0 && p.Partition != r.partition {
				continue
			}
			if err = r.part(ctx, cl, p); err != nil {
				break
			}
		}
	}
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// part reads one partition.
func (r *reading) part(ctx context.Context, cl *client.Client, p client.Partition) error {
	end := p.End
	if r.to != "" {
		var err error
		if end, err = r.position(ctx, cl, p, "--to", r.to); err != nil {
			return err
		}
	}
	from, err := r.position(ctx, cl, p, "--from", r.from)
	if err != nil {
		return err
	}
	one := cl.Reader(r.topic, p.Partition, "")
	for one.Seek(from); one.Position() < end; {
		list, err := one.Fetch(ctx, stream.MaxFetch, 0)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return nil // what is left was compacted away
		}
		for i := range list {
			if list[i].Position >= end {
				return nil
			}
			if err := r.take(&list[i]); err != nil {
				return err
			}
			if r.bar != nil {
				r.bar.step(int64(r.n), r.n)
			}
		}
	}
	return nil
}

// position finds the position that a flag means in a partition.
func (r *reading) position(ctx context.Context, cl *client.Client, p client.Partition, flag, text string) (parley.Position, error) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 {
		return parley.Position(n), nil
	}
	if text == "latest" {
		return p.End, nil
	}
	one := cl.Reader(r.topic, p.Partition, text)
	list, err := one.Fetch(ctx, 1, 0)
	var e *parley.Error
	if errors.As(err, &e) && e.Field == "after" {
		e.Field = flag
	}
	if err != nil || len(list) == 0 {
		return one.Position(), err
	}
	return list[0].Position, nil
}

// asGroup reads as a member of a group, until nothing is left that was there.
func (r *reading) asGroup(ctx context.Context, cl *client.Client, t *client.Topic) error {
	if r.to != "" || r.partition >= 0 {
		return usagef("leave --who away, or --to and --partition", "a group has its own places, and shares partitions out")
	}
	if _, err := strconv.ParseInt(r.from, 10, 64); err == nil {
		return usagef("move the group there: parley stream seek "+r.who+" --position "+r.topic+"/0="+r.from, "--from %s is no place to begin for a group", r.from)
	}
	left, err := r.left(ctx, cl, t)
	if err != nil || left == 0 {
		return err
	}
	c, err := cl.Group(r.who).Consumer(client.ConsumerOptions{Topics: []string{r.topic}, From: r.from, Client: clientName(), Limit: stream.MaxFetch})
	if err != nil {
		return err
	}
	for m, err := range c.Messages(ctx) {
		if err != nil {
			return err
		}
		err := r.take(&m)
		left--
		if err == nil && left > 0 {
			continue
		}
		if err != nil && !errors.Is(err, errEnough) {
			return err
		}
		if err := c.Commit(ctx); err != nil {
			return err
		}
		if err == nil { // others of the group may have had some, or may come
			if left, err = r.left(ctx, cl, t); err == nil && left > 0 {
				continue
			}
		}
		return err
	}
	return nil
}

// left counts the events that the group has not committed.
func (r *reading) left(ctx context.Context, cl *client.Client, t *client.Topic) (int64, error) {
	info, err := cl.Group(r.who).Info(ctx)
	if parley.CodeOf(err) == parley.NotFound && err != nil {
		return t.Events, nil // it begins with what there is
	}
	if err != nil {
		return 0, err
	}
	var n int64
	known := map[int]bool{}
	for _, p := range info.Partitions {
		if p.Topic != r.topic {
			continue
		}
		if known[p.Partition] = true; p.Lag == nil {
			n++ // some, perhaps
		} else {
			n += *p.Lag
		}
	}
	for _, p := range t.Partitions {
		if !known[p.Partition] {
			n += p.Events
		}
	}
	return n, nil
}

// clientName is what a member of this program calls itself.
func clientName() string {
	host, _ := os.Hostname() // "" will do
	return "parley-" + strconv.Itoa(os.Getpid()) + "@" + host
}

func (a *app) streamTail() *cobra.Command {
	var last, limit int
	var who string
	c := &cobra.Command{
		Use: "tail TOPIC", Short: "Print the newest events of a topic, and those that come.",
		Example: `  parley stream tail orders
  parley stream tail orders --last 100 --json
  parley stream tail orders --who billing      as a member of a group, which commits`,
		Long: "With --who the events are those that the group has not committed, and their partitions are shared with its other members. Ctrl-C ends it well.",
		Args: exactly("TOPIC"),
	}
	at := a.remoteFlags(c)
	c.Flags().IntVarP(&last, "last", "n", 10, "how many of the newest events come first")
	c.Flags().IntVar(&limit, "count", 0, "end after so many events")
	c.Flags().StringVar(&who, "who", "", "read as this consumer `group`")
	_ = c.RegisterFlagCompletionFunc("who", a.completeNames(at, groupNames)) // the flag is there
	c.ValidArgsFunction = first(a.completeNames(at, topicNames))
	c.RunE = a.command(func(ctx context.Context, args []string) (answer, error) {
		if who != "" {
			if err := checkGroup("--who", who); err != nil {
				return answer{}, err
			}
		}
		cl, err := a.client(at)
		if err != nil {
			return answer{}, err
		}
		if who != "" {
			return a.tailGroup(ctx, cl.Group(who), args[0], limit)
		}
		from := "latest"
		if last > 0 {
			page, err := cl.Poll(ctx, args[0], client.Poll{Tail: min(last, 1000)})
			if err != nil {
				return answer{}, err
			}
			if from = page.Cursor; len(page.Events) > 0 && limit > 0 {
				page.Events = page.Events[max(0, len(page.Events)-limit):]
			}
			for _, e := range page.Events {
				text := []byte(a.eventText(e))
				if a.json {
					text = withCursor(client.Received{Event: e})
				}
				if _, err := a.out.Write(text); err != nil {
					return answer{}, err
				}
			}
			if limit > 0 {
				if limit -= len(page.Events); limit == 0 {
					return answer{Summary: count(int64(len(page.Events)), "event"), Result: map[string]any{"events": len(page.Events), "cursor": from}}, nil
				}
			}
		}
		return a.receive(ctx, cl, client.Subscription{Topics: args, From: from}, limit)
	})
	return c
}

// tailGroup is a member of a group, until there are enough or the user ends it.
func (a *app) tailGroup(ctx context.Context, g *client.Group, topic string, limit int) (answer, error) {
	c, err := g.Consumer(client.ConsumerOptions{Topics: []string{topic}, Client: clientName(), AutoCommit: time.Second})
	if err != nil {
		return answer{}, err
	}
	n := 0
	for m, err := range c.Messages(ctx) {
		if errors.Is(err, context.Canceled) {
			break
		}
		if err != nil {
			return answer{}, err
		}
		if err := a.giveMessage(&m); err != nil {
			return answer{}, err
		}
		if n++; n == limit {
			if err := c.Commit(ctx); err != nil {
				return answer{}, err
			}
			break
		}
	}
	return answer{Summary: count(int64(n), "event"), Result: map[string]any{"events": n, "group": g.Name()}}, nil
}
