package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/internal/suggest"
	"github.com/parleyhq/parley/pattern/pipe/graph"
	"github.com/parleyhq/parley/pattern/pipe/jq"
	"github.com/parleyhq/parley/pattern/pipe/local"
	"github.com/parleyhq/parley/pattern/pipe/where"
	"github.com/parleyhq/parley/pattern/stream/schema"
)

// eventPipe is a pipe over events that was read.
type eventPipe struct {
	graph *graph.Graph
	plan  *graph.Plan
	yaml  []byte // of a file
}

// isEvents says whether an argument is a pipe over events: a text, or a YAML file, or
// - for one on standard input.
func isEvents(arg string) bool { return isYAML(arg) || graph.IsText(arg) }

func isYAML(arg string) bool {
	ext := filepath.Ext(arg)
	return arg == stdin || (ext == ".yaml" || ext == ".yml") && !strings.Contains(arg, "|")
}

// readEvents reads and checks a pipe over events. Stages that it uses may be those of
// a server.
func (a *app) readEvents(arg string) (*eventPipe, error) {
	p := &eventPipe{}
	var err error
	if isYAML(arg) {
		file := arg
		if arg == stdin {
			file = "standard input"
		}
		if p.yaml, err = a.readBounded(arg); err != nil {
			return nil, err
		}
		p.graph, err = graph.ParseYAML(file, p.yaml)
	} else {
		p.graph, err = graph.ParseText(arg)
	}
	if err == nil {
		o := a.graphOptions()
		o.Elsewhere = true
		err = graph.Check(p.graph, o)
	}
	if err != nil {
		return nil, a.problems(err)
	}
	return p, nil
}

// planEvents is readEvents of a pipe that is to run here.
func (a *app) planEvents(arg string) (*eventPipe, error) {
	p, err := a.readEvents(arg)
	if err == nil {
		if p.plan, err = graph.Compile(p.graph, a.graphOptions()); err != nil {
			return nil, a.problems(err)
		}
	}
	return p, err
}

func (a *app) graphOptions() graph.Options {
	return graph.Options{Expr: where.Compile, Schema: schema.Compile, Fields: where.Fields, Test: where.Test, JQ: jq.Compile, Template: jq.Template, Programs: local.Programs(a.err)}
}

// stdin as a file is standard input.
const stdin = "-"

func (a *app) readBounded(name string) ([]byte, error) {
	if name == stdin {
		return io.ReadAll(io.LimitReader(a.in, graph.MaxBytes+1))
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, &usage{&parley.Error{Code: parley.NotFound, Field: "FILE", Detail: err.Error(), Fix: "check the path"}}
	}
	defer func() { _ = f.Close() }() // it was only read
	return io.ReadAll(io.LimitReader(f, graph.MaxBytes+1))
}

// problems makes usage errors of what is wrong with a graph, each with what was
// probably meant.
func (a *app) problems(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, a.problems(e))
		}
		return &usage{errors.Join(all...)}
	}
	p, ok := errors.AsType[*graph.Problem](err)
	if !ok {
		return a.mistaken(err)
	}
	if near := suggest.Closest(p.Word, p.Known); near != "" {
		p.Err.Fix = "did you mean " + near + "?"
	}
	return &usage{p}
}

func (a *app) pipeRunCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "run FILE", Short: "Run a pipe over events that is written as YAML.",
		Example: `  parley pipe run big-orders.yaml
  parley pipe run big-orders.yaml --from "$CURSOR"
  parley pipe show big-orders | parley pipe run -      of the server's, here`,
		Args: exactly("FILE"),
	}
	at, from := a.remoteFlags(c), fromFlag(c)
	c.RunE = a.command(func(ctx context.Context, args []string) (answer, error) {
		if !isYAML(args[0]) {
			return answer{}, usagef("a text is run by: parley pipe TEXT", "%s is no .yaml file", args[0])
		}
		return a.runEvents(ctx, args[0], at, *from)
	})
	return c
}

