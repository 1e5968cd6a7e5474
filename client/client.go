package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/parleyhq/parley"
)

// Options of a client. The zero value works.
type Options struct {
	// Token is sent as a bearer token.
	Token string
	// HTTP makes the requests; nil means a client of its own. Its Timeout must be
	// zero: it would end streams.
	HTTP *http.Client
	// Retries is how often a request is sent again that failed without an answer,
	// or that the server asked to repeat (429, 503) within MaxPause. Default 4; −1 is
	// never.
	Retries int
	// GRPC is the transport for subscriptions over gRPC; package client/overgrpc
	// has it.
	GRPC Receiver
	// OnReconnect hears why a subscription's connection ended and when the next
	// comes.
	OnReconnect func(cause error, wait time.Duration)
	// OnRetry hears why a request failed and how long from now it is sent again. It
	// may be called by several goroutines at once.
	OnRetry func(cause error, wait time.Duration)
}

// MaxPause is the longest pause that a request sits out: when the server asks for a
// longer one (Retry-After), its refusal is the error, at once, and says in RetryAfter
// when to come back. Subscriptions and Consumers, which run for long, do wait, and
// tell OnReconnect.
const MaxPause = time.Minute

// Client talks to one server. It is safe for concurrent use.
type Client struct {
	base *url.URL
	opt  Options
}

// New makes a client of a server's base URL and connects to nothing.
func New(base string, opt Options) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, parley.BadField("url", "not an absolute http or https URL: "+strconv.Quote(base), "write it like http://127.0.0.1:7275")
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	if opt.HTTP == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.MaxIdleConnsPerHost = 64
		opt.HTTP = &http.Client{Transport: transport}
	}
	if opt.HTTP.Timeout != 0 {
		return nil, parley.BadField("HTTP", "its Timeout would end every stream", "leave it zero and use contexts")
	}
	switch {
	case opt.Retries == 0:
		opt.Retries = 4
	case opt.Retries < 0:
		opt.Retries = 0
	}
	return &Client{base: u, opt: opt}, nil
}

// url makes a URL of the server; the parts of the path are escaped.
func (c *Client) url(q url.Values, parts ...string) string {
	u := c.base.JoinPath(escape(parts)...)
	u.RawQuery = q.Encode()
	return u.String()
}

func escape(parts []string) []string {
	out := make([]string, len(parts))
	for i, p := range parts {
		out[i] = url.PathEscape(p)
	}
	return out
}

func (c *Client) authorize(h http.Header) {
	if c.opt.Token != "" {
		h.Set("Authorization", "Bearer "+c.opt.Token)
	}
}

// request is one call; it may be sent several times.
type request struct {
	method, url string
	header      http.Header
	body        []byte
	within      time.Duration // bound of each try; 0 = none
}

// do sends a request until it is answered with success, and decodes the answer
// into out unless that is nil. It repeats what failed without an answer or was
// refused for now, within Retries and ctx.
func (c *Client) do(ctx context.Context, r request, out any) (*http.Response, error) {
	for try := 0; ; try++ {
		res, err := c.once(ctx, r, out)
		if err == nil || !c.rest(ctx, try, err) {
			return res, err
		}
	}
}

// rest waits after a try that failed, and says false when the request is not to be
// sent again.
func (c *Client) rest(ctx context.Context, try int, err error) bool {
	if try >= c.opt.Retries || !again(err) {
		return false
	}
	wait := 100 * time.Millisecond << min(try, 6)
	wait += rand.N(wait)
	var e *parley.Error
	if errors.As(err, &e) && e.RetryAfter > 0 {
		wait = e.RetryAfter
	}
	if wait > MaxPause {
		return false
	}
	if c.opt.OnRetry != nil {
		c.opt.OnRetry(err, wait)
	}
	return pause(ctx, wait)
}

// again says whether sending a request again can help: with its idempotency key
// that is safe even when the outcome is unknown.
func again(err error) bool {
	switch parley.CodeOf(err) {
	case parley.Unknown, parley.Unavailable, parley.Overloaded, parley.Throttled:
		return true
	}
	return false
}

func (c *Client) once(ctx context.Context, r request, out any) (*http.Response, error) {
	if r.within > 0 {
		try, end := context.WithTimeoutCause(ctx, r.within, errSilent)
		defer end()
		res, err := c.send(try, r, out)
		if err != nil && ctx.Err() == nil && errors.Is(context.Cause(try), errSilent) {
			err = &parley.Error{Code: parley.Unknown, Detail: "no answer from " + c.base.Host + " within " + r.within.String(), Fix: startIt, Err: errSilent}
		}
		return res, err
	}
	return c.send(ctx, r, out)
}

var errSilent = errors.New("the server was silent for too long")

func (c *Client) send(ctx context.Context, r request, out any) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, r.url, bytes.NewReader(r.body))
	if err != nil {
		return nil, parley.Errorf(parley.Invalid, "request: %w", err)
	}
	maps.Copy(req.Header, r.header)
	c.authorize(req.Header)
	res, err := c.opt.HTTP.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, Unreachable(c.base.Host, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return res, &parley.Error{Code: parley.Unknown, Detail: "the answer broke off", Err: err}
	}
	if res.StatusCode >= 300 && res.StatusCode != http.StatusNotModified {
		return res, problem(res, body)
	}
	if out == nil || len(body) == 0 {
		return res, nil
	}
	if raw, ok := out.(*[]byte); ok { // it is not JSON
		*raw = body
		return res, nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return res, parley.Errorf(parley.Internal, "the server's answer is not understood: %w", err)
	}
	return res, nil
}

// maxAnswer bounds what one answer may hold.
const maxAnswer = 256 << 20

// problem makes an error of an answer.
func problem(res *http.Response, body []byte) error {
	e := &parley.Error{Code: parley.Internal, Detail: res.Status, RetryAfter: retryAfter(res)}
	if tls := speaksTLS(res, body); tls != nil {
		return tls
	}
	media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	var p struct{ Type, Title, Detail, Field, Fix, Earliest string }
	if media == "application/problem+json" && json.Unmarshal(body, &p) == nil {
		if code, ok := codeOf(p.Type); ok {
			e.Code, e.Detail, e.Field, e.Fix = code, p.Detail, p.Field, p.Fix
			if e.Detail == "" {
				e.Detail = p.Title
			}
			if p.Earliest != "" {
				return Resumable(e, p.Earliest)
			}
			return e
		}
	}
	if limited := refusal(res, media, body); limited != nil {
		return limited
	}
	switch res.StatusCode {
	case http.StatusTooManyRequests:
		e.Code = parley.Throttled
	case http.StatusServiceUnavailable, http.StatusBadGateway, http.StatusGatewayTimeout:
		e.Code = parley.Unavailable
	case http.StatusNotFound:
		e.Code, e.Fix = parley.NotFound, "is this a Parley server?"
	case http.StatusUnauthorized:
		e.Code = parley.Unauthenticated
	case http.StatusForbidden:
		e.Code = parley.Forbidden
	}
	e.Detail = fmt.Sprintf("%s from %s", res.Status, res.Request.URL.Host)
	return e
}

// codeOf gives the code that a problem's type names.
func codeOf(problem string) (parley.Code, bool) {
	return parley.CodeNamed(problem[strings.LastIndexByte(problem, ':')+1:])
}

// pause waits, and says false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
