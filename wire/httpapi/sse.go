package httpapi

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pubsub"
	"github.com/parleyhq/parley/pattern/sse"
	"github.com/parleyhq/parley/wire/door"
)

func (a *API) sseRoutes() []door.Route {
	params := []door.Param{
		{Name: "after", In: "query", Type: "string", Default: "latest", Description: "a cursor, earliest, latest, or @ and an RFC 3339 time; Last-Event-ID beats it"},
		{Name: "Last-Event-ID", In: "header", Type: "string", Description: "the id of the last event seen, as EventSource sends it"},
		{Name: "names", In: "query", Type: "string", Description: "type: set event: to the event's type"},
		{Name: "format", In: "query", Type: "string", Default: "data", Description: "data, or cloudevents for whole events"},
		{Name: "ephemeral", In: "query", Type: "boolean", Default: "false", Description: "also what is published to ~TOPIC"},
	}
	errs := []parley.Code{parley.Invalid, parley.NotFound, parley.Unprocessable}
	many := door.Param{Name: "topic", In: "query", Type: "string", Description: "a topic or pattern; may be repeated, up to 64 times"}
	return []door.Route{
		{
			Method: http.MethodGet, Path: "/v1/topics/{topic}/events", Accept: sse.ContentType, Name: "sse", Pattern: "sse",
			Summary: "Stream a topic as server-sent events.", Media: []string{sse.ContentType},
			Verb: "read", On: "topic", Handle: a.sse, Params: params, Errors: errs,
			Example: `curl -N -H 'Accept: text/event-stream' http://127.0.0.1:7275/v1/topics/orders/events`,
		},
		{
			Method: http.MethodGet, Path: "/v1/sse", Name: "sse-many", Pattern: "sse",
			Summary: "Stream several topics and patterns as server-sent events.", Media: []string{sse.ContentType},
			Handle: a.sse, Errors: errs, Late: true,
			Params:  append([]door.Param{many}, params...),
			Example: `curl -N 'http://127.0.0.1:7275/v1/sse?topic=orders&topic=payments.*'`,
		},
	}
}

func (a *API) sse(c *door.Call) error {
	style, req, err := sseRequest(c)
	if err != nil {
		return err
	}
	for _, name := range req.Topics {
		if err := c.Allow("read", name); err != nil {
			return err
		}
	}
	if c.Route.Late {
		if err := c.Admit(req.Topics...); err != nil {
			return err
		}
	}
	if a.opt.Lives.Count() >= a.opt.Limits.Lives {
		return refuseSSE(c)
	}
	sub, err := a.opt.Hub.Subscribe(c.Context(), req)
	if err != nil {
		return err
	}
	sse.SetHeader(c.W.Header(), c.R.Proto)
	if c.R.Method == http.MethodHead {
		sub.Close() // it was opened to answer as GET would
		return nil
	}
	flow := &sseFlow{api: a, sub: sub, style: style, ends: a.opt.Now().Add(a.opt.Limits.Rotate/2 + rand.N(a.opt.Limits.Rotate))}
	if !c.Who.Expires.IsZero() && c.Who.Expires.Before(flow.ends) {
		flow.ends = c.Who.Expires // whoever comes back then needs a new token
	}
	if c.R.ProtoMajor == 1 && c.R.ContentLength == 0 {
		if conn, _, err := http.NewResponseController(c.W).Hijack(); err == nil {
			hijacked(c.W, http.StatusOK)
			flow.leave = c.Keep()
			head := sseHead(c.W.Header())
			a.opt.Lives.Start(conn, head, func(l *door.Live) door.Flow { flow.wake = l; return flow })
			return nil
		}
	}
	c.W.WriteHeader(http.StatusOK)
	return a.opt.Lives.Stream(c.W, c.R, func(w pubsub.Waker) door.Flow { flow.wake = w; return flow })
}