func fromFlag(c *cobra.Command) *string {
	return c.Flags().String("from", "", "where the topic of a pipe over events is read from, in place of what it says: earliest, latest, a `cursor`, or @ and a time")
}

func (a *app) pipeTestCommand() *cobra.Command {
	return &cobra.Command{
		Use: "test FILE…", Short: "Run the tests in files of pipes.",
		Example: "  parley pipe test big-orders.yaml\n  parley pipe show big-orders | parley pipe test -",
		Long: `FILE is - for standard input. Each test gives events to the pipe's stages in a time of its own, and says what
its sinks get and which events fail. No topic, file or URL is touched; programs of
exec are run.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return exactly("FILE")(cmd, args)
			}
			return nil
		},
		RunE: a.command(a.testPipes),
	}
}

type testedFile struct {
	File  string          `json:"file"`
	Tests []graph.Verdict `json:"tests"`
}

func (a *app) testPipes(ctx context.Context, args []string) (answer, error) {
	var files []testedFile
	passed, failed := 0, 0
	for _, name := range args {
		p, err := a.planEvents(name)
		if err != nil {
			return answer{}, err
		}
		verdicts, err := p.plan.Try(ctx)
		if err != nil {
			return answer{}, err
		}
		files = append(files, testedFile{name, verdicts})
		for _, v := range verdicts {
			if v.Passed {
				passed++
			} else {
				failed++
			}
		}
	}
	ans := answer{Result: map[string]any{"passed": passed, "failed": failed, "files": files}, Text: func(w io.Writer) error { return tellTests(w, files, passed, failed) }}
	switch {
	case failed > 0:
		return ans, &parley.Error{Code: parley.Unprocessable, Detail: count(int64(failed), "test") + " failed", Fix: "see what they say"}
	case passed == 0:
		return ans, &parley.Error{Code: parley.NotFound, Field: "tests", Detail: "there are no tests", Fix: "write tests: in the file"}
	}
	return ans, nil
}

func tellTests(w io.Writer, files []testedFile, passed, failed int) error {
	for _, f := range files {
		for _, v := range f.Tests {
			if v.Passed {
				continue
			}
			if _, err := fmt.Fprintf(w, "✗ %s:%d: %s\n  %s\n", f.File, v.Line, v.Name, strings.Join(v.Wrong, "\n  ")); err != nil {
				return err
			}
		}
	}
	_, err := fmt.Fprintf(w, "%d passed, %d failed\n", passed, failed)
	return err
}

func (a *app) pipeGraphCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "graph TEXT|FILE", Short: "Draw a pipe over events.",
		Example: `  parley pipe graph 'topic orders | route data.vip "topic vip" | topic rest'
  parley pipe graph big-orders.yaml --as dot | dot -Tsvg > big-orders.svg`,
		Args: exactly("TEXT"),
	}
	as := c.Flags().String("as", "tree", "`form`: tree, dot (Graphviz) or mermaid")
	c.RunE = a.command(func(_ context.Context, args []string) (answer, error) {
		p, err := a.readEvents(args[0])
		if err != nil {
			return answer{}, err
		}
		var text string
		switch *as {
		case "tree":
			text = p.graph.Tree()
		case "dot":
			text = p.graph.DOT()
		case "mermaid":
			text = p.graph.Mermaid()
		default:
			return answer{}, &usage{parley.BadField("--as", "no form is called "+*as, "use tree, dot or mermaid")}
		}
		return answer{Result: map[string]any{"steps": graph.Explain(p.graph), "edges": p.graph.Edges()}, Text: func(w io.Writer) error {
			_, err := io.WriteString(w, text)
			return err
		}}, nil
	})
	return c
}

// formatEvents writes a pipe in its one form; other asks for YAML of a text, and a
// text of YAML.
func formatEvents(p *eventPipe, other bool) (answer, error) {
	text := p.graph.Text() + "\n"
	if (p.yaml != nil) != other {
		out, err := p.graph.YAML()
		if p.yaml != nil {
			out, err = graph.FormatYAML(p.yaml) // with its comments
		}
		if err != nil {
			return answer{}, err
		}
		text = string(out)
	}
	return answer{Result: map[string]string{"pipe": text}, Text: func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}}, nil
}

func explainEvents(p *eventPipe) answer {
	all := graph.Explain(p.graph)
	return answer{
		Summary: count(int64(len(all)), "step"), Result: map[string]any{"pipe": p.graph.Text(), "steps": all},
		Text: func(w io.Writer) error {
			for _, s := range all {
				in := strings.Repeat("   ", s.Depth)
				if _, err := fmt.Fprintf(w, "%s%s  %s\n%s   %s\n%s   keeps %s\n", in, s.Path, s.Text, in, s.Does, in, s.Holds); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func lintEvents(p *eventPipe) answer {
	all := graph.Lint(p.graph)
	if len(all) == 0 {
		return answer{Summary: "nothing looks wrong", Result: map[string]any{"findings": []graph.Finding{}}}
	}
	return answer{
		Summary: count(int64(len(all)), "finding"), Partial: true, Result: map[string]any{"findings": all},
		Text: func(w io.Writer) error {
			for _, f := range all {
				at := "step " + f.Path
				if f.Line > 0 {
					at = fmt.Sprintf("line %d", f.Line)
				}
				if _, err := fmt.Fprintf(w, "%s: %s: %s\n  fix  %s\n", at, f.Step, f.What, f.Fix); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// runEvents runs a pipe over events.
func (a *app) runEvents(ctx context.Context, arg string, at *remote, from string) (answer, error) {
	if a.json {
		return answer{}, usagef("leave --json away, and end the pipe with: stdout --format cloudevents", "what a pipe writes is the events of its sink")
	}
	p, err := a.planEvents(arg)
	if err != nil {
		return answer{}, err
	}
	if arg == stdin && slices.ContainsFunc(p.plan.Sources(), func(s graph.Spec) bool { return s.Kind == "stdin" }) {
		return answer{}, usagef("put the pipe in a file", "standard input is the pipe, and cannot be its source as well")
	}
	if from != "" {
		if p.graph.Steps[0].Kind != "topic" {
			return answer{}, usagef("leave --from away", "the pipe does not begin with a topic")
		}
		p.graph.Steps[0].Args["from"] = graph.Arg{Words: []string{from}}
	}
	cl, err := a.client(at)
	if err != nil {
		return answer{}, err
	}
	broken := make(chan os.Signal, 1) // a closed standard output ends the pipe in order
	signal.Notify(broken, syscall.SIGPIPE)
	defer signal.Stop(broken)
	topics := &pipeTopics{client: cl, say: func(text string) { a.say("%s\n", a.paint(dim, text)) }}
	bar := a.progress(0)
	reading, stop := context.WithCancel(ctx)
	defer stop()
	went, err := local.Run(ctx, p.plan, local.Env{
		Topics: topics, In: interruptible(reading, a.in), Out: a.out, Say: topics.say,
		Step: func(now local.Progress) {
			bar.size = now.Size
			bar.step(now.Read, int(now.In))
		},
	})
	bar.done()
	summary := fmt.Sprintf("%s in, %d out", count(went.In, "event"), went.Out)
	if went.Dead > 0 {
		summary += fmt.Sprintf(", %d dead", went.Dead)
	}
	if cursor := topics.cursor(); cursor != "" {
		summary += "; go on with --from " + cursor
	}
	if went.Held > 0 {
		summary += "; " + count(went.Held, "event") + " are not done and come again"
	}
	if err != nil && went.In > 0 {
		a.say("%s\n", summary)
	}
	return answer{Summary: summary}, err
}
