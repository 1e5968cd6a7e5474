package httpapi

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/poll"
	"github.com/parleyhq/parley/pattern/pubsub"
	"github.com/parleyhq/parley/wire/door"
)

// heldPoll is a long poll between its first look and its answer: a door.Poll. It
// keeps nothing of the request but what it needs.
type heldPoll struct {
	api       *API
	topic     string
	req       poll.Request
	hint      time.Duration
	sub       *pubsub.Subscription
	page      poll.Page // of the last look
	err       error
	trace     door.Trace
	origin    string // of the page that asks, when it is a foreign one
	ephemeral bool
	partition *int // nil = all
	head      bool
	leave     func() // frees the place inside; nil = the handler does
}

// look reads once from where the request is.
func (p *heldPoll) look(ctx context.Context) (poll.Page, error) {
	if p.sub == nil {
		from, err := pubsub.ParseFrom(p.req.After)
		if err != nil {
			return poll.Page{}, err
		}
		r := pubsub.Request{Topics: []string{p.topic}, From: from, Ephemeral: p.ephemeral, Partition: p.partition, Strict: true}
		if p.sub, err = p.api.opt.Hub.Subscribe(ctx, r); err != nil {
			return poll.Page{}, err
		}
	}
	var err error
	p.page, err = poll.ReadPage(ctx, p.sub, p.req.Limit)
	return p.page, err
}

// again looks anew after the subscription was woken. A page that the client holds
// already is read from its beginning.
func (p *heldPoll) again(ctx context.Context) (poll.Page, error) {
	if len(p.page.Events) > 0 {
		p.req = p.req.Again(p.page)
		p.sub.Close()
		p.sub = nil
	}
	return p.look(ctx)
}

// Park implements door.Poll.
func (p *heldPoll) Park(w interface{ Wake() }) bool { return p.sub.Park(w) }

// Ready implements door.Poll.
func (p *heldPoll) Ready(last bool) bool {
	page, err := p.again(p.api.opt.Context)
	p.err = inParam("after", err)
	return last || err != nil || p.req.Settled(page)
}

// Answer implements door.Poll.
func (p *heldPoll) Answer(dst []byte, keepAlive bool) []byte {
	h := http.Header{}
	if p.origin != "" {
		allowOrigin(h, p.origin)
	}
	if len(p.api.opt.Access.Origins) > 0 {
		h.Add("Vary", "Origin")
	}
	if p.err != nil {
		status, body := door.SetProblem(h, p.err, p.trace)
		return respond(dst, status, h, body, p.head, keepAlive)
	}
	status := poll.SetHeader(h, p.req, p.page, poll.Options{Hint: p.hint})
	h.Add("Vary", "Accept")
	var body []byte
	if status == http.StatusOK {
		body = append(poll.AppendPage(nil, p.page), '\n')
	}
	return respond(dst, status, h, body, p.head, keepAlive)
}

// Done implements door.Poll.
func (p *heldPoll) Done() {
	if p.sub != nil {
		p.sub.Close()
	}
	if p.leave != nil {
		p.leave()
	}
}

// hold takes the request out of its handler until it can be answered. Where a
// connection cannot leave net/http (HTTP/2), the handler itself waits.
func (a *API) hold(c *door.Call, held *heldPoll) error {
	if a.opt.Lives.Count() >= a.opt.Limits.Lives {
		held.Done()
		return errNoRoom
	}
	conn, home, ok := a.depart(c)
	if !ok {
		return held.wait(c)
	}
	held.leave = c.Keep()
	held.trace, held.origin, held.head = c.Trace, c.W.Header().Get(corsAllow), c.R.Method == http.MethodHead
	a.opt.Lives.Park(conn, home, held.req.Wait, held)
	return nil
}

// depart takes the connection of a request out of net/http, and says who takes it
// back after the answer; nil: nobody can, and it is closed. false: it cannot leave.
func (a *API) depart(c *door.Call) (conn net.Conn, home *door.Listener, ok bool) {
	if c.R.ProtoMajor != 1 || c.R.ContentLength != 0 {
		return nil, nil, false
	}
	conn, buf, err := http.NewResponseController(c.W).Hijack()
	if err != nil {
		return nil, nil, false
	}
	hijacked(c.W, http.StatusOK)
	if buf.Reader.Buffered() > 0 || !c.R.ProtoAtLeast(1, 1) || c.R.Close {
		return conn, nil, true // what was read already cannot be given back
	}
	return conn, a.opt.Home, true
}

var errNoRoom = &parley.Error{Code: parley.Overloaded, Detail: "too many streams, sockets and held requests are open", Fix: "try again later, or poll without wait"}

// wait is Park and Answer in the handler's goroutine.
func (p *heldPoll) wait(c *door.Call) error {
	defer p.Done()
	if c.R.ProtoMajor > 1 { // HTTP/2 resets a stream whose deadline passes while it waits
		_ = http.NewResponseController(c.W).SetWriteDeadline(time.Time{})
	}
	ctx, cancel := context.WithTimeout(c.Context(), p.req.Wait)
	defer cancel()
	leave := &leaver{end: cancel}
	p.api.opt.Lives.Enter(leave)
	defer p.api.opt.Lives.Leave(leave)
	for {
		woken := make(waker, 1)
		if p.sub.Park(woken) {
			select {
			case <-woken:
			case <-ctx.Done():
				return writePage(c, p.req, p.page, poll.Options{Hint: p.hint})
			}
		}
		page, err := p.again(c.Context())
		if err != nil {
			return err
		}
		if p.req.Settled(page) {
			return writePage(c, p.req, page, poll.Options{Hint: p.hint})
		}
	}
}

// leaver is a request that waits in its handler: a door.Farewell.
type leaver struct {
	once sync.Once
	end  func()
}

// Drain implements door.Farewell.
func (l *leaver) Drain() { l.once.Do(l.end) }

// waker wakes a goroutine that waits on a channel.
type waker chan struct{}

// Wake implements pubsub.Waker.
func (w waker) Wake() {
	select {
	case w <- struct{}{}:
	default:
	}
}

// respond encodes a whole response for a connection that has left net/http. The
// answer to a HEAD has the length of the body that it leaves out.
func respond(dst []byte, status int, h http.Header, body []byte, head, keepAlive bool) []byte {
	h.Set("Date", httpDate())
	if keepAlive {
		h.Set("Connection", "keep-alive")
	} else {
		h.Set("Connection", "close")
	}
	if status != http.StatusNotModified {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	out := bytes.NewBuffer(dst)
	out.WriteString("HTTP/1.1 " + strconv.Itoa(status) + " " + http.StatusText(status) + "\r\n")
	_ = h.Write(out) // to memory
	out.WriteString("\r\n")
	if head {
		return out.Bytes()
	}
	return append(out.Bytes(), body...)
}

func httpDate() string { return time.Now().UTC().Format(http.TimeFormat) }
