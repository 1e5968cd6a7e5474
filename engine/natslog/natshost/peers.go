package natshost

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/engine/natslog"
)

// How long things take.
const (
	Hold    = 500 * time.Millisecond // an owner lets a request wait before it gives a ticket
	Abandon = 3 * time.Second        // an owner keeps what nobody comes for
	try     = Hold + time.Second     // an asker waits for one answer
	grace   = 100 * time.Millisecond // the answer of an owner may come, when there is a new one
)

// maxWork is how many requests an owner works on at a time, for each shard.
const maxWork = 4096

// New makes a node's host over the log. It starts nothing. Errors: Invalid
// options.
func New(log *natslog.Log, o shard.Options) (*shard.Node, error) {
	return shard.NewNode(log, NewPeers(log), o)
}

// Peers is the transport between the nodes over one log.
type Peers struct {
	nc     *nats.Conn
	prefix string

	mu    sync.Mutex
	seats map[string]*seat // by the tokens of the shard
	hears bool             // of new owners
}

var _ shard.Peers = (*Peers)(nil)

// NewPeers makes the transport. It starts nothing.
func NewPeers(log *natslog.Log) *Peers {
	return &Peers{nc: log.Conn(), prefix: log.Prefix(), seats: make(map[string]*seat)}
}

// The subjects of a shard: who owns it, which is asked, and that somebody does now,
// which is told to all.
func (p *Peers) who(s parley.Stream) string { return p.prefix + ".who." + natslog.Tokens(s) }
func (p *Peers) now(s parley.Stream) string { return p.prefix + ".now." + natslog.Tokens(s) }

// Listen implements shard.Peers.
func (p *Peers) Listen(s parley.Stream, h shard.Handler) (shut func()) {
	d := &desk{nc: p.nc, shard: s, inbox: p.nc.NewInbox(), tickets: make(map[uint64]*work), room: make(chan struct{}, maxWork)}
	leave := d.desk.Open(s, h)
	var subs []*nats.Subscription
	for subject, take := range map[string]nats.MsgHandler{
		p.who(s):       func(m *nats.Msg) { d.reply(m, []byte(d.inbox)) },
		d.inbox:        d.request,
		d.inbox + ".>": d.again,
	} {
		sub, err := p.nc.Subscribe(subject, take)
		if err != nil {
			break // the connection is closed: nobody will ask
		}
		subs = append(subs, sub)
	}
	_ = p.nc.Publish(p.now(s), []byte(d.inbox)) // who does not hear it asks, but later
	return func() {
		for _, sub := range subs {
			_ = sub.Unsubscribe() // it fails only with the connection
		}
		leave()
	}
}

// Ask implements shard.Peers.
func (p *Peers) Ask(ctx context.Context, s parley.Stream, request []byte) ([]byte, error) {
	p.hear()
	at := p.enter(s)
	defer p.leave(s, at)
	inbox, stays, err := p.owner(ctx, s, at)
	if err != nil {
		return nil, err
	}
	msg := encodeRequest(ctx, request)
	if int64(len(msg)) > p.nc.MaxPayload() {
		return nil, &parley.Error{Code: parley.TooLarge, Field: "request", Detail: "the request to a shard is larger than the NATS servers' max_payload", Fix: "ask for less at a time"}
	}
	for subject, sent := inbox, false; ; sent = true {
		reply, err := p.once(ctx, subject, msg, stays, grace)
		if err != nil {
			p.forget(at, inbox)
			if ctx.Err() != nil && subject != inbox {
				_ = p.nc.Publish(subject, []byte{cancelRequest}) // the owner notices by itself, but later
			}
			if !sent && unsent(err) {
				return nil, nobody(s, err)
			}
			return nil, lost(s, err)
		}
		ticket, answer, err := decodeAnswer(reply)
		if ticket == "" {
			if parley.CodeOf(err) == parley.Unavailable && err != nil {
				p.forget(at, inbox)
			}
			return answer, err
		}
		subject, msg = inbox+"."+ticket, nil
	}
}

// once makes one request. When the shard moves meanwhile, the answer has as long as
// patience to come.
func (p *Peers) once(ctx context.Context, subject string, msg []byte, stays context.Context, patience time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, try)
	defer cancel()
	defer context.AfterFunc(stays, func() { time.AfterFunc(patience, cancel) })()
	m, err := p.nc.RequestWithContext(ctx, subject, msg)
	if err != nil {
		return nil, err
	}
	return m.Data, nil
}

