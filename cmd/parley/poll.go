package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
)

func (a *app) pollCommand() *cobra.Command {
	var p client.Poll
	c := &cobra.Command{
		Use:   "poll TOPIC",
		Short: "Ask once for events.",
		Example: `  parley poll orders                          the newest ones
  parley poll orders --after earliest --limit 10
  parley poll orders --after "$CURSOR" --wait 30s   held until there is something
  parley poll orders --tail 5`,
		Long: `Data is printed a line for each event, the cursor to ask on from goes to standard
error; --json gives both in one object. Exit code 3 says that there was nothing.`,
		Args: exactly("TOPIC"),
	}
	at := a.remoteFlags(c)
	c.Flags().StringVar(&p.After, "after", "", "a `cursor`, earliest, latest, or @ and an RFC 3339 time")
	c.Flags().IntVar(&p.Limit, "limit", 0, "most events to answer with; default 100")
	c.Flags().Var((*seconds)(&p.Wait), "wait", "let the server hold the request until there is something")
	c.Flags().IntVar(&p.Tail, "tail", 0, "the newest so many events")
	c.Flags().StringVar(&p.Before, "before", "", "with --tail: the page before, a `cursor`")
	c.RunE = a.command(func(ctx context.Context, args []string) (answer, error) {
		if c.Flags().Changed("limit") && p.Limit < 1 {
			return answer{}, &usage{parley.BadField("--limit", "asks for no event", "write 1 to 1000, or leave it away")}
		}
		cl, err := a.client(at)
		if err != nil {
			return answer{}, err
		}
		page, err := cl.Poll(ctx, args[0], p)
		if err != nil {
			return answer{}, err
		}
		return a.pageAnswer(page), nil
	})
	return c
}

func (a *app) pageAnswer(page client.Page) answer {
	events := make([]json.RawMessage, len(page.Events))
	for i := range page.Events {
		events[i] = page.Events[i].AppendJSON(nil)
	}
	summary := count(int64(len(events)), "event") + "; ask on with --after " + page.Cursor
	if page.Before != "" {
		summary += ", and back with --before " + page.Before
	}
	return answer{
		Summary: summary, Partial: len(events) == 0,
		Result: map[string]any{"events": events, "cursor": page.Cursor, "before": page.Before, "more": page.More},
		Text: func(w io.Writer) error {
			for _, e := range page.Events {
				if _, err := io.WriteString(w, a.eventText(e)); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// seconds is a duration that may be a number of seconds, as the API takes it.
type seconds time.Duration

// Set implements pflag.Value.
func (s *seconds) Set(text string) error {
	d, err := time.ParseDuration(text)
	if n, e := strconv.ParseFloat(text, 64); e == nil && n >= 0 && n < 1e6 {
		d, err = time.Duration(n*float64(time.Second)), nil
	}
	if err != nil || d < 0 {
		return errors.New("write it like 30s, or a number of seconds")
	}
	*s = seconds(d)
	return nil
}

// String implements pflag.Value.
func (s *seconds) String() string {
	if *s == 0 {
		return ""
	}
	return time.Duration(*s).String()
}

// Type implements pflag.Value.
func (s *seconds) Type() string { return "duration" }
