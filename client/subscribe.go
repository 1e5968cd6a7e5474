package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/sse"
)

// Transport is how a subscription reaches the server.
type Transport string

// The transports. All of them deliver the same events with the same cursor.
const (
	SSE       Transport = "sse"
	WebSocket Transport = "websocket"
	LongPoll  Transport = "long-poll"
	ShortPoll Transport = "short-poll"
	GRPC      Transport = "grpc" // needs Options.GRPC
)

// Receiver is a transport that package client does not link: one call of Receive
// is one connection, which begins at from and hands events to give until that or
// the connection fails.
type Receiver interface {
	Receive(ctx context.Context, s Subscription, from string, give func(Received) error) error
}

// Subscription says what to receive.
type Subscription struct {
	Topics []string // names and patterns; WebSocket and polling take one name
	From   string   // a cursor, "earliest", "latest", "@TIME"; empty = latest
	Over   Transport
	// Every is the pace of ShortPoll; default 1s.
	Every time.Duration
	// Ephemeral also takes what is published to ~TOPIC. ShortPoll cannot, and
	// LongPoll misses what comes between two requests.
	Ephemeral bool
	// Count is after how many events the loop will be left, if that is known: then
	// polling asks for no more, and the last of them has a cursor.
	Count int
}

// Received is one event, or word about the reader's place.
type Received struct {
	parley.Event
	// Cursor is the place after the event: what Subscription.From takes to go on
	// exactly there, over any transport. Empty for an ephemeral event, and over
	// polling for all but the last event of a page.
	Cursor string
	// Notice is "gap", "reset" or "ahead" when the place could not be kept; there
	// is no event then.
	Notice string
}

// Subscribe receives events for ever, over as many connections as it takes. It
// ends with ctx's error, or with one that trying again cannot mend (Forbidden,
// NotFound, Invalid, …), yielded last.
func (c *Client) Subscribe(ctx context.Context, s Subscription) iter.Seq2[Received, error] {
	return func(yield func(Received, error) bool) {
		if len(s.Topics) == 0 {
			yield(Received{}, parley.BadField("Topics", "no topic is named", "name at least one"))
			return
		}
		if len(s.Topics) > 1 && s.Over != SSE && s.Over != GRPC && s.Over != "" {
			yield(Received{}, parley.BadField("Topics", "this transport takes one topic", "use SSE or gRPC for several"))
			return
		}
		if s.Ephemeral && s.Over == ShortPoll {
			yield(Received{}, parley.BadField("Ephemeral", "a short poll is not there when something ephemeral is published", "use another transport"))
			return
		}
		switch s.Over {
		case SSE, "":
			c.overSSE(ctx, s, yield)
		case WebSocket:
			c.reconnect(ctx, s, yield, c.overWebSocket)
		case LongPoll, ShortPoll:
			c.reconnect(ctx, s, yield, c.overPoll)
		case GRPC:
			if c.opt.GRPC == nil {
				yield(Received{}, parley.BadField("Over", "the client has no gRPC transport", "set Options.GRPC to one of package client/overgrpc"))
				return
			}
			c.reconnect(ctx, s, yield, func(ctx context.Context, s *session) error {
				return c.opt.GRPC.Receive(ctx, s.Subscription, s.cursor, s.give)
			})
		default:
			yield(Received{}, parley.BadField("Over", "no such transport: "+string(s.Over), "use sse, websocket, long-poll, short-poll or grpc"))
		}
	}
}

// stopped is how a connection ends because the loop was left.
var stopped = errors.New("the loop was left")

// session is one subscription over its connections.
type session struct {
	Subscription
	cursor string // where to go on
	alive  bool   // this connection has worked
	given  int    // events that the loop has had
	yield  func(Received, error) bool
}

// give hands an event to the loop and then moves on behind it.
func (s *session) give(r Received) error {
	s.alive = true
	if r.ID != "" {
		s.given++
	}
	// Without event and notice it is a checkpoint: the place alone.
	if (r.ID != "" || r.Notice != "") && !s.yield(r, nil) {
		return stopped
	}
	if r.Cursor != "" {
		s.cursor = r.Cursor
	}
	return nil
}

