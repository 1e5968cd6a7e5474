package local

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// cron is a schedule of crontab(5), in UTC. Bits say which minutes and so on.
type cron struct {
	minute, hour, day, month, weekday uint64
	anyDay, anyWeekday                bool
}

func parseCron(text string) (c cron, err error) {
	fields := strings.Fields(text)
	if len(fields) != 5 {
		return c, fmt.Errorf("it has %d fields, not 5", len(fields))
	}
	for i, f := range []struct {
		to       *uint64
		from, up int
	}{{&c.minute, 0, 59}, {&c.hour, 0, 23}, {&c.day, 1, 31}, {&c.month, 1, 12}, {&c.weekday, 0, 7}} {
		if *f.to, err = cronField(fields[i], f.from, f.up); err != nil {
			return c, fmt.Errorf("%q: %w", fields[i], err)
		}
	}
	if c.weekday&(1<<7) != 0 {
		c.weekday |= 1 // 7 is Sunday too
	}
	c.anyDay, c.anyWeekday = strings.HasPrefix(fields[2], "*"), strings.HasPrefix(fields[4], "*")
	return c, nil
}

// cronField reads a list of *, a, a-b, each with /step.
func cronField(text string, from, up int) (bits uint64, err error) {
	for part := range strings.SplitSeq(text, ",") {
		span, stepText, stepped := strings.Cut(part, "/")
		step := 1
		if stepped {
			if step, err = strconv.Atoi(stepText); err != nil || step < 1 {
				return 0, errors.New("a step is a number from 1")
			}
		}
		lo, hi := from, up
		if span != "*" {
			a, b, isRange := strings.Cut(span, "-")
			if lo, err = strconv.Atoi(a); err != nil {
				return 0, errors.New("it is no number")
			}
			switch {
			case isRange:
				if hi, err = strconv.Atoi(b); err != nil {
					return 0, errors.New("it is no number")
				}
			case !stepped:
				hi = lo
			}
		}
		if lo < from || hi > up || lo > hi {
			return 0, fmt.Errorf("numbers are from %d to %d", from, up)
		}
		for n := lo; n <= hi; n += step {
			bits |= 1 << n
		}
	}
	return bits, nil
}

// next gives the first time after t, within four years (a 29th of February).
func (c cron) next(t time.Time) (time.Time, bool) {
	t = t.UTC().Truncate(time.Minute).Add(time.Minute)
	for end := t.AddDate(4, 0, 1); t.Before(end); {
		switch {
		case c.month&(1<<t.Month()) == 0:
			t = time.Date(t.Year(), t.Month()+1, 1, 0, 0, 0, 0, time.UTC)
		case !c.onDay(t):
			t = time.Date(t.Year(), t.Month(), t.Day()+1, 0, 0, 0, 0, time.UTC)
		case c.hour&(1<<t.Hour()) == 0:
			t = t.Truncate(time.Hour).Add(time.Hour)
		case c.minute&(1<<t.Minute()) == 0:
			t = t.Add(time.Minute)
		default:
			return t, true
		}
	}
	return t, false
}

// onDay keeps the rule of crontab(5): when both days are restricted, either may fit.
func (c cron) onDay(t time.Time) bool {
	day, weekday := c.day&(1<<t.Day()) != 0, c.weekday&(1<<t.Weekday()) != 0
	if c.anyDay || c.anyWeekday {
		return day && weekday
	}
	return day || weekday
}
