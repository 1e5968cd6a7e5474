package local

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pipe"
	"github.com/parleyhq/parley/pattern/pipe/graph"
)

// request is what the source and the sink of a URL have in common.
type request struct {
	client  *http.Client
	url     string
	shown   string // without a password
	header  http.Header
	timeout time.Duration
}

func newRequest(d *driver, s graph.Spec) (r request, err error) {
	u, err := url.Parse(s.Text("url"))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return r, s.Wrong("url", "it is no URL of http or https", "write it like http://127.0.0.1:8080/path")
	}
	r = request{client: d.env.HTTP, url: u.String(), header: http.Header{}, timeout: s.Duration("timeout", 30*time.Second)}
	shown := *u
	shown.User, shown.RawQuery, shown.Fragment = nil, "", ""
	r.shown = shown.String()
	for _, h := range s.Words("header") {
		name, value, ok := strings.Cut(h, ":")
		if !ok || strings.TrimSpace(name) != name || name == "" || strings.ContainsAny(h, "\r\n") {
			return r, s.Wrong("header", strconv.Quote(h)+" is no header", "write it like 'Accept: application/json'")
		}
		r.header.Add(name, strings.TrimSpace(value))
	}
	return r, nil
}

// do sends a request and reads at most so many bytes of the answer.
func (r *request) do(ctx context.Context, method string, header http.Header, body []byte, most int) (*http.Response, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, r.url, bytes.NewReader(body))
	if err != nil {
		return nil, nil, pipe.Permanent(err)
	}
	maps.Copy(req.Header, r.header)
	maps.Copy(req.Header, header)
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, nil, parley.Errorf(parley.Unavailable, "%s cannot be reached: %w", r.shown, innermost(err))
	}
	defer func() { _ = resp.Body.Close() }() // it was read, or nobody wants it
	answer, err := io.ReadAll(io.LimitReader(resp.Body, int64(most)+1))
	if err != nil {
		return nil, nil, parley.Errorf(parley.Unavailable, "the answer of %s breaks off: %w", r.shown, err)
	}
	return resp, answer, nil
}

// innermost takes the URL, which may hold a password, out of an error of net/http.
func innermost(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// refused makes an error of a status that is not good. Those that may be other the
// next time are tried again.
func (r *request) refused(resp *http.Response, answer []byte) error {
	e := &parley.Error{Code: parley.Unprocessable, Detail: fmt.Sprintf("%s answers %s: %.200s", r.shown, resp.Status, answer), Fix: "see what the other side says of it"}
	switch s := resp.StatusCode; {
	case s == http.StatusRequestTimeout, s == http.StatusTooManyRequests, s >= 500:
		e.Code = parley.Unavailable
		return e
	}
	return pipe.Permanent(e)
}

// poll is a URL that is asked again and again.
type poll struct {
	request
	every time.Duration
	most  int
	say   func(string)
	etag  string
	last  string // hash of the last answer
	next  time.Time
	n     int
}

func newPoll(d *driver, s graph.Spec) (*poll, error) {
	r, err := newRequest(d, s)
	return &poll{request: r, every: s.Duration("every", 10*time.Second), most: s.Size("max", 1<<20), say: d.env.Say}, err
}

// Next implements pipe.Source. What fails for a while is told, and asked again.
func (p *poll) Next(ctx context.Context) ([]parley.Event, error) {
	for {
		if err := sleep(ctx, time.Until(p.next)); err != nil {
			return nil, err
		}
		p.next = time.Now().Add(p.every)
		e, news, err := p.ask(ctx)
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case parley.CodeOf(err) == parley.Unavailable && err != nil:
			p.say(err.Error())
		case err != nil:
			return nil, err
		case news:
			return []parley.Event{e}, nil
		}
	}
}

func (p *poll) ask(ctx context.Context) (e parley.Event, news bool, err error) {
	header := http.Header{}
	if p.etag != "" {
		header.Set("If-None-Match", p.etag)
	}
	resp, body, err := p.do(ctx, http.MethodGet, header, nil, p.most)
	if err != nil {
		return e, false, err
	}
	switch {
	case resp.StatusCode == http.StatusNotModified, resp.StatusCode == http.StatusNoContent:
		return e, false, nil
	case resp.StatusCode != http.StatusOK:
		return e, false, p.refused(resp, body)
	case len(body) > p.most:
		return e, false, &parley.Error{Code: parley.TooLarge, Detail: fmt.Sprintf("%s answers more than %d bytes", p.shown, p.most), Fix: "give it more --max"}
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:16])
	p.etag = resp.Header.Get("ETag")
	if hash == p.last {
		return e, false, nil
	}
	p.last = hash
	p.n++
	e, err = graph.FromLine("", p.shown, fmt.Sprintf("%s-%s", time.Now().UTC().Format("20060102T150405.000000000"), hash[:12]), body)
	e.Type, e.Time = "parley.pipe.polled", time.Now().UTC()
	return e, true, err
}

// post is a URL that gets each event as a CloudEvent in binary mode: its data is the
// body, its attributes are headers (CloudEvents HTTP binding, §3.1).
type post struct{ request }

// Put implements pipe.Sink, for one event.
func (p *post) Put(ctx context.Context, events []parley.Event) error {
	for i := range events {
		header := http.Header{}
		events[i].WriteHTTP(header)
		resp, answer, err := p.do(ctx, http.MethodPost, header, events[i].Data, 4<<10)
		if err != nil {
			return err
		}
		if resp.StatusCode < 200 || resp.StatusCode > 299 {
			return p.refused(resp, answer)
		}
	}
	return nil
}
