package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/pattern/queue"
)

// workFlags say how `queue work` works.
type workFlags struct {
	worker  queue.WorkerOptions
	line    string // --exec
	grace   time.Duration
	timeout time.Duration
	deadOn  string
	result  string // media type of results; empty = none
	count   int
	drain   bool
}

func (a *app) queueWork() *cobra.Command {
	var f workFlags
	c := &cobra.Command{
		Use:   "work QUEUE [--exec COMMAND | -- PROGRAM ARG…]",
		Short: "Work jobs off by running a program for each.",
		Example: `  parley queue work emails --exec ./send.sh
  parley queue work transcode --exec 'ffmpeg -i "$(cat)" out/$PARLEY_JOB_ID.webm' --concurrency 2
  parley queue work reports --timeout 10m --dead-on 65 -- python3 report.py --pdf
  parley queue work emails --exec ./send.sh --drain      until there are no more`,
		Long: workHelp,
		Args: workArgs,
	}
	flags := c.Flags()
	flags.StringVar(&f.line, "exec", "", "`command` for the shell to run for each job")
	flags.IntVar(&f.worker.Concurrency, "concurrency", 1, "jobs at once")
	flags.DurationVar(&f.worker.Visibility, "visibility", 0, "of the leases; default the queue's")
	flags.DurationVar(&f.timeout, "timeout", 0, "how long one job may take; default for ever")
	flags.DurationVar(&f.grace, "grace", 30*time.Second, "how long jobs may go on after Ctrl-C")
	flags.StringVar(&f.deadOn, "dead-on", "", "exit `codes` that bury a job, such as 65 or 1,64-78, or any")
	flags.StringVar(&f.worker.Name, "worker", "", "`name` in the jobs' history; default this host and process")
	flags.StringVar(&f.result, "result", "", "publish standard output as the job's result, of this `media type`")
	flags.IntVar(&f.count, "count", 0, "end after so many jobs")
	flags.BoolVar(&f.drain, "drain", false, "end when no job is ready, and none that this worker holds can be again")
	at := a.remoteFlags(c)
	names := a.completeQueues(at)
	c.ValidArgsFunction = func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 { // a program and its files
			return nil, cobra.ShellCompDirectiveDefault
		}
		return names(cmd, args, prefix)
	}
	c.RunE = a.command(func(ctx context.Context, args []string) (answer, error) {
		q, err := a.queueAt(at, args[0])
		if err != nil {
			return answer{}, err
		}
		w, err := a.newWork(&f, q, at, args[1:])
		if err != nil {
			return answer{}, err
		}
		return w.run(ctx)
	})
	return c
}

const workHelp = `The program gets the job's data on standard input, and PARLEY_QUEUE, PARLEY_JOB_ID,
PARLEY_ATTEMPT, PARLEY_KEY, PARLEY_PRIORITY, PARLEY_ENQUEUED, PARLEY_LEASE and the
event's attributes as PARLEY_EVENT_ID, PARLEY_EVENT_TYPE and so on. --exec is run by
the shell; what follows -- is run as it is.

Its exit code settles the job:
  0       done
  75      try again, as the queue's settings say
  others  dead at once if --dead-on names them, else try again
A program that a signal ends counts as 128 and its number. The cause in the job's
history is that and the last line of standard error, which is passed on line by
line; so is standard output, unless --result makes it the job's result.

The lease is extended while the program runs. After --timeout, and when the lease
is lost, it and all that it started get SIGTERM, and two seconds later SIGKILL; what
it leaves running when it ends is killed, too.

--drain works off all that is ready, also jobs that stand behind others of their key,
or wait for a place or the queue's rate. It does not wait for delayed jobs, for those
that stand behind them, and for a paused queue.

Ctrl-C takes no more jobs and lets those under way finish within --grace; a second
one stops them, and they are ready again at once. With --json each job is a line,
and the programs' output goes to standard error.`

// workArgs wants the program either as --exec or behind --.
func workArgs(c *cobra.Command, args []string) error {
	program := c.ArgsLenAtDash()
	if program < 0 {
		program = len(args)
	}
	if err := exactly("QUEUE")(c, args[:program]); err != nil {
		return err
	}
	if line := c.Flags().Lookup("exec"); (line.Value.String() != "") == (len(args) > program) {
		return usagef("write --exec './send.sh', or -- ./send.sh", "give the program that works a job off, once")
	}
	return nil
}

// work is one run of `queue work`.
type work struct {
	app     *app
	flags   *workFlags
	queue   *client.Queue
	command jobCommand
	lines   *outlet // of --json
	dead    deadCodes
	kill    context.Context //nolint:containedctx // over when jobs under way are to stop
	left    int             // jobs to take; -1 = no bound
	enough  context.CancelFunc

	rest string // what --drain left, and why

	mu     sync.Mutex
	leased int               // jobs so far
	ended  map[string]worked // jobs that are not settled yet, by lease
	tally  map[string]int    // the others by how they ended
}

