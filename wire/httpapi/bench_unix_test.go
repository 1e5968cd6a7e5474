//go:build unix

package httpapi

import (
	"net"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// BenchmarkIdle measures what an idle connection of each kind costs the server, in
// heap and stacks: 2,000 of them over loopback TCP, whose clients are bare sockets
// that cost this process nothing.
func BenchmarkIdle(b *testing.B) {
	const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	// As a browser sends it, since what is kept of a request would count.
	const browser = "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\nAccept-Encoding: gzip, deflate, br\r\nAccept-Language: en-US,en;q=0.9\r\nCookie: session=0123456789abcdef0123456789abcdef\r\n"
	for _, kind := range []struct{ name, request string }{
		{"poll", "GET /v1/topics/bench/events?wait=55s HTTP/1.1\r\nHost: localhost\r\n" + browser + "\r\n"},
		{"sse", "GET /v1/topics/bench/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n" + browser + "\r\n"},
		{"websocket", "GET /v1/topics/bench/ws HTTP/1.1\r\nHost: localhost\r\n" + upgrade + browser + "\r\n"},
	} {
		b.Run(kind.name, func(b *testing.B) {
			for range b.N {
				benchIdle(b, kind.request)
			}
		})
	}
}

func benchIdle(b *testing.B, request string) {
	const n = 2000
	ln := listenTCP(b)
	r := newRig(b, func(s *setup) { s.listen = ln })
	r.must("bench", "1")
	r.client.CloseIdleConnections()
	before := memory()
	fds := make([]int, 0, n)
	for range n {
		fd := bareDial(b, ln.Addr().(*net.TCPAddr).Port)
		fds = append(fds, fd)
		if _, err := syscall.Write(fd, []byte(request)); err != nil {
			b.Fatal(err)
		}
	}
	pause := time.NewTicker(time.Millisecond)
	defer pause.Stop()
	for r.lives.Count() < n {
		<-pause.C
	}
	if !strings.Contains(request, "wait") {
		for _, fd := range fds {
			_, _ = syscall.Read(fd, make([]byte, 4096)) // its opening was written
		}
	}
	after := memory()
	b.ReportMetric(float64(after.heap-before.heap)/n, "heap-B/conn")
	b.ReportMetric(float64(after.stack-before.stack)/n, "stack-B/conn")
	b.ReportMetric(float64(after.heap+after.stack-before.heap-before.stack)/n, "B/conn")
	for _, fd := range fds {
		_ = syscall.Close(fd)
	}
	for r.lives.Count() > 0 {
		<-pause.C
	}
}

func bareDial(b *testing.B, port int) int {
	b.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		err = syscall.Connect(fd, &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
	}
	if err != nil {
		b.Fatal(err)
	}
	return fd
}

type footprint struct{ heap, stack int64 }

func memory() footprint {
	var m runtime.MemStats
	for range 3 { // pools need two rounds to let go
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return footprint{int64(m.HeapAlloc), int64(m.StackInuse)}
}
