package cluster_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// roleVar says what a child process is to be; the test binary is its own server.
const roleVar = "PARLEY_CLUSTER_ROLE"

func TestMain(m *testing.M) {
	switch role, rest, _ := strings.Cut(os.Getenv(roleVar), ":"); role {
	case "nats":
		os.Exit(beServer(rest))
	case "node":
		os.Exit(beNode(rest))
	}
	os.Exit(m.Run())
}

// spec is one NATS server.
type spec struct {
	Name   string
	Dir    string
	Port   int
	Route  int
	Routes []int
	Sync   bool
}

// beServer runs a NATS server until it is told to stop. It says that it is ready
// by a line.
func beServer(config string) int {
	var s spec
	if err := json.Unmarshal([]byte(config), &s); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	o := &server.Options{
		ServerName: s.Name, Host: "127.0.0.1", Port: s.Port, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: s.Dir, SyncAlways: s.Sync, SyncInterval: 2 * time.Minute,
		JetStreamMaxMemory: 512 << 20, JetStreamMaxStore: 4 << 30, MaxPayload: 9 << 20, MaxPending: 64 << 20,
	}
	if len(s.Routes) > 0 {
		o.Cluster = server.ClusterOpts{Name: "parley", Host: "127.0.0.1", Port: s.Route}
		for _, port := range s.Routes {
			o.Routes = append(o.Routes, &url.URL{Scheme: "nats-route", Host: fmt.Sprint("127.0.0.1:", port)})
		}
	}
	ns, err := server.NewServer(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	ns.SetLoggerV2(complaints{s.Name}, false, false, false)
	ns.Start()
	if !ns.ReadyForConnections(20 * time.Second) {
		fmt.Fprintln(os.Stderr, "not ready")
		return 2
	}
	fmt.Println("ready")
	<-stop
	ns.Shutdown()
	ns.WaitForShutdown()
	return 0
}

// complaints is a server's log without what is no fault.
type complaints struct{ name string }

func (c complaints) Errorf(format string, v ...any) { c.say(format, v...) }
func (c complaints) Fatalf(format string, v ...any) { c.say(format, v...) }
func (complaints) Warnf(string, ...any)             {}
func (complaints) Noticef(string, ...any)           {}
func (complaints) Debugf(string, ...any)            {}
func (complaints) Tracef(string, ...any)            {}

func (c complaints) say(format string, v ...any) {
	fmt.Fprintf(os.Stderr, "nats-server "+c.name+": "+format+"\n", v...)
}

// child is a process that a test started.
type child struct {
	cmd  *exec.Cmd
	gone chan struct{}
	env  string
	out  *bufio.Reader
}

func start(t testing.TB, role string) *child {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{cmd: exec.Command(self), gone: make(chan struct{}), env: role}
	c.cmd.Env = append(os.Environ(), roleVar+"="+role)
	c.cmd.Stderr = os.Stderr
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c.cmd.Stdout = w
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	c.out = bufio.NewReader(out)
	go func() {
		_ = c.cmd.Wait() // killed, mostly
		close(c.gone)
	}()
	t.Cleanup(func() {
		c.kill()
		_ = out.Close()
	})
	return c
}

// line reads a line that the child says.
func (c *child) line(t testing.TB) string {
	t.Helper()
	s, err := c.out.ReadString('\n')
	if err != nil {
		t.Fatalf("the child %.60s said nothing more: %v", c.env, err)
	}
	return strings.TrimSpace(s)
}

func (c *child) kill() {
	_ = c.cmd.Process.Signal(syscall.SIGCONT)
	_ = c.cmd.Process.Kill() // it may have ended by itself
	<-c.gone
}

func (c *child) signal(s syscall.Signal) { _ = c.cmd.Process.Signal(s) }

// servers is a NATS cluster.
type servers struct {
	t     testing.TB
	specs []spec
	procs []*child
}

// startServers starts n servers; n above 1 makes a cluster. sync makes them flush
// before they acknowledge.
func startServers(t testing.TB, n int, sync bool) *servers {
	t.Helper()
	ports := freePorts(t, 2*n)
	s := &servers{t: t}
	for i := range n {
		sp := spec{Name: fmt.Sprint("n", i), Dir: t.TempDir(), Port: ports[2*i], Route: ports[2*i+1], Sync: sync}
		for k := range n {
			if n > 1 {
				sp.Routes = append(sp.Routes, ports[2*k+1])
			}
		}
		s.specs = append(s.specs, sp)
		s.procs = append(s.procs, nil)
	}
	for i := range n {
		s.launch(i)
	}
	for i := range n {
		s.ready(i)
	}
	return s
}

func (s *servers) launch(i int) {
	s.t.Helper()
	config, err := json.Marshal(s.specs[i])
	if err != nil {
		s.t.Fatal(err)
	}
	s.procs[i] = start(s.t, "nats:"+string(config))
}

func (s *servers) ready(i int) {
	s.t.Helper()
	if got := s.procs[i].line(s.t); got != "ready" {
		s.t.Fatalf("server %d says %q", i, got)
	}
}

// url names all servers, as a client is given them.
func (s *servers) url() string {
	var hosts []string
	for _, sp := range s.specs {
		hosts = append(hosts, fmt.Sprint("127.0.0.1:", sp.Port))
	}
	return "nats://" + strings.Join(hosts, ",")
}

// freePorts finds ports that nothing listens on.
func freePorts(t testing.TB, n int) (ports []int) {
	t.Helper()
	var open []net.Listener
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, ln)
		ports = append(ports, ln.Addr().(*net.TCPAddr).Port)
	}
	for _, ln := range open {
		_ = ln.Close()
	}
	return ports
}
