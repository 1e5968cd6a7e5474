package queue

import (
	"math/bits"
	"strconv"
	"strings"
	"time"

	"github.com/parleyhq/parley"
)

// Cron is when something happens again and again, as crontab(5) writes it: minute,
// hour, day of the month, month and day of the week, with seconds before them if
// there are six fields. It is a value; the zero Cron never happens.
type Cron struct {
	text                                  string
	second, minute, hour, dom, month, dow uint64 // a bit for each value
	anyDom, anyDow                        bool   // the field begins with a star
	wild                                  bool   // so does that of seconds, minutes or hours
}

// maxCron bounds the text of an expression, in bytes.
const maxCron = 256

type cronField struct {
	name   string
	lo, hi int
	names  string // three letters each, from lo on
}

var cronFields = [...]cronField{
	{"second", 0, 59, ""},
	{"minute", 0, 59, ""},
	{"hour", 0, 23, ""},
	{"day of the month", 1, 31, ""},
	{"month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"},
	{"day of the week", 0, 7, "sunmontuewedthufrisat"},
}

// ParseCron reads an expression:
//
//   - 5  1-5  */15  10-40/10  0,30   in each field
//     jan … dec, sun … sat              names of months and days; 0 and 7 are Sunday
//     @yearly @annually @monthly @weekly @daily @midnight @hourly
//
// When both day fields are restricted, a day that fits one of them is enough; a
// field that begins with * does not restrict in this sense: that is how Vixie's
// cron has it. Errors: Invalid, also for what can never happen.
func ParseCron(text string) (Cron, error) {
	c := Cron{text: text}
	if len(text) > maxCron {
		return Cron{}, badCron("longer than 256 bytes")
	}
	fields := strings.Fields(text)
	if len(fields) == 1 && strings.HasPrefix(fields[0], "@") {
		long, known := cronNames[strings.ToLower(fields[0])]
		if !known {
			return Cron{}, badCron(strconv.Quote(fields[0]) + " is not known")
		}
		fields = strings.Fields(long)
	}
	switch len(fields) {
	case 5:
		fields = append([]string{"0"}, fields...)
	case 6:
	default:
		return Cron{}, badCron("has " + strconv.Itoa(len(fields)) + " fields, not 5, or 6 with seconds")
	}
	for i, set := range []*uint64{&c.second, &c.minute, &c.hour, &c.dom, &c.month, &c.dow} {
		var err error
		if *set, err = cronFields[i].parse(fields[i]); err != nil {
			return Cron{}, err
		}
		if i < 3 && fields[i][0] == '*' {
			c.wild = true
		}
	}
	c.dow = (c.dow | c.dow>>7) & 0x7f
	c.anyDom, c.anyDow = fields[3][0] == '*', fields[5][0] == '*'
	if !c.possible() {
		return Cron{}, badCron("names a day that no year has")
	}
	return c, nil
}

