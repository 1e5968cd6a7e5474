// Command nodes lets many streams of server-sent events wait on two Parley nodes
// over one NATS JetStream server, publishes through one of the nodes, and counts
// what the NATS server has to do for them: consumers and subscriptions.
//
//	go run ./nodes -clients 10000
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/bench/target"
	"github.com/parleyhq/parley/client"
)

const natsEnv = "PARLEY_BENCH_NATS"

var (
	clients = flag.Int("clients", 10_000, "streams, half of them on each node")
	events  = flag.Int("events", 20, "events to publish")
	every   = flag.Duration("every", 500*time.Millisecond, "pace of publishing")
)

func main() {
	target.Main()
	if dir := os.Getenv(natsEnv); dir != "" {
		fmt.Fprintln(os.Stderr, serveNATS(dir))
		os.Exit(1)
	}
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serveNATS(dir string) error {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, HTTPHost: "127.0.0.1", HTTPPort: -1, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true, SyncAlways: true})
	if err != nil {
		return err
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		return errors.New("not ready")
	}
	fmt.Println(s.Addr(), s.MonitorAddr())
	s.WaitForShutdown()
	return nil
}

// startNATS runs a NATS server in a process of its own.
func startNATS(dir string) (stop func(), addr, monitor string, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", "", err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), natsEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, "", "", err
	}
	if err := cmd.Start(); err != nil {
		return nil, "", "", err
	}
	stop = func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	line, err := bufio.NewReader(out).ReadString('\n')
	addr, monitor, _ = strings.Cut(strings.TrimSpace(line), " ")
	return stop, addr, monitor, err
}

func run() error {
	dir, err := os.MkdirTemp("", "parley-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	stop, nats, monitor, err := startNATS(dir)
	if err != nil {
		return err
	}
	defer stop()
	var nodes [2]*target.Server
	for i := range nodes {
		if nodes[i], err = target.Start("engine", "nats://"+nats, "replicas", "1"); err != nil {
			return err
		}
		defer func() { _ = nodes[i].Stop() }()
	}
	c, err := client.New("http://"+nodes[0].HTTP, client.Options{})
	if err != nil {
		return err
	}
	if _, err := c.Publish(context.Background(), "live", event()); err != nil {
		return err
	}
	one, err := load(monitor)
	if err != nil {
		return err
	}
	var got arrivals
	for _, n := range nodes {
		if err := got.open(n.HTTP, *clients/2); err != nil {
			return err
		}
	}
	<-time.After(5 * time.Second)
	many, err := load(monitor)
	if err != nil {
		return err
	}
	for range *events {
		if _, err := c.Publish(context.Background(), "live", event()); err != nil {
			return err
		}
		<-time.After(*every)
	}
	<-time.After(3 * time.Second)
	fmt.Printf("%d streams on 2 nodes\n", *clients)
	fmt.Printf("NATS before any stream: %v\nNATS with all of them:  %v\n", one, many)
	return got.report(*events * *clients)
}

func event() parley.Event {
	return parley.Event{Data: []byte(strconv.FormatInt(time.Now().UnixNano(), 10)), DataContentType: "text/plain"}
}

// natsLoad is what a NATS server keeps for its clients.
type natsLoad struct{ connections, subscriptions, consumers int }

func (l natsLoad) String() string {
	return fmt.Sprintf("%d connections, %d subscriptions, %d consumers", l.connections, l.subscriptions, l.consumers)
}

func load(monitor string) (natsLoad, error) {
	var v struct{ Connections, Subscriptions int }
	var j struct{ Consumers int }
	if err := get(monitor, "varz", &v); err != nil {
		return natsLoad{}, err
	}
	err := get(monitor, "jsz", &j)
	return natsLoad{v.Connections, v.Subscriptions, j.Consumers}, err
}

func get(monitor, page string, into any) error {
	res, err := http.Get("http://" + monitor + "/" + page)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return json.NewDecoder(res.Body).Decode(into)
}

// arrivals collects how long events took to each stream.
type arrivals struct {
	mu  sync.Mutex
	all []time.Duration
}

func (a *arrivals) open(addr string, n int) error {
	for range n {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return err
		}
		if _, err := conn.Write([]byte("GET /v1/topics/live/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n")); err != nil {
			return err
		}
		go a.read(bufio.NewReaderSize(conn, 1024)) // until the node ends
	}
	return nil
}

func (a *arrivals) read(r *bufio.Reader) {
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		data, ok := strings.CutPrefix(strings.TrimSpace(line), "data: ")
		if ns, err := strconv.ParseInt(data, 10, 64); ok && err == nil {
			took := time.Since(time.Unix(0, ns))
			a.mu.Lock()
			a.all = append(a.all, took)
			a.mu.Unlock()
		}
	}
}

func (a *arrivals) report(want int) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	fmt.Printf("%d of %d delivered", len(a.all), want)
	if len(a.all) > 0 {
		slices.Sort(a.all)
		fmt.Printf(", p50 %v, p99 %v", a.all[len(a.all)/2].Round(time.Millisecond), a.all[len(a.all)*99/100].Round(time.Millisecond))
	}
	fmt.Println()
	return nil
}
