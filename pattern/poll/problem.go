package poll

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
)

// statuses are those of the codes that a source or a request can give here. All
// others are faults of the server.
var statuses = map[parley.Code]int{
	parley.Invalid:          http.StatusBadRequest,
	parley.BadCursor:        http.StatusBadRequest,
	parley.Unauthenticated:  http.StatusUnauthorized,
	parley.Forbidden:        http.StatusForbidden,
	parley.NotFound:         http.StatusNotFound,
	parley.MethodNotAllowed: http.StatusMethodNotAllowed,
	parley.Trimmed:          http.StatusGone,
	parley.Throttled:        http.StatusTooManyRequests,
	parley.Overloaded:       http.StatusServiceUnavailable,
	parley.Unavailable:      http.StatusServiceUnavailable,
	parley.Timeout:          http.StatusGatewayTimeout,
}

// problem is a problem document (RFC 9457) with two members of ours.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	Field  string `json:"field,omitempty"`
	Fix    string `json:"fix,omitempty"`
}

// writeProblem answers with err. What went wrong inside a source is not for its
// clients: an error without a code above shows its title alone.
func writeProblem(w http.ResponseWriter, r *http.Request, err error) {
	code := parley.CodeOf(err)
	status, known := statuses[code]
	if !known {
		code, status = parley.Internal, http.StatusInternalServerError
	}
	doc := problem{Type: "urn:parley:error:" + code.String(), Title: code.Info().Title, Status: status}
	var e *parley.Error
	if known && errors.As(err, &e) {
		doc.Detail, doc.Field, doc.Fix = e.Detail, e.Field, e.Fix
		if e.RetryAfter > 0 {
			seconds := (e.RetryAfter + time.Second - 1) / time.Second
			w.Header().Set("Retry-After", strconv.FormatInt(int64(seconds), 10))
		}
	}
	if status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", "GET, HEAD")
	}
	body, err := json.Marshal(doc)
	if err != nil {
		body = nil // strings always marshal
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}
