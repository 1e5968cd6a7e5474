package main

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/pattern/queue"
)

// canceled is what became of one job of cancel.
type canceled struct {
	ID    queue.ID `json:"id"`
	OK    bool     `json:"ok"`
	Error *failed  `json:"error,omitempty"`
}

func (a *app) queueCancel() *cobra.Command {
	c := &cobra.Command{
		Use: "cancel QUEUE ID…", Short: "Take jobs out of a queue.",
		Example: "  parley queue cancel emails 17 18",
		Long:    "A job that a worker has is taken from it: the lease is over. Dead jobs are not canceled but purged.",
		Args:    atLeast("QUEUE", "ID"),
	}
	return a.onQueue(c, func(ctx context.Context, q *client.Queue, args []string) (answer, error) {
		ids, err := parseIDs(args)
		if err != nil {
			return answer{}, err
		}
		result, good := []canceled{}, 0
		var failures []error
		for part := range slices.Chunk(ids, queue.MaxIDs) {
			errs, err := q.Cancel(ctx, part...)
			if err != nil {
				return answer{Result: result}, err
			}
			for i, err := range errs {
				r := canceled{ID: part[i], OK: err == nil}
				if err != nil {
					r.Error = &explain(err)[0]
					failures = append(failures, err)
				} else {
					good++
				}
				result = append(result, r)
			}
		}
		if good == 0 {
			return answer{Result: result}, errors.Join(failures...)
		}
		summary := count(int64(good), "job") + " canceled"
		for _, err := range failures {
			summary += "\nnot canceled: " + explain(err)[0].Detail
		}
		return answer{Summary: summary, Result: result, Partial: len(failures) > 0}, nil
	})
}

func (a *app) queueReschedule() *cobra.Command {
	var at string
	var delay time.Duration
	c := &cobra.Command{
		Use: "reschedule QUEUE ID", Short: "Change when a job that waits becomes ready.",
		Example: `  parley queue reschedule emails 17 --at 2027-01-31T08:00:00Z
  parley queue reschedule emails 17 --delay 5m
  parley queue reschedule emails 17 --delay 0s      at once`,
		Args: exactly("QUEUE", "ID"),
	}
	c.Flags().StringVar(&at, "at", "", "an RFC 3339 `time`")
	c.Flags().DurationVar(&delay, "delay", 0, "how long from now")
	c.MarkFlagsMutuallyExclusive("at", "delay")
	return a.onQueue(c, func(ctx context.Context, q *client.Queue, args []string) (answer, error) {
		ids, err := parseIDs(args)
		if err != nil {
			return answer{}, err
		}
		if at == "" && !c.Flags().Changed("delay") {
			return answer{}, usagef("say when: --at TIME or --delay DURATION", "no time is given")
		}
		due, err := parseAt("--at", at)
		if err != nil {
			return answer{}, err
		}
		if at == "" {
			due = time.Now().Add(delay)
		}
		if err := q.Reschedule(ctx, ids[0], due); err != nil {
			return answer{}, err
		}
		return answer{Summary: "job " + args[0] + " is due at " + clock(due), Result: map[string]any{"id": ids[0], "due": due.UTC()}}, nil
	})
}

func (a *app) queueRedrive() *cobra.Command {
	var f queue.Filter
	var ids []string
	var since, until string
	var all bool
	c := &cobra.Command{
		Use: "redrive QUEUE", Short: "Make dead jobs ready again.",
		Example: `  parley queue redrive emails --all
  parley queue redrive emails --reason timeout --since 2026-11-24T08:00:00Z
  parley queue redrive emails --id 17 --id 18`,
		Long: "All dead jobs that fit every filter get all their attempts anew. At least one filter, or --all, is needed.",
		Args: exactly("QUEUE"),
	}
	flags := c.Flags()
	flags.StringArrayVar(&ids, "id", nil, "only this job; may be repeated")
	flags.StringVar(&f.Reason, "reason", "", "only those with this `text` in their reason")
	flags.StringVar(&f.Worker, "worker", "", "only those whose last attempt was this worker's")
	flags.StringVar(&f.Key, "key", "", "only those of this key")
	flags.StringVar(&since, "since", "", "only those that died since an RFC 3339 `time`, or a duration ago")
	flags.StringVar(&until, "until", "", "only those that died before an RFC 3339 `time`, or a duration ago")
	flags.BoolVar(&all, "all", false, "all dead jobs")
	return a.onQueue(c, func(ctx context.Context, q *client.Queue, _ []string) (answer, error) {
		var err error
		if f.IDs, err = parseIDs(ids); err != nil {
			return answer{}, err
		}
		if f.Since, err = parsePast("--since", since); err != nil {
			return answer{}, err
		}
		if f.Until, err = parsePast("--until", until); err != nil {
			return answer{}, err
		}
		some := len(ids) > 0 || f.Reason+f.Worker+f.Key+since+until != ""
		if some == all {
			return answer{}, usagef("name a filter such as --reason timeout, or --all", "say which dead jobs: by filters or all of them")
		}
		n, err := q.Redrive(ctx, f)
		if err != nil {
			return answer{}, err
		}
		return answer{Summary: count(n, "dead job") + " made ready again", Result: map[string]any{"queue": q.Name(), "redriven": n}, Partial: n == 0}, nil
	})
}

