// Package redis_test holds the limits that are counted in a store against a real
// one: what its scripts do, what a call costs, and what happens when it is killed,
// paused and started again under load.
package redis_test

import (
	"context"
	"net"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/parleyhq/parley/pattern/throttle/valkey"
	"github.com/parleyhq/parley/test/rig"
)

// quiet keeps the client from writing about the outages that are the test.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

func TestMain(m *testing.M) {
	redis.SetLogger(quiet{})
	rig.Main(m)
}

// store is one redis-server, or a valkey-server, which can be stopped and started.
type store struct {
	t       *testing.T
	program string
	addr    string
	port    int
	cmd     *exec.Cmd
}

// start starts a store on a free port; it keeps nothing on disk.
func start(t *testing.T) *store {
	t.Helper()
	s := &store{t: t}
	for _, name := range []string{"valkey-server", "redis-server"} {
		if path, err := exec.LookPath(name); err == nil {
			s.program = path
		}
	}
	if s.program == "" {
		t.Fatal("there is no redis-server; run test/all install")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.port = ln.Addr().(*net.TCPAddr).Port
	s.addr = ln.Addr().String()
	_ = ln.Close()
	s.begin()
	t.Cleanup(s.kill)
	return s
}

func (s *store) begin() {
	s.t.Helper()
	s.cmd = exec.Command(s.program, "--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", s.t.TempDir())
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	probe := redis.NewClient(&redis.Options{Addr: s.addr, MaxRetries: -1, DialerRetries: 1})
	defer probe.Close()
	s.until(10*time.Second, func() bool { return probe.Ping(s.t.Context()).Err() == nil })
}

// kill ends the store as a power cut would.
func (s *store) kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait() // it says that it was killed
		s.cmd = nil
	}
}

func (s *store) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// client is a client as limiters need it.
func (s *store) client() redis.UniversalClient {
	c := valkey.Connect(&redis.UniversalOptions{Addrs: []string{s.addr}})
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

// until waits for what has to come.
func (s *store) until(limit time.Duration, done func() bool) {
	s.t.Helper()
	pause := time.NewTicker(5 * time.Millisecond)
	defer pause.Stop()
	for end := time.Now().Add(limit); time.Now().Before(end); <-pause.C {
		if done() {
			return
		}
	}
	s.t.Fatal("it does not come")
}
