package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/wire/door"
)

func (a *app) tokenCommand() *cobra.Command {
	var scopes []string
	var expires string
	c := &cobra.Command{
		Use:   "token NAME",
		Short: "Make an API token.",
		Example: `  parley token shop --scope 'publish:orders.>' --scope read
  parley token ops --scope '*' --expires 720h
  parley token ci --scope read:builds --expires 2027-01-31T00:00:00Z`,
		Long: `The token is printed once and kept nowhere. What follows it belongs into
parley.yaml: it holds only hashes, by which the token can be checked.

A scope is VERB or VERB:PATTERN; the verbs are publish, read, manage, enqueue,
work, consume, throttle, admin and * for everything.`,
		Args: exactly("NAME"),
	}
	c.Flags().StringArrayVar(&scopes, "scope", nil, "what the token may do, `VERB[:PATTERN]`; may be repeated")
	c.Flags().StringVar(&expires, "expires", "", "when it ends, a `duration` from now or an RFC 3339 time; default never")
	c.RunE = a.command(func(_ context.Context, args []string) (answer, error) {
		if len(scopes) == 0 {
			return answer{}, usagef("say what it may do, such as --scope read or --scope '*'", "--scope is missing")
		}
		end, err := parseExpires(expires, time.Now())
		if err != nil {
			return answer{}, &usage{err}
		}
		secret, token, err := door.MakeToken(args[0], scopes, end)
		if err != nil {
			return answer{}, &usage{err} // all of it came from the command line
		}
		return tokenAnswer(secret, token)
	})
	return c
}

func parseExpires(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if d, e := time.ParseDuration(text); e == nil {
		at, err = now.Add(d), nil
	}
	if err != nil {
		return at, parley.BadField("--expires", text+" is neither a duration nor a time", "write it like 720h or 2027-01-31T00:00:00Z")
	}
	if !at.After(now) {
		return at, parley.BadField("--expires", text+" is over already", "choose a time to come")
	}
	return at.UTC().Truncate(time.Second), nil
}

func tokenAnswer(secret string, t door.Token) (answer, error) {
	snippet, err := yaml.Marshal(map[string][]door.Token{"tokens": {t}})
	if err != nil {
		return answer{}, err
	}
	return answer{
		Summary: "keep the token: it is shown only now. Add the rest to parley.yaml and restart the server.",
		Result:  map[string]any{"secret": secret, "token": t, "yaml": string(snippet)},
		Text: func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "%s\n\n%s", secret, snippet)
			return err
		},
	}, nil
}
