package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/pattern/queue"
)

func (a *app) queueCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "queue",
		Short: "Give jobs to workers: push, work, look, mend.",
		Example: `  parley queue push emails '{"to": "ann@example.com"}'
  parley queue work emails --exec ./send.sh --concurrency 4
  parley queue list emails --state delayed
  parley queue dead emails
  parley queue redrive emails --reason timeout
  parley queue top`,
		Long: `A job goes to one worker, which leases it, works it off and acks it. One that fails
is tried again as the queue's settings say, and after too many attempts it is dead
until it is redriven. A queue needs no creation.`,
	}
	c.AddCommand(
		a.queuePush(), a.queueWork(),
		a.queueLease(), a.queueAck(), a.queueNack(), a.queueExtend(), a.queueProgress(), a.queueBury(), a.queueResult(),
		a.queueList(), a.queueShow(), a.queueDead(), a.queueStats(), a.queueTop(),
		a.queueCancel(), a.queueReschedule(), a.queueRedrive(), a.queuePurge(), a.queuePause(), a.queueResume(),
		a.queueSet(), a.queueSchedule(), a.queueDelete(),
	)
	group(c)
	return c
}

// onQueue completes a command whose first argument is a queue.
func (a *app) onQueue(c *cobra.Command, do func(ctx context.Context, q *client.Queue, args []string) (answer, error)) *cobra.Command {
	at := a.remoteFlags(c)
	c.ValidArgsFunction = a.completeQueues(at)
	c.RunE = a.command(func(ctx context.Context, args []string) (answer, error) {
		q, err := a.queueAt(at, args[0])
		if err != nil {
			return answer{}, err
		}
		return do(ctx, q, args[1:])
	})
	return c
}

func (a *app) queueAt(at *remote, name string) (*client.Queue, error) {
	if err := checkQueue(name); err != nil {
		return nil, err
	}
	cl, err := a.client(at)
	if err != nil {
		return nil, err
	}
	return cl.Queue(name), nil
}

// checkQueue refuses what cannot be a queue's name.
func checkQueue(name string) error {
	err := topic.CheckName(name)
	if err == nil && (topic.IsEphemeral(name) || len(name) > queue.MaxName) {
		err = parley.BadField("", "begins with ~ or is too long", "choose a name without ~, of at most 200 bytes")
	}
	if e, ok := errors.AsType[*parley.Error](err); ok {
		return &usage{parley.BadField("QUEUE", strings.TrimSpace(name+" "+e.Detail), e.Fix)}
	}
	return err
}

// completeQueues completes the names of queues, if the server answers soon.
func (a *app) completeQueues(at *remote) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 && !strings.HasSuffix(cmd.Use, "[QUEUE…]") {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		cl, err := a.client(at)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(cmd.Context()), 2*time.Second)
		defer cancel()
		list, err := cl.Queues(ctx)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		var names []string
		for _, q := range list {
			if strings.HasPrefix(q.Name, prefix) {
				names = append(names, q.Name)
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// atLeast asks for arguments by their names, the last of them once or more.
func atLeast(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		return exactly(names...)(cmd, args[:min(len(args), len(names))])
	}
}

// parseIDs reads the ids of jobs.
func parseIDs(args []string) ([]queue.ID, error) {
	out := make([]queue.ID, len(args))
	for i, text := range args {
		var err error
		if out[i], err = queue.ParseID(text); err != nil {
			return nil, &usage{parley.BadField("ID", text+" is not the id of a job", "see them with `parley queue list QUEUE`")}
		}
	}
	return out, nil
}

// parseAt reads a time, or a duration from now, of a flag; empty is the zero time.
func parseAt(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil {
		return time.Now().Add(d), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, &usage{parley.BadField(flag, text+" is neither a time nor a duration", "write it like 2027-01-31T08:00:00Z or 90m")}
	}
	return at, nil
}
