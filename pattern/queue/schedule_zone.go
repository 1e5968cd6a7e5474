package queue

import "time"

// Next gives the first time after another one at which the expression fits the
// clocks of a zone. The zero time: never, within forty years.
//
// Where clocks are set, an expression whose fields of seconds, minutes and hours
// all name fixed values ("30 2 * * *") happens once for each day on which it should:
// a time that is skipped is made up for when the clocks jump (several skipped ones,
// once), and of a time that comes twice the first counts. One with a star there
// ("*/15 * * * *", "0 * * * *") follows time as it passes: what is skipped does not
// happen, and what comes twice happens twice.
func (c Cron) Next(after time.Time, loc *time.Location) time.Time {
	if c.second == 0 {
		return time.Time{}
	}
	before := time.Unix(after.Unix(), 0).In(loc)
	from := before.Unix() + 1
	for limit := before.AddDate(40, 0, 0); before.Before(limit); {
		_, offset := before.Zone()
		start, end := before.ZoneBounds()
		if !end.IsZero() && !end.After(before) {
			// Far in the future, package time counts a leap year as over a day early.
			end = before.AddDate(0, 0, 1)
		}
		until := limit
		if !end.IsZero() && end.Before(limit) {
			until = end
		}
		first := from + int64(offset)
		if !c.wild && !start.IsZero() {
			_, old := start.Add(-time.Second).Zone()
			first = max(first, start.Unix()+int64(old)) // all before came already
		}
		if at, fits := c.civil(first, until.Unix()+int64(offset)); fits {
			return time.Unix(at-int64(offset), 0).In(loc)
		}
		if end.IsZero() {
			break
		}
		_, next := end.Zone()
		if _, skipped := c.civil(end.Unix()+int64(offset), end.Unix()+int64(next)); skipped && !c.wild {
			return end
		}
		before, from = end, end.Unix()
	}
	return time.Time{}
}

// last gives the last time after one and not after another; false: there is none.
func (c Cron) last(after, until time.Time, loc *time.Location) (time.Time, bool) {
	fits := func(second int64) bool {
		at := c.Next(time.Unix(second, 0), loc)
		return !at.IsZero() && !at.After(until)
	}
	lo, hi := after.Unix(), until.Unix()
	if !fits(lo) {
		return time.Time{}, false
	}
	for hi-lo > 1 { // fits(lo), and not fits(hi)
		if mid := lo + (hi-lo)/2; fits(mid) {
			lo = mid
		} else {
			hi = mid
		}
	}
	return c.Next(time.Unix(lo, 0), loc), true
}
