package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/pattern/queue"
)

func (a *app) queueResult() *cobra.Command {
	var wait time.Duration
	c := &cobra.Command{
		Use: "result QUEUE ID", Short: "Wait for a job's end, and print its result.",
		Example: `  parley queue result reports 17
  parley queue result reports "$(parley queue push reports 2026-11)" --wait 5m > report.pdf`,
		Long: `What is printed is the result, byte for byte. It exits with 0 when the job is done,
1 when it is dead or canceled, and 3 when it is under way still.`,
		Args: exactly("QUEUE", "ID"),
	}
	c.Flags().DurationVar(&wait, "wait", 0, "how long to wait for the end, up to 5m")
	return a.onQueue(c, func(ctx context.Context, q *client.Queue, args []string) (answer, error) {
		ids, err := parseIDs(args)
		if err != nil {
			return answer{}, err
		}
		out, err := q.Result(ctx, ids[0], wait)
		if err != nil {
			return answer{}, err
		}
		return outcomeAnswer(args[0], out)
	})
}

// outcomeJSON is an outcome as --json shows it.
type outcomeJSON struct {
	queue.Outcome
	Event *eventJSON `json:"event"`
}

func outcomeAnswer(id string, out queue.Outcome) (answer, error) {
	shown := outcomeJSON{Outcome: out}
	ans := answer{Summary: "job " + id + " is " + string(out.State)}
	switch out.State {
	case queue.Done:
	case queue.Dead, queue.Canceled:
		why := "the job is " + string(out.State)
		if out.Reason != "" {
			why += ": " + out.Reason
		}
		return answer{Result: shown}, &parley.Error{Code: parley.Unprocessable, Field: "ID", Detail: why, Fix: "see parley queue dead, and parley queue redrive"}
	default:
		ans.Summary += " still"
		ans.Partial = true
	}
	if out.Result != nil {
		shown.Event = &eventJSON{*out.Result}
		ans.Text = func(w io.Writer) error {
			_, err := w.Write(out.Result.Data)
			return err
		}
		ans.Summary += fmt.Sprintf(", %d bytes of %s", len(out.Result.Data), orDash(out.Result.DataContentType))
	} else if out.State == queue.Done {
		ans.Summary += " without a result"
	}
	ans.Result = shown
	return ans, nil
}
