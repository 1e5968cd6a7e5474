package server

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/parleyhq/parley"
)

// units of sizes; the longer names come before those that they end with.
var units = []struct {
	name  string
	bytes float64
}{
	{"kib", 1 << 10},
	{"mib", 1 << 20},
	{"gib", 1 << 30},
	{"tib", 1 << 40},
	{"kb", 1e3},
	{"mb", 1e6},
	{"gb", 1e9},
	{"tb", 1e12},
	{"b", 1},
	{"", 1},
}

// ParseSize reads a size: bytes, or a number with KiB, MiB, GiB, TiB (of 1024)
// or kB, MB, GB, TB (of 1000), as in "64MiB".
func ParseSize(text string) (int64, error) {
	lower := strings.ToLower(strings.TrimSpace(text))
	for _, u := range units {
		number, ok := strings.CutSuffix(lower, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || strings.ContainsAny(number, "xpn") || n < 0 || n*u.bytes >= math.MaxInt64 || n*u.bytes != math.Trunc(n*u.bytes) {
			break
		}
		return int64(n * u.bytes), nil
	}
	return 0, parley.BadField("", strconv.Quote(text)+" is not a size", "write bytes, or a number with a unit, such as 64MiB")
}

// parseDuration reads a Go-style duration within bounds.
func parseDuration(least, most time.Duration) func(string) (time.Duration, error) {
	return func(text string) (time.Duration, error) {
		d, err := time.ParseDuration(text)
		if err != nil {
			return 0, parley.BadField("", strconv.Quote(text)+" is not a duration", "write a number with a unit, such as 30s or 1h30m")
		}
		if d < least || d > most {
			return 0, parley.BadField("", text+" is out of bounds", "write "+least.String()+" to "+most.String())
		}
		return d, nil
	}
}

// parseCount reads a whole number within bounds.
func parseCount(least, most int) func(string) (int, error) {
	return func(text string) (int, error) {
		n, err := strconv.Atoi(text)
		if err != nil || n < least || n > most {
			return 0, parley.BadField("", strconv.Quote(text)+" is not a number that this field can have", "write a whole number from "+strconv.Itoa(least)+" to "+strconv.Itoa(most))
		}
		return n, nil
	}
}
