package unix

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pipe"
)

// ExitError is how a program of an exec stage ended.
type ExitError struct {
	Program string
	Code    int // of the exit, or 128 and the number of the signal, as for a shell
	Text    string
}

// ExitCode gives Code: what a shell would pass on.
func (e *ExitError) ExitCode() int { return e.Code }

// Error implements error.
func (e *ExitError) Error() string { return e.Program + ": " + e.Text }

// program is a child process as a stage: the stream goes to its standard input,
// and comes from its standard output.
type program struct {
	r       *running
	args    []string
	timeout time.Duration
	most    int64 // bytes of its output, 0 = as many as there are
}

func buildExec(s *step, a *arguments) error {
	p := program{}
	if len(a.operands) == 0 {
		return a.wrong(a.name, "write it like: exec awk '{print $2}'", "exec needs a program")
	}
	for _, w := range a.operands {
		p.args = append(p.args, w.Text)
	}
	if g, ok := a.last("timeout"); ok {
		d, err := time.ParseDuration(g.value)
		if err != nil || d <= 0 {
			return a.wrong(g.word, "write it like --timeout 30s", "%q is not a duration", g.value)
		}
		p.timeout = d
	}
	if g, ok := a.last("max-output"); ok {
		n, ok := parseSize(g.value)
		if digits([]byte(g.value)) == len(g.value) {
			n, ok = parseSize(g.value + "b")
		}
		if !ok {
			return a.wrong(g.word, "write it like --max-output 64M", "%q is not a size", g.value)
		}
		p.most = int64(n)
	}
	if _, err := exec.LookPath(p.args[0]); err != nil {
		return a.wrong(a.operands[0], "write its path, or look at PATH", "the program %s is not there", p.args[0])
	}
	s.put = func(r *running, f flow) flow {
		q := p
		q.r = r
		return pipe.Through(f, pipe.Limit[*block]{Size: blockSize, Bytes: 4 << 20}, q.run)
	}
	return nil
}

// killAfter is how long a program has to end when it is asked to.
const killAfter = 2 * time.Second

func (p *program) run(ctx context.Context, in *pipe.Inlet[*block], to emit) error {
	life, end := context.WithCancelCause(ctx)
	defer end(nil)
	if p.timeout > 0 {
		var cancel context.CancelFunc
		life, cancel = context.WithTimeoutCause(life, p.timeout, &parley.Error{Code: parley.Timeout, Detail: p.args[0] + " took more than " + p.timeout.String(), Fix: "give it more --timeout"})
		defer cancel()
	}
	cmd := exec.CommandContext(life, p.args[0], p.args[1:]...)
	apart(cmd)
	cmd.WaitDelay = killAfter
	cmd.Stderr = p.r.err
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return &parley.Error{Code: parley.NotFound, Detail: err.Error(), Fix: "check the program", Err: err}
	}
	feeding, fed := context.WithCancel(life)
	done := make(chan error, 1)
	go func() { done <- feed(feeding, in, stdin) }()
	waited, killed := make(chan struct{}), make(chan struct{})
	spared := context.AfterFunc(life, func() { defer close(killed); killLater(cmd, waited) })
	readErr := p.read(stdout, to)
	if readErr != nil { // nobody reads what it writes any more
		_ = stdout.Close() // only read
		signalGroup(cmd, brokenPipe)
		end(readErr)
	}
	err = cmd.Wait()
	close(waited)
	if !spared() {
		<-killed
	}
	fed()
	feedErr := <-done
	return p.outcome(life, readErr, err, feedErr)
}

// outcome says how a run ended: what stopped it comes before what followed.
func (p *program) outcome(life context.Context, readErr, waitErr, feedErr error) error {
	switch {
	case readErr != nil:
		return readErr
	case life.Err() != nil:
		return context.Cause(life)
	case waitErr != nil:
		return p.exit(waitErr)
	case feedErr != nil && !errors.Is(feedErr, context.Canceled):
		return feedErr
	}
	return nil
}

// feed writes the stream to a program until either ends.
func feed(ctx context.Context, in *pipe.Inlet[*block], to io.WriteCloser) error {
	defer func() { _ = to.Close() }() // that is how it knows
	for {
		all, err := in.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, b := range all {
			_, err := to.Write(b.data)
			b.free()
			if err != nil {
				return nil // it wants no more; its exit code says what it thinks of that
			}
		}
	}
}

func (p *program) read(from io.Reader, to emit) error {
	var one [1]*block
	var total int64
	for {
		b := newBlock()
		n, err := from.Read(b.data[:cap(b.data)])
		b.data = b.data[:n]
		total += int64(n)
		if p.most > 0 && total > p.most {
			return &parley.Error{Code: parley.TooLarge, Detail: fmt.Sprintf("%s wrote more than %d bytes", p.args[0], p.most), Fix: "give it more --max-output"}
		}
		if n > 0 {
			one[0] = b
			if e := to(one[:]); e != nil {
				return e
			}
		} else {
			b.free()
		}
		if err != nil {
			return nil // the end; if it was not one, Wait says so
		}
	}
}

// exit makes the error of how a program ended.
func (p *program) exit(err error) error {
	var x *exec.ExitError
	if !errors.As(err, &x) {
		return err
	}
	e := &ExitError{Program: p.args[0], Code: exitCode(x.ProcessState), Text: strings.TrimPrefix(x.Error(), "exit status ")}
	if x.Exited() {
		e.Text = "exit code " + strconv.Itoa(e.Code)
	}
	return &parley.Error{Code: parley.Unprocessable, Detail: e.Error(), Fix: "standard error has what it said", Err: e}
}
