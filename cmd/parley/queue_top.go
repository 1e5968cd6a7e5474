package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/parleyhq/parley/client"
)

func (a *app) queueTop() *cobra.Command {
	var every time.Duration
	var rounds int
	c := &cobra.Command{
		Use: "top [QUEUE…]", Short: "Watch queues: counts, rates, the age of the oldest job.",
		Example: `  parley queue top
  parley queue top emails reports --every 5s
  parley queue top --count 1`,
		Long: `On a terminal the table is drawn anew; else each queue is a line of each round, and
with --json a JSON object. IN and DONE are jobs per second since the last round.
Ctrl-C ends it.`,
	}
	at := a.remoteFlags(c)
	c.Flags().DurationVar(&every, "every", 2*time.Second, "how often, at least 100ms")
	c.Flags().IntVar(&rounds, "count", 0, "end after so many rounds")
	c.ValidArgsFunction = a.completeQueues(at)
	c.RunE = a.command(func(ctx context.Context, args []string) (answer, error) {
		if every < 100*time.Millisecond {
			return answer{}, usagef("write 100ms or more", "--every %s is too often", every)
		}
		cl, err := a.client(at)
		if err != nil {
			return answer{}, err
		}
		t := &queueTop{app: a, client: cl, names: args, last: map[string]client.QueueInfo{}}
		return t.run(ctx, every, rounds)
	})
	return c
}

// queueTop is one run of top.
type queueTop struct {
	app    *app
	client *client.Client
	names  []string
	last   map[string]client.QueueInfo
	asked  time.Time
	rounds int
}

func (t *queueTop) run(ctx context.Context, every time.Duration, rounds int) (answer, error) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for ctx.Err() == nil {
		list, err := queueInfos(ctx, t.client, t.names)
		if err != nil && ctx.Err() == nil {
			return answer{}, err
		}
		if err == nil {
			if err := t.show(list, time.Now()); err != nil {
				return answer{}, err
			}
		}
		if t.rounds++; t.rounds == rounds {
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	return answer{Result: map[string]any{"rounds": t.rounds}}, nil
}

// topLine is a queue of one round, as --json prints it.
type topLine struct {
	At time.Time `json:"at"`
	client.QueueInfo
	In   float64 `json:"in_per_second"`
	Done float64 `json:"done_per_second"`
}

func (t *queueTop) show(list []client.QueueInfo, now time.Time) error {
	lines := make([]topLine, len(list))
	seconds := now.Sub(t.asked).Seconds()
	for i, q := range list {
		lines[i] = topLine{At: now.UTC(), QueueInfo: q}
		if before, there := t.last[q.Name]; there && seconds > 0 {
			lines[i].In = float64(q.Stats.Enqueued-before.Stats.Enqueued) / seconds
			lines[i].Done = float64(q.Stats.Done-before.Stats.Done) / seconds
		}
		t.last[q.Name] = q
	}
	t.asked = now
	if t.app.json {
		for _, l := range lines {
			if err := t.app.line(l); err != nil {
				return err
			}
		}
		return nil
	}
	var screen bytes.Buffer
	if isTerminal(t.app.out) {
		fmt.Fprintf(&screen, "\x1b[H\x1b[2J%s   %s\n\n", now.Format("15:04:05"), count(int64(len(list)), "queue"))
		if err := queueTopTable(&screen, lines, now); err != nil {
			return err
		}
	} else {
		for _, l := range lines {
			s := l.Stats
			fmt.Fprintf(&screen, "%s %s ready=%d delayed=%d leased=%d dead=%d in=%.1f/s done=%.1f/s oldest=%s %s\n",
				now.Format("15:04:05"), l.Name, s.Ready, s.Delayed, s.Leased, s.Dead, l.In, l.Done, age(s.Oldest, now), pausedText(l.QueueInfo))
		}
	}
	_, err := t.app.out.Write(screen.Bytes())
	return err
}

func queueTopTable(w io.Writer, lines []topLine, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "QUEUE\tREADY\tDELAYED\tLEASED\tDEAD\tIN/s\tDONE/s\tOLDEST\tWAITING\tSTATE\t")
	for _, l := range lines {
		s := l.Stats
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%.1f\t%.1f\t%s\t%d\t%s\t\n",
			l.Name, s.Ready, s.Delayed, s.Leased, s.Dead, l.In, l.Done, age(s.Oldest, now), s.Waiting, pausedText(l.QueueInfo))
	}
	return t.Flush()
}