// parsePast is parseAt; a duration is how long ago.
func parsePast(flag, text string) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil {
		return time.Now().Add(-d), nil
	}
	return parseAt(flag, text)
}

func (a *app) queuePurge() *cobra.Command {
	var which []string
	c := &cobra.Command{
		Use: "purge QUEUE", Short: "Remove all jobs of a state.",
		Example: `  parley queue purge emails --state dead
  parley queue purge emails --state ready --state delayed`,
		Args: exactly("QUEUE"),
	}
	c.Flags().StringArrayVar(&which, "state", nil, "ready, delayed or dead; may be repeated")
	_ = c.RegisterFlagCompletionFunc("state", cobra.FixedCompletions([]string{"ready", "delayed", "dead"}, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	return a.onQueue(c, func(ctx context.Context, q *client.Queue, _ []string) (answer, error) {
		if len(which) == 0 {
			return answer{}, usagef("name what goes: --state ready, --state delayed or --state dead", "--state is missing")
		}
		var list []queue.State
		for _, s := range which {
			if s != "ready" && s != "delayed" && s != "dead" {
				return answer{}, usagef("use ready, delayed or dead; a leased job is canceled by its id", "jobs cannot be purged by --state %s", s)
			}
			list = append(list, queue.State(s))
		}
		n, err := q.Purge(ctx, list...)
		if err != nil {
			return answer{}, err
		}
		return answer{Summary: count(n, "job") + " removed from " + q.Name(), Result: map[string]any{"queue": q.Name(), "purged": n}, Partial: n == 0}, nil
	})
}

func (a *app) queuePause() *cobra.Command {
	c := &cobra.Command{
		Use: "pause QUEUE", Short: "Give no jobs to workers until resume.",
		Example: "  parley queue pause emails", Args: exactly("QUEUE"),
		Long: "Jobs that workers have already go on, and jobs may be added.",
	}
	return a.onQueue(c, func(ctx context.Context, q *client.Queue, _ []string) (answer, error) {
		return answer{Summary: q.Name() + " is paused", Result: map[string]any{"queue": q.Name(), "paused": true}}, q.Pause(ctx)
	})
}

func (a *app) queueResume() *cobra.Command {
	c := &cobra.Command{
		Use: "resume QUEUE", Short: "End a pause.",
		Example: "  parley queue resume emails", Args: exactly("QUEUE"),
	}
	return a.onQueue(c, func(ctx context.Context, q *client.Queue, _ []string) (answer, error) {
		return answer{Summary: q.Name() + " is open", Result: map[string]any{"queue": q.Name(), "paused": false}}, q.Resume(ctx)
	})
}

func (a *app) queueDelete() *cobra.Command {
	c := &cobra.Command{
		Use: "delete QUEUE", Aliases: []string{"rm"}, Short: "Delete a queue with all its jobs.",
		Example: "  parley queue delete emails", Args: exactly("QUEUE"),
	}
	return a.onQueue(c, func(ctx context.Context, q *client.Queue, _ []string) (answer, error) {
		return answer{Summary: "deleted " + q.Name(), Result: map[string]any{"queue": q.Name()}}, q.Delete(ctx)
	})
}

func (a *app) queueSet() *cobra.Command {
	var s queue.Settings
	var delays []string
	var kind string
	c := &cobra.Command{
		Use: "set QUEUE", Short: "Make a queue, or change its settings.",
		Example: `  parley queue set emails --max-attempts 5 --visibility 2m
  parley queue set emails --rate 100/1h
  parley queue set emails --retry list --retry-delays 10s,1m,1h
  parley queue set reports --concurrency 2 --dead-letter -
  parley queue set fulfilment --feed 'orders.>'`,
		Long: `Settings that are left away stay as they are. They hold from now on: leases and
delays under way stay. A queue that is not there is made.`,
		Args: exactly("QUEUE"),
	}
	flags := c.Flags()
	flags.IntVar(&s.MaxAttempts, "max-attempts", 20, "leases after which a job that is not acked is dead; -1 for no limit")
	flags.DurationVar(&s.Visibility, "visibility", 30*time.Second, "how long a lease lasts")
	flags.IntVar(&s.Concurrency, "concurrency", 0, "jobs leased at once; 0 for no limit")
	flags.StringVar(&s.Rate, "rate", "", "how fast jobs are leased, such as 100/s or 5/1m; empty for no limit")
	flags.StringVar(&s.DeadLetter, "dead-letter", "", "topic for dead jobs; - for none; default QUEUE.dead")
	flags.StringVar(&s.Results, "results", "", "topic for results; - for none; default QUEUE.results")
	flags.StringArrayVar(&s.Feed, "feed", nil, "`pattern` of topics whose events become jobs; may be repeated; empty for none")
	flags.StringVar(&kind, "retry", "exponential", "exponential, fixed or list")
	flags.DurationVar(&s.Retry.Delay, "retry-delay", time.Second, "the first delay of exponential, each of fixed")
	flags.DurationVar(&s.Retry.Max, "retry-max", 15*time.Minute, "longest delay of exponential")
	flags.StringSliceVar(&delays, "retry-delays", nil, "`delays` of list, such as 10s,1m,1h")
	flags.Float64Var(&s.Retry.Jitter, "retry-jitter", 0.2, "part by which each delay is spread, 0 to 1; -1 for none")
	_ = c.RegisterFlagCompletionFunc("retry", cobra.FixedCompletions([]string{"exponential", "fixed", "list"}, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	return a.onQueue(c, func(ctx context.Context, q *client.Queue, _ []string) (answer, error) {
		s.Retry.Kind = queue.RetryKind(kind)
		for _, text := range delays {
			d, err := time.ParseDuration(text)
			if err != nil {
				return answer{}, usagef("write them like 10s,1m,1h", "--retry-delays: %s is not a duration", text)
			}
			s.Retry.Delays = append(s.Retry.Delays, d)
		}
		return setQueue(ctx, q, s, flags.Changed)
	})
}

// setQueue changes those settings whose flags were given, and makes the queue if it
// is not there.
func setQueue(ctx context.Context, q *client.Queue, s queue.Settings, given func(flag string) bool) (answer, error) {
	before, err := q.Settings(ctx)
	made := parley.CodeOf(err) == parley.NotFound
	if made {
		before, err = queue.Settings{}.Defaults()
	}
	if err != nil {
		return answer{}, err
	}
	change := map[string]any{}
	for flag, value := range map[string]any{
		"max-attempts": s.MaxAttempts, "visibility": s.Visibility.String(), "concurrency": s.Concurrency,
		"rate": s.Rate, "dead-letter": s.DeadLetter, "results": s.Results,
	} {
		if given(flag) {
			change[strings.ReplaceAll(flag, "-", "_")] = value
		}
	}
	if given("feed") {
		change["feed"] = slices.DeleteFunc(slices.Clone(s.Feed), func(p string) bool { return p == "" })
	}
	if retry, some := retryOf(before.Retry, s.Retry, given); some {
		change["retry"] = retry
	}
	if len(change) == 0 && !made {
		return answer{}, usagef("name one, such as --max-attempts 5", "no setting is given")
	}
	body, err := json.Marshal(change)
	if err != nil {
		return answer{}, err
	}
	i, err := q.Change(ctx, body)
	if err != nil {
		return answer{}, settingFlag(err)
	}
	was, _ := before.MarshalJSON() // strings and numbers
	is, _ := i.Settings.MarshalJSON()
	summary := "queue " + q.Name() + ": " + changed(was, is)
	if made {
		summary = "made " + summary
	}
	return answer{Summary: summary, Result: i}, nil
}

// retryOf changes those parts of a retry policy whose flags were given. Another
// kind begins anew.
func retryOf(before, s queue.Retry, given func(flag string) bool) (queue.Retry, bool) {
	after, some := before, false
	for flag, set := range map[string]func(){
		"retry-delay":  func() { after.Delay = s.Delay },
		"retry-max":    func() { after.Max = s.Max },
		"retry-delays": func() { after.Delays = s.Delays },
		"retry-jitter": func() { after.Jitter = s.Jitter },
	} {
		if !some && given("retry") {
			after, some = queue.Retry{Kind: s.Kind}, true
		}
		if given(flag) {
			set()
			some = true
		}
	}
	return after, some
}

// settingFlag makes an error about a member of the settings one about its flag.
func settingFlag(err error) error {
	var e *parley.Error
	if !errors.As(err, &e) || e.Code != parley.Invalid || e.Field == "" {
		return err
	}
	at := *e
	at.Field = "--" + strings.NewReplacer("_", "-", ".kind", "", ".", "-").Replace(e.Field)
	return &usage{&at}
}
