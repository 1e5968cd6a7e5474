package httpapi

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"
)

// BenchmarkPublish publishes one event a request over 64 kept connections of
// loopback TCP into memory, beside a handler of net/http that reads a body and
// answers as much. The clients are bare: they share the processors.
func BenchmarkPublish(b *testing.B) {
	const answer = `{"events":[{"topic":"bench","partition":0,"position":1234567,"id":"019abcde-0000-7000-8000-000000000000"}]}` + "\n"
	b.Run("empty", func(b *testing.B) {
		ln := listenTCP(b)
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, answer)
		})}
		done := make(chan error)
		go func() { done <- srv.Serve(ln) }()
		benchPublish(b, ln.Addr().String())
		_ = srv.Close()
		<-done
	})
	b.Run("parley", func(b *testing.B) {
		ln := listenTCP(b)
		newRig(b, func(s *setup) { s.listen = ln })
		benchPublish(b, ln.Addr().String())
	})
}

func listenTCP(t testing.TB) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func benchPublish(b *testing.B, addr string) {
	const clients = 64
	body := bytes.Repeat([]byte("x"), 100)
	request := []byte(fmt.Sprintf("POST /v1/topics/bench/events HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", addr, len(body), body))
	conns := make([]net.Conn, clients)
	for i := range conns {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		conns[i] = c
	}
	b.ReportAllocs()
	b.ResetTimer()
	var work sync.WaitGroup
	for i, c := range conns {
		work.Go(func() {
			br := bufio.NewReader(c)
			for range b.N/clients + btoi(i < b.N%clients) {
				if err := roundTrip(c, br, request); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	work.Wait()
	b.StopTimer()
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// roundTrip sends a request and reads the answer, which is to be a 201.
func roundTrip(c net.Conn, br *bufio.Reader, request []byte) error {
	if _, err := c.Write(request); err != nil {
		return err
	}
	length := 0
	for first := true; ; first = false {
		line, err := br.ReadSlice('\n')
		if err != nil {
			return err
		}
		if first && !bytes.HasPrefix(line, []byte("HTTP/1.1 201 ")) {
			return fmt.Errorf("%s", line)
		}
		if n, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(n))); err != nil {
				return err
			}
		}
		if len(line) == 2 {
			_, err := br.Discard(length)
			return err
		}
	}
}
