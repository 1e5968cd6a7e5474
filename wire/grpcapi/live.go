package grpcapi

import (
	"context"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/wire/door"
)

// life is a call that lives long: a door.Farewell.
type life struct{ end context.CancelCauseFunc }

// Drain implements door.Farewell.
func (l *life) Drain() { l.end(errLeaving) }

var (
	errLeaving = &parley.Error{Code: parley.Unavailable, Detail: "the server stops", Fix: "connect again and go on from the last cursor or the first unanswered request"}
	errNoRoom  = &parley.Error{Code: parley.Overloaded, Detail: "too many streams, sockets and held requests are open", Fix: "try again later"}
)

// live derives a context that ends with the call, with its turn to be drained,
// with the server, and with the caller's token; its cause is the error to end
// with. done must be called when the call is over.
func (c *call) live(ctx context.Context) (live context.Context, done func(), err error) {
	lives := c.api.opt.Lives
	if lives.Count() >= c.api.opt.Limits.Lives {
		return nil, nil, errNoRoom
	}
	stop := func() {}
	if ends := c.who.Expires; !ends.IsZero() {
		expired := door.Decide(c.who, door.Action{}, ends)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, max(ends.Sub(c.api.opt.Now()), time.Nanosecond), expired)
		stop = cancel
	}
	live, end := context.WithCancelCause(ctx)
	l := &life{end}
	server := context.AfterFunc(c.api.opt.Context, l.Drain)
	lives.Enter(l)
	return live, func() {
		lives.Leave(l)
		server()
		end(nil)
		stop()
	}, nil
}
