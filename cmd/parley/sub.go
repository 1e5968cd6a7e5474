package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
)

// transports are what --over takes.
var transports = []string{"sse", "websocket", "long-poll", "short-poll", "grpc"}

func (a *app) subCommand() *cobra.Command {
	var s client.Subscription
	var over string
	var limit int
	c := &cobra.Command{
		Use:   "sub TOPIC [TOPIC…]",
		Short: "Receive events as they come.",
		Example: `  parley sub orders
  parley sub 'orders.>' payments --from earliest
  parley sub orders --over websocket --from "$CURSOR"
  parley sub orders --json | jq .data
  parley sub orders --from @2026-01-31T12:00:00Z --count 10`,
		Long: `Each event's data is printed on a line of its own; on a terminal its time, topic
and type come first. With --json each line is a whole CloudEvent with its cursor.
A lost connection is made again, and nothing is missed. At the end the cursor is
told from which another run, over any transport, goes on.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return exactly("TOPIC")(cmd, args)
			}
			return nil
		},
	}
	at := a.remoteFlags(c)
	a.grpcFlag(c, at)
	c.Flags().StringVar(&s.From, "from", "latest", "where to begin: earliest, latest, a `cursor`, or @ and an RFC 3339 time")
	c.Flags().StringVar(&over, "over", "sse", "`transport`: sse, websocket, long-poll, short-poll or grpc")
	c.Flags().DurationVar(&s.Every, "every", time.Second, "pace of --over short-poll")
	c.Flags().BoolVar(&s.Ephemeral, "ephemeral", false, "also what is published to ~TOPIC")
	c.Flags().IntVar(&limit, "count", 0, "end after so many events")
	_ = c.RegisterFlagCompletionFunc("over", cobra.FixedCompletions(transports, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	c.RunE = a.command(func(ctx context.Context, args []string) (answer, error) {
		if !slices.Contains(transports, over) {
			return answer{}, &usage{parley.BadField("--over", fmt.Sprintf("no transport is called %q", over), "use one of "+strings.Join(transports, ", "))}
		}
		cl, err := a.client(at)
		if err != nil {
			return answer{}, err
		}
		s.Topics, s.Over = args, client.Transport(over)
		return a.receive(ctx, cl, s, limit)
	})
	return c
}

// receive prints events until there are enough, or the user ends it.
func (a *app) receive(ctx context.Context, cl *client.Client, s client.Subscription, limit int) (answer, error) {
	if err := a.checkFrom(ctx, cl, s); err != nil {
		return answer{}, err
	}
	s.Count = limit
	n, cursor, beyond := 0, "", 0
	for r, err := range cl.Subscribe(ctx, s) {
		if errors.Is(err, context.Canceled) {
			break // Ctrl-C is how a subscription ends
		}
		if err != nil {
			return answer{}, err
		}
		if r.Notice != "" {
			a.say("%s\n", a.paint(red, notice(r.Notice)))
			continue
		}
		text := []byte(a.eventText(r.Event))
		if a.json {
			text = withCursor(r)
		}
		if _, err := a.out.Write(text); err != nil {
			return answer{}, err
		}
		if beyond++; r.Cursor != "" {
			cursor, beyond = r.Cursor, 0
		}
		if n++; n == limit {
			cursor, beyond = behind(ctx, cl, s, r, cursor, beyond)
			break
		}
	}
	summary := count(int64(n), "event")
	if cursor != "" {
		summary += "; go on with --from " + cursor
		if beyond > 0 && !s.Ephemeral {
			summary += ", which brings the last " + count(int64(beyond), "event") + " again"
		}
	}
	return answer{Summary: summary, Result: map[string]any{"events": n, "cursor": cursor}}, nil
}

// checkFrom refuses a cursor that is none before anything else happens: once it is
// connected, a subscription would be told and go on somewhere else.
func (a *app) checkFrom(ctx context.Context, cl *client.Client, s client.Subscription) error {
	if s.From == "" || s.From == "latest" || s.From == "earliest" || len(s.Topics) > 1 || strings.ContainsAny(s.Topics[0], "*>") {
		return nil
	}
	_, err := cl.Poll(ctx, s.Topics[0], client.Poll{After: s.From, Limit: 1})
	switch parley.CodeOf(err) {
	case parley.BadCursor, parley.Invalid, parley.Unsupported:
		return err
	}
	return nil // the subscription tells of the rest, or waits until it is over
}

// behind finds the cursor behind r, which came as one of several events that have
// one together: by asking for as many events from the last cursor on. beyond stays
// what it is where others are in between.
func behind(ctx context.Context, cl *client.Client, s client.Subscription, r client.Received, cursor string, beyond int) (string, int) {
	from := cursor
	if from == "" {
		from = s.From
	}
	if beyond == 0 || beyond > 1000 || from == "" || from == "latest" || len(s.Topics) > 1 || strings.ContainsAny(s.Topics[0], "*>") {
		return cursor, beyond
	}
	page, err := cl.Poll(ctx, s.Topics[0], client.Poll{After: from, Limit: beyond})
	if n := len(page.Events); err != nil || n != beyond || page.Events[n-1].ID != r.ID {
		return cursor, beyond
	}
	return page.Cursor, 0
}

func notice(kind string) string {
	return map[string]string{
		"gap":   "events were missed: retention has dropped them",
		"reset": "the cursor is of no use here: if the topic was made anew, its earliest event comes next; if the cursor cannot be read, the next one that is published",
		"ahead": "the cursor is beyond the end: the log is older than it",
	}[kind]
}

// withCursor is an event as --json prints it: on one line, its data byte for byte.
func withCursor(r client.Received) []byte {
	line := r.AppendJSON(nil)
	if bytes.IndexByte(line, '\n') >= 0 { // JSON that was written over several lines
		line = r.AppendJSONBase64(line[:0])
	}
	if r.Cursor == "" {
		return append(line, '\n')
	}
	line = append(line[:len(line)-1], `,"parleycursor":`...)
	return append(parley.AppendJSONString(line, r.Cursor), "}\n"...)
}

// eventText is an event for people: its data, and on a terminal what it is about.
func (a *app) eventText(e parley.Event) string {
	data := string(e.Data)
	if !isTerminal(a.out) {
		return data + "\n"
	}
	if !parley.IsJSON(e.DataContentType) && !parley.IsText(e.DataContentType) {
		data = fmt.Sprintf("%d bytes of %s", len(e.Data), e.DataContentType)
	}
	return fmt.Sprintf("\x1b[2m%s %s %s\x1b[0m %s\n", e.Time.Local().Format("15:04:05.000"), e.Source, e.Type, data)
}
