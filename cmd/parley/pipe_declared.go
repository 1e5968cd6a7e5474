package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/pattern/pipe/declared"
	"github.com/parleyhq/parley/pattern/pipe/graph"
)

// declaredCommands are those of pipes that the server runs.
func (a *app) declaredCommands() []*cobra.Command {
	say := func(name, short, done string, do func(*client.Client, context.Context, string) error) *cobra.Command {
		c := &cobra.Command{Use: name + " PIPE", Short: short, Example: "  parley pipe " + name + " big-orders", Args: exactly("PIPE")}
		return a.onPipe(c, func(ctx context.Context, cl *client.Client, pipe string) (answer, error) {
			if err := do(cl, ctx, pipe); err != nil {
				return answer{}, err
			}
			return answer{Summary: pipe + " " + done, Result: map[string]string{"pipe": pipe}}, nil
		})
	}
	return []*cobra.Command{
		a.pipePut(), a.pipeList(), a.pipeShow(), a.pipeStats(), a.pipeTap(),
		say("pause", "Have a pipe do nothing until it is resumed.", "is paused", (*client.Client).PausePipe),
		say("resume", "Have a pipe run that was paused or stopped.", "runs", (*client.Client).StartPipe),
		say("stop", "End a pipe; resumed, it goes on where it was.", "is stopped", (*client.Client).StopPipe),
		say("delete", "Delete a pipe with its state and its place.", "is deleted", (*client.Client).DeletePipe),
	}
}

// onPipe completes a command whose argument is a pipe of the server.
func (a *app) onPipe(c *cobra.Command, do func(ctx context.Context, cl *client.Client, pipe string) (answer, error)) *cobra.Command {
	at := a.remoteFlags(c)
	c.RunE = a.command(func(ctx context.Context, args []string) (answer, error) {
		if err := declared.CheckName(args[0]); err != nil {
			return answer{}, &usage{err}
		}
		cl, err := a.client(at)
		if err != nil {
			return answer{}, err
		}
		return do(ctx, cl, args[0])
	})
	return c
}

func (a *app) pipePut() *cobra.Command {
	c := &cobra.Command{
		Use: "put FILE|TEXT|-", Short: "Have the server run a pipe, or change one while it runs.",
		Example: `  parley pipe put big-orders.yaml
  parley pipe put 'topic orders | where data.total > 100 | topic big-orders' --name big-orders
  ssh ops cat big-orders.yaml | parley pipe put - --name big-orders
  parley pipe put big-orders.yaml --drain      let out what its stages keep, and begin them anew`,
		Long: `The name is that of --name, or of the file. - reads a definition in YAML from
standard input. A definition that is wrong is refused,
and what runs goes on. A file with stages: alone is for other pipes to use.`,
		Args: exactly("FILE"),
	}
	at := a.remoteFlags(c)
	name := c.Flags().String("name", "", "`name` of the pipe")
	drain := c.Flags().Bool("drain", false, "when stages cannot go on in their state: let out what they keep, and begin anew")
	state := c.Flags().String("state", "", "what it is to do: running, paused or stopped")
	c.RunE = a.command(func(ctx context.Context, args []string) (answer, error) {
		text, err := a.definitionOf(args[0], name)
		if err != nil {
			return answer{}, a.problems(err)
		}
		if err := declared.CheckName(*name); err != nil {
			return answer{}, &usage{err}
		}
		cl, err := a.client(at)
		if err != nil {
			return answer{}, err
		}
		info, created, err := cl.PutPipe(ctx, *name, text, declared.PutOptions{Drain: *drain, State: declared.State(*state)})
		if err != nil {
			return answer{}, err
		}
		done := " is changed"
		switch {
		case created && info.Stages:
			done = " is there, for pipes to use"
		case created:
			done = " is there, and " + string(info.State)
		}
		return answer{Summary: *name + done, Result: info}, nil
	})
	return c
}

// definitionOf reads a file, or makes a definition of a text.
func (a *app) definitionOf(arg string, name *string) ([]byte, error) {
	if arg == stdin && *name == "" {
		return nil, usagef("add --name NAME", "standard input has no name")
	}
	if !graph.IsText(arg) || isYAML(arg) {
		if *name == "" {
			base := filepath.Base(arg)
			*name = strings.TrimSuffix(base, filepath.Ext(base))
		}
		return a.readBounded(arg)
	}
	if *name == "" {
		return nil, usagef("add --name NAME", "a text has no name")
	}
	g, err := graph.ParseText(arg)
	if err != nil {
		return nil, err
	}
	return g.YAML()
}

func (a *app) pipeList() *cobra.Command {
	c := &cobra.Command{Use: "list", Aliases: []string{"ls"}, Short: "List the pipes of the server.", Example: "  parley pipe list", Args: exactly()}
	at := a.remoteFlags(c)
	c.RunE = a.command(func(ctx context.Context, _ []string) (answer, error) {
		cl, err := a.client(at)
		if err != nil {
			return answer{}, err
		}
		list, err := cl.Pipes(ctx)
		if err != nil {
			return answer{}, err
		}
		return answer{Summary: count(int64(len(list)), "pipe"), Partial: len(list) == 0, Result: list, Text: func(w io.Writer) error {
			t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
			for _, p := range list {
				what := string(p.State)
				if p.Stages {
					what = "stages"
				}
				if len(p.Problems) > 0 {
					what += ": " + printable(p.Problems[0].Detail)
				}
				_, _ = fmt.Fprintf(t, "%s\t%s\n", p.Name, what) // Flush tells
			}
			return t.Flush()
		}}, nil
	})
	return c
}

