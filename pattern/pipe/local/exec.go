package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pipe"
	"github.com/parleyhq/parley/pattern/pipe/graph"
)

// killAfter is how long a program has to end when it is asked to.
const killAfter = 2 * time.Second

// Programs runs programs of exec stages as processes of this machine. What they
// write to standard error goes to log, which may be nil.
func Programs(log io.Writer) graph.Programs {
	if log == nil {
		log = io.Discard
	}
	return &programs{log: &locked{to: log}}
}

type programs struct{ log io.Writer }

type locked struct {
	mu sync.Mutex
	to io.Writer
}

// Write implements io.Writer.
func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.to.Write(p)
}

// Open implements graph.Programs.
func (p *programs) Open(program graph.Program) (graph.Running, error) {
	if len(program.Command) == 0 {
		return nil, parley.BadField("exec", "there is no program", "write it like: exec ./enrich")
	}
	if _, err := exec.LookPath(program.Command[0]); err != nil {
		return nil, &parley.Error{Code: parley.NotFound, Field: "exec", Detail: "the program " + program.Command[0] + " is not there", Fix: "write its path, or look at PATH", Err: err}
	}
	s := &spawner{Program: program, log: p.log}
	if program.Mode == "filter" {
		return &filter{spawner: s}, nil
	}
	return s, nil
}

// spawner runs a process for each event, or for all at hand.
type spawner struct {
	graph.Program
	log io.Writer
}

// Close implements graph.Running: no process outlives its Do.
func (s *spawner) Close() error { return nil }

// Do implements graph.Running.
func (s *spawner) Do(ctx context.Context, inputs [][]byte) []graph.Result {
	if s.Mode == "batch" {
		var all bytes.Buffer
		for _, in := range inputs {
			line, err := oneLine(in)
			if err != nil {
				return []graph.Result{{Err: err, Attempts: 1}}
			}
			all.Write(line)
			all.WriteByte('\n')
		}
		r := s.try(ctx, all.Bytes())
		if len(r.Out) == 1 {
			r.Out = split(r.Out[0])
		}
		return []graph.Result{r}
	}
	results := make([]graph.Result, 0, len(inputs))
	for _, in := range inputs {
		r := s.try(ctx, in)
		if len(r.Out) == 1 {
			r.Out[0] = bytes.TrimSuffix(r.Out[0], []byte("\n"))
		}
		results = append(results, r)
	}
	return results
}

// split gives lines, without a last one that is empty.
func split(text []byte) [][]byte {
	if len(text) == 0 {
		return nil
	}
	return bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
}

// try runs the process, again if its exit code says so.
func (s *spawner) try(ctx context.Context, in []byte) (r graph.Result) {
	r.Attempts, r.Err = (pipe.Retry{Attempts: s.Attempts}).Do(ctx, func() error {
		out, drop, err := s.once(ctx, in)
		if r.Out = nil; err == nil && !drop {
			r.Out = [][]byte{out}
		}
		return err
	})
	return r
}

// once runs the process once.
func (s *spawner) once(ctx context.Context, in []byte) (out []byte, drop bool, err error) {
	late := &parley.Error{Code: parley.Timeout, Detail: s.Command[0] + " took more than " + s.Timeout.String(), Fix: "give it more --timeout"}
	ctx, cancel := context.WithTimeoutCause(ctx, s.Timeout, late)
	defer cancel()
	cmd := s.command(ctx)
	cmd.Stdin = bytes.NewReader(in)
	room := &bounded{most: s.MaxOutput, full: cancel}
	said := &tail{}
	cmd.Stdout, cmd.Stderr = room, io.MultiWriter(s.log, said)
	err = cmd.Run()
	sweep(cmd)
	if room.over {
		return nil, false, pipe.Permanent(&parley.Error{Code: parley.TooLarge, Detail: fmt.Sprintf("%s wrote more than %d bytes", s.Command[0], s.MaxOutput), Fix: "give it more --max-output"})
	}
	if ctx.Err() != nil {
		return nil, false, context.Cause(ctx)
	}
	if err == nil {
		return room.b, false, nil
	}
	x, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return nil, false, pipe.Permanent(&parley.Error{Code: parley.NotFound, Detail: err.Error(), Fix: "check the program"})
	}
	return s.exited(exitCode(x.ProcessState), said.String())
}

