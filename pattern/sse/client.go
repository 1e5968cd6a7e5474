package sse

import (
	"context"
	"errors"
	"io"
	"iter"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/parleyhq/parley"
)

// ClientOptions steers a Client. The zero value does what a browser does.
type ClientOptions struct {
	// HTTP makes the requests; nil means http.DefaultClient. Its Timeout must be
	// zero, as it would cut every stream. Redirects are followed as it is told to;
	// each attempt begins at the Client's own URL.
	HTTP *http.Client
	// Header is sent with every request.
	Header http.Header
	// Prepare may change each request before it is sent, as to put in a fresh
	// token. Its error ends the stream.
	Prepare func(*http.Request) error
	// LastEventID is where to resume from; empty leaves the place to the server.
	LastEventID string
	// Retry is the wait before reconnecting until the server sets another with a
	// retry field. 0 means 3 s.
	Retry time.Duration
	// MaxBackoff bounds the growth of that wait while connections keep failing. A
	// connection that lasted as long as this ends the back-off. 0 means 30 s.
	MaxBackoff time.Duration
	// RetryRefused also retries when the server answers 429 or 5xx, no sooner than
	// its Retry-After says. A browser would give up for good, and so does the zero
	// value.
	RetryRefused bool
	// IdleTimeout reconnects when nothing at all, not even a heartbeat, came for
	// so long: the other end may be gone without a word. 0 means never; against a
	// server with a heartbeat of 25 s, 60 s is right.
	IdleTimeout time.Duration
	// Refused, when set, makes the error of an answer that is no stream, as from its
	// body. Whether the client tries again is up to its status all the same.
	Refused func(*http.Response) error
	// MaxEvent limits an event's data in bytes; 0 means DefaultMaxEvent.
	MaxEvent int
	// OnReconnect, when set, hears why a connection ended and how long the client
	// waits until the next.
	OnReconnect func(cause error, wait time.Duration)
}

// Client reads one URL as an EventSource does (WHATWG HTML section 9.2): it
// reconnects by itself and resumes from the last id it saw.
type Client struct {
	url string
	o   ClientOptions
}

// NewClient makes a Client of an http or https URL and starts nothing. A URL or
// option that cannot work is an Invalid error.
func NewClient(rawURL string, o ClientOptions) (*Client, error) {
	u, err := url.Parse(rawURL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, parley.BadField("url", "not an absolute http or https URL", "write it like https://host/path")
	}
	if o.HTTP == nil {
		o.HTTP = http.DefaultClient
	}
	if o.HTTP.Timeout != 0 {
		return nil, parley.BadField("HTTP", "its Timeout would end every stream",
			"leave Timeout zero and use a context, or IdleTimeout")
	}
	if !headerSafe(o.LastEventID) {
		return nil, unsendable()
	}
	if o.Retry <= 0 {
		o.Retry = 3 * time.Second
	}
	if o.MaxBackoff <= 0 {
		o.MaxBackoff = 30 * time.Second
	}
	return &Client{url: u.String(), o: o}, nil
}

// Events connects and yields every event, over as many connections as it takes.
// It ends without an error only when the server says stop (204). Whatever else
// ends it is yielded once, with a zero Message, as the last pair: the cause of ctx;
// Unsupported when the answer is not a stream; Unavailable, Throttled and the like
// for a refusing status; TooLarge for an event over the limit. Breaking out of the
// loop closes the connection. Each call is a stream of its own that begins at
// ClientOptions.LastEventID.
func (c *Client) Events(ctx context.Context) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		s := session{o: &c.o, url: c.url, id: c.o.LastEventID, pace: pace{base: c.o.Retry, cap: c.o.MaxBackoff}}
		for {
			end := s.connect(ctx, yield)
			switch {
			case end.stop:
				return
			case ctx.Err() != nil:
				yield(Message{}, context.Cause(ctx))
				return
			case end.final:
				yield(Message{}, end.err)
				return
			}
			wait := s.pace.next(end.lasted, end.after, rand.Float64())
			if c.o.OnReconnect != nil {
				c.o.OnReconnect(end.err, wait)
			}
			if !sleep(ctx, wait) {
				yield(Message{}, context.Cause(ctx))
				return
			}
		}
	}
}

