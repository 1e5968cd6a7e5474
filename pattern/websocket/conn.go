package websocket

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/parleyhq/parley"
)

// Conn is one WebSocket connection, the server's side. One goroutine reads, with
// Run or Read; everything else may be called from anywhere at any time. Without
// a reader nothing is answered: no ping, no close.
//
// While nothing arrives a Conn holds no buffer; those of messages in flight are
// pooled.
type Conn struct {
	nc    net.Conn
	agree terms
	rx    receiver
	in    inbox
	end   error // guarded by reading: what every later read returns

	reading  chan struct{} // capacity 1, full while somebody reads
	writing  chan struct{} // capacity 1, full while somebody writes
	gone     chan struct{} // closed once the network connection is
	dropped  atomic.Bool   // gone is closed or about to be
	closing  atomic.Bool   // the closing handshake has begun, on either side
	sent     atomic.Bool   // guarded by writing for setting: our close frame is out
	handling atomic.Bool   // Run is inside its handler
	complete atomic.Bool   // the peer's close frame is here
	mine     bool          // guarded by reading: this side's close frame came first

	life life
}

// terms are what a connection was agreed on, and its limits.
type terms struct {
	subprotocol    string
	compress       bool
	compressAbove  int
	messageTimeout time.Duration
	writeTimeout   time.Duration
	closeTimeout   time.Duration
}

// newConn takes over nc. early is what was read from it already.
func newConn(nc net.Conn, a agreement, o Options, early []byte) *Conn {
	c := &Conn{
		nc: nc,
		agree: terms{
			subprotocol:    a.subprotocol,
			compress:       a.extension != "",
			compressAbove:  o.CompressAbove,
			messageTimeout: o.MessageTimeout,
			writeTimeout:   o.WriteTimeout,
			closeTimeout:   o.CloseTimeout,
		},
		rx:      receiver{maxMessage: o.MaxMessage, maxFragments: o.MaxFragments, deflate: a.extension != ""},
		in:      inbox{rest: early},
		reading: make(chan struct{}, 1),
		writing: make(chan struct{}, 1),
		gone:    make(chan struct{}),
		life:    life{born: time.Now()},
	}
	if o.ReadBuffer > 0 {
		c.in.own, c.rx.keeps = make([]byte, o.ReadBuffer), true
	}
	return c
}

// Subprotocol gives the subprotocol that was agreed, "" if none was.
func (c *Conn) Subprotocol() string { return c.agree.subprotocol }

// Compressed reports whether permessage-deflate was agreed.
func (c *Conn) Compressed() bool { return c.agree.compress }

// RemoteAddr gives the peer's network address.
func (c *Conn) RemoteAddr() net.Addr { return c.nc.RemoteAddr() }

// Done is closed when the connection is over: the handshake of closing is
// complete, or was given up.
func (c *Conn) Done() <-chan struct{} { return c.gone }

// Read waits for the next message and gives its kind and its bytes, which belong
// to the caller. Pings are answered and pongs noted on the way.
//
// When the connection ends it returns a *CloseError, again at every further
// call. When ctx ends it returns ctx's error; the connection stays usable and no
// byte is lost, so that it can still be read or closed.
func (c *Conn) Read(ctx context.Context) (Opcode, []byte, error) {
	select {
	case c.reading <- struct{}{}:
	case <-ctx.Done():
		return 0, nil, ctx.Err()
	}
	defer func() { <-c.reading }()
	defer c.watch(ctx)()
	op, data, err := c.next(ctx)
	if err != nil {
		return 0, nil, err
	}
	data = append([]byte{}, data...)
	c.rx.done()
	return op, data, nil
}

// Run reads until the connection ends and hands each message to handle. The
// bytes belong to handle until it returns, then they are used again; a copy may
// be kept. Messages that arrive meanwhile wait in the network. Calls of handle
// follow one another, not all of them on the same goroutine.
//
// An error of handle ends the connection: a *CloseError with its code and reason,
// any other with CloseInternal and no word of it on the wire. So does the end of
// ctx, with CloseGoingAway. handle may also call Close itself.
//
// Run returns nil after a complete closing handshake that this side began or
// that the peer began with 1000, 1001 or no code; else handle's error or the
// *CloseError that says what happened.
func (c *Conn) Run(ctx context.Context, handle func(Opcode, []byte) error) error {
	select {
	case c.reading <- struct{}{}:
	case <-ctx.Done():
		return c.Close(CloseGoingAway, goingAway)
	}
	err := c.loop(ctx, handle)
	<-c.reading
	switch end := (*CloseError)(nil); {
	case err == nil:
		return nil
	case (c.closing.Load() || c.dropped.Load()) && errors.As(err, &end):
		if end.Remote && (c.mine || end.Code == CloseNormal || end.Code == CloseGoingAway || end.Code == CloseNoStatus) {
			return nil
		}
		return end
	case c.closing.Load() && errors.Is(err, errClosed):
		// handle wanted to write, but the closing had begun: no fault of its.
		return c.Close(CloseNormal, "")
	case ctx.Err() != nil:
		return c.Close(CloseGoingAway, goingAway)
	case errors.As(err, &end):
		_ = c.Close(end.Code, end.Reason) // handle's error says more
	default:
		_ = c.Close(CloseInternal, "")
	}
	return err
}

const goingAway = "server is going away"

