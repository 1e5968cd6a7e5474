package queue

import (
	"strconv"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the tests' zones, wherever they run

	"pgregory.net/rapid"

	"github.com/parleyhq/parley"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func TestCronNext(t *testing.T) {
	for _, c := range []struct{ cron, zone, from, want string }{
		{"* * * * *", "UTC", "2026-03-01T10:00:00Z", "2026-03-01T10:01:00Z"},
		{"* * * * *", "UTC", "2026-03-01T10:00:59.999Z", "2026-03-01T10:01:00Z"},
		{"*/15 * * * *", "UTC", "2026-03-01T10:46:00Z", "2026-03-01T11:00:00Z"},
		{"*/7 * * * *", "UTC", "2026-03-01T10:56:00Z", "2026-03-01T11:00:00Z"},
		{"5-20/5 1,3 * * *", "UTC", "2026-03-01T01:20:00Z", "2026-03-01T03:05:00Z"},
		{"30 9 * * Mon-FRI", "UTC", "2026-03-06T09:30:00Z", "2026-03-09T09:30:00Z"},
		{"0 0 * * 7", "UTC", "2026-03-03T00:00:00Z", "2026-03-08T00:00:00Z"},
		{"0 0 * * 5-7", "UTC", "2026-03-07T00:00:00Z", "2026-03-08T00:00:00Z"},
		{"0 0 29 2 *", "UTC", "2097-01-01T00:00:00Z", "2104-02-29T00:00:00Z"},
		{"0 0 31 * *", "UTC", "2026-03-31T00:00:00Z", "2026-05-31T00:00:00Z"},
		{"0 0 13 * fri", "UTC", "2026-03-01T00:00:00Z", "2026-03-06T00:00:00Z"},  // either
		{"0 0 */2 * fri", "UTC", "2026-03-01T00:00:00Z", "2026-03-13T00:00:00Z"}, // both
		{"*/10 30 2 * * *", "UTC", "2026-03-01T02:30:50Z", "2026-03-02T02:30:00Z"},
		{"@hourly", "UTC", "2026-03-01T10:00:00Z", "2026-03-01T11:00:00Z"},
		{"@Daily", "Europe/Berlin", "2026-07-01T00:00:00Z", "2026-07-01T22:00:00Z"},
		{"@weekly", "UTC", "2026-03-01T00:00:00Z", "2026-03-08T00:00:00Z"},
		{"@monthly", "UTC", "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"},
		{"@yearly", "UTC", "2026-03-01T00:00:00Z", "2027-01-01T00:00:00Z"},
		{"\t0  0 1 jan *", "UTC", "2026-03-01T00:00:00Z", "2027-01-01T00:00:00Z"},

		// Berlin jumps from 02:00 to 03:00 on 29 March 2026 (01:00 UTC) …
		{"30 2 * * *", "Europe/Berlin", "2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z"},
		{"30 2 * * *", "Europe/Berlin", "2026-03-29T00:59:59Z", "2026-03-29T01:00:00Z"},
		{"30 2 * * *", "Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"},
		{"10,20 2,3 * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z"},
		{"10,20 2,3 * * *", "Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-29T01:10:00Z"},
		{"*/30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-30T00:00:00Z"},
		{"0 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z"},
		// … and from 03:00 back to 02:00 on 25 October (01:00 UTC).
		{"30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"},
		{"30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"},
		{"*/30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z"},
		{"0 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z"},
		{"0 2,3 * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", "2026-10-25T02:00:00Z"},
		// A whole day that Apia never had.
		{"30 2 30 12 *", "Pacific/Apia", "2011-12-29T22:00:00Z", "2011-12-30T10:00:00Z"},
	} {
		cron, err := ParseCron(c.cron)
		if err != nil {
			t.Errorf("%q: %v", c.cron, err)
			continue
		}
		from, err := time.Parse(time.RFC3339Nano, c.from)
		if err != nil {
			t.Fatal(err)
		}
		if got := cron.Next(from, zone(t, c.zone)).UTC().Format(time.RFC3339Nano); got != c.want {
			t.Errorf("%q in %s after %s: %s, want %s", c.cron, c.zone, c.from, got, c.want)
		}
	}
}

func TestCronRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "0 fields",
		"* * * *":                "4 fields",
		"* * * * * * *":          "7 fields",
		"@reboot":                "not known",
		"@every 5m":              "2 fields",
		"60 * * * *":             "minute",
		"* 24 * * *":             "hour",
		"* * 0 * *":              "day of the month",
		"* * * 13 *":             "month",
		"* * * * 8":              "day of the week",
		"* * * foo *":            "not a number or name",
		"* * * anf *":            "not a number or name",
		"*/0 * * * *":            "step",
		"*/60 * * * *":           "step",
		"5/15 * * * *":           "5-59/15",
		"* 22-4 * * *":           "as two",
		"* * ? * *":              "crontab",
		"* * L * *":              "crontab",
		"* * * * 5#2":            "crontab",
		"1,,2 * * * *":           "not a number",
		"+1 * * * *":             "not a number",
		"-1 * * * *":             "not a number",
		"*5 * * * *":             "not a number",
		"1-2-3 * * * *":          "not a number",
		"*/1/2 * * * *":          "step",
		"0 0 30 2 *":             "no year",
		"0 0 31 4,6,9,11 */2":    "no year",
		strings.Repeat("*", 300): "256",
	} {
		_, err := ParseCron(text)
		if err == nil || parley.CodeOf(err) != parley.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if !(Cron{}).Next(time.Now(), time.UTC).IsZero() {
		t.Error("the zero Cron happens")
	}
}