var cronNames = map[string]string{
	"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
	"@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}

func badCron(what string) error {
	return parley.BadField("cron", what, `send five fields like "30 2 * * mon-fri", or "@hourly"`)
}

func (f *cronField) bad(part, why string) error {
	return badCron("the field of the " + f.name + ", " + strconv.Quote(part) + ": " + why)
}

// parse reads a field: parts with commas between them.
func (f *cronField) parse(text string) (set uint64, err error) {
	for part := range strings.SplitSeq(text, ",") {
		more, err := f.part(part)
		if err != nil {
			return 0, err
		}
		set |= more
	}
	return set, nil
}

func (f *cronField) part(part string) (set uint64, err error) {
	span, every, stepped := strings.Cut(part, "/")
	from, to, ranged := strings.Cut(span, "-")
	lo, hi, step := f.lo, f.hi, 1
	switch {
	case span == "*":
		if f.hi == 7 {
			hi = 6
		}
	case stepped && !ranged:
		return 0, f.bad(part, "a step needs a range, as in "+from+"-"+strconv.Itoa(f.hi)+"/"+every)
	default:
		if lo, err = f.value(part, from); err != nil {
			return 0, err
		}
		if hi = lo; ranged {
			if hi, err = f.value(part, to); err != nil {
				return 0, err
			}
		}
		if lo > hi {
			return 0, f.bad(part, "the range ends before it begins; write it as two")
		}
	}
	if stepped {
		if step, err = cronNumber(every); err != nil || step < 1 || step > f.hi {
			return 0, f.bad(part, "the step is not a number from 1 to "+strconv.Itoa(f.hi))
		}
	}
	for v := lo; v <= hi; v += step {
		set |= 1 << v
	}
	return set, nil
}

func (f *cronField) value(part, text string) (int, error) {
	if len(text) == 3 {
		if i := strings.Index(f.names, strings.ToLower(text)); i >= 0 && i%3 == 0 {
			return f.lo + i/3, nil
		}
	}
	v, err := cronNumber(text)
	switch {
	case err != nil && strings.ContainsAny(text, "?LW#lw"):
		return 0, f.bad(part, "?, L, W and # are not crontab's")
	case err != nil:
		return 0, f.bad(part, "not a number or name")
	case v < f.lo || v > f.hi:
		return 0, f.bad(part, "not from "+strconv.Itoa(f.lo)+" to "+strconv.Itoa(f.hi))
	}
	return v, nil
}

// cronNumber reads decimal digits and nothing else.
func cronNumber(text string) (int, error) {
	v, err := strconv.ParseUint(text, 10, 8)
	return int(v), err
}

// possible says that some year has a day that fits.
func (c *Cron) possible() bool {
	for m := 1; m <= 12 && (c.anyDom || c.anyDow); m++ { // else a day of the week is enough
		days := time.Date(2024, time.Month(m)+1, 0, 0, 0, 0, 0, time.UTC).Day()
		if c.month>>m&1 == 1 && bits.TrailingZeros64(c.dom) <= days {
			return true
		}
	}
	return !c.anyDom && !c.anyDow
}

// String gives the expression as it was parsed.
func (c Cron) String() string { return c.text }

// day says that a date fits.
func (c *Cron) day(dom int, dow time.Weekday) bool {
	first, second := c.dom>>dom&1 == 1, c.dow>>dow&1 == 1
	if c.anyDom || c.anyDow {
		return first && second
	}
	return first || second
}

// civil gives the first fitting time of clocks and calendars from from on, and
// before to. Such times are counted in seconds, as if they were in UTC.
func (c *Cron) civil(from, to int64) (int64, bool) {
	const daily = 24 * 60 * 60
	day := from - ((from%daily)+daily)%daily
	for day < to {
		date := time.Unix(day, 0).UTC()
		year, month, dom := date.Date()
		if c.month>>month&1 == 0 {
			day = time.Date(year, month+1, 1, 0, 0, 0, 0, time.UTC).Unix()
			continue
		}
		if c.day(dom, date.Weekday()) {
			if s, fits := c.clock(int(max(0, from-day))); fits {
				return day + s, day+s < to
			}
		}
		day += daily
	}
	return 0, false
}

// clock gives the first fitting second of a day from one on.
func (c *Cron) clock(from int) (int64, bool) {
	h, m, s := from/3600, from/60%60, from%60
	for {
		switch next := after(c.hour, h); {
		case next > 23:
			return 0, false
		case next > h:
			h, m, s = next, 0, 0
		}
		switch next := after(c.minute, m); {
		case next > 59:
			h, m, s = h+1, 0, 0
			continue
		case next > m:
			m, s = next, 0
		}
		if next := after(c.second, s); next <= 59 {
			return int64(h*3600 + m*60 + next), true
		}
		m, s = m+1, 0
	}
}

// after gives the first member of a set from one on; 64 when there is none.
func after(set uint64, from int) int {
	return bits.TrailingZeros64(set >> from << from)
}
