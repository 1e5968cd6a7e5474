package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/queue"
)

// jobCommand runs one program for each job.
type jobCommand struct {
	args    []string // the program and its arguments
	env     []string // without the job's variables
	queue   string
	timeout time.Duration // 0 = none
	result  int64         // bytes of standard output that are kept; 0 = it is passed on
	out     *outlet       // the programs' standard output
	err     *outlet       // and standard error
}

// How long a program has to end when it is asked to, and how much of a line is
// looked at.
const (
	endWithin = 2 * time.Second
	mostLine  = 64 << 10
)

var (
	errJobStopped = errors.New("the worker was stopped before the job was done")
	errJobLate    = errors.New("it took longer than its timeout")
	errJobSpews   = errors.New("its output is larger than a result may be")
)

// ended is how a program ended.
type ended struct {
	code   int
	cause  string // empty = well
	broken error  // why we ended it, or why it did not begin; nil = it ended by itself
	result []byte
}

// run runs the program for a job until it ends, ctx is over, or stop is.
func (c *jobCommand) run(ctx, stop context.Context, job *queue.Lease) ended {
	life, end := context.WithCancelCause(ctx)
	defer end(nil)
	defer context.AfterFunc(stop, func() { end(errJobStopped) })()
	if c.timeout > 0 {
		defer time.AfterFunc(c.timeout, func() { end(errJobLate) }).Stop()
	}
	cmd := exec.CommandContext(life, c.args[0], c.args[1:]...)
	ownGroup(cmd)
	cmd.WaitDelay = endWithin
	cmd.Env = slices.Concat(c.env, jobEnv(c.queue, job))
	cmd.Stdin = bytes.NewReader(job.Event.Data)
	said := &lineWriter{to: c.err, prefix: "[" + job.ID.String() + "] "}
	cmd.Stderr = said
	var kept *capped
	out := &lineWriter{to: c.out}
	if cmd.Stdout = out; c.result > 0 {
		kept = &capped{most: c.result, over: func() { end(errJobSpews) }}
		cmd.Stdout = kept
	}
	if err := cmd.Start(); err != nil {
		return ended{code: -1, cause: "it cannot be started: " + err.Error(), broken: err}
	}
	err := cmd.Wait()
	killGroup(cmd)
	said.flush()
	out.flush()
	e := ended{code: exitCode(cmd.ProcessState)}
	switch why := context.Cause(life); {
	case why != nil && (errors.Is(why, errJobStopped) || errors.Is(why, errJobLate) || errors.Is(why, errJobSpews) || ctx.Err() != nil):
		e.broken, e.cause = why, why.Error()
	case e.code != 0:
		e.cause = endText(e.code)
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		e.broken, e.cause = err, err.Error()
	}
	if last := said.last; e.cause != "" && last != "" {
		e.cause += ": " + last
	}
	if kept != nil {
		e.result = kept.buf.Bytes()
	}
	return e
}

func endText(code int) string {
	if code > 128 && code < 128+65 {
		return "killed by signal " + strconv.Itoa(code-128)
	}
	return "exit code " + strconv.Itoa(code)
}

// jobEnv tells a program about its job.
func jobEnv(name string, job *queue.Lease) []string {
	env := []string{
		"PARLEY_QUEUE=" + name, "PARLEY_JOB_ID=" + job.ID.String(), "PARLEY_ATTEMPT=" + strconv.Itoa(job.Attempt),
		"PARLEY_LEASE=" + job.Token, "PARLEY_PRIORITY=" + strconv.Itoa(job.Priority), "PARLEY_KEY=" + job.Key,
		"PARLEY_ENQUEUED=" + job.Enqueued.UTC().Format(time.RFC3339Nano),
		"PARLEY_EVENT_ID=" + job.Event.ID, "PARLEY_EVENT_SOURCE=" + job.Event.Source, "PARLEY_EVENT_TYPE=" + job.Event.Type,
		"PARLEY_EVENT_SUBJECT=" + job.Event.Subject, "PARLEY_EVENT_DATACONTENTTYPE=" + job.Event.DataContentType,
	}
	if !job.Event.Time.IsZero() {
		env = append(env, "PARLEY_EVENT_TIME="+job.Event.Time.UTC().Format(time.RFC3339Nano))
	}
	for k, v := range job.Event.Extensions {
		env = append(env, "PARLEY_EVENT_"+strings.ToUpper(k)+"="+v)
	}
	for i, v := range env {
		env[i] = strings.ReplaceAll(v, "\x00", "") // no variable can hold one
	}
	return env
}