// reconnect runs one connection after the other.
func (c *Client) reconnect(ctx context.Context, sub Subscription, yield func(Received, error) bool, run func(context.Context, *session) error) {
	s := &session{Subscription: sub, cursor: sub.From, yield: yield}
	wait := time.Duration(0)
	for {
		s.alive = false
		err := run(ctx, s)
		switch {
		case errors.Is(err, stopped):
			return
		case ctx.Err() != nil:
			yield(Received{}, ctx.Err())
			return
		case err != nil && !again(err):
			yield(Received{}, err)
			return
		}
		if wait = min(2*wait+250*time.Millisecond, 30*time.Second); s.alive {
			wait = 250 * time.Millisecond
		}
		jittered := wait/2 + rand.N(wait)
		var e *parley.Error
		if errors.As(err, &e) && e.RetryAfter > jittered {
			jittered = e.RetryAfter
		}
		if c.opt.OnReconnect != nil {
			c.opt.OnReconnect(err, jittered)
		}
		if !pause(ctx, jittered) {
			yield(Received{}, ctx.Err())
			return
		}
	}
}

// overPoll is one poll after the other, held by the server or at a pace.
func (c *Client) overPoll(ctx context.Context, s *session) error {
	p := Poll{After: s.cursor, Limit: 1000, Ephemeral: s.Ephemeral}
	if p.After == "" {
		p.After = "latest"
	}
	every := s.Every
	if every <= 0 {
		every = time.Second
	}
	hold := time.Duration(0)
	if s.Over == LongPoll {
		hold, every = 25*time.Second, 0
	}
	for {
		// Where latest is, is asked at once: if a held request broke, the next one
		// would begin behind what came meanwhile.
		if p.Wait = hold; p.After == "latest" {
			p.Wait = 0
		}
		if s.Count > s.given {
			p.Limit = min(1000, s.Count-s.given)
		}
		page, err := c.Poll(ctx, s.Topics[0], p)
		if parley.CodeOf(err) == parley.Trimmed {
			if err := s.give(Received{Notice: "gap"}); err != nil {
				return err
			}
			p.After = "earliest"
			continue
		}
		if err != nil {
			return err
		}
		for i, e := range page.Events {
			r := Received{Event: e}
			if i == len(page.Events)-1 {
				r.Cursor = page.Cursor // a page has one cursor, behind its last event
			}
			if err := s.give(r); err != nil {
				return err
			}
		}
		p.After, s.cursor, s.alive = page.Cursor, page.Cursor, true
		if !page.More && every > 0 && !pause(ctx, every) {
			return ctx.Err()
		}
	}
}

// overSSE lets the EventSource client do the reconnecting.
func (c *Client) overSSE(ctx context.Context, s Subscription, yield func(Received, error) bool) {
	q := url.Values{"topic": s.Topics, "format": {"cloudevents"}}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	o := sse.ClientOptions{
		HTTP: c.opt.HTTP, RetryRefused: true, IdleTimeout: time.Minute, Retry: time.Second, Header: http.Header{}, MaxEvent: maxAnswer,
		Refused: func(res *http.Response) error {
			body, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20)) // what there is of it
			return problem(res, body)
		},
		OnReconnect: func(cause error, wait time.Duration) {
			if _, ok := errors.AsType[*url.Error](cause); ok {
				cause = noStream(c.base.Host, cause)
			}
			if cause != nil && parley.CodeOf(cause) != parley.Internal && !again(cause) {
				fail(cause)
			} else if c.opt.OnReconnect != nil {
				c.opt.OnReconnect(cause, wait)
			}
		},
	}
	c.authorize(o.Header)
	if s.From != "" {
		q.Set("after", s.From) // Last-Event-ID beats it from the second connection on
	}
	if s.Ephemeral {
		q.Set("ephemeral", "true")
	}
	source, err := sse.NewClient(c.url(q, "v1", "sse"), o)
	if err != nil {
		yield(Received{}, err)
		return
	}
	last := ""
	for m, err := range source.Events(ctx) {
		if err != nil {
			yield(Received{}, err)
			return
		}
		r := Received{Notice: m.Type}
		if m.Type == "" || m.Type == "message" {
			r.Notice = ""
			if r.Event, err = parley.ParseJSON(m.Data); err != nil {
				yield(Received{}, parley.Errorf(parley.Internal, "an event of the stream: %w", err))
				return
			}
			if m.ID != last { // an ephemeral event repeats the id before it
				r.Cursor, last = m.ID, m.ID
			}
		}
		if !yield(r, nil) {
			return
		}
	}
}

// frame is a message of the subprotocol parley.v1.
type frame struct {
	Topic     string            `json:"topic"`
	Partition int               `json:"partition"`
	Events    []json.RawMessage `json:"events"`
	Cursor    string            `json:"cursor"`
	Notice    string            `json:"notice"`
	Streams   int               `json:"streams"` // in the opening
}