// exited says what an exit code means.
func (s *spawner) exited(code int, said string) ([]byte, bool, error) {
	what := s.Exit[code]
	if what == "" && code == 75 { // EX_TEMPFAIL of sysexits(3)
		what = "retry"
	}
	e := &parley.Error{Code: parley.Unprocessable, Detail: fmt.Sprintf("%s ended with exit code %d", s.Command[0], code), Fix: "let it say 0 when all is well; --exit says what others mean"}
	if said != "" {
		e.Detail += ": " + said
	}
	switch what {
	case "drop":
		return nil, true, nil
	case "retry":
		return nil, false, e
	}
	return nil, false, pipe.Permanent(e)
}

// command makes the process, which sees few variables.
func (s *spawner) command(ctx context.Context) *exec.Cmd {
	cmd := exec.CommandContext(ctx, s.Command[0], s.Command[1:]...)
	cmd.Env = allowed(os.Environ(), s.Env)
	cmd.WaitDelay = killAfter
	apart(cmd)
	return cmd
}

func allowed(env, more []string) []string {
	var some []string
	for _, pair := range env {
		name, _, _ := strings.Cut(pair, "=")
		if slices.Contains([]string{"PATH", "HOME", "LANG", "TMPDIR", "SystemRoot"}, name) || slices.Contains(more, name) {
			some = append(some, pair)
		}
	}
	return some
}

// oneLine makes data one line: line ends in JSON mean nothing.
func oneLine(data []byte) ([]byte, error) {
	if bytes.IndexByte(data, '\n') < 0 {
		return data, nil
	}
	e := parley.Event{Data: data, DataContentType: "application/json"}
	if line := graph.ToLine("data", &e); bytes.IndexByte(line, '\n') < 0 {
		return line, nil
	}
	return nil, &parley.Error{Code: parley.Unprocessable, Detail: "the data has several lines, and the program is given lines", Fix: "use --mode each, or --mode filter --framing length"}
}

// bounded keeps what is written up to a size, and then calls full.
type bounded struct {
	b    []byte
	most int
	over bool
	full func()
}

// Write implements io.Writer.
func (w *bounded) Write(p []byte) (int, error) {
	if len(w.b)+len(p) > w.most {
		w.over = true
		w.full()
		return 0, errors.New("too much")
	}
	w.b = append(w.b, p...)
	return len(p), nil
}

// tail keeps the end of what is written.
type tail struct {
	mu sync.Mutex
	b  []byte
}

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if n := len(t.b) - 500; n > 0 {
		t.b = append(t.b[:0], t.b[n:]...)
	}
	return len(p), nil
}

// String gives it on one line.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(strings.Fields(strings.ToValidUTF8(string(t.b), "?")), " ")
}

// newProgramSource runs a program whose lines are events.
func newProgramSource(ctx context.Context, d *driver, s graph.Spec) (pipe.Source[parley.Event], error) {
	r := &spawner{Program: graph.Program{Command: s.Words("command"), Env: s.Words("env")}}
	cmd := r.command(ctx)
	said := &tail{}
	cmd.Stderr = said
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, &parley.Error{Code: parley.NotFound, Field: s.Name, Detail: err.Error(), Fix: "check the program", Err: err}
	}
	ended := sync.OnceValue(func() error {
		err := cmd.Wait()
		sweep(cmd)
		if err != nil && ctx.Err() == nil {
			_, _, err = r.exited(exitCode(cmd.ProcessState), said.String())
			return err
		}
		return nil
	})
	in := &programOutput{out, func() { sweep(cmd); _ = ended() }} // a program that was ended has failed
	return &lines{format: s.Text("format"), source: "/exec/" + strings.ReplaceAll(filepath.Base(r.Command[0]), " ", "%20"), in: in, ended: ended}, nil
}

type programOutput struct {
	io.Reader
	end func()
}

// Close ends the program.
func (p *programOutput) Close() error {
	p.end()
	return nil
}
