package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/pattern/stream"
)

func (a *app) streamGroups() *cobra.Command {
	c := &cobra.Command{
		Use: "groups", Short: "List the consumer groups.",
		Example: `  parley stream groups
  parley stream groups --json | jq '.result[] | select(.lag > 1000).name'`,
		Args: exactly(), ValidArgsFunction: cobra.NoFileCompletions,
	}
	at := a.remoteFlags(c)
	c.RunE = a.command(func(ctx context.Context, _ []string) (answer, error) {
		cl, err := a.client(at)
		if err != nil {
			return answer{}, err
		}
		list, err := cl.Groups(ctx)
		if err != nil {
			return answer{}, err
		}
		return answer{Summary: count(int64(len(list)), "group"), Result: list, Partial: len(list) == 0, Text: func(w io.Writer) error {
			if len(list) == 0 {
				return nil
			}
			t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
			fmt.Fprintln(t, "GROUP\tSTATE\tMEMBERS\tLAG\tTOPICS")
			for _, g := range list {
				fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\n", g.Name, g.State, g.Members, lagText(g.Lag), strings.Join(g.Topics, ", "))
			}
			return t.Flush()
		}}, nil
	})
	return c
}

func (a *app) streamGroup() *cobra.Command {
	var remove, force bool
	c := &cobra.Command{
		Use: "group GROUP", Short: "Show a consumer group, or delete it.",
		Example: `  parley stream group billing
  parley stream group billing --delete
  parley stream group billing --delete --force      also while it has members`,
		Args: exactly("GROUP"),
	}
	c.Flags().BoolVar(&remove, "delete", false, "delete the group with all its places")
	c.Flags().BoolVar(&force, "force", false, "with --delete: take its members out")
	return a.onGroup(c, func(ctx context.Context, g *client.Group) (answer, error) {
		switch {
		case force && !remove:
			return answer{}, usagef("add --delete, or leave --force away", "--force is for --delete")
		case remove:
			if err := g.Delete(ctx, force); err != nil {
				return answer{}, err
			}
			return answer{Summary: "group " + g.Name() + " is deleted", Result: map[string]any{"name": g.Name()}}, nil
		}
		info, err := g.Info(ctx)
		if err != nil {
			return answer{}, err
		}
		summary := fmt.Sprintf("%s is %s in generation %d, %s behind", info.Name, info.State, info.Generation, lagText(info.Lag))
		return answer{Summary: summary, Result: info, Text: func(w io.Writer) error { return groupText(w, &info) }}, nil
	})
}

// onGroup completes a command whose argument is a group.
func (a *app) onGroup(c *cobra.Command, do func(ctx context.Context, g *client.Group) (answer, error)) *cobra.Command {
	at := a.remoteFlags(c)
	c.ValidArgsFunction = first(a.completeNames(at, groupNames))
	c.RunE = a.command(func(ctx context.Context, args []string) (answer, error) {
		g, err := a.groupAt(at, args[0])
		if err != nil {
			return answer{}, err
		}
		return do(ctx, g)
	})
	return c
}

func groupText(w io.Writer, info *client.GroupInfo) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	if len(info.Members) > 0 {
		fmt.Fprintln(t, "MEMBER\tCLIENT\tPARTITIONS\tSINCE\tLAST SEEN")
		for _, m := range info.Members {
			fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\n", m.Member, oneLine(m.Client, 40), len(m.Assigned), clock(m.Joined), clock(m.LastSeen))
		}
		if err := t.Flush(); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	return partitionTable(w, info)
}

func partitionTable(w io.Writer, info *client.GroupInfo) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "PARTITION\tCOMMITTED\tEND\tLAG\tMEMBER")
	for _, p := range info.Partitions {
		at := strconv.FormatInt(int64(p.Committed), 10)
		if p.Committed == 0 {
			at = "earliest"
		}
		fmt.Fprintf(t, "%s/%d\t%s\t%d\t%s\t%s\n", p.Topic, p.Partition, at, p.End, lagText(p.Lag), p.Member)
	}
	return t.Flush()
}

// lagResult is a group's lag under --json.
type lagResult struct {
	Group      string                  `json:"group"`
	Lag        *int64                  `json:"lag"` // null when the log cannot tell
	Partitions []client.GroupPartition `json:"partitions"`
}

