package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/pattern/queue"
)

// jobJSON is a job as --json shows it.
type jobJSON struct{ queue.Info }

// MarshalJSON implements json.Marshaler.
func (j jobJSON) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		queue.Info
		Event eventJSON `json:"event"`
	}{j.Info, eventJSON{j.Event}})
}

var states = []string{string(queue.Ready), string(queue.Delayed), string(queue.Leased), string(queue.Dead)}

func (a *app) queueList() *cobra.Command {
	var state, after string
	var limit int
	c := &cobra.Command{
		Use: "list [QUEUE]", Aliases: []string{"ls", "peek"}, Short: "List the queues, or the jobs of one without taking them.",
		Example: `  parley queue list                            the queues
  parley queue list emails                     its jobs that are ready
  parley queue list emails --state delayed --limit 20
  parley queue list emails --state leased --json | jq -r .result[].id`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return exactly("QUEUE")(cmd, args)
		},
	}
	c.Flags().StringVar(&state, "state", "ready", "ready, delayed, leased or dead")
	c.Flags().StringVar(&after, "after", "", "only jobs with a greater `id`")
	c.Flags().IntVar(&limit, "limit", 100, "how many at most")
	completeStates(c, "state")
	at := a.remoteFlags(c)
	c.ValidArgsFunction = a.completeQueues(at)
	c.RunE = a.command(func(ctx context.Context, args []string) (answer, error) {
		if len(args) == 0 {
			return a.queues(ctx, at, nil)
		}
		q, err := a.queueAt(at, args[0])
		if err != nil {
			return answer{}, err
		}
		list, err := peekAll(ctx, q, queue.State(state), after, limit)
		if err != nil {
			return answer{}, err
		}
		return jobsAnswer(list, state, jobTable), nil
	})
	return c
}

func completeStates(c *cobra.Command, flag string) {
	_ = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(states, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
}

// peekAll pages through jobs, up to a limit.
func peekAll(ctx context.Context, q *client.Queue, state queue.State, after string, limit int) ([]queue.Info, error) {
	if !slices.Contains(states, string(state)) {
		return nil, usagef("use ready, delayed, leased or dead", "--state %s is none that a job can be in", state)
	}
	if limit < 1 {
		return nil, usagef("write 1 or more", "--limit %d is no number of jobs", limit)
	}
	r := queue.PeekRequest{State: state}
	if after != "" {
		id, err := queue.ParseID(after)
		if err != nil {
			return nil, usagef("give the last id of the page before", "--after %s is not the id of a job", after)
		}
		r.After = id
	}
	all := []queue.Info{}
	for len(all) < limit {
		r.Max = min(limit-len(all), 1000)
		list, err := q.Peek(ctx, r)
		if err != nil {
			return all, err
		}
		if len(list) == 0 {
			break
		}
		all, r.After = append(all, list...), list[len(list)-1].ID
	}
	return all, nil
}

func jobsAnswer(list []queue.Info, state string, table func(io.Writer, []queue.Info) error) answer {
	result := make([]jobJSON, len(list))
	for i, j := range list {
		result[i] = jobJSON{j}
	}
	return answer{
		Summary: count(int64(len(list)), state+" job"), Result: result, Partial: len(list) == 0,
		Text: func(w io.Writer) error {
			if len(list) == 0 {
				return nil
			}
			return table(w, list)
		},
	}
}

func jobTable(w io.Writer, list []queue.Info) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "JOB\tENQUEUED\tPRIORITY\tKEY\tATTEMPTS\tDUE\tDATA")
	for _, j := range list {
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%d\t%s\t%s\n", j.ID, clock(j.Enqueued), j.Priority, orDash(j.Key), j.Attempts, clock(j.Due), dataLine(j.Event, 100))
	}
	return t.Flush()
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return oneLine(text, 40)
}

func (a *app) queueDead() *cobra.Command {
	var after string
	var limit int
	c := &cobra.Command{
		Use: "dead QUEUE", Short: "List dead jobs, and why they are.",
		Example: `  parley queue dead emails
  parley queue dead emails --json | jq -r '.result[] | [.id, .reason] | @tsv'`,
		Long: "See one with its attempts by `parley queue show QUEUE ID`; bring them back with `parley queue redrive QUEUE`.",
		Args: exactly("QUEUE"),
	}
	c.Flags().StringVar(&after, "after", "", "only jobs with a greater `id`")
	c.Flags().IntVar(&limit, "limit", 100, "how many at most")
	return a.onQueue(c, func(ctx context.Context, q *client.Queue, _ []string) (answer, error) {
		list, err := peekAll(ctx, q, queue.Dead, after, limit)
		if err != nil {
			return answer{}, err
		}
		return jobsAnswer(list, "dead", deadTable), nil
	})
}