func (a *app) newWork(f *workFlags, q *client.Queue, at *remote, program []string) (*work, error) {
	if f.line != "" {
		program = shell(f.line)
	}
	if _, err := exec.LookPath(program[0]); err != nil {
		return nil, usagef("write its path, or look at PATH", "the program %s cannot be run: %v", program[0], err)
	}
	if f.count < 0 || f.timeout < 0 || f.grace < 0 {
		return nil, usagef("leave it away for the default", "--count, --timeout and --grace cannot be negative")
	}
	dead, err := parseCodes(f.deadOn)
	if err != nil {
		return nil, err
	}
	if f.worker.Name == "" {
		f.worker.Name = workerName()
	}
	w := &work{app: a, flags: f, queue: q, dead: dead, left: -1, lines: &outlet{w: a.out}, ended: map[string]worked{}, tally: map[string]int{}}
	if f.count > 0 {
		w.left = f.count
	}
	talk := &outlet{w: a.err}
	w.command = jobCommand{
		args: program, queue: q.Name(), timeout: f.timeout, out: w.lines, err: talk,
		env: slices.Concat(a.env, []string{"PARLEY_URL=" + at.url}),
	}
	if a.json {
		w.command.out = talk
	}
	if f.result != "" {
		w.command.result = queue.MaxResult
	}
	f.worker.Logger = slog.New(slog.NewTextHandler(writerFunc(talk.write), &slog.HandlerOptions{Level: slog.LevelWarn}))
	f.worker.Grace = math.MaxInt64 // grace is counted here, from the signal on
	return w, nil
}

type writerFunc func([]byte) error

// Write implements io.Writer.
func (f writerFunc) Write(p []byte) (int, error) { return len(p), f(p) }

// workerName tells this process from others.
func workerName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "worker"
	}
	return host + ":" + strconv.Itoa(os.Getpid())
}

func (w *work) run(ctx context.Context) (answer, error) {
	worker, err := queue.NewWorker(w, w.handle, w.flags.worker)
	if err != nil {
		return answer{}, asked(err)
	}
	if !signal.Ignored(syscall.SIGHUP) { // the terminal is gone: as a Ctrl-C
		var stop context.CancelFunc
		ctx, stop = signal.NotifyContext(ctx, syscall.SIGHUP)
		defer stop()
	}
	ctx, alone := context.WithCancel(ctx)
	defer alone()
	w.lines.broken = alone
	var leasing, life context.Context
	var kill context.CancelFunc
	leasing, w.enough = context.WithCancel(ctx)
	defer w.enough()
	life, kill = context.WithCancel(context.WithoutCancel(ctx))
	defer kill()
	w.kill = life
	signals, pipes := make(chan os.Signal, 2), make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	// Without this, a write to a reader that left would end this process, and the
	// programs would go on without it.
	signal.Notify(pipes, syscall.SIGPIPE)
	defer signal.Stop(pipes)
	over := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() { w.watch(ctx, signals, over, kill) })
	err = worker.Run(leasing)
	close(over)
	watching.Wait()
	for _, r := range w.ended { // nobody else is left
		r.Outcome = "unsettled"
		w.tell(r)
	}
	return w.answer(), err
}

// watch lets jobs go on for the grace when ctx ends, and stops them at a second
// signal.
func (w *work) watch(ctx context.Context, signals <-chan os.Signal, over <-chan struct{}, kill func()) {
	var late <-chan time.Time
	first := ctx.Done()
	for n := 0; ; {
		select {
		case <-over:
			return
		case <-first:
			first = nil
			w.app.say("%s\n", w.app.paint(dim, "taking no more jobs; those under way have "+w.flags.grace.String()+", Ctrl-C stops them"))
			timer := time.NewTimer(w.flags.grace)
			defer timer.Stop()
			late = timer.C
			continue
		case <-late:
		case <-signals:
			if n++; n < 2 {
				continue
			}
		}
		kill()
		<-over
		return
	}
}

// Lease implements queue.Source: it asks for no more jobs than are wanted.
func (w *work) Lease(ctx context.Context, r queue.LeaseRequest) ([]queue.Lease, error) {
	if w.left >= 0 {
		r.Max = min(r.Max, w.left)
	}
	lease := w.queue.Lease
	if w.flags.drain {
		lease = w.drain
	}
	list, err := lease(ctx, r)
	for err != nil && w.sitOut(ctx, err) {
		list, err = lease(ctx, r)
	}
	w.mu.Lock()
	w.leased += len(list)
	w.mu.Unlock()
	if w.left >= 0 {
		w.left -= len(list)
	}
	if w.left == 0 {
		w.enough()
	}
	return list, err
}

