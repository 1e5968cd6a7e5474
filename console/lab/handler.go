package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/wire/door"
)

// Options of a Lab. Handler is required.
type Options struct {
	// Handler is the server's API, which lanes talk to.
	Handler http.Handler
	// Runs is how many runs there may be at a time; default 1, so that lanes measure
	// the server and not each other.
	Runs int
}

// Lab answers GET /lab/lanes, POST /lab/run, POST /lab/limits, POST /lab/queue, POST
// /lab/groups and POST /lab/pipe.
type Lab struct {
	opt  Options
	mux  *http.ServeMux
	room chan struct{} // a token for each run
	own  *http.CrossOriginProtection
	open open
}

// New makes a lab; it starts nothing until it is asked to.
func New(opt Options) *Lab {
	if opt.Runs <= 0 {
		opt.Runs = 1
	}
	l := &Lab{opt: opt, mux: http.NewServeMux(), room: make(chan struct{}, opt.Runs), own: http.NewCrossOriginProtection(), open: loopback}
	l.mux.HandleFunc("GET /lab/lanes", l.lanes)
	l.mux.HandleFunc("POST /lab/run", l.run)
	l.mux.HandleFunc("POST /lab/limits", l.limits)
	l.mux.HandleFunc("POST /lab/queue", l.queue)
	l.mux.HandleFunc("POST /lab/groups", l.groups)
	l.mux.HandleFunc("POST /lab/pipe", l.pipe)
	return l
}

// Serves says whether a request is for the lab.
func (l *Lab) Serves(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/lab/") }

// ServeHTTP implements http.Handler.
func (l *Lab) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, pattern := l.mux.Handler(r); pattern == "" {
		fail(w, r, &parley.Error{Code: parley.NotFound, Field: "path", Detail: "nothing is at " + r.Method + " " + r.URL.Path, Fix: "use GET /lab/lanes, POST /lab/run, POST /lab/limits, POST /lab/queue, POST /lab/groups or POST /lab/pipe"})
		return
	}
	l.mux.ServeHTTP(w, r)
}

func fail(w http.ResponseWriter, r *http.Request, err error) {
	door.WriteProblem(w, err, door.TraceOf(r.Header.Get("Traceparent")))
}

// About is the answer of GET /lab/lanes.
type About struct {
	Lanes       []Lane       `json:"lanes"`
	Limits      []Experiment `json:"limits"`
	Crews       []Crew       `json:"crews"`   // of a run with a work queue
	Readers     []Reader     `json:"readers"` // of a run with consumer groups
	Flows       []Flow       `json:"flows"`   // of a run with pipes
	MaxDuration Duration     `json:"max_duration"`
	MaxEvents   int          `json:"max_events"`
}

func (l *Lab) lanes(w http.ResponseWriter, _ *http.Request) {
	body, _ := json.Marshal(About{Lanes: Lanes(), Limits: Experiments(), Crews: Crews(), Readers: Readers(), Flows: Flows(), MaxDuration: Duration(MaxDuration), MaxEvents: MaxEvents}) // plain values
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(append(body, '\n')) // the client is gone when it fails
}

// run answers with a line of JSON for each thing that happens, as it happens: one
// Line with start, then trace, and figures or an error at the end.
func (l *Lab) run(w http.ResponseWriter, r *http.Request) {
	req, err := asked(l, w, r, ParseRequest)
	if err == nil {
		err = l.enter(time.Duration(req.Duration))
	}
	if err != nil {
		fail(w, r, err)
		return
	}
	defer l.leave()
	one := &run{req: req, api: l.opt.Handler, open: l.open, topic: topicName(), token: bearer(r)}
	// The API decides who may: it sees the caller's token, origin and host.
	if made := l.ask(r, http.MethodPut, "/v1/topics/"+one.topic, `{"max_age": "10m"}`); made.status >= 300 {
		made.copy(w)
		return
	}
	defer l.ask(r.WithContext(context.WithoutCancel(r.Context())), http.MethodDelete, "/v1/topics/"+one.topic, "")
	one.rec = newRecorder(time.Now(), one.names(), req.Events)
	stream(w, r, one)
}

// enter takes the place of a run, which takes about so long. Error: Overloaded.
func (l *Lab) enter(long time.Duration) error {
	select {
	case l.room <- struct{}{}:
		return nil
	default:
		return &parley.Error{Code: parley.Overloaded, Detail: "another run is under way", Fix: "try again when it is over", RetryAfter: max(long.Round(time.Second), time.Second)}
	}
}

func (l *Lab) leave() { <-l.room }

// asked reads what to run, if a page of this server asks.
func asked[T any](l *Lab, w http.ResponseWriter, r *http.Request, parse func([]byte) (T, error)) (none T, err error) {
	if err := l.own.Check(r); err != nil {
		return none, &parley.Error{Code: parley.Forbidden, Field: "Origin", Detail: "only the server's own pages may run the lab", Fix: "open the console of this server"}
	}
	// A page elsewhere could send other types without being asked for its origin.
	if media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); media != "application/json" {
		return none, &parley.Error{Code: parley.Unsupported, Field: "Content-Type", Detail: "is not application/json", Fix: "send JSON and say so"}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody+1))
	if err != nil {
		return none, &parley.Error{Code: parley.TooLarge, Field: "body", Detail: err.Error(), Fix: "a request is a few members"}
	}
	return parse(body)
}

// bearer is the caller's token (RFC 6750 §2.1).
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// ask sends the API a request in the caller's name.
func (l *Lab) ask(r *http.Request, method, path, body string) *answer {
	a := &answer{header: http.Header{}}
	req, err := http.NewRequestWithContext(r.Context(), method, path, strings.NewReader(body))
	if err != nil {
		return &answer{header: http.Header{}, status: http.StatusInternalServerError}
	}
	req.Host, req.RemoteAddr = r.Host, r.RemoteAddr
	for _, name := range []string{"Authorization", "Origin", "Traceparent"} {
		if v := r.Header.Get(name); v != "" {
			req.Header.Set(name, v)
		}
	}
	l.opt.Handler.ServeHTTP(a, req)
	return a
}

// answer holds what the API answered.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

func (a *answer) copy(w http.ResponseWriter) {
	maps.Copy(w.Header(), a.header)
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body.Bytes()) // the client is gone when it fails
}