func deadTable(w io.Writer, list []queue.Info) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "JOB\tDIED\tATTEMPTS\tREASON\tDATA")
	for _, j := range list {
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\n", j.ID, clock(j.Died), j.Attempts, oneLine(j.Reason, 120), dataLine(j.Event, 80))
	}
	return t.Flush()
}

func (a *app) queueShow() *cobra.Command {
	c := &cobra.Command{
		Use: "show QUEUE ID", Short: "Show one job with its attempts.",
		Example: "  parley queue show emails 17", Args: exactly("QUEUE", "ID"),
	}
	return a.onQueue(c, func(ctx context.Context, q *client.Queue, args []string) (answer, error) {
		ids, err := parseIDs(args)
		if err != nil {
			return answer{}, err
		}
		j, err := q.Get(ctx, ids[0])
		if parley.CodeOf(err) == parley.NotFound {
			return answer{}, &parley.Error{Code: parley.NotFound, Field: "ID", Detail: "the queue " + q.Name() + " has no job " + args[0] + " (any more): it is done, was canceled, or never was", Fix: "see those that are there: parley queue list " + q.Name()}
		}
		if err != nil {
			return answer{}, err
		}
		return answer{Result: jobJSON{j}, Text: func(w io.Writer) error { return showJob(w, j) }}, nil
	})
}

func showJob(w io.Writer, j queue.Info) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	row := func(name, value string) {
		if value != "" && value != "-" {
			fmt.Fprintf(t, "%s\t%s\n", name, oneLine(value, 4000))
		}
	}
	row("job", j.ID.String())
	row("state", string(j.State))
	row("enqueued", clock(j.Enqueued))
	row("due", clock(j.Due))
	row("priority", fmt.Sprint(j.Priority))
	row("key", j.Key)
	row("unique", j.Unique)
	row("died", clock(j.Died))
	row("reason", j.Reason)
	if p := j.Progress; p != nil {
		row("progress", fmt.Sprintf("%.0f %% %s", 100*p.Fraction, p.Note))
	}
	row("event", j.Event.ID+" "+j.Event.Type)
	row("data", dataLine(j.Event, 4000))
	if len(j.History) > 0 {
		fmt.Fprintln(t, "\nATTEMPT\tWORKER\tBEGAN\tTOOK\tENDED BY")
	}
	for _, h := range j.History {
		took := "-"
		if !h.Ended.IsZero() {
			took = h.Ended.Sub(h.Began).Round(time.Millisecond).String()
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\n", h.Number, orDash(h.Worker), clock(h.Began), took, oneLine(h.Cause, 1000))
	}
	return t.Flush()
}

func (a *app) queueStats() *cobra.Command {
	c := &cobra.Command{
		Use: "stats [QUEUE…]", Short: "Count the jobs of queues.",
		Example: `  parley queue stats
  parley queue stats emails --json | jq .result[0].stats.ready`,
	}
	at := a.remoteFlags(c)
	c.ValidArgsFunction = a.completeQueues(at)
	c.RunE = a.command(func(ctx context.Context, args []string) (answer, error) { return a.queues(ctx, at, args) })
	return c
}

// queues shows queues: those that are named, or all.
func (a *app) queues(ctx context.Context, at *remote, names []string) (answer, error) {
	cl, err := a.client(at)
	if err != nil {
		return answer{}, err
	}
	list, err := queueInfos(ctx, cl, names)
	if err != nil {
		return answer{}, err
	}
	return answer{
		Summary: count(int64(len(list)), "queue"), Result: list, Partial: len(list) == 0,
		Text: func(w io.Writer) error { return queueTable(w, list, time.Now()) },
	}, nil
}

func queueInfos(ctx context.Context, cl *client.Client, names []string) ([]client.QueueInfo, error) {
	if len(names) == 0 {
		return cl.Queues(ctx)
	}
	list := make([]client.QueueInfo, len(names))
	for i, name := range names {
		if err := checkQueue(name); err != nil {
			return nil, err
		}
		var err error
		if list[i], err = cl.Queue(name).Info(ctx); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func queueTable(w io.Writer, list []client.QueueInfo, now time.Time) error {
	if len(list) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "QUEUE\tREADY\tDELAYED\tLEASED\tDEAD\tDONE\tOLDEST\tWORKERS WAITING\tSTATE")
	for _, q := range list {
		s := q.Stats
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\t%s\t%d\t%s\n", q.Name, s.Ready, s.Delayed, s.Leased, s.Dead, s.Done, age(s.Oldest, now), s.Waiting, pausedText(q))
	}
	return t.Flush()
}

func pausedText(q client.QueueInfo) string {
	if q.Paused || q.Stats.Paused {
		return "paused"
	}
	return "open"
}

// age tells how long ago something was.
func age(at, now time.Time) string {
	if at.IsZero() {
		return "-"
	}
	d := max(0, now.Sub(at))
	switch {
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	case d < 48*time.Hour:
		return d.Round(time.Second).String()
	}
	return fmt.Sprintf("%dd", int(d/(24*time.Hour)))
}
