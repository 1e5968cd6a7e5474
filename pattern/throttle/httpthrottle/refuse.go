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

// refuse writes the answer to a refused request.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
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

// fields sets RateLimit-Policy and RateLimit, and the older ones if wanted.
func (m *middleware) fields(h http.Header, all []seen) {
	var policy, quota []byte
	var tightest *seen
	for i := range all {
		s := &all[i]
		l := s.rule.Limiter.Limit()
		if l.Quota == throttle.Infinite {
			continue
		}
		name := s.rule.Limiter.Name()
		if name == "" {
			name = "limit"
		}
		held := l.Algorithm == throttle.Concurrency || l.Algorithm == throttle.Adaptive
		policy = appendPolicy(policy, name, l, held)
		quota = appendQuota(quota, name, s.d)
		if tightest == nil || s.d.Remaining < tightest.d.Remaining {
			tightest = s
		}
	}
	if tightest == nil {
		return
	}
	h.Set("RateLimit-Policy", string(policy))
	h.Set("RateLimit", string(quota))
	if !m.Legacy {
		return
	}
	wait := tightest.d.Reset
	if !tightest.d.OK {
		wait = tightest.d.RetryAfter
	}
	reset := int64(0)
	if wait > 0 {
		reset = seconds(wait)
	}
	h.Set("X-RateLimit-Limit", strconv.FormatInt(tightest.d.Limit, 10))
	h.Set("X-RateLimit-Remaining", strconv.FormatInt(tightest.d.Remaining, 10))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(reset, 10))
}
