package graph

import (
	"math/bits"
	"strconv"
	"strings"
)

// cronFields are the fields of a schedule, and what may stand in them.
var cronFields = [...]struct {
	name   string
	lo, hi int
}{{"minute", 0, 59}, {"hour", 0, 23}, {"day of the month", 1, 31}, {"month", 1, 12}, {"day of the week", 0, 7}}

// checkCron says what is wrong with a schedule of the source cron, "" for nothing. A
// driver reads it again; what it would refuse must not get that far.
func checkCron(text string) string {
	fields := strings.Fields(text)
	if len(fields) != len(cronFields) {
		return "it has " + strconv.Itoa(len(fields)) + " fields, not 5"
	}
	var sets [len(cronFields)]uint64
	for i, f := range cronFields {
		for part := range strings.SplitSeq(fields[i], ",") {
			set, bad := cronPart(part, f.lo, f.hi)
			if bad != "" {
				return "the field of the " + f.name + ", " + strconv.Quote(part) + ": " + bad
			}
			sets[i] |= set
		}
	}
	if !cronHappens(sets[2], sets[3], strings.HasPrefix(fields[2], "*"), strings.HasPrefix(fields[4], "*")) {
		return "it names a day that no year has"
	}
	return ""
}

// cronPart reads *, a or a-b, each with /step or without.
func cronPart(part string, lo, hi int) (set uint64, bad string) {
	span, every, stepped := strings.Cut(part, "/")
	step := 1
	if stepped {
		var err error
		if step, err = strconv.Atoi(every); err != nil || step < 1 {
			return 0, "a step is a number from 1"
		}
	}
	from, to := lo, hi
	if span != "*" {
		first, last, ranged := strings.Cut(span, "-")
		if !ranged {
			last = first
		}
		var err, err2 error
		from, err = strconv.Atoi(first)
		if to, err2 = strconv.Atoi(last); err != nil || err2 != nil {
			return 0, "not a number"
		}
		if stepped && !ranged {
			to = hi
		}
	}
	if from < lo || to > hi || from > to {
		return 0, "not from " + strconv.Itoa(lo) + " to " + strconv.Itoa(hi)
	}
	for n := from; n <= to; n += min(step, 64) {
		set |= 1 << n
	}
	return set, ""
}

// cronHappens says that some year has such a day. When both days are restricted, a day
// of the week is enough.
func cronHappens(days, months uint64, anyDay, anyWeekday bool) bool {
	if !anyDay && !anyWeekday {
		return true
	}
	for m, last := range [...]int{31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31} {
		if months>>(m+1)&1 == 1 && bits.TrailingZeros64(days) <= last {
			return true
		}
	}
	return false
}

// cron checks the schedule of a source.
func (c *compiler) cron(s *spec) {
	if bad := checkCron(s.text("schedule")); bad != "" {
		c.wrong(s, "schedule", bad, "write it like '*/5 * * * *': minute, hour, day of month, month, day of week")
	}
}