// sleep waits, and reports false when ctx ended first.
func sleep(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// session is what one call of Events carries from connection to connection.
type session struct {
	o    *ClientOptions
	url  string
	id   string
	pace pace
}

// ending says how a connection ended and what follows from it.
type ending struct {
	err    error
	stop   bool          // nothing more to yield: 204, or the caller broke out
	final  bool          // err is for the caller; reconnecting would not help
	after  time.Duration // the server asked for at least this wait
	lasted time.Duration // how long there was a stream
}

// connect makes one request and yields its events until the connection ends.
func (s *session) connect(parent context.Context, yield func(Message, error) bool) ending {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	req, err := s.request(ctx)
	if err != nil {
		return ending{err: err, final: true}
	}
	idle := newIdleTimer(s.o.IdleTimeout, cancel)
	defer idle.stop()
	resp, err := s.o.HTTP.Do(req)
	if err != nil {
		return ending{err: causeOf(ctx, err)}
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNoContent {
		return ending{stop: true}
	}
	if end := s.refused(resp); end.err != nil {
		return end
	}
	began := time.Now()
	err = s.stream(idle.watch(resp.Body), idle, yield)
	if err == nil {
		return ending{stop: true}
	}
	// A stream over the limit would be so again after every reconnect.
	final := parley.CodeOf(err) == parley.TooLarge
	return ending{err: causeOf(ctx, err), final: final, lasted: time.Since(began)}
}

// stream yields the events of one body. It returns nil when the caller broke out
// of its loop, else why the body ended.
func (s *session) stream(body io.Reader, idle idleTimer, yield func(Message, error) bool) error {
	events := NewReader(body, s.o.MaxEvent)
	events.SetLastEventID(s.id)
	for {
		m, err := events.Next()
		s.id = events.LastEventID()
		if wait, ok := events.Retry(); ok {
			s.pace.base = min(wait, maxAsked)
		}
		if err != nil {
			return err
		}
		idle.stop() // a caller that takes long over an event is no silence of the server
		if !yield(m, nil) {
			return nil
		}
		idle.rest()
	}
}

func (s *session) request(ctx context.Context) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, err
	}
	maps.Copy(req.Header, s.o.Header.Clone())
	req.Header.Set("Accept", ContentType)
	req.Header.Set("Cache-Control", "no-store")
	if req.Header.Get("Accept-Encoding") == "" {
		// Compression on the way would collect small events until a block is full.
		req.Header.Set("Accept-Encoding", "identity")
	}
	req.Header.Del("Last-Event-ID")
	if s.id != "" {
		if !headerSafe(s.id) {
			return nil, unsendable()
		}
		req.Header.Set("Last-Event-ID", s.id)
	}
	if s.o.Prepare != nil {
		if err := s.o.Prepare(req); err != nil {
			return nil, err
		}
	}
	return req, nil
}

func unsendable() error {
	return parley.BadField("id", "an id with control characters or blanks at its ends cannot be sent as Last-Event-ID",
		"have the server use ids that a header can carry")
}

// refused checks the answer's head; a zero ending means that a stream follows.
func (s *session) refused(resp *http.Response) ending {
	if resp.StatusCode == http.StatusOK {
		essence, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
		if strings.EqualFold(strings.TrimSpace(essence), ContentType) {
			return ending{}
		}
		return ending{final: true, err: parley.Errorf(parley.Unsupported,
			"sse: the answer is %q, not %s", resp.Header.Get("Content-Type"), ContentType)}
	}
	err := &parley.Error{
		Code:       codeOf(resp.StatusCode),
		Detail:     "sse: the server answered " + resp.Status,
		RetryAfter: retryAfter(resp.Header.Get("Retry-After"), time.Now()),
	}
	again := resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500
	end := ending{err: err, final: !again || !s.o.RetryRefused, after: err.RetryAfter}
	if s.o.Refused != nil {
		if told := s.o.Refused(resp); told != nil {
			end.err = told
		}
	}
	return end
}

func codeOf(status int) parley.Code {
	switch status {
	case http.StatusUnauthorized:
		return parley.Unauthenticated
	case http.StatusForbidden:
		return parley.Forbidden
	case http.StatusNotFound:
		return parley.NotFound
	case http.StatusTooManyRequests:
		return parley.Throttled
	}
	if status >= 500 {
		return parley.Unavailable
	}
	return parley.Invalid
}

// causeOf prefers the reason for which ctx was ended to the error that followed
// from it, and says that a stream's end is one.
func causeOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if errors.Is(err, io.EOF) {
		return errEnded
	}
	return err
}

var errEnded = errors.New("sse: the server ended the stream")
