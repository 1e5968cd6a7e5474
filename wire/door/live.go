package door

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"time"
)

// Flow is what a Live sends: the protocol's side of a long-lived connection. Fill,
// Beat and Drain are called by one goroutine at a time.
type Flow interface {
	// Fill appends what there is to send. When it appends nothing, it has made
	// sure that Live.Wake is called once there is something. An error ends the
	// connection after the bytes that came with it are sent; io.EOF is a good end.
	Fill(dst []byte) ([]byte, error)
	// Beat appends a heartbeat.
	Beat(dst []byte) []byte
	// Drain appends a farewell, when the server stops.
	Drain(dst []byte) []byte
	// Read handles what the peer sends until it goes away. It runs on a goroutine
	// of its own for as long as the connection lives.
	Read(conn net.Conn) error
	// Done is called once, when nothing else will be called any more.
	Done(err error)
}

// Live is one long-lived connection that is written to by the pool.
type Live struct {
	lives *Lives
	conn  net.Conn
	flow  Flow
	task  Task
	timer Timer

	mu     sync.Mutex
	head   []byte // what is sent first
	beat   bool
	drain  bool
	slow   bool // a goroutine is waiting for the socket
	closed bool // Read has returned
	err    error
}

// Start makes a connection live. head is sent first; flow makes the protocol's
// side. The connection belongs to the Live from now on.
func (ls *Lives) Start(conn net.Conn, head []byte, flow func(*Live) Flow) *Live {
	l := &Live{lives: ls, conn: conn, head: head}
	l.flow = flow(l)
	l.task.Init(l.pump)
	l.timer.Init(l.ring)
	ls.Enter(l)
	go l.read()
	ls.Wheel.Set(&l.timer, jitter(Heartbeat))
	l.Wake()
	return l
}

// jitter spreads heartbeats over the last fifth of their interval.
func jitter(d time.Duration) time.Duration { return d - rand.N(d/5) }

// Wake lets the connection send what it has. It never blocks: a Live is the
// waker of its flow's subscription.
func (l *Live) Wake() { l.lives.Pool.Wake(&l.task) }

// ring is the wheel's call: time for a heartbeat.
func (l *Live) ring() {
	l.mu.Lock()
	l.beat = true
	l.mu.Unlock()
	l.Wake()
}

// Drain lets the connection say farewell and end.
func (l *Live) Drain() {
	l.mu.Lock()
	l.drain = true
	l.mu.Unlock()
	l.Wake()
}

// Close ends the connection at once. The first cause counts.
func (l *Live) Close(cause error) {
	l.mu.Lock()
	if l.err == nil {
		l.err = cause
	}
	l.mu.Unlock()
	_ = l.conn.Close() // Read returns, and finish follows
}

// read waits for the peer to speak or to go.
func (l *Live) read() {
	err := l.flow.Read(l.conn)
	if err == nil {
		err = io.EOF
	}
	l.Close(err)
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.Wake() // the task sees closed, and finishes when it is its turn
}

// pump is the task: it sends all that waits.
func (l *Live) pump() {
	l.mu.Lock()
	slow, closed, beat, drain, head := l.slow, l.closed, l.beat, l.drain, l.head
	if !slow {
		l.beat, l.head = false, nil
	}
	l.mu.Unlock()
	if slow {
		return // whoever waits for the socket wakes the task afterwards
	}
	if closed {
		l.finish()
		return
	}
	buf := buffers.Get().(*[]byte)
	dst, err := l.flow.Fill(append((*buf)[:0], head...))
	switch {
	case drain && err == nil:
		dst, err = l.flow.Drain(dst), io.EOF
	case beat && len(dst) == 0:
		dst = l.flow.Beat(dst)
	}
	if len(dst) == 0 && err == nil {
		recycle(buf, dst)
		if beat { // the flow has no heartbeat: ring again all the same
			l.lives.Wheel.Set(&l.timer, jitter(Heartbeat))
		}
		return
	}
	l.send(buf, dst, err)
}

// send writes without waiting, if the socket allows that; what it does not take
// at once is left to a goroutine, and the worker goes on with others.
func (l *Live) send(buf *[]byte, dst []byte, end error) {
	l.lives.Wheel.Set(&l.timer, jitter(Heartbeat))
	n, err := TryWrite(l.conn, dst)
	if err == nil && n < len(dst) {
		l.mu.Lock()
		l.slow = true
		l.mu.Unlock()
		go l.sendSlowly(buf, dst, n, end)
		return
	}
	recycle(buf, dst)
	l.sent(err, end)
}

func (l *Live) sendSlowly(buf *[]byte, dst []byte, n int, end error) {
	err := writeSlowly(l.conn, dst[n:])
	_ = l.conn.SetWriteDeadline(time.Time{}) // a passed one would fail TryWrite
	recycle(buf, dst)
	l.mu.Lock()
	l.slow = false
	l.mu.Unlock()
	l.sent(err, end)
}

// slowStep is what a slow peer has WriteTimeout for.
const slowStep = 16 << 10

// writeSlowly writes for as long as the peer takes something: whoever reads slowly
// lags, and only one that has stopped is given up. The steps are for TLS, whose
// connections do not survive a deadline (crypto/tls.Conn.SetWriteDeadline).
func writeSlowly(conn net.Conn, b []byte) error {
	for len(b) > 0 {
		if err := conn.SetWriteDeadline(time.Now().Add(WriteTimeout)); err != nil {
			return err
		}
		n, err := conn.Write(b[:min(len(b), slowStep)])
		if b = b[n:]; err != nil && (n == 0 || !errors.Is(err, os.ErrDeadlineExceeded)) {
			return err
		}
	}
	return nil
}

// sent goes on after a write: with the next one, or with the end.
func (l *Live) sent(err, end error) {
	switch {
	case err != nil:
		l.Close(err)
	case end != nil:
		l.Close(end)
	}
	l.Wake() // until Fill has nothing, or Read has returned
}

// finish is the last thing that the task does.
func (l *Live) finish() {
	l.lives.Wheel.Stop(&l.timer)
	if l.lives.Leave(l) {
		l.mu.Lock()
		err := l.err
		l.mu.Unlock()
		l.flow.Done(err)
	}
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 16<<10); return &b }}

// recycle keeps buffers of common size; a huge one is left to the collector.
func recycle(buf *[]byte, dst []byte) {
	if cap(dst) <= 1<<20 {
		*buf = dst[:0]
		buffers.Put(buf)
	}
}
