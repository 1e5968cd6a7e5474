package websocket

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
)

// BenchmarkIdle reports what an idle connection costs: heap and stacks of 2,000
// of them over loopback, after one echo each, with the clients' own ends (a file
// descriptor each, no goroutine) measured before and taken off.
func BenchmarkIdle(b *testing.B) {
	const n = 2000
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts: the kernel does
	if err != nil {
		b.Fatal(err)
	}
	defer silent.Close()
	conns := make(chan *Conn, n)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := Upgrade(w, r, Options{Compression: true}); err == nil {
			conns <- c
		}
	})}
	go func() { _ = srv.Serve(ln) }() // ends with srv.Close
	defer srv.Close()
	for b.Loop() {
		heap0, stack0 := measure(func() { keep(b, silent, n, nil) })
		heap, stack := measure(func() { keep(b, ln, n, conns) })
		b.ReportMetric((heap-heap0)/n, "heapB/conn")
		b.ReportMetric((stack-stack0)/n, "stackB/conn")
	}
}

// held keeps what is being measured reachable.
type held struct {
	clients []net.Conn
	servers []*Conn
}

// keep opens n connections; with conns they are upgraded and echo, without only
// the clients' ends are made.
func keep(b *testing.B, ln net.Listener, n int, conns chan *Conn) {
	var h held
	for range n {
		nc, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		h.clients = append(h.clients, nc)
		if conns == nil {
			continue
		}
		_, _ = io.WriteString(nc, strings.ReplaceAll(good, "\n", "\r\n")+"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n")
		c := <-conns
		go func() { _ = c.Run(context.Background(), c.Write) }() // ends with its client
		h.servers = append(h.servers, c)
		r := bufio.NewReader(nc)
		if _, err := http.ReadResponse(r, nil); err != nil {
			b.Fatal(err)
		}
		_, _ = nc.Write(maskedString(0x81, "hello"))
		if _, _, err := readFrame(r); err != nil {
			b.Fatal(err)
		}
	}
	current = h
}

var current held

// measure gives the heap and stack bytes that open adds, then lets it all go.
func measure(open func()) (heap, stack float64) {
	var m, after runtime.MemStats
	settle(&m)
	open()
	settle(&after)
	for _, nc := range current.clients {
		_ = nc.Close()
	}
	for _, c := range current.servers {
		<-c.Done()
	}
	current = held{}
	return float64(after.HeapAlloc) - float64(m.HeapAlloc), float64(after.StackInuse) - float64(m.StackInuse)
}

// settle collects until stacks, which shrink a step with each run, are small.
func settle(m *runtime.MemStats) {
	for range 4 {
		runtime.GC()
	}
	runtime.ReadMemStats(m)
}

// discard is a network that takes everything.
type discard struct{ net.Conn }

func (discard) Write(p []byte) (int, error)      { return len(p), nil }
func (discard) SetWriteDeadline(time.Time) error { return nil }
func (discard) Read([]byte) (int, error)         { return 0, io.EOF }
func (discard) Close() error                     { return nil }

func benchConn(b *testing.B, compress bool) *Conn {
	a := agreement{}
	if compress {
		a.extension = "permessage-deflate"
	}
	return newConn(discard{}, a, testOptions(b, Options{}), nil)
}

func BenchmarkWrite(b *testing.B) {
	for name, compress := range map[string]bool{"plain": false, "compressed": true} {
		b.Run(name, func(b *testing.B) {
			c, p := benchConn(b, compress), []byte(strings.Repeat(`{"id": 1, "v": "x"} `, 50))
			b.ReportAllocs()
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				if err := c.Write(Text, p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkWriteFrames(b *testing.B) {
	c := benchConn(b, true)
	f, err := NewFrame(Text, []byte(strings.Repeat(`{"id": 1, "v": "x"} `, 50)))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := c.WriteFrames(f); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPing(b *testing.B) {
	c := benchConn(b, false)
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Ping(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReceive(b *testing.B) {
	for name, m := range map[string][]byte{"100B": maskedString(0x81, strings.Repeat("x", 100)), "64KiB": masked(0x82, make([]byte, 64<<10))} {
		b.Run(name, func(b *testing.B) {
			r := receiver{maxMessage: 64 << 10, maxFragments: 1}
			in := make([]byte, len(m))
			b.ReportAllocs()
			b.SetBytes(int64(len(m)))
			for b.Loop() {
				copy(in, m)
				for p := in; len(p) > 0; {
					n, ev, err := r.feed(p[:min(len(p), bufferSize)])
					if err != nil {
						b.Fatal(err)
					}
					if ev == evMessage {
						r.done()
					}
					p = p[n:]
				}
			}
		})
	}
}

func BenchmarkMask(b *testing.B) {
	p := make([]byte, 4096)
	b.SetBytes(4096)
	for b.Loop() {
		Mask(p, testKey)
	}
}

// BenchmarkEcho is one small message there and back over loopback.
func BenchmarkEcho(b *testing.B) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	nc, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	server, err := ln.Accept()
	if err != nil {
		b.Fatal(err)
	}
	c := newConn(server, agreement{}, testOptions(b, Options{}), nil)
	ran := echo(c)
	in, out := maskedString(0x81, "hello, how are you?"), make([]byte, 2+19)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := nc.Write(in); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(nc, out); err != nil {
			b.Fatal(err)
		}
	}
	_ = nc.Close()
	<-ran
}