// sseRequest reads what to stream, from where, and how.
func sseRequest(c *door.Call) (style sse.Style, req pubsub.Request, err error) {
	q := c.Query
	if req.Topics = q["topic"]; c.R.PathValue("topic") != "" {
		req.Topics = []string{c.R.PathValue("topic")}
	}
	if len(req.Topics) > pubsub.MaxStreams {
		return style, req, parley.BadField("topic", "it is given more than "+strconv.Itoa(pubsub.MaxStreams)+" times", "stream fewer topics at a time, or a pattern")
	}
	after, err := param(q, "after")
	if err != nil {
		return style, req, err
	}
	if id := sse.LastEventID(c.R); id != "" {
		after = id
	}
	if req.From, err = pubsub.ParseFrom(after); err != nil {
		return style, req, err
	}
	if req.Ephemeral, err = boolParam(q, "ephemeral"); err != nil {
		return style, req, err
	}
	switch q.Get("names") {
	case "":
	case "type":
		style.Names = true
	default:
		return style, req, parley.BadField("names", "is not type", "send names=type, or leave it away")
	}
	switch q.Get("format") {
	case "", "data":
	case "cloudevents":
		style.Structured = true
	default:
		return style, req, parley.BadField("format", "is neither data nor cloudevents", "send one of these")
	}
	return style, req, nil
}

// refuseSSE is the answer under overload: a browser gives up for good on any
// status but 200, so it is told to come back later.
func refuseSSE(c *door.Call) error {
	sse.SetHeader(c.W.Header(), c.R.Proto)
	if c.R.ProtoMajor == 1 { // on HTTP/2 it would end the requests beside it
		c.W.Header().Set("Connection", "close")
	}
	body := sse.AppendEnd(sse.AppendRetry(nil, 10*time.Second+rand.N(20*time.Second)))
	_, err := c.W.Write(body)
	return clientGone(err)
}

// sseHead encodes the head of a response that ends with its connection.
func sseHead(h http.Header) []byte {
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 200 OK\r\n")
	h.Set("Date", httpDate())
	h.Set("Connection", "close") // RFC 9112 §6.3: no length, so the body ends with it
	_ = h.Write(&b)              // to memory
	b.WriteString("\r\n")
	return b.Bytes()
}

// sseFlow is one stream: a door.Flow.
type sseFlow struct {
	api   *API
	sub   *pubsub.Subscription
	style sse.Style
	wake  pubsub.Waker
	leave func() // frees the place inside; nil = the handler does
	ends  time.Time
	open  bool
}

// fillBytes is about how much a stream sends in one write.
const fillBytes = 64 << 10

// Fill implements door.Flow.
func (f *sseFlow) Fill(dst []byte) ([]byte, error) {
	if !f.open {
		f.open = true
		dst = sse.AppendOpening(dst, f.sub.Cursor())
	}
	if !f.api.opt.Now().Before(f.ends) {
		return f.Drain(dst), io.EOF
	}
	for {
		d, err := f.sub.Fetch(f.api.opt.Context, fillBytes)
		if err != nil {
			return f.Drain(dst), err
		}
		if !d.Empty() {
			return f.style.AppendDelivery(dst, &d), nil
		}
		if f.sub.Park(f.wake) {
			return dst, nil
		}
	}
}

// Beat implements door.Flow.
func (f *sseFlow) Beat(dst []byte) []byte { return append(dst, sse.Heartbeat...) }

// Drain implements door.Flow: when to come back, spread at random.
func (f *sseFlow) Drain(dst []byte) []byte {
	return sse.AppendEnd(sse.AppendRetry(dst, 500*time.Millisecond+rand.N(2500*time.Millisecond)))
}

// Read implements door.Flow: a client of a stream has nothing to say, so that all
// that can come is its end. What it sends all the same is read and forgotten, up
// to a bound.
func (f *sseFlow) Read(conn net.Conn) error {
	var b [1]byte
	for range 4096 {
		if _, err := conn.Read(b[:]); err != nil {
			return err
		}
	}
	return parley.BadField("connection", "the client keeps sending on a stream that is one-way", "use another connection")
}

// Done implements door.Flow.
func (f *sseFlow) Done(error) {
	f.sub.Close()
	if f.leave != nil {
		f.leave()
	}
}
