package poll

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/parleyhq/parley"
)

// Bounds of a request.
const (
	DefaultLimit = 100
	MaxLimit     = 1000
	DefaultWait  = 25 * time.Second
	MaxWait      = 55 * time.Second // below the 60 s after which common proxies give up
	MaxCursor    = 2048             // bytes
)

// Request is one poll, as its query and header ask for it.
type Request struct {
	// After is where to read from, empty when the client named no place; see
	// Source.Read.
	After string
	// Limit is the most events to answer with, 1 to MaxLimit.
	Limit int
	// Wait is how long to hold the request while there is nothing, at most MaxWait.
	// 0 is a short poll.
	Wait time.Duration
	// Applied is the value for Preference-Applied (RFC 7240 section 3): set when the
	// wait came as a preference, or was cut to MaxWait.
	Applied string
	// IfNoneMatch is that field, its lines joined by commas.
	IfNoneMatch string
}

// ParseQuery reads a poll. It knows
//
//	after=CURSOR      a cursor, earliest, latest, or @ and an RFC 3339 time
//	limit=N           1 to 1000, 100 by default
//	wait=25s          a duration or a number of seconds; true for the default, false
//	                  for none
//	timeout=30        how long wait=true waits, in seconds or as a duration
//	Prefer: wait=25   the same in a header (RFC 7240 section 4.3); the query beats it
//	If-None-Match     see Request.NotModified
//
// and leaves every other member to its caller. An error is Invalid and names the
// member and what to send; a preference that cannot be read is ignored, as
// preferences are.
func ParseQuery(q url.Values, h http.Header) (Request, error) {
	req := Request{Limit: DefaultLimit, IfNoneMatch: strings.Join(h.Values("If-None-Match"), ",")}
	for _, name := range []string{"after", "limit", "wait", "timeout"} {
		if len(q[name]) > 1 {
			return Request{}, parley.BadField(name, "it is given more than once", "give it once")
		}
	}
	if q.Has("after") {
		req.After = q.Get("after")
		if !validCursor(req.After) {
			return Request{}, parley.BadField("after", "not a cursor",
				"send the cursor of the last answer as it is, percent-encoded, or earliest, latest, or @ and a time; leave it away at first")
		}
	}
	if q.Has("limit") {
		n, err := strconv.Atoi(q.Get("limit"))
		if err != nil || n < 1 || n > MaxLimit {
			return Request{}, parley.BadField("limit", "not a number of events that an answer can hold",
				"send a whole number from 1 to "+strconv.Itoa(MaxLimit))
		}
		req.Limit = n
	}
	return withWait(req, q, h)
}

// withWait fills in how long to hold the request.
func withWait(req Request, q url.Values, h http.Header) (Request, error) {
	preferred := false
	switch {
	case q.Has("wait"):
		wait, err := parseWait(q)
		if err != nil {
			return Request{}, err
		}
		req.Wait = wait
	case q.Has("timeout"):
		return Request{}, parley.BadField("timeout", "it says how long to wait, but wait is missing",
			"add wait=true, or send wait=30s instead")
	default:
		req.Wait, preferred = preferredWait(h.Values("Prefer"))
	}
	if req.Wait > MaxWait {
		req.Wait, preferred = MaxWait, true
	}
	if preferred {
		req.Applied = "wait=" + strconv.FormatInt(int64(req.Wait/time.Second), 10)
	}
	return req, nil
}

func parseWait(q url.Values) (time.Duration, error) {
	const fix = "send a duration like 25s, a number of seconds, true or false"
	switch value := q.Get("wait"); strings.ToLower(value) {
	case "false":
		return 0, nil
	case "true", "":
		if !q.Has("timeout") {
			return DefaultWait, nil
		}
		wait, ok := parseDuration(q.Get("timeout"))
		if !ok {
			return 0, parley.BadField("timeout", "not a time to wait", "send a number of seconds, or a duration like 30s")
		}
		return wait, nil
	default:
		if q.Has("timeout") {
			return 0, parley.BadField("timeout", "wait says already how long to wait", "send one of the two, or wait=true")
		}
		wait, ok := parseDuration(value)
		if !ok {
			return 0, parley.BadField("wait", "not a time to wait", fix)
		}
		return wait, nil
	}
}

// parseDuration reads a Go duration or a whole number of seconds, neither negative.
// A number too large for a Duration is the longest one.
func parseDuration(s string) (time.Duration, bool) {
	if d, ok := parseSeconds(s); ok {
		return d, true
	}
	d, err := time.ParseDuration(s)
	return d, err == nil && d >= 0
}

func parseSeconds(s string) (time.Duration, bool) {
	if s == "" {
		return 0, false
	}
	const enough = 1_000_000_000 // seconds; well below what a Duration holds
	n := 0
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = min(n*10+int(s[i]-'0'), enough)
	}
	return time.Duration(n) * time.Second, true
}

// preferredWait finds the wait preference. Names are case-insensitive, a value may
// be quoted, parameters after a semicolon belong to the preference, and of several
// the first counts (RFC 7240 section 2).
func preferredWait(lines []string) (time.Duration, bool) {
	for _, line := range lines {
		for pref := range strings.SplitSeq(line, ",") {
			pref, _, _ = strings.Cut(pref, ";")
			name, value, _ := strings.Cut(pref, "=")
			if !strings.EqualFold(strings.TrimSpace(name), "wait") {
				continue
			}
			value = strings.TrimSpace(value)
			if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
				value = value[1 : n-1]
			}
			return parseSeconds(value)
		}
	}
	return 0, false
}

// validCursor says whether s can be a cursor: it must fit into a query, an entity
// tag and a JSON string as it is.
func validCursor(s string) bool {
	if s == "" || len(s) > MaxCursor {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
