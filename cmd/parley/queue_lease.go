package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/pattern/queue"
)

// leaseJSON is a lease as --json shows it.
type leaseJSON struct {
	Lease    string    `json:"lease"`
	ID       queue.ID  `json:"id"`
	Event    eventJSON `json:"event"`
	Enqueued time.Time `json:"enqueued"`
	Priority int       `json:"priority"`
	Key      string    `json:"key,omitempty"`
	Attempt  int       `json:"attempt"`
	Until    time.Time `json:"until"`
}

// eventJSON is an event as a CloudEvent in JSON; null when it is lost.
type eventJSON struct{ parley.Event }

// MarshalJSON implements json.Marshaler.
func (e eventJSON) MarshalJSON() ([]byte, error) {
	if e.ID == "" {
		return []byte("null"), nil
	}
	return e.AppendJSON(nil), nil
}

func (a *app) queueLease() *cobra.Command {
	var r queue.LeaseRequest
	c := &cobra.Command{
		Use: "lease QUEUE", Short: "Take jobs by hand, to settle them later.",
		Example: `  parley queue lease emails --wait 30s
  parley queue lease emails --max 10 --visibility 5m
  LEASE=$(parley queue lease emails --json | jq -r '.result[0].lease')
  parley queue ack "$LEASE"`,
		Long: `What it takes is this caller's until the lease ends; settle it before with ack,
nack, extend or bury. It exits with 3 when there was no job. To work jobs off, see
parley queue work.`,
		Args: exactly("QUEUE"),
	}
	c.Flags().IntVar(&r.Max, "max", 1, "how many at most, 1 to 1000")
	c.Flags().DurationVar(&r.Wait, "wait", 0, "how long to wait for the first, up to 5m")
	c.Flags().DurationVar(&r.Visibility, "visibility", 0, "how long the lease lasts; default the queue's")
	c.Flags().StringVar(&r.Worker, "worker", "", "`name` in the jobs' history; default this host and process")
	return a.onQueue(c, func(ctx context.Context, q *client.Queue, _ []string) (answer, error) {
		if r.Worker == "" {
			r.Worker = workerName()
		}
		list, err := q.Lease(ctx, r)
		if err != nil {
			return answer{}, err
		}
		result := make([]leaseJSON, len(list))
		for i, l := range list {
			result[i] = leaseJSON{l.Token, l.ID, eventJSON{l.Event}, l.Enqueued, l.Priority, l.Key, l.Attempt, l.Until}
		}
		return answer{
			Summary: count(int64(len(list)), "job") + " leased", Result: result, Partial: len(list) == 0,
			Text: func(w io.Writer) error { return leaseTable(w, list) },
		}, nil
	})
}

func leaseTable(w io.Writer, list []queue.Lease) error {
	if len(list) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "LEASE\tJOB\tATTEMPT\tUNTIL\tDATA")
	for _, l := range list {
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\n", l.Token, l.ID, l.Attempt, clock(l.Until), dataLine(l.Event, 200))
	}
	return t.Flush()
}

// settles makes a command that settles leases. A lease names its queue.
func (a *app) settles(c *cobra.Command, done string, settlement func() (queue.Settlement, error)) *cobra.Command {
	c.Args, c.ValidArgsFunction = atLeast("LEASE"), cobra.NoFileCompletions
	at := a.remoteFlags(c)
	c.RunE = a.command(func(ctx context.Context, leases []string) (answer, error) {
		s, err := settlement()
		if err != nil {
			return answer{}, err
		}
		cl, err := a.client(at)
		if err != nil {
			return answer{}, err
		}
		return settleAll(ctx, cl, leases, s, done)
	})
	return c
}

// settled is what became of one lease.
type settled struct {
	Lease string  `json:"lease"`
	OK    bool    `json:"ok"`
	Error *failed `json:"error,omitempty"`
}

