package rig

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Server is a process of the program that serves.
type Server struct {
	URL  string // http://127.0.0.1:PORT
	GRPC string // HOST:PORT; "" = closed

	t    testing.TB
	cmd  *exec.Cmd
	out  *os.File
	log  *syncBuffer
	gone chan struct{} // closed when the process has ended
	err  error         // how it ended
	over bool
}

// Serve starts a server in memory, on free ports, with further flags, and stops
// it when the test ends. Flags that are given again win.
func Serve(t testing.TB, flags ...string) *Server {
	t.Helper()
	return Start(t, append([]string{"--data", ":memory:"}, flags...)...)
}

// Start is Serve without a choice of where data is kept.
func Start(t testing.TB, flags ...string) *Server {
	t.Helper()
	s := Launch(t, flags...)
	if err := s.Greet(); err != nil {
		t.Fatal(err)
	}
	return s
}

// Launch is Start that does not wait until the server serves.
func Launch(t testing.TB, flags ...string) *Server {
	t.Helper()
	args := append([]string{"serve", "--json", "--listen", "127.0.0.1:0", "--grpc", "127.0.0.1:0"}, flags...)
	s := &Server{t: t, cmd: exec.Command(Binary(t), args...), log: &syncBuffer{}, gone: make(chan struct{})}
	s.cmd.Dir = t.TempDir()
	s.cmd.Stderr = s.log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, w, err := os.Pipe() // StdoutPipe is closed by Wait, which may not wait for a reader
	if err != nil {
		t.Fatal(err)
	}
	s.out, s.cmd.Stdout = out, w
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close() // the child has its own
	go func() {
		s.err = s.cmd.Wait()
		close(s.gone)
	}()
	t.Cleanup(s.Stop)
	return s
}

// Greet waits until the server says where it is. A server that ends before is an
// error, with what it said.
func (s *Server) Greet() error {
	_ = s.out.SetReadDeadline(time.Now().Add(30 * time.Second)) // pipes have deadlines
	line, err := bufio.NewReader(s.out).ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("the server said nothing: %w\n%s", err, s.log)
	}
	var hello struct {
		OK     bool
		Result struct{ HTTP, GRPC string }
	}
	if err := json.Unmarshal(line, &hello); err != nil || !hello.OK || hello.Result.HTTP == "" {
		return fmt.Errorf("the server's first line is %s (%v)\n%s", line, err, s.log)
	}
	s.URL, s.GRPC = hello.Result.HTTP, hello.Result.GRPC
	return nil
}

// Log is what the server wrote to standard error so far.
func (s *Server) Log() string { return s.log.String() }

// Stop lets the server drain and end; a server that does not end, or ends with an
// error, fails the test. Stopping twice does no harm.
func (s *Server) Stop() {
	s.t.Helper()
	if s.over {
		return
	}
	s.over = true
	defer s.out.Close()
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	select {
	case <-s.gone:
		if s.err != nil {
			s.t.Errorf("the server ended with %v\n%s", s.err, s.log)
		}
	case <-time.After(30 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.gone
		s.t.Errorf("the server did not stop within 30 s\n%s", s.log)
	}
	if s.t.Failed() {
		s.t.Logf("the server's log:\n%s", s.log)
	}
}

// Kill ends the server without a word: SIGKILL.
func (s *Server) Kill() {
	s.over = true
	_ = s.cmd.Process.Kill() // it may have ended by itself
	<-s.gone
	_ = s.out.Close() // only read from
}

// Address is HOST:PORT.
func (s *Server) Address() string { return strings.TrimPrefix(s.URL, "http://") }

// Socket is the URL with the scheme of WebSockets.
func (s *Server) Socket() string { return "ws://" + s.Address() }

// Publish sends events one by one, each in a request of its own.
func (s *Server) Publish(topic, contentType string, events ...string) {
	s.t.Helper()
	for _, data := range events {
		res, err := http.Post(s.URL+"/v1/topics/"+topic+"/events", contentType, strings.NewReader(data))
		if err != nil {
			s.t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode != http.StatusCreated {
			s.t.Fatalf("publish: %s: %s", res.Status, body)
		}
	}
}

// Metric gives the value of a metric without labels.
func (s *Server) Metric(name string) string {
	s.t.Helper()
	res, err := http.Get(s.URL + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return value
		}
	}
	s.t.Fatalf("the server has no metric %s", name)
	return ""
}

// Connected waits until so many streams, sockets and held requests are open.
func (s *Server) Connected(n string) {
	s.t.Helper()
	Eventually(s.t, n+" live connections", func() bool { return s.Metric("parley_live_connections") == n })
}

// Eventually waits for a condition of the outside world, for at most 20 seconds.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); !holds(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("it did not come to %s", what)
		}
	}
}

// syncBuffer is what a process wrote so far.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// String implements fmt.Stringer.
func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