// unsent says that a request certainly reached nobody.
func unsent(err error) bool {
	return errors.Is(err, nats.ErrNoResponders) || errors.Is(err, nats.ErrReconnectBufExceeded) || errors.Is(err, nats.ErrConnectionClosed)
}

func nobody(s parley.Stream, cause error) error {
	return &parley.Error{Code: parley.Unavailable, Detail: "no node answers for " + s.Name + " now", Fix: "ask again", RetryAfter: time.Second, Err: cause}
}

func lost(s parley.Stream, cause error) error {
	return &parley.Error{Code: parley.Unknown, Detail: "the owner of " + s.Name + " got the request, and no answer came", Fix: "ask again; if the change cannot be made twice, ask whether it was made", Err: cause}
}

// desk is one shard's owner, as the others reach it.
type desk struct {
	nc    *nats.Conn
	shard parley.Stream
	inbox string
	desk  shard.Desk
	room  chan struct{}

	mu      sync.Mutex
	tickets map[uint64]*work
	last    uint64
}

// work is a request under way.
type work struct {
	done   chan struct{} // closed when answer is there
	answer []byte
	cancel context.CancelFunc
	forget *time.Timer // runs while nobody waits here for the answer
}

func (d *desk) reply(m *nats.Msg, answer []byte) {
	if m.Reply != "" {
		_ = m.Respond(answer) // the asker finds out by itself
	}
}

// request takes a new request.
func (d *desk) request(m *nats.Msg) {
	patience, request, ok := decodeRequest(m.Data)
	if !ok {
		d.reply(m, encodeError(parley.BadField("request", "is none", "ask through package natshost of the same version")))
		return
	}
	select {
	case d.room <- struct{}{}:
	default:
		d.reply(m, encodeError(&parley.Error{Code: parley.Overloaded, Detail: "the owner of " + d.shard.Name + " has too many requests", Fix: "ask again later", RetryAfter: time.Second}))
		return
	}
	ctx, cancel := context.WithCancel(context.Background()) //nolint:forbidigo // who asks is on another node
	if patience > 0 {
		ctx, cancel = context.WithTimeout(context.Background(), patience) //nolint:forbidigo // as above
	}
	w := &work{done: make(chan struct{}), cancel: cancel}
	go func() {
		defer func() { <-d.room }()
		defer cancel()
		answer, err := d.desk.Serve(ctx, d.shard, request)
		if w.answer = encodeAnswer(answer); err != nil {
			w.answer = encodeError(err)
		}
		close(w.done)
	}()
	go d.hold(m, w, 0)
}

// again takes an asker who comes with a ticket.
func (d *desk) again(m *nats.Msg) {
	id, err := strconv.ParseUint(m.Subject[len(d.inbox)+1:], 36, 64)
	if err != nil {
		return
	}
	d.mu.Lock()
	w := d.tickets[id]
	mine := w != nil && w.forget.Stop()
	if mine && len(m.Data) > 0 {
		delete(d.tickets, id)
	}
	d.mu.Unlock()
	switch {
	case !mine:
		d.reply(m, encodeError(lost(d.shard, nil)))
	case len(m.Data) > 0:
		w.cancel()
	default:
		go d.hold(m, w, id)
	}
}

// hold waits a while for the answer, and gives a ticket when it does not come.
func (d *desk) hold(m *nats.Msg, w *work, id uint64) {
	wait := time.NewTimer(Hold)
	defer wait.Stop()
	select {
	case <-w.done:
		d.mu.Lock()
		delete(d.tickets, id)
		d.mu.Unlock()
		d.reply(m, w.answer)
		return
	case <-wait.C:
	}
	d.mu.Lock()
	if id == 0 {
		d.last++
		id = d.last
		d.tickets[id] = w
	}
	w.forget = time.AfterFunc(Abandon, func() { d.abandon(id, w) })
	d.mu.Unlock()
	d.reply(m, encodeTicket(id))
}

// abandon ends a request whose asker does not come any more.
func (d *desk) abandon(id uint64, w *work) {
	d.mu.Lock()
	delete(d.tickets, id)
	d.mu.Unlock()
	w.cancel()
}
