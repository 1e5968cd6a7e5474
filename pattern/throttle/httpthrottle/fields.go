package httpthrottle

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/parleyhq/parley/pattern/throttle"
)

// seconds rounds up to whole seconds, at least 1: whoever comes back then is
// not too early.
func seconds(d time.Duration) int64 {
	return max(1, int64((d-1)/time.Second)+1)
}

// appendName writes a policy's name as a string of RFC 9651 §3.3.3, leaving out
// what such a string cannot hold.
func appendName(b []byte, name string) []byte {
	b = append(b, '"')
	for i := range len(name) {
		switch c := name[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c >= ' ' && c < 0x7f:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// maxInteger is the largest integer of RFC 9651 §3.3.1.
const maxInteger = 999_999_999_999_999

// appendPolicy writes one member of RateLimit-Policy. A window that is no
// whole number of seconds is stretched to one.
func appendPolicy(b []byte, name string, l throttle.Limit, held bool) []byte {
	if len(b) > 0 {
		b = append(b, ", "...)
	}
	b = append(appendName(b, name), ";q="...)
	if held {
		b = strconv.AppendInt(b, min(l.Quota, maxInteger), 10)
		return append(b, `;qu="concurrent-requests"`...)
	}
	w := seconds(l.Window)
	q := l.Quota
	if scaled := float64(w) * float64(time.Second) / float64(l.Window); scaled > 1 {
		q = int64(min(float64(q)*scaled, maxInteger))
	}
	b = strconv.AppendInt(b, min(q, maxInteger), 10)
	return strconv.AppendInt(append(b, ";w="...), w, 10)
}

// appendQuota writes one member of RateLimit: what remains, and when there is
// more.
func appendQuota(b []byte, name string, d throttle.Decision) []byte {
	if len(b) > 0 {
		b = append(b, ", "...)
	}
	b = append(appendName(b, name), ";r="...)
	b = strconv.AppendInt(b, max(0, min(d.Remaining, maxInteger)), 10)
	wait := d.Reset
	if !d.OK {
		wait = d.RetryAfter
	}
	if wait > 0 {
		b = strconv.AppendInt(append(b, ";t="...), min(seconds(wait), maxInteger), 10)
	}
	return b
}

// Quota is one member of a RateLimit field.
type Quota struct {
	// Name is the policy's.
	Name string
	// Remaining is r.
	Remaining int64
	// Reset is t, or 0 if there is none.
	Reset time.Duration
}

// maxField is how much of a field is read.
const maxField = 8 << 10

// ParseRateLimit reads RateLimit fields, more leniently than RFC 9651 asks: a
// name may be a token. A field that is malformed is ignored as a whole, and so
// is a member without r.
func ParseRateLimit(h http.Header) []Quota {
	text := strings.Join(h.Values("RateLimit"), ",")
	if len(text) > maxField {
		return nil
	}
	var out []Quota
	p := fieldParser{s: text}
	for p.skip(" \t,"); p.s != ""; p.skip(" \t,") {
		q := Quota{Remaining: -1}
		var ok bool
		if q.Name, ok = p.bare(); !ok {
			return nil
		}
		for p.eat(';') {
			p.skip(" ")
			name, _ := p.bare()
			value := ""
			if p.eat('=') {
				if value, ok = p.bare(); !ok {
					return nil
				}
			}
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil || n < 0 || n > maxInteger {
				n = -1
			}
			switch {
			case name == "":
				return nil
			case name == "r":
				q.Remaining = n
			case name == "t" && n > 0:
				q.Reset = time.Duration(min(n, int64(maxWait/time.Second))) * time.Second
			}
		}
		p.skip(" \t")
		if p.s != "" && p.s[0] != ',' {
			return nil
		}
		if q.Remaining >= 0 {
			out = append(out, q)
		}
	}
	return out
}

// fieldParser takes a structured field apart from the left.
type fieldParser struct{ s string }

func (p *fieldParser) skip(set string) { p.s = strings.TrimLeft(p.s, set) }

func (p *fieldParser) eat(c byte) bool {
	if p.s != "" && p.s[0] == c {
		p.s = p.s[1:]
		return true
	}
	return false
}

// bare reads a string, a byte sequence, or anything up to a delimiter.
func (p *fieldParser) bare() (string, bool) {
	if p.eat('"') {
		var b strings.Builder
		for i := 0; i < len(p.s); i++ {
			switch c := p.s[i]; {
			case c == '"':
				p.s = p.s[i+1:]
				return b.String(), true
			case c == '\\' && i+1 < len(p.s) && (p.s[i+1] == '"' || p.s[i+1] == '\\'):
				i++
				b.WriteByte(p.s[i])
			case c < ' ' || c >= 0x7f || c == '\\':
				return "", false
			default:
				b.WriteByte(c)
			}
		}
		return "", false
	}
	end := strings.IndexAny(p.s, "; ,\t")
	if p.s != "" && p.s[0] != ':' {
		if e := strings.IndexAny(p.s, "=; ,\t"); e >= 0 {
			end = e
		}
	}
	if end < 0 {
		end = len(p.s)
	}
	word := p.s[:end]
	p.s = p.s[end:]
	return word, word != ""
}

// maxWait bounds what a peer can ask a client to wait.
const maxWait = 365 * 24 * time.Hour

// ParseRetryAfter reads Retry-After, seconds or a date (RFC 9110 §10.2.3), as a time
// from now. It says false if there is none or it cannot be read. More than a
// year counts as a year.
func ParseRetryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" || len(v) > 64 {
		return 0, false
	}
	if strings.Trim(v, "0123456789") == "" {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n > int64(maxWait/time.Second) {
			return maxWait, true // digits that overflow are many
		}
		return time.Duration(n) * time.Second, true
	}
	at, err := http.ParseTime(v)
	if err != nil {
		return 0, false
	}
	return max(0, min(at.Sub(now), maxWait)), true
}
