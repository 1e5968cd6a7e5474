package httpapi

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/throttle"
	"github.com/parleyhq/parley/pattern/throttle/httpthrottle"
	"github.com/parleyhq/parley/wire/door"
)

// exchange is a request on its way, and what was answered.
type exchange struct {
	door.Call
	out statusWriter
}

// dispatch takes a request through the door: trace, origin, method, identity,
// decision, admission, handler; an error anywhere becomes a problem document.
func (a *API) dispatch(w http.ResponseWriter, r *http.Request, routes []*door.Route) {
	x := &exchange{out: statusWriter{ResponseWriter: w}}
	x.Call = door.Call{W: &x.out, R: r, Trace: door.TraceOf(r.Header.Get("Traceparent")), Now: a.opt.Now(), Gate: a.opt.Admission}
	if r.ContentLength != 0 { // also for a body that nobody wants: net/http reads it to find the next request
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(a.opt.Limits.BodyTime))
	}
	if r.ProtoMajor > 1 { // whose streams wait for the peer, not for the connection
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTime))
	}
	err := a.opt.Access.Check(x.W, r)
	if err == nil && r.Method == http.MethodOptions {
		preflight(x.W, routes)
		return
	}
	if err == nil {
		x.Route, err = choose(x.W, r, routes)
	}
	if err == nil {
		x.Query, err = parseQuery(r)
	}
	if err == nil {
		err = a.admit(x)
	}
	if err != nil {
		a.failed(x, err)
	}
	a.observe(x)
}

// answerTime is how long a peer on HTTP/2 may take for an answer. Streams, and
// requests that wait, count anew.
const answerTime = time.Minute

// admit asks who, whether they may, and whether there is room; then it runs the
// handler.
func (a *API) admit(x *exchange) error {
	if err := a.identify(&x.Call); err != nil {
		return err
	}
	if x.Route.Verb != "" {
		on := ""
		if x.Route.On != "" {
			on = x.R.PathValue(x.Route.On)
		}
		if err := x.Allow(x.Route.Verb, on); err != nil {
			return err
		}
	}
	defer x.Done()
	err := x.limits()
	if err == nil {
		err = x.Route.Handle(&x.Call)
	}
	if x.Route.Pattern == "sse" && x.out.status == 0 && parley.CodeOf(err) == parley.Overloaded {
		return refuseSSE(&x.Call)
	}
	return err
}

// limits asks Admission, unless the handler does.
func (x *exchange) limits() error {
	if x.Route.Late {
		return nil
	}
	for _, name := range [...]string{"topic", "queue", "group"} {
		if on := x.R.PathValue(name); on != "" {
			return x.Admit(on)
		}
	}
	return x.Admit()
}

// identify finds out who asks. A token may be in one place only (RFC 6750 §2).
func (a *API) identify(c *door.Call) (err error) {
	if c.Query.Has(tokenParam) {
		const fix = "send Authorization: Bearer TOKEN alone"
		switch {
		case c.R.Method != http.MethodGet && c.R.Method != http.MethodHead:
			return parley.BadField(tokenParam, "only GET carries the token in its query", fix)
		case c.R.Header.Get("Authorization") != "":
			return parley.BadField(tokenParam, "the token comes in two places", fix)
		case len(c.Query[tokenParam]) > 1:
			return parley.BadField(tokenParam, "it is given more than once", "give it once")
		}
	}
	c.Who, err = a.opt.Identify.Identify(credential(c.R, c.Query), c.Now)
	return err
}

const tokenParam = "access_token"

// Credential is the bearer token of a request (RFC 6750 §2.1). A browser cannot
// set headers for EventSource and WebSocket, so a GET may carry it in the query
// (§2.3); queries are never logged.
func Credential(r *http.Request) string {
	if r.URL.RawQuery == "" {
		return credential(r, nil)
	}
	return credential(r, r.URL.Query())
}

func credential(r *http.Request, query url.Values) string {
	if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "bearer") {
		return strings.TrimSpace(token)
	}
	if h := r.Header.Get("Authorization"); h != "" {
		return h // not a scheme of ours: refused as a token that it is not
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return query.Get(tokenParam)
	}
	return ""
}

