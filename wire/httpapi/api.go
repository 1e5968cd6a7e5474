package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/pattern/pipe/declared"
	"github.com/parleyhq/parley/pattern/pubsub"
	"github.com/parleyhq/parley/pattern/queue"
	"github.com/parleyhq/parley/pattern/stream"
	"github.com/parleyhq/parley/pattern/stream/schema"
	"github.com/parleyhq/parley/pattern/throttle/policy"
	"github.com/parleyhq/parley/wire/door"
)

// Options of the door. Topics, Hub, Lives and Context are required.
type Options struct {
	Topics *topic.Registry
	Hub    *pubsub.Hub
	Lives  *door.Lives
	// Context ends the reading of long-lived connections: the server's life.
	Context context.Context //nolint:containedctx // connections outlive their requests
	// Home takes connections of held requests back; nil = they are closed.
	Home      *door.Listener
	Identify  door.Identifier    // nil = door.Open
	Admission door.Admission     // nil = door.AdmitAll
	Throttle  *policy.Registry   // nil = the door has no routes of limits
	Schemas   *schema.Registry   // nil = the door has no routes of schemas
	Queues    *queue.Registry    // nil = the door has no routes of queues
	Groups    *stream.Groups     // nil = the door has no routes of groups
	Pipes     *declared.Registry // nil = the door has no routes of pipes
	Observe   Observer           // nil = nobody
	Log       *slog.Logger       // nil = slog.Default
	Now       func() time.Time
	Limits    Limits
	Access    Access
	Aliases   []Alias
	Snapshot  Snapshot // nil = nothing is stored that could be copied
	Version   string   // of the product, for the OpenAPI document
}

// Limits of requests and connections. Zero fields are the defaults.
type Limits struct {
	Body int64 // bytes of a request's body; default 8 MiB
	// BodyTime is how long a body may take to arrive; default 1 minute.
	BodyTime time.Duration
	Lives    int // streams, sockets and held requests at a time; default 100,000
	// Rotate is about how long a stream of server-sent events lives before the
	// client is asked to come back; default 1h.
	Rotate time.Duration
}

func (l Limits) withDefaults() Limits {
	if l.Body <= 0 {
		l.Body = 8 << 20
	}
	if l.BodyTime <= 0 {
		l.BodyTime = time.Minute
	}
	if l.Lives <= 0 {
		l.Lives = 100_000
	}
	if l.Rotate <= 0 {
		l.Rotate = time.Hour
	}
	return l
}

// Alias puts a pattern at a path of the user's choice.
type Alias struct {
	Path  string // "/chat"
	As    string // "poll", "sse", "websocket" or "publish"
	Topic string
}

// Observer is told of every finished request, for metrics.
type Observer interface {
	Request(route string, status int, took time.Duration)
}

// API is the door. It is an http.Handler for /v1 and the aliases.
type API struct {
	opt    Options
	paths  map[string][]*door.Route // by path, in the order of the table
	mux    *http.ServeMux
	routes []door.Route
	taps   chan struct{} // a place for each tap of a pipe
}

// New builds the door.
func New(opt Options) (*API, error) {
	if opt.Identify == nil {
		opt.Identify = door.Open{}
	}
	if opt.Admission == nil {
		opt.Admission = door.AdmitAll{}
	}
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	opt.Limits = opt.Limits.withDefaults()
	a := &API{opt: opt, paths: map[string][]*door.Route{}, mux: http.NewServeMux(), taps: make(chan struct{}, maxTaps)}
	a.routes = a.table()
	for i := range a.routes {
		r := &a.routes[i]
		a.paths[r.Path] = append(a.paths[r.Path], r)
	}
	for path := range a.paths {
		a.mux.HandleFunc(path, a.serve)
	}
	a.mux.HandleFunc(anything, a.nothing)
	for _, alias := range opt.Aliases {
		if err := a.alias(alias); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// Routes is the table.
func (a *API) Routes() []door.Route { return a.routes }

// CheckAlias says whether an alias can be: a path of plain characters that is not
// one of the server's own, a pattern, and the name of a topic. Errors: Invalid,
// Forbidden.
func CheckAlias(alias Alias) error {
	if path := alias.Path; len(path) < 2 || path[0] != '/' || strings.Trim(path, pathBytes) != "" || strings.Contains(path, "//") || strings.Contains(path, "/.") {
		return parley.BadField("path", strconv.Quote(path)+" is not a path that can be served", "write it like /chat, of letters, digits and -._~/")
	}
	for _, own := range []string{"/v1", "/healthz", "/readyz", "/metrics"} {
		if alias.Path == own || strings.HasPrefix(alias.Path, own+"/") {
			return parley.BadField("path", alias.Path+" is taken", "choose another path than those that begin with "+own)
		}
	}
	if !slices.Contains(aliasPatterns, alias.As) {
		return parley.BadField("as", strconv.Quote(alias.As)+" is not a pattern that a path can have", "use "+strings.Join(aliasPatterns, ", "))
	}
	return topic.CheckName(alias.Topic)
}

const pathBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/"

var aliasPatterns = []string{"publish", "poll", "sse", "websocket"} // each the Name of its routes

// alias serves a path of the user's by the routes of one pattern's path.
func (a *API) alias(alias Alias) error {
	if err := CheckAlias(alias); err != nil {
		return err
	}
	name := alias.As
	if _, pattern := a.mux.Handler(&http.Request{Method: http.MethodGet, URL: &url.URL{Path: alias.Path}}); pattern != anything {
		return parley.BadField("path", alias.Path+" is taken", "choose another one")
	}
	var routes []*door.Route
	for i := range a.routes {
		if a.routes[i].Name == name {
			routes = append(routes, &a.routes[i])
		}
	}
	path := alias.Path
	if strings.HasSuffix(path, "/") {
		path += "{$}" // the path itself, and not all below it
	}
	a.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		r.SetPathValue("topic", alias.Topic)
		a.dispatch(w, r, routes)
	})
	return nil
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// The mux would redirect to the clean path; an API has one path for a thing.
	if path := r.URL.Path; strings.Contains(path, "//") || strings.Contains(path, "/.") {
		a.nothing(w, r)
		return
	}
	a.mux.ServeHTTP(w, r)
}

// anything is the mux pattern of the paths that nothing is at.
const anything = "/"

// nothing answers where nothing is.
func (a *API) nothing(w http.ResponseWriter, r *http.Request) {
	door.WriteProblem(w, &parley.Error{Code: parley.NotFound, Field: "path", Detail: "nothing is at " + r.URL.Path, Fix: "see /v1/openapi.json for what is there"}, door.TraceOf(r.Header.Get("Traceparent")))
}

// Serves says whether a request is for this door; the console has the rest.
func (a *API) Serves(r *http.Request) bool {
	_, pattern := a.mux.Handler(r)
	return pattern != anything
}

// serve is the handler of every path of the table.
func (a *API) serve(w http.ResponseWriter, r *http.Request) {
	a.dispatch(w, r, a.paths[r.Pattern])
}
