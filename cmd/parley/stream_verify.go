package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/pattern/stream"
)

func (a *app) streamVerify() *cobra.Command {
	v := &chainCheck{}
	var heads []string
	c := &cobra.Command{
		Use: "verify TOPIC", Short: "Check the hash chain of a topic's events, and name the first break.",
		Example: `  parley stream verify audit
  parley stream verify audit --head "$(cat yesterday)"      what was noted before must be in it still
  parley stream verify audit --json | jq -r .result.chains[0].head > today`,
		Long: `Each event of a chain has the digest of the one before it in its partition as
` + stream.PreviousDigest + `. An event that was changed, removed or put in between breaks the chain.
That the newest events are missing, or that all of it was made anew, shows only
against a digest that was kept elsewhere: give it as --head. Exit code 0 says that
the chains are whole, 1 that one is broken, 3 that there are no events.`,
		Args: exactly("TOPIC"),
	}
	at := a.remoteFlags(c)
	c.Flags().StringSliceVar(&heads, "head", nil, "a `digest` that an event of the topic must have; may be given several times")
	c.Flags().BoolVar(&v.partial, "partial", false, "older events may be gone, by retention")
	c.RunE = a.command(func(ctx context.Context, args []string) (answer, error) {
		v.wanted = map[string]bool{}
		for _, head := range heads {
			if head = strings.ToLower(head); len(head) != len(stream.ChainStart) {
				return answer{}, asked(parley.BadField("--head", "is no digest", "give 64 hexadecimal digits, as verify prints them"))
			}
			v.wanted[head] = true
		}
		var err error
		if v.client, err = a.client(at); err != nil {
			return answer{}, err
		}
		return v.topic(ctx, args[0])
	})
	return c
}

// chainCheck checks the chains of a topic.
type chainCheck struct {
	client  *client.Client
	partial bool
	wanted  map[string]bool // digests that were not met so far
}

// chain is what was found in a partition.
type chain struct {
	Partition int    `json:"partition"`
	Events    int64  `json:"events"` // that follow one another
	Begin     string `json:"begin"`  // what the oldest event names as the one before it
	Head      string `json:"head"`   // the digest of the newest of Events
	Whole     bool   `json:"whole"`
	// Break is the first event that does not follow.
	Break *chainBreak `json:"break,omitempty"`
}

type chainBreak struct {
	Number int64     `json:"number"` // from 1, the oldest event there is
	ID     string    `json:"id"`
	Type   string    `json:"type"`
	Time   time.Time `json:"time"`
	Detail string    `json:"detail"`
	fix    string
}

func (v *chainCheck) topic(ctx context.Context, name string) (answer, error) {
	t, err := v.client.Topic(ctx, name)
	if err != nil {
		return answer{}, err
	}
	found := struct {
		Topic   string   `json:"topic"`
		Events  int64    `json:"events"`
		Whole   bool     `json:"whole"`
		Chains  []chain  `json:"chains"`
		Missing []string `json:"missing"` // what --head gave and no event has
	}{Topic: name, Chains: []chain{}, Missing: []string{}}
	var broken *chain
	for _, p := range t.Partitions {
		c, err := v.partition(ctx, name, p.Partition)
		if err != nil {
			return answer{}, err
		}
		found.Chains, found.Events = append(found.Chains, c), found.Events+c.Events
		if broken == nil && c.Break != nil {
			broken = &c
		}
	}
	found.Missing = slices.AppendSeq(found.Missing, maps.Keys(v.wanted))
	slices.Sort(found.Missing)
	found.Whole = broken == nil && len(found.Missing) == 0
	ans := answer{
		Summary: "the chain of " + name + " is whole: " + count(found.Events, "event"), Result: found, Partial: found.Events == 0,
		Text: func(w io.Writer) error { return chainTable(w, found.Chains) },
	}
	switch {
	case broken != nil:
		b := broken.Break
		return ans, &parley.Error{
			Code: parley.Damaged, Fix: b.fix,
			Detail: fmt.Sprintf("%s, partition %d: the chain breaks at event %d, id %s: %s", name, broken.Partition, b.Number, strconv.Quote(b.ID), b.Detail),
		}
	case len(found.Missing) > 0:
		return ans, &parley.Error{
			Code: parley.Damaged, Detail: name + ": no event has the digest " + found.Missing[0],
			Fix: "the newest events are missing, or the chain was made anew: compare with a copy",
		}
	}
	return ans, nil
}

// partition checks a partition from its oldest event to what is the newest by then.
func (v *chainCheck) partition(ctx context.Context, name string, n int) (chain, error) {
	var c stream.Chain
	out := chain{Partition: n}
	for at, more := "earliest", true; more && out.Break == nil; {
		page, err := v.client.Poll(ctx, name, client.Poll{After: at, Limit: 1000, Partition: &n})
		if err != nil {
			return out, err
		}
		for i := range page.Events {
			if out.Break = v.event(&c, &page.Events[i]); out.Break != nil {
				break
			}
		}
		at, more = page.Cursor, page.More
	}
	out.Events, out.Begin, out.Head, out.Whole = c.Events(), c.Begin(), c.Head(), out.Break == nil
	return out, nil
}

// event adds an event to a chain; nil says that it follows.
func (v *chainCheck) event(c *stream.Chain, e *parley.Event) *chainBreak {
	b := &chainBreak{Number: c.Events() + 1, ID: e.ID, Type: e.Type, Time: e.Time}
	if err := c.Add(e); err != nil {
		why := explain(err)[0]
		b.Detail, b.fix = why.Detail, why.Fix
		return b
	}
	delete(v.wanted, c.Head())
	if c.Events() == 1 && c.Begin() != stream.ChainStart && !v.partial {
		b.Detail, b.fix = "it is the oldest one, and names "+c.Begin()+" as the one before it", "say --partial if retention has removed older events"
		return b
	}
	return nil
}

func chainTable(w io.Writer, chains []chain) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "PARTITION\tEVENTS\tCHAIN\tHEAD") // Flush tells of all
	for _, c := range chains {
		state := "whole"
		switch {
		case c.Break != nil:
			state = "broken"
		case c.Events == 0:
			state = "empty"
		case c.Begin != stream.ChainStart:
			state = "partial"
		}
		_, _ = fmt.Fprintf(t, "%d\t%d\t%s\t%s\n", c.Partition, c.Events, state, c.Head)
	}
	return t.Flush()
}