// oracle finds the times of an expression by looking at every minute, and what the
// clocks say then.
func oracle(c Cron, loc *time.Location, from, to time.Time) (list []time.Time) {
	fits := func(t time.Time) bool {
		bit := func(set uint64, v int) bool { return set>>v&1 == 1 }
		dom, dow := bit(c.dom, t.Day()), bit(c.dow, int(t.Weekday()))
		day := dom && dow
		if !c.anyDom && !c.anyDow {
			day = dom || dow
		}
		return day && bit(c.month, int(t.Month())) && bit(c.hour, t.Hour()) && bit(c.minute, t.Minute())
	}
	naive := func(t time.Time) time.Time {
		t = t.In(loc)
		return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), 0, 0, time.UTC)
	}
	highest := naive(from.Add(-26 * time.Hour)) // that the clocks have shown
	for at := from.Add(-26 * time.Hour); !at.After(to); at = at.Add(time.Minute) {
		clock := naive(at)
		due := fits(clock)
		if !c.wild {
			due = due && clock.After(highest)
			for skipped := highest.Add(time.Minute); skipped.Before(clock); skipped = skipped.Add(time.Minute) {
				due = due || fits(skipped)
			}
		}
		if clock.After(highest) {
			highest = clock
		}
		if due && at.After(from) {
			list = append(list, at)
		}
	}
	return list
}

var oracleZones = []string{
	"UTC", "Europe/Berlin", "Europe/Dublin", "America/New_York", "America/St_Johns", "Australia/Lord_Howe",
	"Asia/Kathmandu", "Africa/Casablanca", "America/Santiago", "Pacific/Apia", "Asia/Beirut",
}

// TestCronOracle compares most of a year, with its changes of clocks, minute by
// minute.
func TestCronOracle(t *testing.T) {
	crons := []string{"30 2 * * *", "*/20 1-3 * * *", "0,30 0 * * *", "15 * 25-31 3,10,11 *", "0 0 1 * mon", "59 23 */3 * *", "5 1,2,3 * * 0"}
	for i, name := range oracleZones {
		cron, err := ParseCron(crons[i%len(crons)])
		if err != nil {
			t.Fatal(err)
		}
		from := time.Date(2011, 3, 1, 23, 30, 0, 0, time.UTC)
		if name == "Pacific/Apia" { // a day is missing at the end of the year
			from = from.AddDate(0, 6, 0)
		}
		compare(t, cron, zone(t, name), from, from.AddDate(0, 8, 10))
	}
}

type failer interface {
	Fatalf(format string, args ...any)
}