func (a *app) streamLag() *cobra.Command {
	var most int64
	c := &cobra.Command{
		Use: "lag GROUP", Short: "Tell how far a consumer group is behind.",
		Example: `  parley stream lag billing
  parley stream lag billing --max 1000      exit code 3 when it is more`,
		Args: exactly("GROUP"),
	}
	c.Flags().Int64Var(&most, "max", -1, "exit with 3 when more events are not committed, or the log cannot tell")
	return a.onGroup(c, func(ctx context.Context, g *client.Group) (answer, error) {
		info, err := g.Info(ctx)
		if err != nil {
			return answer{}, err
		}
		return answer{
			Summary: lagText(info.Lag) + " behind", Result: lagResult{info.Name, info.Lag, info.Partitions},
			Partial: most >= 0 && (info.Lag == nil || *info.Lag > most),
			Text:    func(w io.Writer) error { return partitionTable(w, &info) },
		}, nil
	})
}

func (a *app) streamSeek() *cobra.Command {
	var s client.GroupSeek
	var places []string
	c := &cobra.Command{
		Use: "seek GROUP", Short: "Move a consumer group to another place.",
		Example: `  parley stream seek billing --to earliest
  parley stream seek billing --to @2026-01-31T12:00:00Z --topic orders --dry-run
  parley stream seek billing --position orders/0=17 --position orders/1=20`,
		Long: `Members begin anew from there at once, in a new generation. With --topic or
--position a group that is not there is made. A position is that of the event to
read next; 0 is the earliest. With --dry-run the places are printed and nothing is
changed: members go on, and a group that is not there is not made. When no partition
is of the topics that are named, nothing moves, and the exit code is 3.`,
		Args: exactly("GROUP"),
	}
	c.Flags().StringVar(&s.To, "to", "", "earliest, latest, a `cursor`, or @ and an RFC 3339 time")
	c.Flags().StringArrayVar(&s.Topics, "topic", nil, "only this `topic` or pattern; may be repeated")
	c.Flags().StringArrayVar(&places, "position", nil, "`TOPIC/PARTITION=POSITION` instead of --to; may be repeated")
	c.Flags().BoolVar(&s.DryRun, "dry-run", false, "print where the group would be, and change nothing")
	c.MarkFlagsMutuallyExclusive("to", "position")
	c.MarkFlagsMutuallyExclusive("topic", "position")
	return a.onGroup(c, func(ctx context.Context, g *client.Group) (answer, error) {
		if s.To == "" && len(places) == 0 {
			return answer{}, usagef("say where: --to earliest, or --position TOPIC/PARTITION=POSITION", "no place is given")
		}
		for _, text := range places {
			p, err := parsePlace(text)
			if err != nil {
				return answer{}, err
			}
			s.Positions = append(s.Positions, p)
		}
		list, err := g.Seek(ctx, s)
		if err != nil {
			return answer{}, err
		}
		does := " has other places in "
		if s.DryRun {
			does = " would have the places in "
		}
		summary := g.Name() + does + count(int64(len(list)), "partition")
		if len(list) == 0 {
			summary = nothingMoved(g.Name(), s.Topics)
		}
		return answer{Summary: summary, Result: list, Partial: len(list) == 0, Text: func(w io.Writer) error {
			for _, p := range list {
				if _, err := fmt.Fprintf(w, "%s/%d=%d\n", p.Topic, p.Partition, p.Position); err != nil {
					return err
				}
			}
			return nil
		}}, nil
	})
}

// nothingMoved says why a group has no place to go to.
func nothingMoved(group string, topics []string) string {
	if len(topics) == 0 {
		return group + " has no places yet, so nothing moved; name topics with --topic"
	}
	return "no partition is of " + strings.Join(topics, " or ") + ", so nothing of " + group + " moved; `parley topic ls` lists the topics"
}

// parsePlace reads TOPIC/PARTITION=POSITION.
func parsePlace(text string) (stream.Place, error) {
	where, at, ok := strings.Cut(text, "=")
	name, partition, ok2 := strings.Cut(where, "/")
	n, err := strconv.ParseUint(partition, 10, 16)
	pos, err2 := strconv.ParseInt(at, 10, 64)
	if !ok || !ok2 || err != nil || err2 != nil || pos < 0 || name == "" {
		return stream.Place{}, usagef("write it like orders/0=17", "--position %s is no place", text)
	}
	return stream.Place{Topic: name, Partition: int(n), Position: parley.Position(pos)}, nil
}
