// Command live measures long-lived connections: what an idle one costs, and how
// events reach many of them. Server and clients are two processes on one machine,
// over loopback TCP, HTTP/1.1 without TLS.
//
//	go run ./live -clients 10000 -rate 10 -for 15s
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/bench/target"
	"github.com/parleyhq/parley/client"
)

var (
	clients = flag.Int("clients", 10_000, "connections")
	rate    = flag.Int("rate", 10, "events a second in the delivery run")
	length  = flag.Duration("for", 15*time.Second, "length of the idle and of the delivery run")
	payload = flag.Int("payload", 100, "bytes of an event's data")
)

// kinds are what a connection may wait with.
var kinds = []struct{ name, request string }{
	{"sse", "GET /v1/topics/live/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n"},
	{"websocket", "GET /v1/topics/live/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"},
	{"long-poll", "GET /v1/topics/live/events?wait=55s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"},
}

func main() {
	target.Main()
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	fmt.Printf("%d connections, loopback TCP, in-memory engine; HTTP/1.1 without TLS unless it says otherwise\n\n", *clients)
	fmt.Printf("%-10s %14s %14s %14s %12s\n", "idle", "heap B/conn", "stack B/conn", "sum B/conn", "CPU %")
	for _, k := range kinds {
		open := func(s *target.Server) (func(), error) {
			conns, err := dial(s.HTTP, k.request, *clients, nil)
			return func() { closeAll(conns) }, err
		}
		if err := idle(k.name, *clients, open); err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
	}
	if err := idleTLS(); err != nil {
		return err
	}
	return deliver()
}

// idle opens n connections that wait, and measures the server before, after and
// over a while.
func idle(name string, n int, open func(*target.Server) (func(), error), settings ...string) error {
	s, err := target.Start(append([]string{"data", ":memory:"}, settings...)...)
	if err != nil {
		return err
	}
	defer func() { _ = s.Stop() }()
	if err := publish(s, "first", len(settings) > 0); err != nil {
		return err
	}
	before, err := s.Stats()
	if err != nil {
		return err
	}
	shut, err := open(s)
	defer shut()
	if err != nil {
		return err
	}
	wait(3 * time.Second) // the handlers have gone, their stacks too
	after, err := s.Stats()
	if err != nil {
		return err
	}
	wait(*length)
	later, err := s.Stats()
	if err != nil {
		return err
	}
	heap, stack := int64(after.Heap-before.Heap)/int64(n), int64(after.Stack-before.Stack)/int64(n)
	fmt.Printf("%-10s %14d %14d %14d %12.2f\n", name, heap, stack, heap+stack, 100*(later.CPU-after.CPU).Seconds()/length.Seconds())
	return nil
}

func wait(d time.Duration) { <-time.After(d) }

func publish(s *target.Server, data string, encrypted bool) error {
	base, opt := "http://"+s.HTTP, client.Options{}
	if encrypted {
		base, opt.HTTP = "https://"+s.HTTP, &http.Client{Transport: &http.Transport{TLSClientConfig: trusting}}
	}
	c, err := client.New(base, opt)
	if err != nil {
		return err
	}
	_, err = c.Publish(context.Background(), "live", parley.Event{Data: []byte(data), DataContentType: "text/plain"})
	return err
}

// dial opens connections and sends each its request. With read, that handles
// what the server sends from then on.
func dial(addr, request string, n int, read func(net.Conn, *bufio.Reader)) ([]net.Conn, error) {
	conns := make([]net.Conn, n)
	var failed atomic.Pointer[error]
	var work sync.WaitGroup
	next := make(chan int)
	for range 32 {
		work.Go(func() {
			for i := range next {
				conn, err := net.Dial("tcp", addr)
				if err == nil {
					_, err = conn.Write([]byte(request))
				}
				if err != nil {
					failed.Store(&err)
					continue
				}
				conns[i] = conn
				if read != nil {
					go read(conn, bufio.NewReaderSize(conn, 2048))
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	work.Wait()
	if err := failed.Load(); err != nil {
		return conns, *err
	}
	return conns, nil
}

func closeAll(conns []net.Conn) {
	for _, c := range conns {
		if c != nil {
			_ = c.Close()
		}
	}
}

// samples collects latencies from many readers.
type samples struct {
	mu  sync.Mutex
	all []time.Duration
}

// deliver publishes at a rate to server-sent event streams and measures how long
// each event takes to each of them.
func deliver() error {
	s, err := target.Start("data", ":memory:")
	if err != nil {
		return err
	}
	defer func() { _ = s.Stop() }()
	if err := publish(s, "first", false); err != nil {
		return err
	}
	var got samples
	conns, err := dial(s.HTTP, kinds[0].request, *clients, func(_ net.Conn, r *bufio.Reader) { got.read(r) })
	defer closeAll(conns)
	if err != nil {
		return err
	}
	wait(3 * time.Second)
	before, err := s.Stats()
	if err != nil {
		return err
	}
	sent, err := publishAt(s)
	if err != nil {
		return err
	}
	wait(2 * time.Second)
	after, err := s.Stats()
	if err != nil {
		return err
	}
	got.mu.Lock()
	defer got.mu.Unlock()
	slices.Sort(got.all)
	want := sent * *clients
	fmt.Printf("\n%d events of %d bytes at %d/s to %d streams: %d of %d delivered\n", sent, *payload, *rate, *clients, len(got.all), want)
	if len(got.all) == 0 {
		return nil
	}
	at := func(q float64) time.Duration {
		return got.all[int(q*float64(len(got.all)-1))].Round(10 * time.Microsecond)
	}
	cpu := (after.CPU - before.CPU).Seconds()
	fmt.Printf("latency p50 %v  p99 %v  max %v\n", at(0.5), at(0.99), at(1))
	fmt.Printf("server CPU %.1f s per million deliveries (%.0f %% system)\n", cpu*1e6/float64(len(got.all)), 100*(after.CPUSystem-before.CPUSystem).Seconds()/cpu)
	return nil
}

// publishAt publishes at the rate; an event's data begins with its time.
func publishAt(s *target.Server) (int, error) {
	c, err := client.New("http://"+s.HTTP, client.Options{})
	if err != nil {
		return 0, err
	}
	tick := time.NewTicker(time.Second / time.Duration(*rate))
	defer tick.Stop()
	sent := 0
	for start := time.Now(); time.Since(start) < *length; sent++ {
		now := <-tick.C
		data := strconv.FormatInt(now.UnixNano(), 10) + " "
		data += strings.Repeat("x", max(0, *payload-len(data)))
		if _, err := c.Publish(context.Background(), "live", parley.Event{Data: []byte(data), DataContentType: "text/plain"}); err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// read takes the time of each event on a stream.
func (s *samples) read(r *bufio.Reader) {
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		rest, ok := strings.CutPrefix(string(line), "data: ")
		if !ok {
			continue
		}
		stamp, _, _ := strings.Cut(rest, " ")
		if ns, err := strconv.ParseInt(stamp, 10, 64); err == nil {
			took := time.Since(time.Unix(0, ns))
			s.mu.Lock()
			s.all = append(s.all, took)
			s.mu.Unlock()
		}
	}
}
