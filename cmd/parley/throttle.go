package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/parleyhq/parley/client"
)

func (a *app) throttleCommand() *cobra.Command {
	var p throttleProxy
	c := &cobra.Command{
		Use:   "throttle",
		Short: "Put a limit before a web server, or manage and try limits.",
		Example: `  parley throttle --upstream http://127.0.0.1:3000 --limit 3/s
  parley throttle --upstream http://127.0.0.1:3000 --limit 10/s --key ip --shape 5s
  parley throttle try '5/s burst=2' --every 100ms
  parley throttle put login --limit '5/15m' --algorithm sliding-log
  parley throttle ls
  parley throttle top login`,
		Long: `With --upstream it is a reverse proxy: what the limit admits goes to the upstream,
the rest is answered with 429, Retry-After and RateLimit. --limit may be repeated;
a request then needs all of them.

A limit is [ALGORITHM] QUOTA/WINDOW [burst=N]: 3/s, "100/1m burst=20",
"sliding-log 5/1h", "concurrency 100".`,
	}
	p.flags(c)
	c.AddCommand(a.throttleTry(), a.throttleList(), a.throttleTop(), a.throttlePut(), a.throttleRemove())
	group(c)
	help := c.RunE
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 || p.upstream == "" && !cmd.Flags().Changed("limit") {
			return help(cmd, args)
		}
		return a.command(func(ctx context.Context, _ []string) (answer, error) { return p.run(ctx, a) })(cmd, args)
	}
	return c
}

func (a *app) throttleList() *cobra.Command {
	c := &cobra.Command{Use: "ls", Aliases: []string{"list"}, Short: "List the limits of a server.", Example: "  parley throttle ls", Args: exactly()}
	at := a.remoteFlags(c)
	c.RunE = a.command(func(ctx context.Context, _ []string) (answer, error) {
		cl, err := a.client(at)
		if err != nil {
			return answer{}, err
		}
		list, err := cl.Limits(ctx)
		if err != nil {
			return answer{}, err
		}
		ans := answer{Summary: count(int64(len(list)), "limit"), Result: list, Partial: len(list) == 0}
		ans.Text = func(w io.Writer) error { return limitTable(w, list) }
		return ans, nil
	})
	return c
}

func limitTable(w io.Writer, list []client.Limit) error {
	if len(list) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "LIMIT\tALGORITHM\tHOW MUCH\tKEY\tON\tMODE\tFROM\tKEYS\tWAITING")
	for _, l := range list {
		on, mode := strings.Join(l.On, " "), l.Mode
		if on == "" {
			on = "checks"
		}
		if mode != "shadow" {
			mode = l.Action
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\n", l.Name, l.Algorithm, l.Limit, l.Key, on, mode, l.Origin, l.Keys, l.Waiting)
	}
	return t.Flush()
}

func (a *app) throttlePut() *cobra.Command {
	var def client.LimitDefinition
	var shape time.Duration
	var shadow bool
	c := &cobra.Command{
		Use: "put NAME", Aliases: []string{"set"}, Short: "Make a limit on a server, or replace it.",
		Example: `  parley throttle put api --limit '100/1m burst=20' --on publish --on poll
  parley throttle put login --limit 5/15m --algorithm sliding-log
  parley throttle put streams --limit 'concurrency 20' --on subscribe
  parley throttle put pace --limit 10/s --key token --on 'publish:orders.>' --shape 5s`,
		Args: exactly("NAME"),
	}
	at := a.remoteFlags(c)
	flags := c.Flags()
	flags.StringVar(&def.Limit, "limit", "", "how much: `[ALGORITHM] QUOTA/WINDOW` and if wanted burst=N")
	flags.StringVar(&def.Algorithm, "algorithm", "", "token-bucket, gcra, sliding-log, sliding-counter, fixed-window, leaky-meter, leaky-queue, concurrency or adaptive")
	flags.StringVar(&def.Key, "key", "ip", "what is counted by: ip, token, topic, path, route, everyone, header:NAME, joined by +")
	flags.StringArrayVar(&def.On, "on", nil, "what it is applied to: publish, subscribe, poll, enqueue, work, consume or request, with `:PATTERN` of topics or queues if wanted; may be repeated; default checks only")
	flags.DurationVar(&shape, "shape", 0, "make requests wait their turn for up to this `duration`, instead of refusing them")
	flags.BoolVar(&shadow, "shadow", false, "only count what would be refused")
	c.RunE = a.command(func(ctx context.Context, args []string) (answer, error) {
		if def.Limit == "" {
			return answer{}, usagef("say how much, such as --limit 100/1m", "--limit is missing")
		}
		if shape > 0 {
			def.Action, def.MaxWait = "shape", shape.String()
		}
		if shadow {
			def.Mode = "shadow"
		}
		cl, err := a.client(at)
		if err != nil {
			return answer{}, err
		}
		l, err := cl.PutLimit(ctx, args[0], def)
		if err != nil {
			return answer{}, err
		}
		return answer{Summary: "limit " + l.Name + ": " + l.Algorithm + " " + l.Limit, Result: l}, nil
	})
	return c
}

func (a *app) throttleRemove() *cobra.Command {
	c := &cobra.Command{Use: "rm NAME", Aliases: []string{"delete"}, Short: "Delete a limit of a server.", Example: "  parley throttle rm api", Args: exactly("NAME")}
	at := a.remoteFlags(c)
	c.RunE = a.command(func(ctx context.Context, args []string) (answer, error) {
		cl, err := a.client(at)
		if err != nil {
			return answer{}, err
		}
		if err := cl.DeleteLimit(ctx, args[0]); err != nil {
			return answer{}, err
		}
		return answer{Summary: "deleted " + args[0], Result: map[string]any{"limit": args[0]}}, nil
	})
	return c
}
