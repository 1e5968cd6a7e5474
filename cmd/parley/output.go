package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/parleyhq/parley"
)

// Exit codes of every command.
const (
	exitOK      = 0
	exitFailure = 1 // it did not work; standard error says why
	exitUsage   = 2 // it was not asked for rightly; nothing was done
	exitPartial = 3 // it worked, and found nothing or did only a part
)

// app is one run of the program: where it reads and writes, and how. Data goes to
// out, talk to err; with json, out has one JSON object for each command.
type app struct {
	in     io.Reader
	out    io.Writer
	err    io.Writer
	env    []string
	json   bool
	colour bool              // of what goes to err
	began  bool              // a command's own work has begun
	told   bool              // the envelope was written
	result any               // what a command that failed has to say beside its error
	inputs map[string]string // of a field in an error: the flag or argument it is
}

// answer is what a command has to say when it went well.
type answer struct {
	Summary string                // one sentence, for err
	Result  any                   // for --json
	Text    func(io.Writer) error // the same for people, for out; nil = nothing
	Partial bool                  // exitPartial
}

// command makes the RunE of a command from what it does. An answer that comes with
// an error is given too, but for its summary.
func (a *app) command(do func(ctx context.Context, args []string) (answer, error)) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		a.began = true
		ans, err := do(cmd.Context(), args)
		if err != nil {
			a.result = ans.Result
			if ans.Text == nil || a.json {
				return err
			}
			return errors.Join(err, ans.Text(a.out))
		}
		if err := a.answer(nameOf(cmd), ans); err != nil {
			return err
		}
		if ans.Partial {
			return errPartial
		}
		return nil
	}
}

// errPartial only carries the exit code: everything is said already.
var errPartial = errors.New("partial")

// envelope is the one form of every answer under --json. All members are always
// there.
type envelope struct {
	Command string  `json:"command"`
	OK      bool    `json:"ok"`
	Summary string  `json:"summary"`
	Result  any     `json:"result"`
	Error   *failed `json:"error"`
}

// failed is an error in an envelope.
type failed struct {
	Code       string   `json:"code"`
	Where      string   `json:"where,omitempty"` // file and line, variable or flag
	Field      string   `json:"field,omitempty"`
	Detail     string   `json:"detail"`
	Fix        string   `json:"fix,omitempty"`
	RetryAfter float64  `json:"retry_after,omitempty"` // seconds
	More       []failed `json:"more,omitempty"`        // what else is wrong
}

// answer writes an answer once: data to out, the summary to err.
func (a *app) answer(command string, ans answer) error {
	if a.json {
		return a.envelope(envelope{Command: command, OK: true, Summary: ans.Summary, Result: ans.Result})
	}
	if ans.Text != nil {
		if err := ans.Text(a.out); err != nil {
			return err
		}
	}
	if ans.Summary != "" {
		a.say("%s\n", ans.Summary)
	}
	return nil
}

func (a *app) envelope(e envelope) error {
	if a.told {
		return nil
	}
	a.told = true
	return a.line(e)
}

func (a *app) line(v any) error {
	e := json.NewEncoder(a.out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// say talks to the person at the terminal.
func (a *app) say(format string, args ...any) { fmt.Fprintf(a.err, format, args...) }

// finish tells of the error that a run ended with, and gives the exit code.
func (a *app) finish(command string, err error) int {
	var u *usage
	code := exitFailure
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errPartial):
		return exitPartial
	case errors.As(err, &u):
		code = exitUsage
	}
	var child interface{ ExitCode() int }
	if code == exitFailure && errors.As(err, &child) {
		code = child.ExitCode()
	}
	all := explain(err)
	for i := range all {
		if name, ok := a.inputs[strings.ToLower(all[i].Field)]; ok {
			all[i].Field = name
			if i == 0 && all[i].Code == parley.Invalid.String() {
				code = exitUsage
			}
		}
	}
	first := all[0]
	if strings.HasPrefix(first.Where, "--") {
		code = exitUsage
	}
	if a.json {
		first.More = all[1:]
		a.told = false // an error has the last word
		if a.envelope(envelope{Command: command, Summary: first.Detail, Result: a.result, Error: &first}) != nil {
			return exitFailure // nobody reads us any more
		}
		return code
	}
	for _, f := range all {
		a.complain(command, f)
	}
	return code
}

// complain writes what failed, why, and how to fix it.
func (a *app) complain(command string, f failed) {
	what := strings.TrimSpace("parley " + command)
	if f.Where != "" {
		what = f.Where
	}
	if f.Field != "" {
		what += ": " + f.Field
	}
	a.say("%s %s %s\n", a.paint(red, "✗"), a.paint(bold, what), a.paint(dim, "["+f.Code+"]"))
	a.say("  why  %s\n", f.Detail)
	if f.Fix != "" {
		a.say("  fix  %s\n", f.Fix)
	}
}

// usage is an error of the command line itself.
type usage struct{ err error }

func (u *usage) Error() string { return u.err.Error() }
func (u *usage) Unwrap() error { return u.err }

// usagef makes an error of the command line: exit code 2.
func usagef(fix, format string, args ...any) error {
	return &usage{parley.BadField("", fmt.Sprintf(format, args...), fix)}
}

// asked makes a usage error of one that is about a flag or an argument.
func asked(err error) error {
	if err == nil {
		return nil
	}
	return &usage{err}
}

func usageOf(cmd *cobra.Command, err error) error {
	if _, ok := errors.AsType[*usage](err); ok {
		return err
	}
	return usagef("see "+cmd.CommandPath()+" --help", "%s", err.Error())
}

// explain takes an error apart: one entry for each that was joined.
func explain(err error) []failed {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []failed
		for _, e := range joined.Unwrap() {
			all = append(all, explain(e)...)
		}
		return all
	}
	f := failed{Code: parley.CodeOf(err).String(), Detail: err.Error()}
	if e, ok := errors.AsType[*parley.Error](err); ok {
		f.Field, f.Detail, f.Fix = e.Field, e.Detail, e.Fix
		f.RetryAfter = float64(e.RetryAfter) / float64(time.Second)
		if f.Detail == "" {
			f.Detail = e.Code.Info().Meaning
		}
	}
	var located interface{ Where() string }
	if errors.As(err, &located) {
		f.Where = located.Where()
	}
	return []failed{f}
}

// Colours of a terminal.
const (
	bold = "1"
	dim  = "2"
	red  = "31"
	blue = "36"
)

// paint colours a text for err.
func (a *app) paint(colour, text string) string {
	if !a.colour {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// wantsColour says whether whoever reads a stream wants colour (no-color.org).
func (a *app) wantsColour(terminal bool) bool {
	return terminal && a.getenv("NO_COLOR") == "" && a.getenv("TERM") != "dumb"
}

func (a *app) getenv(name string) string {
	value := ""
	for _, pair := range a.env {
		if k, v, ok := strings.Cut(pair, "="); ok && k == name {
			value = v
		}
	}
	return value
}

// isTerminal says whether a stream goes to a person.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
