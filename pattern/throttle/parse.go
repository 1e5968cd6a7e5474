package throttle

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// ParseLimit reads a limit as people write it:
//
//	3/s                               a token bucket of 3 that refills 3 a second
//	100/15m burst=20
//	sliding-log 5/1h
//	concurrency 100
//	adaptive 20 min=1 max=200 target=300ms
//	fixed-window inf/s
//
// The algorithm comes first and is token-bucket if left out; then quota and
// window, the window as s, m, h, d or a Go duration; then burst, min, max and
// target. [Limit.String] writes the same form. The limit is compiled, so that
// what is returned works; errors name the field.
func ParseLimit(text string) (Limit, error) {
	l := Limit{Algorithm: TokenBucket}
	if len(text) > 256 {
		return Limit{}, fmt.Errorf("throttle: limit: is %d bytes long; write it as in 100/15m burst=20", len(text))
	}
	fields := strings.Fields(text)
	if len(fields) > 0 && known(Algorithm(fields[0])) {
		l.Algorithm, fields = Algorithm(fields[0]), fields[1:]
	}
	if len(fields) == 0 {
		return Limit{}, fmt.Errorf("throttle: limit: %q has no quota; write it as in 3/s", text)
	}
	quota, window, timed := strings.Cut(fields[0], "/")
	var err error
	if l.Quota, err = parseUnits("quota", quota); err != nil {
		return Limit{}, err
	}
	if timed == l.held() {
		return Limit{}, fmt.Errorf("throttle: limit: %q: a rate is written 3/s, a number of places concurrency 3", text)
	}
	if timed {
		if l.Window, err = parseWindow("window", window); err != nil {
			return Limit{}, err
		}
	}
	seen := map[string]bool{}
	for _, f := range fields[1:] {
		name, value, _ := strings.Cut(f, "=")
		if seen[name] {
			return Limit{}, fmt.Errorf("throttle: %s: is given twice", name)
		}
		seen[name] = true
		switch name {
		case "burst":
			l.Burst, err = parseUnits(name, value)
		case "min":
			l.Min, err = parseUnits(name, value)
		case "max":
			l.Max, err = parseUnits(name, value)
		case "target":
			l.Target, err = parseWindow(name, value)
		default:
			err = fmt.Errorf("throttle: limit: %q is none of burst=, min=, max=, target=", f)
		}
		if err != nil {
			return Limit{}, err
		}
	}
	if _, err := Compile(l); err != nil {
		return Limit{}, err
	}
	return l, nil
}

func parseUnits(field, s string) (int64, error) {
	if s == "inf" {
		return Infinite, nil
	}
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("throttle: %s: %q is no whole number from 0 to %d, nor inf", field, s, int64(math.MaxInt64))
	}
	return int64(n), nil
}

func parseWindow(field, s string) (time.Duration, error) {
	switch s {
	case "s":
		return time.Second, nil
	case "m":
		return time.Minute, nil
	case "h":
		return time.Hour, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n := uint64(1)
		var err error
		if days != "" {
			n, err = strconv.ParseUint(days, 10, 16)
		}
		if err == nil && n > 0 && time.Duration(n)*24*time.Hour <= maxWindow {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	} else if d, err := time.ParseDuration(s); err == nil && d > 0 && d <= maxWindow {
		return d, nil
	}
	return 0, fmt.Errorf("throttle: %s: %q is no time; write s, m, h, d, 90s, 1h30m or 7d, up to ten years", field, s)
}

// String writes the limit in the form that [ParseLimit] reads, defaults left
// out.
func (l Limit) String() string {
	var b strings.Builder
	if l.Algorithm != TokenBucket {
		b.WriteString(string(l.Algorithm) + " ")
	}
	b.WriteString(units(l.Quota))
	if !l.held() {
		window := l.Window
		if window == 0 {
			window = time.Second
		}
		b.WriteString("/" + window.String())
	}
	option := func(name string, n int64) {
		if n != 0 {
			b.WriteString(" " + name + "=" + units(n))
		}
	}
	if l.Burst != l.Quota || l.Algorithm == LeakyQueue {
		option("burst", l.Burst)
	}
	option("min", l.Min)
	option("max", l.Max)
	if l.Target != 0 {
		b.WriteString(" target=" + l.Target.String())
	}
	return b.String()
}

func units(n int64) string {
	if n == Infinite {
		return "inf"
	}
	return strconv.FormatInt(n, 10)
}
