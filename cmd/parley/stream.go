package main

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/pattern/stream"
)

func (a *app) streamCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "stream",
		Short: "Read event streams, alone or in consumer groups; move groups; copy topics out and in.",
		Example: `  parley stream read orders --from 100 --to 200
  parley stream tail orders --who billing
  parley stream groups
  parley stream seek billing --to earliest
  parley stream export orders > orders.ndjson
  parley stream verify audit`,
		Long: `The members of a consumer group share out the partitions of topics, and the group
keeps how far each is worked off. Several groups read the same events
independently, and each can go back to any place that retention holds.`,
	}
	c.AddCommand(
		a.streamRead(), a.streamTail(), a.streamGroups(), a.streamGroup(), a.streamSeek(), a.streamLag(),
		a.streamExport(), a.streamImport(), a.streamVerify(),
	)
	group(c)
	return c
}

// groupAt gives a group by its name.
func (a *app) groupAt(at *remote, name string) (*client.Group, error) {
	if err := checkGroup("GROUP", name); err != nil {
		return nil, err
	}
	cl, err := a.client(at)
	if err != nil {
		return nil, err
	}
	return cl.Group(name), nil
}

// checkGroup refuses what cannot be a group's name.
func checkGroup(input, name string) error {
	err := stream.CheckName(name)
	if e, ok := errors.AsType[*parley.Error](err); ok {
		return &usage{parley.BadField(input, e.Detail, e.Fix)}
	}
	return err
}

// completeNames completes a first argument or a flag with names that the server
// has, if it answers soon.
func (a *app) completeNames(at *remote, list func(context.Context, *client.Client) ([]string, error)) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		cl, err := a.client(at)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(cmd.Context()), 2*time.Second)
		defer cancel()
		all, err := list(ctx, cl)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		var names []string
		for _, name := range all {
			if strings.HasPrefix(name, prefix) {
				names = append(names, name)
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// first completes the first argument only.
func first(f cobra.CompletionFunc) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return f(cmd, args, prefix)
	}
}

func groupNames(ctx context.Context, cl *client.Client) ([]string, error) {
	list, err := cl.Groups(ctx)
	names := make([]string, len(list))
	for i := range list {
		names[i] = list[i].Name
	}
	return names, err
}

func topicNames(ctx context.Context, cl *client.Client) ([]string, error) {
	list, err := cl.Topics(ctx)
	names := make([]string, len(list))
	for i := range list {
		names[i] = list[i].Name
	}
	return names, err
}

// lagText is a lag for people.
func lagText(lag *int64) string {
	if lag == nil {
		return "?"
	}
	return strconv.FormatInt(*lag, 10)
}
