package httpapi

import (
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/wire/door"
)

// dispatch takes a request through the door: trace, origin, method, identity,
// decision, admission, handler; an error anywhere becomes a problem document.
func (a *API) dispatch(w http.ResponseWriter, r *http.Request, routes []*door.Route) {
	call := &door.Call{W: &statusWriter{ResponseWriter: w}, R: r, Trace: door.TraceOf(r.Header.Get("Traceparent")), Now: a.opt.Now()}
	err := a.opt.Access.check(call.W, r)
	if err == nil && r.Method == http.MethodOptions {
		preflight(call.W, routes)
		return
	}
	if err == nil {
		call.Route, err = choose(call.W, r, routes)
	}
	if err == nil {
		err = a.admit(call)
	}
	if err != nil {
		a.failed(call, err)
	}
	a.observe(call)
}

// admit asks who, whether they may, and whether there is room; then it runs the
// handler.
func (a *API) admit(call *door.Call) error {
	var err error
	if call.Who, err = a.opt.Identify.Identify(Credential(call.R), call.Now); err != nil {
		return err
	}
	if call.Route.Verb != "" {
		on := ""
		if call.Route.On != "" {
			on = call.R.PathValue(call.Route.On)
		}
		if err := call.Allow(call.Route.Verb, on); err != nil {
			return err
		}
	}
	release, err := a.opt.Admission.Admit(call.Context(), &door.Request{
		Route: call.Route, Who: call.Who, Remote: call.R.RemoteAddr, Path: call.R.URL.Path, Topic: call.R.PathValue("topic"), Header: call.R.Header.Get,
	})
	if err != nil {
		return err
	}
	defer release()
	call.R.Body = http.MaxBytesReader(call.W, call.R.Body, a.opt.Limits.Body)
	return call.Route.Handle(call)
}

// choose finds the route of a method, and of those with the same the one that
// answers in the media type that the client asks for first.
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
		if route.Accept != "" && accepts(r, route.Accept) {
			return route, nil
		}
		if found == nil {
			found = route // an alias of a stream has no other route
		}
		if route.Accept == "" {
			found = route
		}
	}
	if found == nil {
		w.Header().Set("Allow", strings.Join(methods(routes), ", "))
		return nil, &parley.Error{Code: parley.MethodNotAllowed, Field: "method", Detail: r.Method + " is not a method of " + r.URL.Path, Fix: "use one of " + strings.Join(methods(routes), ", ")}
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

// accepts says whether the client names a media type in Accept.
func accepts(r *http.Request, media string) bool {
	for _, line := range r.Header.Values("Accept") {
		for part := range strings.SplitSeq(line, ",") {
			if m, params, err := mime.ParseMediaType(part); err == nil && m == media && params["q"] != "0" {
				return true
			}
		}
	}
	return false
}

// Credential is the bearer token of a request (RFC 6750 §2.1). A browser cannot
// set headers for EventSource and WebSocket, so a GET may carry it in the query
// (§2.3); queries are never logged.
func Credential(r *http.Request) string {
	if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "bearer") {
		return strings.TrimSpace(token)
	}
	if h := r.Header.Get("Authorization"); h != "" {
		return h // not a scheme of ours: refused as a token that it is not
	}
	if r.Method == http.MethodGet {
		return r.URL.Query().Get("access_token")
	}
	return ""
}

func (a *API) failed(call *door.Call, err error) {
	code := parley.CodeOf(err)
	level := slog.LevelDebug
	if code == parley.Internal || code == parley.Damaged || code == parley.Unknown {
		level = slog.LevelError
	}
	a.opt.Log.LogAttrs(call.Context(), level, "request failed", slog.String("method", call.R.Method), slog.String("path", call.R.URL.Path), slog.String("code", code.String()), slog.String("trace", call.Trace.String()), slog.Any("error", err))
	if sw := call.W.(*statusWriter); sw.status == 0 {
		door.WriteProblem(call.W, err, call.Trace)
	}
}

func (a *API) observe(call *door.Call) {
	name := "none"
	if call.Route != nil {
		name = call.Route.Name
	}
	sw := call.W.(*statusWriter)
	took := a.opt.Now().Sub(call.Now)
	if a.opt.Observe != nil {
		a.opt.Observe.Request(name, sw.code(), took)
	}
	a.opt.Log.LogAttrs(call.Context(), slog.LevelDebug, "request", slog.String("route", name), slog.String("method", call.R.Method), slog.String("path", call.R.URL.Path), slog.Int("status", sw.code()), slog.Duration("took", took), slog.String("who", call.Who.Name), slog.String("trace", call.Trace.String()))
}

// statusWriter remembers what was answered.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 || w.status < 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *statusWriter) code() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}

// hijacked notes that the connection has left HTTP with this status.
func hijacked(w http.ResponseWriter, status int) {
	if sw, ok := w.(*statusWriter); ok {
		sw.status = status
	}
}

func mustPath(path string) *url.URL { return &url.URL{Path: path} }
