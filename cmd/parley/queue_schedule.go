package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/pattern/queue"
)

func (a *app) queueSchedule() *cobra.Command {
	c := &cobra.Command{
		Use: "schedule", Short: "Have jobs added again and again: cron.",
		Example: `  parley queue schedule put reports monthly '{"kind": "sales"}' --cron '0 6 1 * *' --zone Europe/Berlin
  parley queue schedule list reports
  parley queue schedule pause reports monthly
  parley queue schedule delete reports monthly`,
	}
	c.AddCommand(a.schedulePut(), a.scheduleList(), a.schedulePause("pause", true), a.schedulePause("resume", false), a.scheduleDelete())
	group(c)
	return c
}

func (a *app) schedulePut() *cobra.Command {
	var s queue.Schedule
	var missed, contentType string
	c := &cobra.Command{
		Use: "put QUEUE NAME [DATA]", Aliases: []string{"set"}, Short: "Make a schedule, or replace it.",
		Example: `  parley queue schedule put reports monthly '{"kind": "sales"}' --cron '0 6 1 * *' --zone Europe/Berlin
  parley queue schedule put cleanup nightly --cron '@daily' --missed skip --unique cleanup`,
		Long: `--cron is minute, hour, day of month, month and day of week, with seconds before
them if there are six, or @hourly, @daily and the like; by the clocks of --zone. DATA is each job's data. With --unique a run is
dropped while the job of the one before is not done.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 3 {
				return nil
			}
			return exactly("QUEUE", "NAME")(cmd, args)
		},
	}
	flags := c.Flags()
	flags.StringVar(&s.Cron, "cron", "", "when: `expression` of five or six fields, or @daily and the like")
	flags.StringVar(&s.Zone, "zone", "UTC", "whose clocks: an IANA `name` such as Europe/Berlin")
	flags.StringVar(&missed, "missed", "once", "what becomes of runs while no server ran: skip, once or all")
	flags.DurationVar(&s.Job.Delay, "delay", 0, "how long each job rests first")
	flags.IntVar(&s.Job.Priority, "priority", 0, "0 to 9; higher ones are leased first")
	flags.StringVar(&s.Job.Key, "key", "", "FIFO group of the jobs")
	flags.StringVar(&s.Job.Unique, "unique", "", "`text` of which only one job is in the queue at a time")
	flags.StringVar(&s.Job.Event.Type, "type", "", "the events' `type`; default parley.job")
	flags.StringVar(&contentType, "content-type", "", "`media type` of the data; default what it looks like")
	flags.BoolVar(&s.Paused, "paused", false, "make it, but do not let it run")
	_ = c.RegisterFlagCompletionFunc("missed", cobra.FixedCompletions([]string{"skip", "once", "all"}, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	return a.onQueue(c, func(ctx context.Context, q *client.Queue, args []string) (answer, error) {
		s.Name, s.Missed = args[0], queue.Missed(missed)
		if s.Cron == "" {
			return answer{}, usagef("say when, such as --cron '0 6 * * *'", "--cron is missing")
		}
		if len(args) > 1 {
			s.Job.Event.Data = []byte(args[1])
			if s.Job.Event.DataContentType = contentType; contentType == "" {
				s.Job.Event.DataContentType = looksLike(s.Job.Event.Data)
			}
		}
		i, created, err := q.PutSchedule(ctx, s)
		if err != nil {
			return answer{}, scheduleFlag(err)
		}
		summary := "changed schedule " + i.Name
		if created {
			summary = "made schedule " + i.Name
		}
		if !i.Next.IsZero() {
			summary += "; next at " + i.Next.Local().Format("2006-01-02 15:04:05 MST")
		}
		return answer{Summary: summary, Result: i}, nil
	})
}

// scheduleFlag makes an error about a member of a schedule one about its flag.
func scheduleFlag(err error) error {
	var e *parley.Error
	if !errors.As(err, &e) || e.Code != parley.Invalid || e.Field == "" {
		return err
	}
	at := *e
	if at.Field = "--" + strings.TrimPrefix(e.Field, "job."); e.Field == "name" {
		at.Field = "NAME"
	}
	return &usage{&at}
}

func (a *app) scheduleList() *cobra.Command {
	c := &cobra.Command{
		Use: "list QUEUE", Aliases: []string{"ls"}, Short: "List a queue's schedules.",
		Example: "  parley queue schedule list reports", Args: exactly("QUEUE"),
	}
	return a.onQueue(c, func(ctx context.Context, q *client.Queue, _ []string) (answer, error) {
		list, err := q.Schedules(ctx)
		if err != nil {
			return answer{}, err
		}
		return answer{
			Summary: count(int64(len(list)), "schedule"), Result: list, Partial: len(list) == 0,
			Text: func(w io.Writer) error { return scheduleTable(w, list) },
		}, nil
	})
}

func scheduleTable(w io.Writer, list []queue.ScheduleInfo) error {
	if len(list) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "SCHEDULE\tCRON\tZONE\tMISSED\tNEXT\tLAST\tSTATE")
	for _, s := range list {
		state := "open"
		switch {
		case s.Error != "":
			state = oneLine(s.Error, 80)
		case s.Paused:
			state = "paused"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.Name, s.Cron, s.Zone, s.Missed, clock(s.Next), clock(s.Last), state)
	}
	return t.Flush()
}

func (a *app) schedulePause(name string, paused bool) *cobra.Command {
	c := &cobra.Command{
		Use: name + " QUEUE NAME", Short: "Let a schedule rest.",
		Example: "  parley queue schedule " + name + " reports monthly", Args: exactly("QUEUE", "NAME"),
	}
	done := " rests"
	if !paused {
		c.Short, done = "Let a schedule run again, from its next time on.", " runs"
	}
	return a.onQueue(c, func(ctx context.Context, q *client.Queue, args []string) (answer, error) {
		return answer{Summary: args[0] + done, Result: map[string]any{"schedule": args[0], "paused": paused}}, q.PauseSchedule(ctx, args[0], paused)
	})
}

func (a *app) scheduleDelete() *cobra.Command {
	c := &cobra.Command{
		Use: "delete QUEUE NAME", Aliases: []string{"rm"}, Short: "Delete a schedule; jobs that it has added stay.",
		Example: "  parley queue schedule delete reports monthly", Args: exactly("QUEUE", "NAME"),
	}
	return a.onQueue(c, func(ctx context.Context, q *client.Queue, args []string) (answer, error) {
		return answer{Summary: "deleted " + args[0], Result: map[string]any{"schedule": args[0]}}, q.DeleteSchedule(ctx, args[0])
	})
}