// sitOut waits as long as the server asks when the client does not, and tells of it;
// false: it does not ask, or ctx has ended.
func (w *work) sitOut(ctx context.Context, why error) bool {
	e, ok := errors.AsType[*parley.Error](why)
	if !ok || e.RetryAfter <= client.MaxPause {
		return false
	}
	w.app.retrying(why, e.RetryAfter)
	timer := time.NewTimer(e.RetryAfter)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Settle implements queue.Source: a job is told of once, when its settlement is
// durable or will not be. One that is tried again is told of then.
func (w *work) Settle(ctx context.Context, list []queue.Settlement) ([]error, error) {
	errs, err := w.queue.Settle(ctx, list)
	if err != nil {
		return errs, err
	}
	for i := range list {
		if s := &list[i]; s.Action != queue.Extend && s.Action != queue.Report {
			w.settled(s, errs[i])
		}
	}
	return errs, nil
}

// settled takes note of what became of a settlement.
func (w *work) settled(s *queue.Settlement, why error) {
	w.mu.Lock()
	r, there := w.ended[s.Lease]
	if !there { // it was told of
		w.mu.Unlock()
		return
	}
	switch code := parley.CodeOf(why); {
	case why == nil:
	case code == parley.Conflict:
		r.Outcome, r.Cause = "lost", explain(why)[0].Detail
	case s.Result != nil && !passing(code): // the worker gives the job back
		r.Outcome, r.Cause = "retry", "its result is refused: "+explain(why)[0].Detail
		w.ended[s.Lease] = r
		w.mu.Unlock()
		return
	case passing(code): // it is settled again, or told of at the end
		w.mu.Unlock()
		return
	default:
		r.Outcome, r.Cause = "unsettled", explain(why)[0].Detail
	}
	delete(w.ended, s.Lease)
	w.mu.Unlock()
	w.tell(r)
}

// passing says that a settlement which was refused may be taken later.
func passing(c parley.Code) bool {
	switch c {
	case parley.Unavailable, parley.Unknown, parley.Timeout, parley.Overloaded, parley.Throttled, parley.Full:
		return true
	}
	return false
}

// worked is how a job ended, as --json prints it.
type worked struct {
	Job     queue.ID `json:"job"`
	Attempt int      `json:"attempt"`
	Outcome string   `json:"outcome"` // done, retry, dead, stopped, lost or unsettled
	Exit    int      `json:"exit"`
	Cause   string   `json:"cause,omitempty"`
	Seconds float64  `json:"seconds"`
}

// handle is the queue.Handler.
func (w *work) handle(ctx context.Context, job *queue.Lease) (queue.Result, error) {
	begun := time.Now()
	e := w.command.run(ctx, w.kill, job)
	r := worked{Job: job.ID, Attempt: job.Attempt, Exit: e.code, Cause: e.cause, Outcome: "retry"}
	err := errors.New(e.cause)
	switch {
	case errors.Is(e.broken, errJobStopped):
		r.Outcome, err = "stopped", queue.RetryAfter(0, err)
	case ctx.Err() != nil:
		r.Outcome = "lost"
	case e.cause == "":
		r.Outcome, err = "done", nil
	case e.broken == nil && w.dead[e.code&255]:
		r.Outcome, err = "dead", queue.Fatal(err)
	}
	r.Seconds = time.Since(begun).Seconds()
	if r.Outcome == "lost" { // nobody settles it
		w.tell(r)
		return nil, err
	}
	w.mu.Lock()
	w.ended[job.Token] = r
	w.mu.Unlock()
	if w.flags.result != "" && err == nil {
		return queue.Output{ContentType: w.flags.result, Data: e.result}, nil
	}
	return nil, err
}

// tell tells how a job ended.
func (w *work) tell(r worked) {
	w.mu.Lock()
	w.tally[r.Outcome]++
	w.mu.Unlock()
	if w.app.json {
		line, _ := json.Marshal(r)            // strings and numbers
		_ = w.lines.write(append(line, '\n')) // if nobody reads us, no more jobs are taken
		return
	}
	text := fmt.Sprintf("job %s: %s, attempt %d, %s", r.Job, r.Outcome, r.Attempt, time.Duration(r.Seconds*float64(time.Second)).Round(time.Millisecond))
	if r.Cause != "" {
		text += ": " + r.Cause
	}
	if r.Outcome != "done" {
		text = w.app.paint(red, text)
	}
	_ = w.command.err.write([]byte(text + "\n")) // talk
}

func (w *work) answer() answer {
	w.mu.Lock()
	defer w.mu.Unlock()
	summary, all := "", 0
	for _, how := range []string{"done", "retry", "dead", "stopped", "lost", "unsettled"} {
		if n := w.tally[how]; n > 0 || how == "done" {
			all += n
			if how != "done" {
				summary += ", "
			}
			summary += strconv.Itoa(n) + " " + how
		}
	}
	if all == 0 {
		summary = "none was ready"
	}
	if w.rest != "" {
		summary += "; " + w.rest
	}
	bounded := w.flags.drain || w.flags.count > 0
	return answer{
		Summary: count(int64(all), "job") + ": " + summary,
		Result:  map[string]any{"queue": w.queue.Name(), "jobs": w.tally},
		Partial: bounded && (w.tally["done"] < max(1, all) || w.rest != "") || w.tally["stopped"] > 0,
	}
}

var _ queue.Source = (*work)(nil)