// parseQuery reads the query once. net/url drops what it cannot read, which would
// turn a mangled cursor into none.
func parseQuery(r *http.Request) (url.Values, error) {
	if r.URL.RawQuery == "" {
		return nil, nil
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, parley.BadField("query", "not a query string", "percent-encode its values")
	}
	return q, nil
}

// choose finds the route of a method, and of those with the same the one that
// answers in the media type that the client prefers.
func choose(w http.ResponseWriter, r *http.Request, routes []*door.Route) (*door.Route, error) {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	var found *door.Route
	for _, route := range routes {
		if route.Method != method {
			continue
		}
		if route.Accept != "" && prefers(r.Header["Accept"], route.Accept, "application/json") {
			return route, nil
		}
		if found == nil || route.Accept == "" { // an alias of a stream has no other route
			found = route
		}
	}
	if found == nil {
		list := strings.Join(methods(routes), ", ")
		w.Header().Set("Allow", list)
		return nil, &parley.Error{Code: parley.MethodNotAllowed, Field: "method", Detail: r.Method + " is not a method of " + r.URL.Path, Fix: "use one of " + list}
	}
	return found, nil
}

func methods(routes []*door.Route) []string {
	var list []string
	for _, route := range routes {
		if !slices.Contains(list, route.Method) {
			list = append(list, route.Method)
		}
		if route.Method == http.MethodGet && !slices.Contains(list, http.MethodHead) {
			list = append(list, http.MethodHead)
		}
	}
	return append(list, http.MethodOptions)
}

// failed answers with an error, unless an answer has begun.
func (a *API) failed(x *exchange, err error) {
	code := parley.CodeOf(err)
	level := slog.LevelDebug
	if code == parley.Internal || code == parley.Damaged || code == parley.Unknown {
		level = slog.LevelError
	}
	if a.opt.Log.Enabled(x.Context(), level) {
		a.opt.Log.LogAttrs(x.Context(), level, "request failed", slog.String("method", x.R.Method), slog.String("path", x.R.URL.Path), slog.String("code", code.String()), slog.String("trace", x.Trace.String()), slog.Any("error", err))
	}
	if x.out.status != 0 {
		return
	}
	if over, ok := errors.AsType[*throttle.Error](err); ok {
		httpthrottle.Refuse(x.W, x.R, over)
		return
	}
	h := x.W.Header()
	status, body := door.SetProblem(h, err, x.Trace)
	x.challenge(h, err)
	x.W.WriteHeader(status)
	_, _ = x.W.Write(body) // the peer is gone when it fails
}

// challenge says what is wrong with a token (RFC 6750 §3.1), in a field of its
// own beside the problem document. Who sent none is told nothing but the scheme.
func (x *exchange) challenge(h http.Header, err error) {
	var e *parley.Error
	if !errors.As(err, &e) || e.Field != "Authorization" || credential(x.R, x.Query) == "" {
		return
	}
	switch e.Code {
	case parley.Unauthenticated:
		h.Set("WWW-Authenticate", `Bearer realm="parley", error="invalid_token"`)
	case parley.Forbidden:
		h.Set("WWW-Authenticate", `Bearer realm="parley", error="insufficient_scope"`)
	}
}

func (a *API) observe(x *exchange) {
	name := "none"
	if x.Route != nil {
		name = x.Route.Name
	}
	logs := a.opt.Log.Enabled(x.Context(), slog.LevelDebug)
	if a.opt.Observe == nil && !logs {
		return
	}
	took := a.opt.Now().Sub(x.Now)
	if a.opt.Observe != nil {
		a.opt.Observe.Request(name, x.out.code(), took)
	}
	if logs {
		a.opt.Log.LogAttrs(x.Context(), slog.LevelDebug, "request", slog.String("route", name), slog.String("method", x.R.Method), slog.String("path", x.R.URL.Path), slog.Int("status", x.out.code()), slog.Duration("took", took), slog.String("who", x.Who.Name), slog.String("trace", x.Trace.String()))
	}
}
