package door

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// Poll is a held request: the protocol's side of a Parked. Its methods are called
// by one goroutine.
type Poll interface {
	// Park makes sure that w is woken once there may be an answer; false when
	// there may be one already.
	Park(w interface{ Wake() }) bool
	// Ready looks whether there is an answer. With last the wait is over, and
	// whatever there is will be the answer.
	Ready(last bool) bool
	// Answer appends the whole response, after Ready. keepAlive says whether the
	// connection will take another request.
	Answer(dst []byte, keepAlive bool) []byte
	// Done is called once, when the request is over.
	Done()
}

// Parked is a request that is held until it can be answered, outside of its
// handler: a goroutine that waits for the peer to go away, and nothing else. To
// wake it is to end that wait by a read deadline.
type Parked struct {
	lives *Lives
	home  *Listener // takes the connection back; nil = it is closed
	conn  net.Conn
	poll  Poll
	timer Timer

	mu   sync.Mutex
	over bool // the wait has ended, or the server drains
	left bool // the connection is somebody else's: a late wake must not touch it
}

// Park holds a request for at most wait. The connection belongs to the Parked
// from now on; home takes it back after the answer.
func (ls *Lives) Park(conn net.Conn, home *Listener, wait time.Duration, poll Poll) {
	p := &Parked{lives: ls, home: home, conn: conn, poll: poll}
	p.timer.Init(p.Drain)
	ls.Enter(p)
	ls.Wheel.Set(&p.timer, wait)
	go p.run()
}

var past = time.Unix(1, 0)

// Wake lets the request look for its answer.
func (p *Parked) Wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.interrupt()
}

// interrupt ends the wait for the peer. It is called under mu.
func (p *Parked) interrupt() {
	if !p.left {
		_ = p.conn.SetReadDeadline(past) // fails only when the connection is closed
	}
}

// Drain lets the request be answered now, with whatever there is.
func (p *Parked) Drain() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	p.interrupt()
}

func (p *Parked) run() {
	pipelined, gone := p.await()
	p.lives.Wheel.Stop(&p.timer)
	again := !gone && p.answer(!pipelined && p.home != nil && !p.leaving())
	p.poll.Done()
	p.lives.Leave(p)
	if !again {
		_ = p.conn.Close()
		return
	}
	p.mu.Lock()
	p.left = true
	p.mu.Unlock()
	p.home.Return(p.conn)
}

// leaving says whether the server stops: the connection would be closed when it
// is given back, and the client should know before its next request.
func (p *Parked) leaving() bool {
	select {
	case <-p.lives.Draining():
		return true
	default:
		return false
	}
}

// await returns when there is an answer, or nobody to take it. A byte of a next
// request cannot be put back, so pipelined says that the connection must end.
func (p *Parked) await() (pipelined, gone bool) {
	var next [1]byte
	for {
		if !p.poll.Park(p) {
			p.Wake()
		}
		n, err := p.conn.Read(next[:])
		if n > 0 {
			return true, !p.poll.Ready(true)
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return false, true
		}
		if p.poll.Ready(p.reset()) {
			return false, false
		}
	}
}

// reset takes the wake up back, and says whether the wait is over.
func (p *Parked) reset() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.over {
		_ = p.conn.SetReadDeadline(time.Time{})
	}
	return p.over
}

// answer writes the response and says whether the connection can go on.
func (p *Parked) answer(keepAlive bool) bool {
	buf := buffers.Get().(*[]byte)
	dst := p.poll.Answer((*buf)[:0], keepAlive)
	err := writeSlowly(p.conn, dst)
	recycle(buf, dst)
	return err == nil && keepAlive
}
