package door

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
)

// ProblemType begins every `type` of a problem document; the code's name follows.
const ProblemType = "urn:parley:error:"

// Problem is a problem document (RFC 9457). Its extension members name the input
// at fault and what to do.
type Problem struct {
	Type     string `json:"type"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail,omitempty"`
	Field    string `json:"field,omitempty"`
	Fix      string `json:"fix,omitempty"`
	Earliest string `json:"earliest,omitempty"` // with trimmed: what to go on from
	Pointer  string `json:"pointer,omitempty"`  // with data that breaks a schema: where in it, as in RFC 9457 §3.2
	Keyword  string `json:"keyword,omitempty"`  // … and what of the schema
	Trace    string `json:"trace,omitempty"`    // the trace id, for the server's log
}

var statuses = map[parley.Code]int{
	parley.Internal: 500, parley.Invalid: 400, parley.Unauthenticated: 401, parley.Forbidden: 403,
	parley.NotFound: 404, parley.Exists: 409, parley.Conflict: 409, parley.KeyReused: 409,
	parley.Trimmed: 410, parley.BadCursor: 400, parley.TooLarge: 413, parley.Unsupported: 415,
	parley.Unprocessable: 422, parley.Apart: 422, parley.Throttled: 429, parley.Overloaded: 503,
	parley.Unavailable: 503, parley.Full: 507, parley.Timeout: 504, parley.Canceled: 499,
	parley.Unknown: 500, parley.Damaged: 500, parley.MethodNotAllowed: 405, parley.PreconditionFailed: 412,
}

// Status is the HTTP status of a code.
func Status(c parley.Code) int {
	if s, ok := statuses[c]; ok {
		return s
	}
	return http.StatusInternalServerError
}

// StatusError is an error with what a door knows better: another HTTP status than
// its code has, where a standard asks for that, and with Trimmed the cursor to go
// on from. Zero fields change nothing.
type StatusError struct {
	Status   int
	Earliest string
	Err      error
}

// Error implements error.
func (e *StatusError) Error() string { return e.Err.Error() }

// Unwrap gives the error itself.
func (e *StatusError) Unwrap() error { return e.Err }

// ProblemOf describes an error. What an Internal error is about is for the log
// only.
func ProblemOf(err error, t Trace) Problem {
	code := parley.CodeOf(err)
	info := code.Info()
	p := Problem{Type: ProblemType + info.Name, Title: info.Title, Status: Status(code)}
	var other *StatusError
	if errors.As(err, &other) && other.Status != 0 {
		p.Status = other.Status
	}
	var e *parley.Error
	if errors.As(err, &e) && code != parley.Internal {
		p.Detail, p.Field, p.Fix = e.Detail, e.Field, e.Fix
	}
	p.Pointer, p.Keyword = Pointed(err)
	if p.Status >= 500 {
		p.Trace = t.String()[3:35]
	}
	if code == parley.Trimmed {
		p.Earliest = "earliest"
		if other != nil && other.Earliest != "" {
			p.Earliest = other.Earliest
		}
	}
	return p
}

// Pointed tells where in the data of an event an error is: a JSON Pointer as a URI
// fragment, and the keyword of the schema that is broken; "" when it is about
// something else.
func Pointed(err error) (pointer, keyword string) {
	var p interface {
		Pointer() (pointer, keyword string)
	}
	if errors.As(err, &p) {
		return p.Pointer()
	}
	return "", ""
}

// WriteProblem answers a request with an error.
func WriteProblem(w http.ResponseWriter, err error, t Trace) {
	status, body := SetProblem(w.Header(), err, t)
	w.WriteHeader(status)
	_, _ = w.Write(body) // the peer is gone when it fails
}

// SetProblem sets the headers of an answer that is an error, and gives its status
// and body.
func SetProblem(h http.Header, err error, t Trace) (status int, body []byte) {
	p := ProblemOf(err, t)
	body, _ = json.Marshal(p) // strings and numbers only
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="parley"`)
	}
	if after := retryAfter(err); after > 0 {
		h.Set("Retry-After", strconv.Itoa(after))
	}
	return p.Status, append(body, '\n')
}

// retryAfter is in whole seconds, rounded up (RFC 9110 §10.2.3): asking earlier
// would be refused again.
func retryAfter(err error) int {
	var e *parley.Error
	if !errors.As(err, &e) {
		return 0
	}
	if e.RetryAfter <= 0 && (e.Code == parley.Overloaded || e.Code == parley.Unavailable) {
		return 1
	}
	return int(math.Ceil(float64(e.RetryAfter) / float64(time.Second)))
}
