package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/internal/suggest"
	"github.com/parleyhq/parley/pattern/pipe/graph"
	"github.com/parleyhq/parley/pattern/pipe/lang"
	"github.com/parleyhq/parley/pattern/pipe/unix"
	"github.com/parleyhq/parley/server"
)

func (a *app) pipeCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "pipe TEXT",
		Short: "Run a pipe of stages, over files and standard input or over events.",
		Example: `  parley pipe 'cat file.txt | grep error | sort | uniq'
  tail -f app.log | parley pipe 'grep -v DEBUG | cut -d " " -f 1,3-'
  parley pipe 'sort -t , -k 2,2n sales.csv | head -n 3'
  parley pipe 'cat words | exec tr a-z A-Z | sort | uniq -c'
  parley pipe 'topic orders | where data.total > 100 | map {id: .id} | topic big-orders'
  parley pipe 'file sales.ndjson | window 1h --key data.city --of data.total | stdout'
  parley pipe explain 'cat file.txt | sort | uniq'   what it does, and what it keeps
  parley pipe lint 'cat file.txt | uniq'             what looks like a mistake
  parley pipe fmt 'cat "a.txt"|sort'                 in its one form`,
		Long: "Over bytes, stages do what GNU's programs do under LC_ALL=C, byte for byte:\n\n" + kindLines() + `
A pipe with a stage that only events have is one over events, each a CloudEvent:

` + eventKindLines() + `
Of a pipe over bytes the first reads the files that it names, or standard input. Words, quotes and file
name patterns are those of a shell. Exit code 3 says that a grep at the end found
nothing; a program of exec that fails gives its own exit code.`,
		Args: exactly("TEXT"),
	}
	at, from := a.remoteFlags(c), fromFlag(c)
	longest := c.Flags().String("max-line", "16MiB", "the longest `SIZE` of a line that a stage takes which works line by line")
	c.RunE = a.command(func(ctx context.Context, args []string) (answer, error) {
		if isYAML(args[0]) {
			return answer{}, usagef("write: parley pipe run "+args[0], "%s is no pipe that is written as text", args[0])
		}
		if graph.IsText(args[0]) {
			return a.runEvents(ctx, args[0], at, *from)
		}
		if *from != "" {
			return answer{}, usagef("leave --from away", "--from is for a pipe over events that begins with a topic")
		}
		most, err := server.ParseSize(*longest)
		if err != nil || most < 128<<10 || most > math.MaxInt32 {
			return answer{}, usagef("write it like 64MiB: 128KiB to 2GiB", "--max-line %s is not the size of a line", *longest)
		}
		return a.runPipe(ctx, args[0], int(most))
	})
	c.AddCommand(
		a.pipeRunCommand(), a.pipeTestCommand(), a.pipeGraphCommand(),
		a.pipeTool("explain", "Say what each stage of a pipe does, and what it keeps in memory.", `  parley pipe explain 'cat file.txt | grep error | sort | uniq'`, explainPipe, explainEvents),
		a.pipeTool("lint", "Find what looks like a mistake in a pipe.", "  parley pipe lint 'cat file.txt | uniq'\n  parley pipe lint big-orders.yaml", lintPipe, lintEvents),
		a.pipeFormatCommand(),
	)
	c.AddCommand(a.declaredCommands()...)
	return c
}

func kindLines() string {
	var b strings.Builder
	for _, k := range unix.Kinds() {
		var options []string
		for _, o := range k.Options {
			if o.Short != "" {
				options = append(options, "-"+o.Short)
			} else {
				options = append(options, "--"+o.Long)
			}
		}
		fmt.Fprintf(&b, "  %-5s %s\n", k.Name, strings.TrimSpace(strings.Join(options, " ")+" "+k.Operands))
	}
	return b.String()
}

// eventKindLines lists the stages of pipes over events.
func eventKindLines() string {
	var b strings.Builder
	for _, k := range graph.Kinds() {
		if !k.Absent {
			fmt.Fprintf(&b, "  %-32s %s\n", k.Synopsis(), k.Doc)
		}
	}
	return b.String()
}

// pipeTool is a command that looks at a pipe and does not run it.
func (a *app) pipeTool(name, short, example string, do func(*unix.Plan) answer, events func(*eventPipe) answer) *cobra.Command {
	return &cobra.Command{
		Use: name + " TEXT|FILE", Short: short, Example: example, Args: exactly("TEXT"),
		RunE: a.command(func(_ context.Context, args []string) (answer, error) {
			if isEvents(args[0]) {
				p, err := a.readEvents(args[0])
				if err != nil {
					return answer{}, err
				}
				return events(p), nil
			}
			plan, err := unix.Compile(args[0])
			if err != nil {
				return answer{}, a.mistaken(err)
			}
			return do(plan), nil
		}),
	}
}

