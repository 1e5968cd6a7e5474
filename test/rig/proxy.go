package rig

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Proxy forwards connections to a server until it cuts them.
type Proxy struct {
	Address string // HOST:PORT

	mu    sync.Mutex
	to    string
	conns map[net.Conn]bool
}

// NewProxy starts a proxy, and ends it with the test.
func NewProxy(t testing.TB, to string) *Proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Address: ln.Addr().String(), to: to, conns: map[net.Conn]bool{}}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() { p.forward(conn) })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		p.Cut()
		running.Wait()
	})
	return p
}

// To forwards further connections to another server.
func (p *Proxy) To(address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.to = address
}

// Cut resets every connection, as a network does that goes away. It gives how
// many there were.
func (p *Proxy) Cut() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for c, fromClient := range p.conns {
		if fromClient {
			n++
		}
		_ = c.(*net.TCPConn).SetLinger(0) // a reset, not an end
		_ = c.Close()
	}
	clear(p.conns)
	return n
}

func (p *Proxy) forward(client net.Conn) {
	p.mu.Lock()
	to := p.to
	p.mu.Unlock()
	server, err := net.Dial("tcp", to)
	if err != nil {
		_ = client.Close()
		return
	}
	p.mu.Lock()
	p.conns[client], p.conns[server] = true, false
	p.mu.Unlock()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1]) // either side may end
			_ = way[0].(*net.TCPConn).CloseWrite()
		})
	}
	both.Wait()
	p.mu.Lock()
	delete(p.conns, client)
	delete(p.conns, server)
	p.mu.Unlock()
	_, _ = client.Close(), server.Close()
}
