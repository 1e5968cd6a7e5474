package door

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/parleyhq/parley"
)

// Route is one operation of the HTTP door: the table of them is the server's
// routing, its OpenAPI document, and what the scope test walks.
type Route struct {
	Method  string // "GET"
	Path    string // "/v1/topics/{topic}/events", as http.ServeMux takes it
	Accept  string // of several routes with one method and path: the one for clients that name this media type
	Name    string // the operation: "publish"; also its name in metrics and traces
	Pattern string // which of the ten patterns it belongs to; "" = all
	Summary string // one sentence
	Verb    string // what Decide asks for; "" = nothing, for everybody
	On      string // the path parameter that Decide asks for, such as "topic"; "" = none
	Params  []Param
	Request any           // a zero value of the JSON body's type; nil = none or any bytes
	Answer  any           // a zero value of the JSON answer's type; nil = none
	Status  int           // of success; 0 = 200
	Media   []string      // further media types of the answer, such as text/event-stream
	Errors  []parley.Code // those that the operation has of its own
	Example string        // a command line
	Handle  func(*Call) error
}

// Param is a query parameter or header of an operation.
type Param struct {
	Name, In    string // In: "query" or "header"
	Type        string // "string", "integer", "boolean", "duration"
	Default     string
	Description string
}

// Call is one request on its way through a door.
type Call struct {
	W     http.ResponseWriter
	R     *http.Request
	Query url.Values // of the URL, parsed once
	Who   Identity
	Trace Trace
	Route *Route
	Now   time.Time
}

// Context is the request's.
func (c *Call) Context() context.Context { return c.R.Context() }

// Allow asks Decide for one more action: what only the handler knows, such as
// the topics in a query.
func (c *Call) Allow(verb, on string) error { return Decide(c.Who, Action{Verb: verb, On: on}, c.Now) }

// Request is what Admission sees of a request, through whatever door it came.
type Request struct {
	Route  *Route
	Who    Identity
	Remote string                   // HOST:PORT of the peer
	Path   string                   // "/v1/topics/orders/events", "/parley.v1.Publish/Publish"
	Topic  string                   // what it acts on, where the door knows it by then; "" = nothing, or several
	Header func(name string) string // a header field, or gRPC metadata; "" = absent
}

// Admission is asked for every request after Decide and before its handler, and
// for every publish on a stream of publishes; the throttle pattern stands behind
// it. release is called when the request is over. A refusal is Throttled or
// Overloaded with RetryAfter.
type Admission interface {
	Admit(ctx context.Context, r *Request) (release func(), err error)
}

// AdmitAll is the Admission that refuses nothing.
type AdmitAll struct{}

// Admit implements Admission.
func (AdmitAll) Admit(context.Context, *Request) (func(), error) { return func() {}, nil }
