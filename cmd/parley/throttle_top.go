package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/parleyhq/parley/client"
)

func (a *app) throttleTop() *cobra.Command {
	var top int
	var by string
	c := &cobra.Command{
		Use: "top LIMIT", Aliases: []string{"keys"}, Short: "Show what a limit of a server is doing, and its busiest keys.",
		Example: `  parley throttle top login
  parley throttle top api --by spent -n 5
  watch parley throttle top api`,
		Long: `Shows the decisions of the node that is asked since it began to count, and the keys
that were refused most often or have used up most: what they have left, and when
there is more.`,
		Args: exactly("LIMIT"),
	}
	at := a.remoteFlags(c)
	c.Flags().IntVarP(&top, "top", "n", 10, "how many keys, at most 256")
	c.Flags().StringVar(&by, "by", "refused", "what comes first: refused or spent")
	c.RunE = a.command(func(ctx context.Context, args []string) (answer, error) {
		cl, err := a.client(at)
		if err != nil {
			return answer{}, err
		}
		keys, err := cl.LimitKeys(ctx, args[0], top, by)
		if err != nil {
			return answer{}, err
		}
		ans := answer{Summary: topSummary(keys), Result: keys, Partial: len(keys.Top) == 0}
		ans.Text = func(w io.Writer) error { return keysTable(w, keys.Top) }
		return ans, nil
	})
	return c
}

// topSummary says what the limit did; what never happened is left out.
func topSummary(k client.LimitKeys) string {
	words := []string{strconv.FormatUint(k.Counts.Allowed, 10) + " admitted"}
	for _, c := range []struct {
		n    uint64
		what string
	}{{k.Counts.Shaped, "after a wait"}, {k.Counts.Rejected, "refused"}, {k.Counts.WouldReject, "would be refused"}} {
		if c.n > 0 {
			words = append(words, strconv.FormatUint(c.n, 10)+" "+c.what)
		}
	}
	held := count(int64(k.Keys), "key") + " held"
	if k.Shared {
		held = "counted for all servers together"
	}
	return fmt.Sprintf("%s, %s %s: %s; %s, %d waiting, since %s", k.Name, k.Algorithm, k.Limit.Limit, strings.Join(words, ", "), held, k.Waiting, k.Since.Format(time.RFC3339))
}

func keysTable(w io.Writer, keys []client.LimitKey) error {
	if len(keys) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "KEY\tSPENT\tLEFT\tNEXT\tALL FREE\tWAITING\tADMITTED\tREFUSED")
	for _, k := range keys {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\n", keyText(k), units(k.Spent), units(k.Remaining), after(k.Reset), after(k.Free), k.Waiting,
			k.Counts.Allowed+k.Counts.Shaped, k.Counts.Rejected+k.Counts.WouldReject)
	}
	return t.Flush()
}

// keyText keeps a key, which a caller may have chosen, on its line.
func keyText(k client.LimitKey) string {
	parts := slices.Clone(k.Parts)
	if len(parts) == 0 {
		parts = []string{k.Key}
	}
	for i, p := range parts {
		if p == "" {
			parts[i] = "(none)"
		} else if quoted := strconv.Quote(p); quoted != `"`+p+`"` || strings.ContainsRune(p, ' ') {
			parts[i] = quoted
		}
	}
	return strings.Join(parts, " + ")
}

func units(n *int64) string {
	if n == nil {
		return "-" // there is no limit, or where it is counted there is no answer
	}
	return strconv.FormatInt(*n, 10)
}

func after(seconds float64) string {
	if seconds == 0 {
		return "now"
	}
	return "in " + time.Duration(seconds*float64(time.Second)).Round(time.Millisecond).String()
}
