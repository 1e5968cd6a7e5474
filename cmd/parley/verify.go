package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/server"
)

func (a *app) verifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "verify DIR",
		Short: "Check stored data: every checksum of logs, segments and indexes.",
		Example: `  parley verify ./parley-data
  parley verify /backup/parley-data --json | jq .result.findings`,
		Long: `The server that uses the directory must be stopped; nothing is changed. Each
finding is a line: what is wrong, where, and whether acknowledged events are lost
by it. Exit code 0 says that nothing is lost, 1 that something is, or that it could
not be read, 2 that there is no data.`,
		Args: exactly("DIR"),
		RunE: a.command(func(_ context.Context, args []string) (answer, error) { return a.verify(args[0]) }),
	}
}

// verified is what verify found.
type verified struct {
	Dir      string           `json:"dir"`
	Clean    bool             `json:"clean"` // there is nothing to say
	Lost     int              `json:"lost"`  // findings by which events are lost
	Streams  int              `json:"streams"`
	Whole    int              `json:"whole"` // streams of which nothing is lost
	Findings []server.Finding `json:"findings"`
}

func (a *app) verify(dir string) (answer, error) {
	v := verified{Dir: dir, Findings: []server.Finding{}}
	err := server.VerifyData(dir, func(f server.Finding) {
		v.Findings = append(v.Findings, f)
		if f.Lost {
			v.Lost++
		}
	})
	if err != nil && (parley.CodeOf(err) != parley.Damaged || v.Lost == 0) {
		return answer{}, noData(err)
	}
	v.Clean = len(v.Findings) == 0
	if v.Streams, v.Whole, err = whole(dir, v.Findings, err); v.Streams < 0 {
		return answer{}, err
	}
	sound := fmt.Sprintf("%d of %s whole", v.Whole, count(int64(v.Streams), "stream"))
	ans := answer{Summary: "nothing is lost in " + dir + ": " + sound, Result: v, Text: func(w io.Writer) error { return findingLines(w, v.Findings) }}
	if err == nil {
		return ans, nil
	}
	return ans, &parley.Error{
		Code: parley.Damaged, Detail: fmt.Sprintf("acknowledged events are lost in %s: %s, %s", dir, count(int64(v.Lost), "finding"), sound),
		Fix: "restore a snapshot, or go on with what is left: serve quarantines the streams that are damaged", Err: err,
	}
}

// whole counts the streams, and those of which nothing is lost. It passes the
// error of the check on; −1 streams come with another one.
func whole(dir string, findings []server.Finding, verified error) (streams, sound int, err error) {
	all, err := server.ListData(dir)
	if err != nil {
		return -1, 0, err
	}
	hit := map[string]bool{}
	for _, f := range findings {
		if f.Lost && f.Stream != "" {
			hit[f.Stream] = true
		}
	}
	return len(all), len(all) - len(hit), verified
}

// noData makes a directory without data a mistake of the command line: nothing
// was looked at.
func noData(err error) error {
	if parley.CodeOf(err) == parley.NotFound {
		return &usage{err}
	}
	return err
}

func findingLines(w io.Writer, all []server.Finding) error {
	for _, f := range all {
		kind := "note"
		if f.Lost {
			kind = "LOST"
		}
		of := ""
		if f.Stream != "" {
			of = "stream " + f.Stream + ": "
		}
		if _, err := fmt.Fprintf(w, "%s  %s%s: %s\n", kind, of, f.Where, f.What); err != nil {
			return err
		}
	}
	return nil
}
