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
		Args: cobra.MinimumNArgs(1),
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
	n, cursor := 0, ""
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
		if r.Cursor != "" {
			cursor = r.Cursor
		}
		if n++; n == limit {
			break
		}
	}
	summary := count(int64(n), "event")
	if cursor != "" {
		summary += "; go on with --from " + cursor
	}
	return answer{Summary: summary, Result: map[string]any{"events": n, "cursor": cursor}}, nil
}

func notice(kind string) string {
	return map[string]string{
		"gap":   "events were missed: retention has dropped them",
		"reset": "the cursor is not of this topic as it is now; beginning anew",
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
