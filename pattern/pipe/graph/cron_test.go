package graph_test

import (
	"strings"
	"testing"

	"github.com/parleyhq/parley/pattern/pipe/graph"
)

// Schedules of crontab(5) are taken when a pipe is read, and what never happens is not.
func TestSchedules(t *testing.T) {
	for schedule, want := range map[string]string{
		"* * * * *": "", "*/5 0-6/2 1,15 * 1-5": "", "5/20 * * * 7": "", "0 0 29 2 *": "", "0 0 31 1,2 *": "", "0 0 30 2 1": "", "59 23 31 12 0": "",
		"0 0 31 2,4,6,9,11 *": "no year has", "0 0 30 2 *": "no year has", "99 * * * *": "not from 0 to 59", "* * 0 * *": "day of the month", "* * * 13 *": "month",
		"* * * * 8": "day of the week", "5-1 * * * *": "minute", "*/0 * * * *": "a step", "*/x * * * *": "a step", "a * * * *": "not a number", "1,,2 * * * *": "not a number",
		"* * * * * *": "6 fields", "@hourly": "1 fields", "*/9223372036854775807 * * * *": "", "0 0 30-31/9 2 *": "no year has",
	} {
		g, err := graph.ParseText("cron '" + schedule + "' | topic b")
		if err == nil {
			err = graph.Check(g, options())
		}
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", schedule, err, want)
		}
	}
}
