package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/pattern/throttle"
)

// tried is one call of `throttle try`.
type tried struct {
	Call       int     `json:"call"`
	AtMS       float64 `json:"at_ms"`
	Allowed    bool    `json:"allowed"`
	Remaining  int64   `json:"remaining"` // -1 is no limit
	RetryAfter float64 `json:"retry_after_ms"`
	Reason     string  `json:"reason,omitempty"`
}

// try is what `throttle try` was asked for.
type try struct {
	limit string
	key   string
	calls int
	cost  int64
	every time.Duration
	peek  bool
}

const maxTries = 10_000

func (a *app) throttleTry() *cobra.Command {
	var t try
	c := &cobra.Command{
		Use: "try LIMIT", Short: "Make calls against a limit and show what becomes of them.",
		Example: `  parley throttle try 3/s                                   five calls at once
  parley throttle try 'gcra 5/s burst=2' --every 100ms --calls 20
  parley throttle try login --key ann --server http://127.0.0.1:7275`,
		Long: `LIMIT is how much, such as 3/s; then it is tried here, in a time that passes as
fast as it can. Or it is the name of a limit of a server; then each call is a real
check, and takes its units.`,
		Args: exactly("LIMIT"),
	}
	at := a.remoteFlags(c)
	c.Flags().StringVar(&t.key, "key", "try", "what is counted by")
	c.Flags().IntVarP(&t.calls, "calls", "n", 5, "how many calls")
	c.Flags().Int64Var(&t.cost, "cost", 1, "units of each call")
	c.Flags().DurationVar(&t.every, "every", 0, "`time` between two calls")
	c.Flags().BoolVar(&t.peek, "peek", false, "only look, with a limit of a server")
	c.RunE = a.command(func(ctx context.Context, args []string) (answer, error) {
		t.limit = args[0]
		if t.calls < 1 || t.calls > maxTries || t.cost < 0 || t.every < 0 {
			return answer{}, usagef("write --calls 1 to "+strconv.Itoa(maxTries)+", and no negative --cost or --every", "this cannot be tried")
		}
		if strings.ContainsAny(t.limit, "/ ") { // no name has either
			list, err := t.here()
			return triedAnswer(list), err
		}
		cl, err := a.client(at)
		if err != nil {
			return answer{}, err
		}
		list, err := t.there(ctx, cl)
		return triedAnswer(list), err
	})
	return c
}

// here tries a limit of this process, on a clock of its own.
func (t try) here() ([]tried, error) {
	limit, err := throttle.ParseLimit(t.limit)
	if err != nil {
		return nil, usagef("write it like 3/s or \"gcra 100/1m burst=20\"", "%s", strings.TrimPrefix(err.Error(), "throttle: "))
	}
	var now time.Duration
	limiter, err := throttle.New(limit, throttle.Options{Now: func() time.Duration { return now }})
	if err != nil {
		return nil, &usage{err}
	}
	var list []tried
	for i := range t.calls {
		d := limiter.AllowN(t.key, t.cost)
		one := tried{Call: i + 1, AtMS: millis(now), Allowed: d.OK, Remaining: d.Remaining, RetryAfter: millis(d.RetryAfter)}
		if d.Limit == throttle.Infinite {
			one.Remaining = -1
		}
		if !d.OK {
			one.Reason = d.Reason.String()
		}
		list = append(list, one)
		now += t.every
	}
	return list, nil
}

// there tries a limit of a server. What was tried before an error is given too.
func (t try) there(ctx context.Context, cl *client.Client) ([]tried, error) {
	var list []tried
	begin := time.Now()
	for i := range t.calls {
		if i > 0 && t.every > 0 {
			select {
			case <-time.After(time.Until(begin.Add(time.Duration(i) * t.every))):
			case <-ctx.Done():
				return list, ctx.Err()
			}
		}
		at := time.Since(begin)
		got, err := cl.CheckLimit(ctx, t.limit, client.Check{Key: t.key, Cost: t.cost, Peek: t.peek})
		if err != nil {
			return list, err
		}
		list = append(list, tried{Call: i + 1, AtMS: millis(at), Allowed: got.Allowed, Remaining: got.Remaining, RetryAfter: millis(got.RetryAfter), Reason: got.Reason})
	}
	return list, nil
}

func millis(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)) / float64(time.Millisecond)
}

func triedAnswer(list []tried) answer {
	allowed := 0
	for _, t := range list {
		if t.Allowed {
			allowed++
		}
	}
	return answer{
		Summary: fmt.Sprintf("%s allowed, %d denied", count(int64(allowed), "call"), len(list)-allowed),
		Result:  map[string]any{"calls": list, "allowed": allowed, "denied": len(list) - allowed},
		Text:    func(w io.Writer) error { return triedTable(w, list) },
	}
}

func triedTable(w io.Writer, list []tried) error {
	if len(list) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "CALL\tAT MS\tANSWER\tREMAINING\tRETRY AFTER MS")
	for _, c := range list {
		word, remaining, retry := "allowed", strconv.FormatInt(c.Remaining, 10), ""
		if !c.Allowed {
			word = "denied"
		}
		if c.Reason != "" && c.Reason != throttle.Limited.String() {
			word += ", " + c.Reason
		}
		if c.Remaining < 0 {
			remaining = "no limit"
		}
		if c.RetryAfter > 0 {
			retry = strconv.FormatFloat(c.RetryAfter, 'f', -1, 64)
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\n", c.Call, strconv.FormatFloat(c.AtMS, 'f', -1, 64), word, remaining, retry)
	}
	return t.Flush()
}
