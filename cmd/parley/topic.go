package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/client"
)

func (a *app) topicCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "topic",
		Short: "Create, change, list, show and delete topics.",
		Example: `  parley topic create orders --partitions 4 --max-age 720h
  parley topic set orders --max-age 24h
  parley topic ls
  parley topic show orders
  parley topic rm orders`,
	}
	c.AddCommand(a.topicCreate(), a.topicSet(), a.topicList(), a.topicShow(), a.topicRemove())
	group(c)
	return c
}

func (a *app) topicCreate() *cobra.Command {
	c := &cobra.Command{
		Use: "create TOPIC", Short: "Create a topic.",
		Example: `  parley topic create orders --partitions 4
  parley topic create audit --max-age none
  parley topic create users --compact`,
		Long: "A topic that is there already gets the settings that are given, as by `parley topic set`.",
		Args: exactly("TOPIC"),
	}
	at := a.remoteFlags(c)
	settings := topicSettings(c)
	c.RunE = a.command(func(ctx context.Context, args []string) (answer, error) {
		body, err := settings(args[0])
		if err != nil {
			return answer{}, err
		}
		cl, err := a.client(at)
		if err != nil {
			return answer{}, err
		}
		t, err := cl.PutTopic(ctx, args[0], body)
		if err != nil {
			return answer{}, err
		}
		return answer{Summary: "topic " + t.Name + " has " + count(int64(len(t.Partitions)), "partition"), Result: t}, nil
	})
	return c
}

func (a *app) topicSet() *cobra.Command {
	c := &cobra.Command{
		Use: "set TOPIC", Short: "Change settings of a topic.",
		Example: `  parley topic set orders --partitions 8
  parley topic set orders --durability os --max-age 24h`,
		Long: "Settings that are left away stay as they are.",
		Args: exactly("TOPIC"),
	}
	at := a.remoteFlags(c)
	settings := topicSettings(c)
	c.RunE = a.command(func(ctx context.Context, args []string) (answer, error) {
		body, err := settings(args[0])
		if err != nil {
			return answer{}, err
		}
		if string(body) == "{}" {
			return answer{}, usagef("name one, such as --max-age 24h", "no setting is given")
		}
		cl, err := a.client(at)
		if err != nil {
			return answer{}, err
		}
		before, err := cl.Topic(ctx, args[0])
		if parley.CodeOf(err) == parley.NotFound {
			return answer{}, &parley.Error{Code: parley.NotFound, Field: "TOPIC", Detail: "there is no topic " + args[0], Fix: "create it: parley topic create " + args[0]}
		}
		if err != nil {
			return answer{}, err
		}
		t, err := cl.PutTopic(ctx, args[0], body)
		if err != nil {
			return answer{}, err
		}
		return answer{Summary: "topic " + t.Name + ": " + changed(before.Settings, t.Settings), Result: t}, nil
	})
	return c
}

// topicSettings adds the flags of a topic's settings to a command, and gives what
// makes the API's object of those that were given.
func topicSettings(c *cobra.Command) func(name string) ([]byte, error) {
	flags := c.Flags()
	flags.Int("partitions", 1, "number of streams, 1 to 1024; it can grow")
	flags.String("durability", "fsync", "fsync, os or memory")
	flags.String("max-age", "168h", "how long events are kept, or none for ever")
	flags.Int64("max-bytes", -1, "how many bytes are kept, -1 for all")
	flags.Int("max-event", 1<<20, "largest event in bytes")
	flags.String("poll-hint", "0s", "how long a poller does well to wait")
	flags.Bool("compact", false, "keep the newest event of each key, for ever unless --max-age is given")
	flags.String("compact-lag", "0s", "how long superseded events are kept at least")
	flags.String("tombstone-age", "24h", "how long an event with a key and no data is kept")
	return func(name string) ([]byte, error) {
		if err := topic.CheckName(name); err != nil {
			return nil, asked(err)
		}
		if n, err := flags.GetInt("partitions"); err != nil || n < 1 {
			return nil, usagef("write 1 to 1024, or leave it away", "--partitions %d is no number of streams", n)
		}
		settings := map[string]any{}
		for _, flag := range []string{"partitions", "durability", "max-age", "max-bytes", "max-event", "poll-hint", "compact", "compact-lag", "tombstone-age"} {
			if !flags.Changed(flag) {
				continue
			}
			value, member := flags.Lookup(flag).Value, strings.ReplaceAll(flag, "-", "_")
			if value.Type() == "bool" {
				settings[member] = value.String() == "true"
			} else if n, err := strconv.ParseInt(value.String(), 10, 64); err == nil && value.Type() != "string" {
				settings[member] = n
			} else {
				settings[member] = value.String()
			}
		}
		return json.Marshal(settings)
	}
}