// loop is the inside of Run. Its frame is small on purpose: an idle connection
// costs its goroutine's stack.
func (c *Conn) loop(ctx context.Context, handle func(Opcode, []byte) error) error {
	defer c.watch(ctx)()
	last := -quiet
	for {
		op, data, err := c.next(ctx)
		if err != nil {
			return err
		}
		seen := time.Duration(c.life.seen.Load())
		c.handling.Store(true)
		if seen-last < quiet {
			err = handle(op, data)
		} else {
			err = aside(handle, op, data)
		}
		c.handling.Store(false)
		last = seen
		c.rx.done()
		if err != nil {
			return err
		}
	}
}

// watch makes the end of ctx interrupt a blocked read; its result must be called
// to stop that.
func (c *Conn) watch(ctx context.Context) (stop func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	fired := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		// A deadline that cannot be set means a connection that is closed.
		_ = c.nc.SetReadDeadline(time.Unix(1, 0))
		close(fired)
	})
	return func() {
		if !cancel() {
			<-fired
			_ = c.nc.SetReadDeadline(time.Time{}) // as above
		}
	}
}

// next reads until there is a message. It runs under reading.
func (c *Conn) next(ctx context.Context) (Opcode, []byte, error) {
	for {
		if c.end != nil {
			return 0, nil, c.end
		}
		for len(c.in.rest) > 0 {
			n, ev, err := c.rx.feed(c.in.rest)
			c.in.rest = c.in.rest[n:]
			if err == nil && ev != evNone {
				err = c.take(ev)
			}
			if err != nil {
				return 0, nil, c.finish(err)
			}
			if ev != evNone && (ev == evMessage || c.rx.op == Continuation) {
				c.life.whole()
			}
			if ev == evMessage {
				c.flushPongs()
				op, data := c.rx.message()
				return op, data, nil
			}
		}
		c.flushPongs()
		wants := c.rx.wants()
		if wants > 0 {
			c.life.begin()
		}
		if err := c.in.fill(c.nc, wants); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil {
				return 0, nil, ctx.Err()
			}
			return 0, nil, c.finish(c.broken(err))
		}
		c.life.saw()
	}
}

// take acts on a control frame. A close frame comes back as its *CloseError.
func (c *Conn) take(ev event) error {
	switch ev {
	case evPing:
		if c.in.pongs == nil {
			c.in.pongs = getBuffer()
		}
		h := Header{Fin: true, Opcode: Pong, Length: uint64(len(c.rx.data))}
		*c.in.pongs = append(h.AppendTo(*c.in.pongs), c.rx.data...)
	case evClose:
		end, err := parseClose(c.rx.data)
		if err != nil {
			return err
		}
		return end
	}
	return nil
}

// flushPongs answers the pings of what was just read, in one write. They are
// answered one by one: a client may wait for a particular payload.
func (c *Conn) flushPongs() {
	if c.in.pongs == nil {
		return
	}
	// A failed write has ended the connection, which the next read reports.
	_ = c.send(*c.in.pongs)
	putBuffer(c.in.pongs)
	c.in.pongs = nil
}

// broken explains an error of the network.
func (c *Conn) broken(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return &CloseError{Code: CloseAbnormal, Err: &parley.Error{Code: parley.Unavailable, Detail: "connection lost", Err: err}}
}

// quiet is the pause after which a message is handled aside.
const quiet = time.Second

// aside runs handle on a goroutine of its own and waits for it. A stack that has
// grown for a handler never becomes as small again as a new one, so that a
// connection that speaks now and then would keep twice what it needs to wait. It
// costs some microseconds, which a connection that speaks often does not pay.
func aside(handle func(Opcode, []byte) error, op Opcode, data []byte) error {
	done := make(chan error, 1)
	go func() {
		err := errNoAnswer
		defer func() { done <- err }()
		err = handle(op, data)
	}()
	return <-done
}

// errNoAnswer stands for a handler that ended its goroutine instead of returning.
var errNoAnswer error = &parley.Error{Code: parley.Internal, Detail: "the handler did not return"}

// inbox is what has been read and not yet understood, and what is owed for it.
type inbox struct {
	rest  []byte
	big   *[]byte // pooled, while much is arriving
	own   []byte  // instead of small and big, with Options.ReadBuffer
	pongs *[]byte // pooled, while pongs are owed
	full  bool    // the last read filled its buffer
	small [64]byte
}

// maxOwn is how large a buffer of a connection's own becomes.
const maxOwn = 512 << 10

// fill reads what has arrived; everything before it must be used up. A parked
// connection waits with its own 64 bytes, enough for a chat message or two; only
// in the middle of something longer is a pooled buffer taken, until it is over.
// wants is how many more bytes are known to come.
func (b *inbox) fill(r io.Reader, wants uint64) error {
	dst := b.small[:]
	switch {
	case b.own != nil:
		if b.full && len(b.own) < maxOwn {
			b.own = make([]byte, 2*len(b.own))
		}
		dst = b.own
	case wants > uint64(len(dst)) || b.full && wants > 0:
		if b.big == nil {
			b.big = getBuffer()
		}
		dst = (*b.big)[:cap(*b.big)]
	case b.big != nil:
		putBuffer(b.big)
		b.big = nil
	}
	n, err := r.Read(dst)
	b.rest, b.full = dst[:n], n == len(dst)
	if n > 0 {
		return nil // an error will come again
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

// drop gives the buffers back.
func (b *inbox) drop() {
	putBuffer(b.big)
	putBuffer(b.pongs)
	b.big, b.pongs, b.rest = nil, nil, nil
}
