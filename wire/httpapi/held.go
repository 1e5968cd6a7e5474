package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/parleyhq/parley/pattern/poll"
	"github.com/parleyhq/parley/pattern/pubsub"
	"github.com/parleyhq/parley/wire/door"
)

// heldPoll is a long poll between its first look and its answer: a door.Poll.
type heldPoll struct {
	api     *API
	topics  pubsub.Request
	req     poll.Request
	options poll.Options
	sub     *pubsub.Subscription
	page    poll.Page // of the last look
	err     error
	trace   door.Trace
	head    bool
	http10  bool
}

// read looks once from where the request begins.
func (p *heldPoll) read(c *door.Call) (poll.Page, error) { return p.look(c.Context()) }

func (p *heldPoll) look(ctx context.Context) (poll.Page, error) {
	if p.sub == nil {
		from, err := pubsub.ParseFrom(p.req.After)
		if err != nil {
			return poll.Page{}, err
		}
		p.topics.From = from
		if p.sub, err = p.api.opt.Hub.Subscribe(ctx, p.topics); err != nil {
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
	p.err = err
	return last || err != nil || p.req.Settled(page)
}

// Answer implements door.Poll.
func (p *heldPoll) Answer(dst []byte, keepAlive bool) []byte {
	h := http.Header{}
	if p.err != nil {
		status, body := door.SetProblem(h, p.err, p.trace)
		return respond(dst, status, h, body, keepAlive)
	}
	status := poll.SetHeader(h, p.req, p.page, p.options)
	h.Add("Vary", "Accept")
	var body []byte
	if status == http.StatusOK && !p.head {
		body = append(poll.AppendPage(nil, p.page), '\n')
	}
	return respond(dst, status, h, body, keepAlive)
}

// Done implements door.Poll.
func (p *heldPoll) Done() {
	if p.sub != nil {
		p.sub.Close()
	}
}

// wait is Park and Answer in the handler's goroutine.
func (p *heldPoll) wait(c *door.Call) error {
	defer p.Done()
	ctx, cancel := context.WithTimeout(c.Context(), p.req.Wait)
	defer cancel()
	for {
		woken := make(waker, 1)
		if p.sub.Park(woken) {
			select {
			case <-woken:
			case <-ctx.Done():
				return writePage(c, p.req, p.page, p.options)
			case <-p.api.opt.Lives.Draining():
				return writePage(c, p.req, p.page, p.options)
			}
		}
		page, err := p.again(c.Context())
		if err != nil {
			return err
		}
		if p.req.Settled(page) {
			return writePage(c, p.req, page, p.options)
		}
	}
}

// waker wakes a goroutine that waits on a channel.
type waker chan struct{}

// Wake implements pubsub.Waker.
func (w waker) Wake() {
	select {
	case w <- struct{}{}:
	default:
	}
}

func httpDate() string { return time.Now().UTC().Format(http.TimeFormat) }