// changed tells in what two objects of settings differ.
func changed(before, after json.RawMessage) string {
	var was, is map[string]json.RawMessage
	if json.Unmarshal(before, &was) != nil || json.Unmarshal(after, &is) != nil {
		return "set"
	}
	names := maps.Clone(was)
	maps.Copy(names, is)
	var all []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if string(was[name]) != string(is[name]) {
			all = append(all, name+" from "+orNone(was[name])+" to "+orNone(is[name]))
		}
	}
	if len(all) == 0 {
		return "nothing changed"
	}
	return strings.Join(all, ", ")
}

func orNone(value json.RawMessage) string {
	if len(value) == 0 {
		return "none"
	}
	return string(value)
}

func (a *app) topicList() *cobra.Command {
	c := &cobra.Command{Use: "ls", Aliases: []string{"list"}, Short: "List the topics.", Example: "  parley topic ls", Args: exactly()}
	at := a.remoteFlags(c)
	c.RunE = a.command(func(ctx context.Context, _ []string) (answer, error) {
		cl, err := a.client(at)
		if err != nil {
			return answer{}, err
		}
		list, err := cl.Topics(ctx)
		if err != nil {
			return answer{}, err
		}
		ans := answer{Summary: count(int64(len(list)), "topic"), Result: list, Partial: len(list) == 0}
		ans.Text = func(w io.Writer) error { return topicTable(w, list) }
		return ans, nil
	})
	return c
}

func topicTable(w io.Writer, list []client.Topic) error {
	if len(list) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "TOPIC\tEVENTS\tBYTES\tCREATED")
	for _, each := range list {
		fmt.Fprintf(t, "%s\t%d\t%d\t%s\n", each.Name, each.Events, each.Bytes, each.Created.Local().Format("2006-01-02 15:04:05"))
	}
	return t.Flush()
}

func (a *app) topicShow() *cobra.Command {
	c := &cobra.Command{Use: "show TOPIC", Short: "Show one topic.", Example: "  parley topic show orders", Args: exactly("TOPIC")}
	at := a.remoteFlags(c)
	c.RunE = a.command(func(ctx context.Context, args []string) (answer, error) {
		cl, err := a.client(at)
		if err != nil {
			return answer{}, err
		}
		t, err := cl.Topic(ctx, args[0])
		if err != nil {
			return answer{}, err
		}
		return answer{Result: t, Text: func(w io.Writer) error { return showTopic(w, t) }}, nil
	})
	return c
}

func showTopic(w io.Writer, shown client.Topic) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintf(t, "topic\t%s\nsettings\t%s\nevents\t%d\nbytes\t%d\n\n", shown.Name, shown.Settings, shown.Events, shown.Bytes)
	fmt.Fprintln(t, "PARTITION\tEARLIEST\tEND\tEVENTS\tBYTES")
	for _, p := range shown.Partitions {
		fmt.Fprintf(t, "%d\t%d\t%d\t%d\t%d\n", p.Partition, p.Earliest, p.End, p.Events, p.Bytes)
	}
	return t.Flush()
}

func (a *app) topicRemove() *cobra.Command {
	c := &cobra.Command{Use: "rm TOPIC", Aliases: []string{"delete"}, Short: "Delete a topic with all its events.", Example: "  parley topic rm orders", Args: exactly("TOPIC")}
	at := a.remoteFlags(c)
	c.RunE = a.command(func(ctx context.Context, args []string) (answer, error) {
		cl, err := a.client(at)
		if err != nil {
			return answer{}, err
		}
		if err := cl.DeleteTopic(ctx, args[0]); err != nil {
			return answer{}, err
		}
		return answer{Summary: "deleted " + args[0], Result: map[string]any{"topic": args[0]}}, nil
	})
	return c
}
