package httpthrottle

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/parleyhq/parley/pattern/throttle"
)

// Body is the one body of all refusals: a problem of RFC 9457, with members
// for those who expect a plain error object. It goes out as
// application/problem+json to clients that accept that by name, else as
// application/json.
type Body struct {
	// Type is a problem type of the RateLimit draft, or about:blank.
	Type string `json:"type"`
	// Title is the kind of problem in words, Status the HTTP status.
	Title  string `json:"title"`
	Status int    `json:"status"`
	// Detail says what happened and what to do.
	Detail string `json:"detail"`
	// Error is the title and Message the detail under their plain names.
	Error   string `json:"error"`
	Message string `json:"message"`
	// RetryAfter is the seconds of the Retry-After header; absent where waiting
	// does not help.
	RetryAfter int64 `json:"retry_after,omitempty"`
	// Violated names the policies that refused.
	Violated []string `json:"violated-policies,omitempty"`
}

const problemTypes = "https://iana.org/assignments/http-problem-types#"

// status is the HTTP status of a refusal.
func status(err error) int {
	var e *throttle.Error
	if !errors.As(err, &e) {
		return http.StatusServiceUnavailable // the context ended while the request stood in line
	}
	switch {
	case e.Reason == throttle.Impossible:
		return http.StatusRequestEntityTooLarge
	case e.Reason == throttle.Closed:
		return http.StatusForbidden
	case e.Held:
		return http.StatusServiceUnavailable
	}
	return http.StatusTooManyRequests
}

// NewBody describes a refusal.
func NewBody(err error) Body {
	b := Body{Type: "about:blank", Status: status(err)}
	var e *throttle.Error
	if !errors.As(err, &e) {
		e = &throttle.Error{}
	}
	if e.Name != "" {
		b.Violated = []string{e.Name}
	}
	wait := ""
	if e.RetryAfter > 0 {
		b.RetryAfter = seconds(e.RetryAfter)
		wait = fmt.Sprintf(" Try again in %d second%s.", b.RetryAfter, plural(b.RetryAfter))
	}
	switch {
	case e.Reason == throttle.Banned:
		b.Type, b.Title = problemTypes+"abnormal-usage-detected", "Locked out"
		b.Detail = "Requests went on after they were refused." + wait
	case b.Status == http.StatusTooManyRequests:
		b.Type, b.Title = problemTypes+"quota-exceeded", "Rate limit exceeded"
		b.Detail = "More requests came than the limit admits." + wait
	case b.Status == http.StatusRequestEntityTooLarge:
		b.Title, b.Detail = "Request exceeds limit", "The request costs more than the limit can ever admit at once. Make it smaller."
	case b.Status == http.StatusForbidden:
		b.Title, b.Detail = "Closed", "The limit here is zero: nothing is admitted."
	default:
		b.Type, b.Title = problemTypes+"temporary-reduced-capacity", "Overloaded"
		b.Detail = "Every place is taken." + wait
	}
	b.Error, b.Message = b.Title, b.Detail
	return b
}

func plural(n int64) string {
	if n == 1 {
		return ""
	}
	return "s"
}

// Refuse writes the answer to a request that was refused with err, a
// [*throttle.Error]. RateLimit fields are for [SetFields].
func Refuse(w http.ResponseWriter, r *http.Request, err error) {
	body := NewBody(err)
	h := w.Header()
	h.Set("Content-Type", "application/json")
	if acceptsProblem(r.Header.Values("Accept")) {
		h.Set("Content-Type", "application/problem+json")
	}
	h.Add("Vary", "Accept")
	h.Set("Cache-Control", "no-store") // RFC 6585 §4: must not be cached
	if body.RetryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(body.RetryAfter, 10))
	}
	text, err := json.Marshal(body)
	if err != nil {
		http.Error(w, body.Title, body.Status)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(text)+1))
	w.WriteHeader(body.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(append(text, '\n')) // a client that is gone needs no answer
	}
}

// acceptsProblem says whether a client names application/problem+json, and not
// with a weight of 0 (RFC 9110 §12.4.2).
func acceptsProblem(accept []string) bool {
	for _, line := range accept {
		if len(line) > maxField {
			continue
		}
		for part := range strings.SplitSeq(line, ",") {
			kind, params, err := mime.ParseMediaType(part)
			if err != nil || kind != "application/problem+json" {
				continue
			}
			q, given := params["q"]
			if weight, err := strconv.ParseFloat(q, 64); !given || (err == nil && weight > 0) {
				return true
			}
		}
	}
	return false
}

// Seen is what one limit said about a request.
type Seen struct {
	// Name is the policy's; "" counts as "limit".
	Name string
	// Limit is the limit, and Decision what it said. Its Reset should be set, as
	// [throttle.TryAll] and [throttle.Limiter.Peek] do.
	Limit    throttle.Limit
	Decision throttle.Decision
}

// SetFields sets RateLimit-Policy and RateLimit; limits that admit everything are
// left out, and without any other nothing is set. legacy adds the older X- fields.
func SetFields(h http.Header, legacy bool, all ...Seen) {
	var policy, quota []byte
	var tightest *Seen
	for i := range all {
		s := &all[i]
		if s.Limit.Quota == throttle.Infinite {
			continue
		}
		name := s.Name
		if name == "" {
			name = "limit"
		}
		held := s.Limit.Algorithm == throttle.Concurrency || s.Limit.Algorithm == throttle.Adaptive
		policy = appendPolicy(policy, name, s.Limit, held)
		quota = appendQuota(quota, name, s.Decision)
		if tightest == nil || s.Decision.Remaining < tightest.Decision.Remaining {
			tightest = s
		}
	}
	if tightest == nil {
		return
	}
	h.Set("RateLimit-Policy", string(policy))
	h.Set("RateLimit", string(quota))
	if !legacy {
		return
	}
	d := tightest.Decision
	wait := d.Reset
	if !d.OK {
		wait = d.RetryAfter
	}
	reset := int64(0)
	if wait > 0 {
		reset = seconds(wait)
	}
	h.Set("X-RateLimit-Limit", strconv.FormatInt(d.Limit, 10))
	h.Set("X-RateLimit-Remaining", strconv.FormatInt(d.Remaining, 10))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(reset, 10))
}
