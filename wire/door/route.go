package door

import (
	"context"

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
	Late    bool          // the handler itself asks Admission, by Call.Admit: what it acts on is in its query or body
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

// Admission is asked for every request after Decide and before its handler, and
// for every publish on a socket or a stream of publishes; the throttle pattern
// stands behind it. release is called once, when the request, or the stream that
// it opened, is over. A refusal is Throttled or Overloaded with RetryAfter.
type Admission interface {
	Admit(ctx context.Context, r *Request) (release func(), err error)
}

// AdmitAll is the Admission that refuses nothing.
type AdmitAll struct{}

// Admit implements Admission.
func (AdmitAll) Admit(context.Context, *Request) (func(), error) { return func() {}, nil }