// deadCodes are the exit codes that bury a job.
type deadCodes [256]bool

// retryCode is EX_TEMPFAIL of sysexits.h: try again.
const retryCode = 75

// parseCodes reads "65", "1,64-78" or "any".
func parseCodes(text string) (d deadCodes, err error) {
	if text == "any" {
		text = "1-255"
	}
	for part := range strings.SplitSeq(text, ",") {
		if part == "" && text == "" {
			break
		}
		from, to, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			to = from
		}
		a, e1 := strconv.ParseUint(from, 10, 8)
		b, e2 := strconv.ParseUint(to, 10, 8)
		if e1 != nil || e2 != nil || a == 0 || a > b {
			return d, &usage{parley.BadField("--dead-on", fmt.Sprintf("%q is neither an exit code nor a range of them", part), "write it like 65, or 1,64-78, or any")}
		}
		for ; a <= b; a++ {
			d[a] = true
		}
	}
	d[retryCode] = false
	return d, nil
}

// outlet is a stream that several programs write to, line by line.
type outlet struct {
	mu     sync.Mutex
	w      io.Writer
	broken func() // called when whoever read us has left; nil = it does not matter
}

func (o *outlet) write(b []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, err := o.w.Write(b)
	if err != nil && o.broken != nil {
		o.broken()
	}
	return err
}

// lineWriter passes whole lines on to an outlet, and remembers the last one with
// something on it. A line over mostLine is passed on in pieces.
type lineWriter struct {
	to     *outlet
	prefix string
	part   []byte
	last   string
}

// Write implements io.Writer. Its error closes the program's end, which then is told
// as any program whose reader left.
func (l *lineWriter) Write(p []byte) (int, error) {
	n := len(p)
	var err error
	for len(p) > 0 && err == nil {
		i := bytes.IndexByte(p, '\n')
		take := min(len(p), mostLine-len(l.part))
		if i >= 0 {
			take = min(take, i)
		}
		l.part = append(l.part, p[:take]...)
		p = p[take:]
		if i >= 0 && i == take {
			p = p[1:]
			err = l.line(true)
		} else if len(l.part) >= mostLine {
			err = l.line(l.prefix != "")
		}
	}
	return n - len(p), err
}

// line passes on what there is of a line, and its end if it is there.
func (l *lineWriter) line(end bool) error {
	if text := bytes.TrimSpace(l.part); len(text) > 0 {
		text = text[bytes.LastIndexByte(text, '\r')+1:] // what a progress bar showed last
		l.last = oneLine(string(text[:min(len(text), queue.MaxCause)]), queue.MaxCause)
	}
	l.part = append([]byte(l.prefix), l.part...)
	if end {
		l.part = append(l.part, '\n')
	}
	err := l.to.write(l.part)
	l.part = l.part[:0]
	return err
}

// flush ends a line that has no end.
func (l *lineWriter) flush() {
	if len(l.part) > 0 {
		_ = l.line(true) // the program is over
	}
}

// capped keeps what is written, up to a bound; over is called once it is passed.
type capped struct {
	buf  bytes.Buffer
	most int64
	over func()
}

// Write implements io.Writer.
func (c *capped) Write(p []byte) (int, error) {
	if int64(c.buf.Len()+len(p)) > c.most {
		c.over()
		return 0, errJobSpews
	}
	return c.buf.Write(p)
}
