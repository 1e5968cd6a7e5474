package client

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/throttle/httpthrottle"
)

// refusal makes an error of a limit's refusal, whose document has no type of ours
// and mostly goes out as application/json: see package httpthrottle. nil: it is
// none.
func refusal(res *http.Response, media string, body []byte) *parley.Error {
	if media != "application/json" && media != "application/problem+json" {
		return nil
	}
	var b httpthrottle.Body
	if json.Unmarshal(body, &b) != nil || b.Status != res.StatusCode || b.Error == "" {
		return nil
	}
	e := &parley.Error{Detail: b.Detail}
	limit := "the limit"
	if len(b.Violated) > 0 {
		limit += " " + strings.Join(b.Violated, " and ")
		e.Detail = limit + " refuses it: " + b.Detail
	}
	if e.RetryAfter = retryAfter(res); e.RetryAfter == 0 {
		e.RetryAfter = time.Duration(min(int64(max(b.RetryAfter, 0)), mostSeconds)) * time.Second
	}
	raise := "have " + limit + " raised"
	switch res.StatusCode {
	case http.StatusTooManyRequests:
		e.Code = parley.Throttled
	case http.StatusServiceUnavailable:
		e.Code = parley.Overloaded
	case http.StatusForbidden:
		e.Code = parley.Forbidden
	case http.StatusRequestEntityTooLarge:
		e.Code, raise = parley.TooLarge, "ask for less at once, or "+raise
	default:
		return nil
	}
	if e.Fix = raise; e.RetryAfter > 0 {
		e.Fix = "try again in " + e.RetryAfter.String() + ", or " + raise
	}
	return e
}

// mostSeconds keeps a foreign number of seconds a duration.
const mostSeconds = 1 << 32

// retryAfter reads Retry-After; 0 = none.
func retryAfter(res *http.Response) time.Duration {
	d, _ := httpthrottle.ParseRetryAfter(res.Header, time.Now())
	return d
}