func (a *app) pipeFormatCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "fmt TEXT|FILE", Short: "Write a pipe in its one form.", Args: exactly("TEXT"),
		Example: `  parley pipe fmt 'cat "file.txt"|sort'
  parley pipe fmt big-orders.yaml
  parley pipe fmt --other 'topic orders | topic copy' > copy.yaml`,
	}
	other := c.Flags().Bool("other", false, "a pipe over events in its other form: a text as YAML, YAML as a text")
	c.RunE = a.command(func(_ context.Context, args []string) (answer, error) {
		if isEvents(args[0]) {
			p, err := a.readEvents(args[0])
			if err != nil {
				return answer{}, err
			}
			return formatEvents(p, *other)
		}
		plan, err := unix.Compile(args[0])
		if err != nil {
			return answer{}, a.mistaken(err)
		}
		return formatPipe(plan), nil
	})
	return c
}

func explainPipe(p *unix.Plan) answer {
	all := p.Explain()
	return answer{
		Summary: count(int64(len(all)), "stage"), Result: map[string]any{"pipe": p.String(), "stages": all},
		Text: func(w io.Writer) error {
			for i, s := range all {
				if _, err := fmt.Fprintf(w, "%d  %s\n     %s\n     keeps %s\n", i+1, s.Text, s.Does, s.Holds); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func lintPipe(p *unix.Plan) answer {
	all := p.Lint()
	if len(all) == 0 {
		return answer{Summary: "nothing looks wrong", Result: map[string]any{"findings": []unix.Finding{}}}
	}
	return answer{
		Summary: count(int64(len(all)), "finding"), Partial: true, Result: map[string]any{"findings": all},
		Text: func(w io.Writer) error {
			for _, f := range all {
				if _, err := fmt.Fprintf(w, "column %d: %s: %s\n  fix  %s\n", f.Column, f.Stage, f.What, f.Fix); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func formatPipe(p *unix.Plan) answer {
	return answer{Result: map[string]string{"pipe": p.String()}, Text: func(w io.Writer) error {
		_, err := fmt.Fprintln(w, p.String())
		return err
	}}
}

func (a *app) runPipe(ctx context.Context, text string, longest int) (answer, error) {
	if a.json {
		return answer{}, usagef("leave --json away; explain, lint and fmt have it", "what a pipe writes is the bytes of its last stage")
	}
	plan, err := unix.Compile(text)
	if err != nil {
		return answer{}, a.mistaken(err)
	}
	if os.Getenv("GOMEMLIMIT") == "" { // blocks of long lines are garbage that would pile up
		debug.SetMemoryLimit(max(400<<20, 12*int64(longest)))
	}
	broken := make(chan os.Signal, 1) // so that a closed standard output is an error of Write, and the pipe ends in order
	signal.Notify(broken, syscall.SIGPIPE)
	defer signal.Stop(broken)
	went, err := plan.Run(ctx, unix.IO{In: interruptible(ctx, a.in), Out: a.out, Err: a.err, MaxLine: longest})
	if err != nil {
		return answer{}, err
	}
	return answer{Partial: !went.Found}, nil
}

// mistaken draws where a text is wrong, and says what was probably meant.
func (a *app) mistaken(err error) error {
	var m *lang.Mistake
	var e *parley.Error
	if !errors.As(err, &m) || !errors.As(err, &e) {
		return err
	}
	told := *e
	if near := suggest.Closest(m.Word, m.Known); near != "" && len(m.Word) > 2 { // of single letters none is nearer than another
		told.Fix = "did you mean " + near + "?"
	}
	if !a.json && !strings.ContainsAny(m.Text, "\n\t") && len(m.Text) <= 500 {
		a.say("  %s\n  %s%s\n", m.Text, strings.Repeat(" ", len([]rune(m.Text[:m.Pos]))), a.paint(red, strings.Repeat("^", max(1, len([]rune(m.Text[m.Pos:m.End]))))))
	}
	return &usage{&told}
}

// interruptible makes a read of standard input return when ctx ends, which one from
// a terminal or a pipe does not by itself. The goroutine that reads may be left
// behind, for the moment until the program ends.
func interruptible(ctx context.Context, in io.Reader) io.Reader {
	f, ok := in.(*os.File)
	if !ok {
		return in
	}
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		return in
	}
	return &patient{ctx: ctx, from: in, asked: make(chan []byte), got: make(chan readResult, 1)}
}

type readResult struct {
	n   int
	err error
}

type patient struct {
	ctx   context.Context //nolint:containedctx // io.Reader has no room for it
	from  io.Reader
	asked chan []byte
	got   chan readResult
	began bool
}

// Read implements io.Reader.
func (p *patient) Read(to []byte) (int, error) {
	if !p.began {
		p.began = true
		go func() {
			for {
				select {
				case buf := <-p.asked:
					n, err := p.from.Read(buf)
					p.got <- readResult{n, err}
				case <-p.ctx.Done():
					return
				}
			}
		}()
	}
	select {
	case p.asked <- to:
	case <-p.ctx.Done():
		return 0, context.Cause(p.ctx)
	}
	select {
	case r := <-p.got:
		return r.n, r.err
	case <-p.ctx.Done():
		return 0, context.Cause(p.ctx)
	}
}