// settleAll settles leases, those of one queue together. All are tried.
func settleAll(ctx context.Context, cl *client.Client, leases []string, s queue.Settlement, done string) (answer, error) {
	byQueue, names := map[string][]queue.Settlement{}, []string(nil)
	for _, l := range leases {
		name, err := queue.QueueOf(l)
		if err != nil {
			return answer{}, &usage{parley.BadField("LEASE", oneLine(l, 80)+" is not the token of a lease", "give one as parley queue lease printed it")}
		}
		if byQueue[name] == nil {
			names = append(names, name)
		}
		each := s
		each.Lease = l
		byQueue[name] = append(byQueue[name], each)
	}
	result, good := []settled{}, 0
	var failures []error
	for _, name := range names {
		list, q := byQueue[name], cl.Queue(name)
		for n := 0; len(list) > 0; list = list[n:] {
			n = min(len(list), queue.MaxSettle)
			errs, err := q.Settle(ctx, list[:n])
			if err != nil {
				return answer{Result: result}, err
			}
			for i, err := range errs {
				r := settled{Lease: list[i].Lease, OK: err == nil}
				if err != nil {
					r.Error = &explain(err)[0]
					failures = append(failures, err)
				} else {
					good++
				}
				result = append(result, r)
			}
		}
	}
	if good == 0 {
		return answer{Result: result}, errors.Join(failures...)
	}
	summary := count(int64(good), "job") + " " + done
	for _, err := range failures {
		summary += "\nnot " + done + ": " + explain(err)[0].Detail
	}
	return answer{Summary: summary, Result: result, Partial: len(failures) > 0}, nil
}

func (a *app) queueAck() *cobra.Command {
	c := &cobra.Command{Use: "ack LEASE…", Short: "Say that leased jobs are done.", Example: `  parley queue ack "$LEASE"`}
	return a.settles(c, "done", func() (queue.Settlement, error) { return queue.Settlement{Action: queue.Ack}, nil })
}

func (a *app) queueNack() *cobra.Command {
	var delay, cause string
	c := &cobra.Command{
		Use: "nack LEASE…", Short: "Give leased jobs back that failed.",
		Example: `  parley queue nack "$LEASE" --cause 'mailbox busy'
  parley queue nack "$LEASE" --delay 5m`,
		Long: "They are tried again when the queue's retry policy says, or after --delay; after too many attempts they are dead.",
	}
	c.Flags().StringVar(&delay, "delay", "", "`duration` until the next attempt, 0s for at once; default the retry policy")
	c.Flags().StringVar(&cause, "cause", "", "why, for the jobs' history")
	return a.settles(c, "given back", func() (queue.Settlement, error) {
		s := queue.Settlement{Action: queue.Nack, Cause: cause}
		if delay != "" {
			d, err := time.ParseDuration(delay)
			if err != nil {
				return s, usagef("write it like 30s or 5m", "--delay %s is not a duration", delay)
			}
			s.Delay = &d
		}
		return s, nil
	})
}

func (a *app) queueExtend() *cobra.Command {
	var d time.Duration
	c := &cobra.Command{
		Use: "extend LEASE…", Short: "Make leases last longer.",
		Example: `  parley queue extend "$LEASE" --for 5m`,
	}
	c.Flags().DurationVar(&d, "for", 0, "how long from now; default the queue's visibility")
	return a.settles(c, "extended", func() (queue.Settlement, error) {
		return queue.Settlement{Action: queue.Extend, Extend: d}, nil
	})
}

func (a *app) queueBury() *cobra.Command {
	var cause string
	c := &cobra.Command{
		Use: "bury LEASE…", Short: "Give leased jobs up for good: they are dead, until they are redriven.",
		Example: `  parley queue bury "$LEASE" --cause 'no such address'`,
	}
	c.Flags().StringVar(&cause, "cause", "", "why, for the jobs' history")
	return a.settles(c, "dead", func() (queue.Settlement, error) {
		return queue.Settlement{Action: queue.Bury, Cause: cause}, nil
	})
}

func (a *app) queueProgress() *cobra.Command {
	var p queue.Progress
	c := &cobra.Command{
		Use: "progress LEASE FRACTION", Short: "Tell how far a leased job is, and extend its lease.",
		Example: `  parley queue progress "$LEASE" 0.4 --note 'page 4 of 10'
  parley queue progress "$PARLEY_LEASE" 0.4                  in a program of parley queue work`,
		Long: "It is shown by parley queue show as long as the lease lasts.",
		Args: exactly("LEASE", "FRACTION"),
	}
	c.ValidArgsFunction = cobra.NoFileCompletions
	c.Flags().StringVar(&p.Note, "note", "", "what it is about, for people")
	at := a.remoteFlags(c)
	c.RunE = a.command(func(ctx context.Context, args []string) (answer, error) {
		var err error
		if p.Fraction, err = strconv.ParseFloat(args[1], 64); err != nil {
			return answer{}, usagef("write 0 to 1, such as 0.4", "%q is no fraction", args[1])
		}
		cl, err := a.client(at)
		if err != nil {
			return answer{}, err
		}
		return settleAll(ctx, cl, args[:1], queue.Settlement{Action: queue.Report, Progress: &p}, "told of")
	})
	return c
}