func (a *app) pipeShow() *cobra.Command {
	c := &cobra.Command{Use: "show PIPE", Short: "Print the definition of a pipe of the server.", Example: "  parley pipe show big-orders > big-orders.yaml", Args: exactly("PIPE")}
	return a.onPipe(c, func(ctx context.Context, cl *client.Client, pipe string) (answer, error) {
		p, err := cl.Pipe(ctx, pipe)
		if err != nil {
			return answer{}, err
		}
		return answer{Result: p, Text: func(w io.Writer) error {
			_, err := fmt.Fprintln(w, strings.TrimRight(p.Definition, "\n"))
			return err
		}}, nil
	})
}

func (a *app) pipeStats() *cobra.Command {
	c := &cobra.Command{Use: "stats PIPE", Short: "Show what a pipe of the server does, step by step.", Example: "  parley pipe stats big-orders", Args: exactly("PIPE")}
	return a.onPipe(c, func(ctx context.Context, cl *client.Client, pipe string) (answer, error) {
		s, err := cl.PipeStats(ctx, pipe)
		if err != nil {
			return answer{}, err
		}
		summary := fmt.Sprintf("%s: %s in, %d out, %d dead, lag %d", s.State, count(s.In, "event"), s.Out, s.Dead, s.Lag)
		for _, what := range []string{s.Problem, s.Refused} {
			if what != "" {
				summary += "\n" + printable(what)
			}
		}
		return answer{Summary: summary, Result: s, Text: func(w io.Writer) error {
			t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
			_, _ = fmt.Fprintln(t, "step\tname\tin\tout\terrors\tmean\tmax") // Flush tells
			for _, m := range s.Steps {
				_, _ = fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%.1f µs\t%d µs\n", m.Path, m.Name, m.In, m.Out, m.Errors, m.Micros, m.MostMicros)
			}
			return t.Flush()
		}}, nil
	})
}

func (a *app) pipeTap() *cobra.Command {
	c := &cobra.Command{
		Use: "tap PIPE STEP", Short: "Show what passes a step of a pipe, before and after.",
		Example: "  parley pipe tap big-orders 2\n  parley pipe tap big-orders slim --json | jq .after",
		Long:    "STEP is the path or name of a step, as stats shows them. Nothing is held up: what is too much is counted. Ctrl-C ends it.",
		Args:    exactly("PIPE", "STEP"),
	}
	at := a.remoteFlags(c)
	c.RunE = a.command(func(ctx context.Context, args []string) (answer, error) {
		if err := declared.CheckName(args[0]); err != nil {
			return answer{}, &usage{err}
		}
		if args[1] == "" {
			return answer{}, usagef("parley pipe stats "+args[0]+" shows the steps", "STEP is empty")
		}
		cl, err := a.client(at)
		if err != nil {
			return answer{}, err
		}
		var shown, dropped int64
		for t, err := range cl.TapPipe(ctx, args[0], args[1]) {
			if ctx.Err() != nil {
				break
			}
			if err != nil {
				return answer{}, err
			}
			if t.Dropped > 0 {
				dropped += t.Dropped
				a.say("%s\n", a.paint(dim, count(t.Dropped, "event")+" not shown"))
				continue
			}
			shown++
			if err := a.showTapped(&t.TapRecord); err != nil {
				return answer{}, err
			}
		}
		return answer{Summary: fmt.Sprintf("%s shown, %d not", count(shown, "event"), dropped)}, nil
	})
	return c
}

// showTapped prints a record: in JSON a line, else what went in and what came out.
func (a *app) showTapped(r *declared.TapRecord) error {
	if a.json {
		line, err := json.Marshal(r)
		if err == nil {
			_, err = fmt.Fprintf(a.out, "%s\n", line)
		}
		return err
	}
	before := "(kept before)"
	if r.Before != nil {
		before = dataOf(r.Before)
	}
	var after []string
	for _, e := range r.After {
		after = append(after, dataOf(e))
	}
	switch {
	case r.Failed != nil:
		after = append(after, a.paint(red, "failed: "+printable(r.Failed.Cause)))
	case len(after) == 0:
		after = append(after, a.paint(dim, "nothing"))
	}
	_, err := fmt.Fprintf(a.out, "%s\n  → %s\n", before, strings.Join(after, "\n  → "))
	return err
}

// dataOf is an event's data as a person reads it.
func dataOf(event json.RawMessage) string {
	e, err := parley.ParsePartialJSON(event)
	if err != nil {
		return printable(string(event))
	}
	return printable(string(e.Data))
}

// printable leaves out what would steer a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '·'
		}
		return r
	}, text)
}