func compare(t failer, cron Cron, loc *time.Location, from, to time.Time) {
	at := from
	want := oracle(cron, loc, from, to)
	for _, w := range want {
		if at = cron.Next(at, loc); !at.Equal(w) {
			t.Fatalf("%q in %s: %s, want %s", cron, loc, at.In(loc), w.In(loc))
		}
	}
	if at = cron.Next(at, loc); !at.IsZero() && !at.After(to) {
		t.Fatalf("%q in %s: %s, want none until %s", cron, loc, at, to)
	}
	got, some := cron.last(from, to, loc)
	if some != (len(want) > 0) || some && !got.Equal(want[len(want)-1]) {
		t.Fatalf("%q in %s: the last is %s, %v", cron, loc, got, some)
	}
}

func genCron(rt *rapid.T) string {
	field := func(name string, lo, hi int) string {
		switch rapid.IntRange(0, 5).Draw(rt, name) {
		case 0, 1:
			return "*"
		case 2:
			return "*/" + rapid.StringMatching("[2-7]").Draw(rt, "step")
		}
		a := rapid.IntRange(lo, hi).Draw(rt, "a")
		b := rapid.IntRange(a, hi).Draw(rt, "b")
		return itoa(a) + "-" + itoa(b) + "/" + itoa(rapid.IntRange(1, 5).Draw(rt, "s")) + "," + itoa(a)
	}
	return field("minute", 0, 59) + " " + field("hour", 0, 4) + " " + field("dom", 1, 28) + " " + field("month", 1, 12) + " " + field("dow", 0, 7)
}

// TestCronRandom compares random expressions in the days around random changes of
// clocks.
func TestCronRandom(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cron, err := ParseCron(genCron(rt))
		if err != nil {
			rt.Fatal(err)
		}
		loc := zone(t, rapid.SampledFrom(oracleZones).Draw(rt, "zone"))
		around := time.Date(rapid.IntRange(2005, 2060).Draw(rt, "year"), time.Month(rapid.IntRange(1, 12).Draw(rt, "month")), 1, 0, 0, 0, 0, time.UTC).In(loc)
		if _, end := around.ZoneBounds(); end.After(around) {
			around = end.Truncate(time.Minute)
		}
		from := around.Add(-time.Duration(rapid.IntRange(0, 2000).Draw(rt, "before")) * time.Minute)
		compare(rt, cron, loc, from, around.Add(50*time.Hour))
	})
}

// FuzzCron parses any text. What is taken happens after any time, on a second that
// fits, and is the same when it is parsed again.
func FuzzCron(f *testing.F) {
	for _, seed := range []string{"* * * * *", "*/15 0-6/2 1,15 jan-mar mon", "0 30 2 * * 7", "@daily", "0 0 29 2 *", "5/3 * ? * L", "\x00", "0 0 31 2 0"} {
		f.Add(seed, int64(1_790_000_000))
	}
	berlin := zone(f, "Europe/Berlin")
	f.Fuzz(func(t *testing.T, text string, at int64) {
		cron, err := ParseCron(text)
		if err != nil {
			return
		}
		if again, err := ParseCron(cron.String()); err != nil || again != cron {
			t.Fatalf("%q is %+v, then %+v, %v", text, cron, again, err)
		}
		from := time.Unix(at%4_000_000_000, 0)
		next := cron.Next(from, berlin)
		if next.IsZero() || !next.After(from) {
			t.Fatalf("%q after %s: %s", text, from, next)
		}
		if then := cron.Next(next.Add(-time.Second), berlin); !then.Equal(next) {
			t.Fatalf("%q after %s: %s, but from the second before: %s", text, from, next, then)
		}
	})
}

func BenchmarkCronNext(b *testing.B) {
	cron, _ := ParseCron("30 2 * * mon-fri")
	berlin, at := zone(b, "Europe/Berlin"), time.Unix(1_790_000_000, 0)
	for b.Loop() {
		at = cron.Next(at, berlin)
		if at.Year() > 2100 {
			at = time.Unix(1_790_000_000, 0)
		}
	}
}

func itoa(n int) string { return strconv.Itoa(n) }
