package natshost

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/engine/natslog"
)

// seat is what is known of a shard's owner. It is kept while somebody asks, or the
// owner is known.
type seat struct {
	asks  int
	inbox string          // of who answered last, or took over since; "" = not known
	stays context.Context //nolint:containedctx // ends, and is replaced, when another takes over
	moved context.CancelFunc
}

func (at *seat) sit() { at.stays, at.moved = context.WithCancel(context.Background()) } //nolint:forbidigo // it ends when the seat moves

func (p *Peers) enter(s parley.Stream) *seat {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.seats[natslog.Tokens(s)]
	if at == nil {
		at = new(seat)
		at.sit()
		p.seats[natslog.Tokens(s)] = at
	}
	at.asks++
	return at
}

func (p *Peers) leave(s parley.Stream, at *seat) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at.asks--; at.asks == 0 && at.inbox == "" {
		at.moved()
		delete(p.seats, natslog.Tokens(s))
	}
}

// hear listens for owners that begin, for as long as the connection lasts. Without
// it, or when one of them is not heard, an asker finds out by itself, but later.
func (p *Peers) hear() {
	p.mu.Lock()
	begin := !p.hears
	p.hears = true
	p.mu.Unlock()
	if !begin {
		return
	}
	prefix := p.prefix + ".now."
	_, err := p.nc.Subscribe(prefix+">", func(m *nats.Msg) {
		if len(m.Data) > 0 && len(m.Data) <= maxInbox {
			p.begins(m.Subject[len(prefix):], string(m.Data))
		}
	})
	if err != nil { // the connection is closed
		p.mu.Lock()
		p.hears = false
		p.mu.Unlock()
	}
}

const maxInbox = 256

// begins notes a new owner, if anybody here is interested.
func (p *Peers) begins(tokens, inbox string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at := p.seats[tokens]; at != nil && at.inbox != inbox {
		at.inbox = inbox
		at.moved()
		at.sit()
	}
}

// look gives the owner's inbox, if it is known, and what ends when there is another.
func (p *Peers) look(at *seat) (inbox string, stays context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return at.inbox, at.stays
}

// owner gives the inbox of the shard's owner, as far as somebody says that he is.
func (p *Peers) owner(ctx context.Context, s parley.Stream, at *seat) (string, context.Context, error) {
	inbox, stays := p.look(at)
	if inbox != "" {
		return inbox, stays, nil
	}
	b, err := p.once(ctx, p.who(s), nil, stays, 0)
	if err != nil { // there may be one in a moment, who tells us
		late := time.NewTimer(Hold)
		defer late.Stop()
		select {
		case <-stays.Done():
		case <-late.C:
		case <-ctx.Done():
		}
	}
	if inbox, now := p.look(at); inbox != "" { // it has told us meanwhile
		return inbox, now, nil
	}
	if err != nil {
		return "", nil, nobody(s, err) // the question changes nothing
	}
	if len(b) == 0 || len(b) > maxInbox {
		return "", nil, parley.Errorf(parley.Internal, "an owner of %s names an inbox of %d bytes", s.Name, len(b))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if at.inbox == "" {
		at.inbox = string(b)
	}
	return at.inbox, at.stays, nil
}

func (p *Peers) forget(at *seat, inbox string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at.inbox == inbox {
		at.inbox = ""
	}
}
