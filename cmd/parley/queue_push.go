package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/pattern/queue"
)

// pushFlags say what `queue push` makes of its input.
type pushFlags struct {
	pubFlags
	job  queue.Job
	at   string
	once string
}

func (a *app) queuePush() *cobra.Command {
	var f pushFlags
	c := &cobra.Command{
		Use:   "push QUEUE [DATA|-]",
		Short: "Add jobs to a queue.",
		Example: `  parley queue push emails '{"to": "ann@example.com"}'
  parley queue push emails hello --delay 10m --priority 9
  parley queue push reports monthly --at 2027-01-31T06:00:00Z --unique reports/2027-01
  parley queue push orders --file orders.ndjson --key shop-7     one job a line
  find . -name '*.mp4' | parley queue push transcode             one job a line`,
		Long: `DATA is one job. Without it, or with "-", standard input is read: each line is a
job. A file is one job, unless it ends in .ndjson or .jsonl or --ndjson is given:
then each line of it is. Jobs are added in batches; their ids are printed, one a
line, when they are durable. A job that --unique drops prints the id of the one that
is there. With --idempotency-key the same command adds its jobs once, however often
it is run within two minutes.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return exactly("QUEUE")(cmd, args)
			}
			return exactly("QUEUE", "DATA")(cmd, args)
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.file, "file", "", "push a `file` instead of DATA")
	flags.DurationVar(&f.job.Delay, "delay", 0, "how long the jobs rest first, such as 10m")
	flags.StringVar(&f.at, "at", "", "until when they rest, an RFC 3339 `time`")
	flags.IntVar(&f.job.Priority, "priority", 0, "0 to 9; higher ones are leased first")
	flags.StringVar(&f.job.Key, "key", "", "FIFO group: jobs of one key are worked one at a time, in order")
	flags.StringVar(&f.job.Unique, "unique", "", "`text` of which only one job is in the queue at a time")
	flags.IntVar(&f.job.MaxAttempts, "max-attempts", 0, "attempts after which a job is dead; default the queue's, -1 for no limit")
	flags.StringVar(&f.once, "idempotency-key", "", "`key` under which a repeated command adds nothing")
	flags.StringVar(&f.kind, "type", "", "the events' `type`; default parley.job")
	flags.StringVar(&f.subject, "subject", "", "the events' subject")
	flags.StringVar(&f.contentType, "content-type", "", "`media type` of the data; default what it looks like")
	flags.BoolVar(&f.whole, "whole", false, "standard input is one job")
	flags.BoolVar(&f.ndjson, "ndjson", false, "each line is a job's data in JSON")
	flags.BoolVar(&f.cloudevents, "cloudevents", false, "each line is a job's whole CloudEvent in JSON, as `sub --json` prints it")
	c.MarkFlagsMutuallyExclusive("whole", "ndjson", "cloudevents")
	c.MarkFlagsMutuallyExclusive("delay", "at")
	return a.onQueue(c, func(ctx context.Context, q *client.Queue, args []string) (answer, error) {
		return a.push(ctx, q, &f, args)
	})
}

func (a *app) push(ctx context.Context, q *client.Queue, f *pushFlags, args []string) (answer, error) {
	var err error
	if f.job.At, err = parseAt("--at", f.at); err != nil {
		return answer{}, err
	}
	in, err := a.pubInput(&f.pubFlags, append([]string{q.Name()}, args...))
	if err != nil {
		return answer{}, err
	}
	defer in.close()
	p := &pushed{queue: q.Name(), once: f.once, jobs: []queue.Enqueued{}}
	run := &publishing{noun: "job", flags: f.pubFlags, steady: f.once != ""}
	run.flags.key = "" // of the job, not the event
	run.send = func(ctx context.Context, events []parley.Event) error {
		return a.enqueue(ctx, q, f, events, p)
	}
	err = a.publish(ctx, run, in)
	return p.answer(), err
}

// pushed is what became of the jobs of one command.
type pushed struct {
	queue      string
	once       string           // --idempotency-key
	jobs       []queue.Enqueued // the first of them
	count      int
	duplicates int
	replayed   int // of count, by an earlier command
	batches    int
}

// pushedShown bounds the jobs that an answer in JSON names one by one.
const pushedShown = 1000

func (a *app) enqueue(ctx context.Context, q *client.Queue, f *pushFlags, events []parley.Event, p *pushed) error {
	jobs := make([]queue.Job, len(events))
	for i, e := range events {
		jobs[i] = f.job
		jobs[i].Event = e
	}
	list, replayed, err := p.send(ctx, q, jobs)
	if err != nil {
		return jobFlag(err)
	}
	p.batches++
	p.count += len(list)
	if replayed {
		p.replayed += len(list)
	}
	var ids []byte
	for _, j := range list {
		id := j.ID
		if j.Duplicate != 0 {
			if !replayed {
				p.duplicates++
			}
			id = j.Duplicate
		}
		ids = fmt.Appendln(ids, id)
	}
	p.jobs = append(p.jobs, list[:min(len(list), pushedShown-len(p.jobs))]...)
	if a.json {
		return nil
	}
	_, err = a.out.Write(ids)
	return err
}

// send adds one batch, under a key of its own if there is one.
func (p *pushed) send(ctx context.Context, q *client.Queue, jobs []queue.Job) ([]queue.Enqueued, bool, error) {
	if p.once == "" {
		list, err := q.Enqueue(ctx, jobs, queue.EnqueueOptions{})
		return list, false, err
	}
	key := p.once
	if p.batches > 0 {
		key += "/" + strconv.Itoa(p.batches)
	}
	return q.EnqueueOnce(ctx, key, jobs...)
}

// jobFlag makes an error about a member of a job, "jobs[0].priority", one about the
// flag that set it.
func jobFlag(err error) error {
	var e *parley.Error
	if !errors.As(err, &e) || e.Code != parley.Invalid {
		return err
	}
	_, member, _ := strings.Cut(e.Field, "].")
	if !slices.Contains([]string{"delay", "at", "priority", "key", "unique", "max_attempts"}, member) {
		return err
	}
	at := *e
	at.Field = "--" + strings.ReplaceAll(member, "_", "-")
	return &usage{&at}
}

func (p *pushed) answer() answer {
	added := p.count - p.duplicates - p.replayed
	summary := count(int64(added), "job") + " added to " + p.queue
	switch {
	case p.replayed > 0:
		summary += "; " + strconv.Itoa(p.replayed) + " were there already: the same command had been run under this key"
	case p.once != "" && added > 0: // whether it is a repeat need not have been told
		summary += ", once under this key"
	}
	if p.duplicates > 0 {
		summary += "; " + strconv.Itoa(p.duplicates) + " dropped, since such a job is there already"
	}
	return answer{
		Summary: summary, Partial: p.count == 0,
		Result: map[string]any{"queue": p.queue, "count": p.count, "duplicates": p.duplicates, "replayed": p.replayed, "jobs": p.jobs},
	}
}

// dataLine is an event's data on one line, at most so many bytes of it.
func dataLine(e parley.Event, most int) string {
	if e.ID == "" {
		return "(cannot be read any more)"
	}
	if !parley.IsJSON(e.DataContentType) && !parley.IsText(e.DataContentType) && e.DataContentType != "" {
		return fmt.Sprintf("(%d bytes of %s)", len(e.Data), e.DataContentType)
	}
	return oneLine(string(e.Data), most)
}

// oneLine cuts a text, and replaces what would move a terminal's cursor.
func oneLine(text string, most int) string {
	out := make([]rune, 0, min(len(text), most))
	for _, r := range text {
		if len(out) == most {
			return string(out) + "…"
		}
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			r = ' '
		}
		out = append(out, r)
	}
	return string(out)
}

// clock shows a time of day, with its date when that is another.
func clock(at time.Time) string {
	at = at.Local()
	if at.IsZero() {
		return "-"
	}
	if at.Format(time.DateOnly) == time.Now().Format(time.DateOnly) {
		return at.Format("15:04:05")
	}
	return at.Format(time.DateTime)
}
