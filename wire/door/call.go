package door

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Call is one request on its way through a door.
type Call struct {
	W     http.ResponseWriter
	R     *http.Request
	Query url.Values // of the URL, parsed once
	Who   Identity
	Trace Trace
	Route *Route
	Now   time.Time
	Gate  Admission // nil = AdmitAll

	release func() // what Admit took is still ours to give back
}

// Context is the request's.
func (c *Call) Context() context.Context { return c.R.Context() }

// Allow asks Decide for one more action: what only the handler knows, such as
// the topics in a query.
func (c *Call) Allow(verb, on string) error { return Decide(c.Who, Action{Verb: verb, On: on}, c.Now) }

// AllowTopics asks allow whether the caller may have something run that reads and
// writes topics: what it may not do itself, it may not have done for it.
func AllowTopics(allow func(verb, on string) error, reads, writes []string) error {
	for _, name := range reads {
		if err := allow("read", name); err != nil {
			return err
		}
	}
	for _, name := range writes {
		if err := allow("publish", name); err != nil {
			return err
		}
	}
	return nil
}

// Admit asks the limits. The door calls it before the handler, and the handler of
// a route that is Late, once, when it knows what the request acts on.
func (c *Call) Admit(topics ...string) error {
	if c.Gate == nil {
		return nil
	}
	release, err := c.Gate.Admit(c.Context(), &Request{
		Route: c.Route, Who: c.Who, Remote: c.R.RemoteAddr, Path: c.R.URL.Path, Topics: topics, Header: c.R.Header.Values, Answer: c.W.Header(),
	})
	if err == nil {
		c.release = release
	}
	return err
}

// Keep is for a handler that returns before its stream is over: whoever ends the
// stream calls leave, once.
func (c *Call) Keep() (leave func()) {
	leave, c.release = c.release, nil
	if leave == nil {
		return func() {}
	}
	return leave
}

// Done gives back what Admit took, unless it was kept.
func (c *Call) Done() { c.Keep()() }

// Message is the Request of what comes later on the connection of this call. It
// keeps nothing of the call but what limits look at: a socket is to stay small.
func (c *Call) Message(verb string, topics ...string) *Request {
	r := &Request{Route: c.Route, Verb: verb, Who: c.Who, Remote: c.R.RemoteAddr, Path: strings.Clone(c.R.URL.Path), Topics: topics}
	if h, ok := c.Gate.(HeaderReader); ok {
		r.Header = kept(c.R.Header, h.Headers())
	}
	return r
}

// HeaderReader is an ability of an Admission: it says which header fields it looks
// at, so that they are kept for the messages of a connection.
type HeaderReader interface{ Headers() []string }

// kept gives the named fields of a header, without keeping the others.
func kept(h http.Header, names []string) func(string) []string {
	var few http.Header
	for _, name := range names {
		if values := h.Values(name); len(values) > 0 {
			if few == nil {
				few = http.Header{}
			}
			few[http.CanonicalHeaderKey(name)] = slices.Clone(values)
		}
	}
	if few == nil {
		return nil
	}
	return few.Values
}

// Request is what Admission sees of a request, through whatever door it came.
type Request struct {
	Route  *Route
	Verb   string // what a message does, on a connection whose route is for something else: "publish"; "" = what the route is for
	Who    Identity
	Remote string                     // HOST:PORT of the peer
	Path   string                     // "/v1/topics/orders/events", "/parley.v1.Publish/Publish"
	Topics []string                   // what it acts on, names or patterns; none = nothing in particular
	Header func(name string) []string // all values of a header field, or of gRPC metadata; nil = there are none
	Answer http.Header                // for fields of the answer; nil = there are none to set
}
