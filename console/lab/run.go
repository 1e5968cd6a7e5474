package lab

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
)

// dial makes a connection to a lane's listener.
type dial func(ctx context.Context, network, address string) (net.Conn, error)

// open makes a listener on loopback, and what connects to it.
type open func(ctx context.Context) (net.Listener, dial, error)

func loopback(ctx context.Context) (net.Listener, dial, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, &parley.Error{Code: parley.Unavailable, Detail: "no listener on loopback: " + err.Error(), Err: err}
	}
	address := ln.Addr().String()
	return ln, func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, address)
	}, nil
}

// run is one run on its way.
type run struct {
	req   Request
	api   http.Handler
	open  open
	topic string
	token string
	rec   *recorder
}

// names are the lanes, what publishes first.
func (r *run) names() []string { return append([]string{Publisher}, r.req.Lanes...) }

func topicName() string { return "lab." + strings.ToLower(rand.Text()[:12]) }

// grace is how much longer a run may take when the machine was too busy for the
// schedule: every event is published, and every lane has its turn.
const grace = 10 * time.Second

// do runs until the duration is over and every lane has received everything, or ctx
// ends. When it returns, nothing of the run lives any more: its clients are gone, its
// connections closed.
func (r *run) do(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, time.Duration(r.req.Duration)+grace)
	defer stop()
	var work sync.WaitGroup
	defer work.Wait()
	defer stop()
	clients := make([]*client.Client, 0, len(r.req.Lanes)+1)
	for _, name := range r.names() {
		c, shut, err := r.connect(ctx, name, &work)
		if err != nil {
			return err
		}
		defer shut()
		clients = append(clients, c)
	}
	failed := make(chan error, len(clients))
	work.Go(func() { failed <- r.publish(ctx, clients[0]) })
	for i, name := range r.req.Lanes {
		work.Go(func() { failed <- r.read(ctx, clients[i+1], laneNamed(name)) })
	}
	return r.await(len(clients), failed, stop)
}

// await stops all lanes together: at the end, or when one of them fails.
func (r *run) await(running int, failed <-chan error, stop func()) (first error) {
	duration := time.NewTimer(time.Until(r.rec.start.Add(time.Duration(r.req.Duration))))
	defer duration.Stop()
	var complete <-chan struct{} // counts only once the duration is over
	for running > 0 {
		select {
		case <-duration.C:
			complete = r.rec.complete
		case <-complete:
			complete = nil
			stop()
		case err := <-failed:
			running--
			if err != nil && first == nil {
				first = err
				stop()
			}
		}
	}
	return first
}

// connect opens a lane: a listener, a server on it, and a client of that.
func (r *run) connect(ctx context.Context, lane string, work *sync.WaitGroup) (*client.Client, func(), error) {
	at, err := lay(ctx, r.open, &tap{lane: lane, rec: r.rec}, r.api, work)
	if err != nil {
		return nil, nil, err
	}
	c, err := client.New(at.base, client.Options{Token: r.token, HTTP: &http.Client{Transport: at.transport}})
	if err != nil {
		at.shut()
		return nil, nil, err
	}
	return c, at.shut, nil
}

// site is a server on a tapped listener, and how to reach it.
type site struct {
	base      string // its URL
	transport *http.Transport
	shut      func()
}

// lay opens a listener for a tap and serves the API on it until it is shut.
func lay(ctx context.Context, open open, t *tap, api http.Handler, work *sync.WaitGroup) (*site, error) {
	ln, dial, err := open(ctx)
	if err != nil {
		return nil, err
	}
	t.Listener = ln
	srv := &http.Server{Handler: api, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(discard{}, "", 0)}
	work.Go(func() { _ = srv.Serve(t) }) // it ends by shut
	transport := &http.Transport{DialContext: dial, MaxIdleConnsPerHost: 1, DisableCompression: true}
	return &site{base: "http://" + hostOf(ln), transport: transport, shut: func() {
		transport.CloseIdleConnections()
		_ = srv.Close()
		t.cut()
	}}, nil
}

// hostOf names the listener; one that is no socket is called localhost.
func hostOf(ln net.Listener) string {
	if a, ok := ln.Addr().(*net.TCPAddr); ok {
		return a.String()
	}
	return "localhost"
}

type discard struct{}

// Write implements io.Writer: what the run's own clients do wrong is no news.
func (discard) Write(p []byte) (int, error) { return len(p), nil }

// publish follows the schedule. When it is late it does not skip: every event is
// published, and its time counts from when that began.
func (r *run) publish(ctx context.Context, c *client.Client) error {
	data := payload(r.req.Size)
	for i, at := range r.req.Schedule() {
		if !until(ctx, r.rec.start.Add(at)) {
			return nil
		}
		id := "event-" + strconv.Itoa(i+1)
		r.rec.published(id, time.Now())
		e := parley.Event{ID: id, Source: "/lab", Type: "lab.event", DataContentType: "application/json", Data: data}
		if _, err := c.Publish(ctx, r.topic, e); err != nil {
			return ended(ctx, fmt.Errorf("publishing: %w", err))
		}
	}
	return nil
}

// payload is JSON of exactly so many bytes: a string.
func payload(size int) []byte { return []byte(`"` + strings.Repeat("x", size-2) + `"`) }

func (r *run) read(ctx context.Context, c *client.Client, lane Lane) error {
	for got, err := range c.Subscribe(ctx, lane.subscription(r.topic, time.Duration(r.req.Every))) {
		if err != nil {
			return ended(ctx, fmt.Errorf("%s: %w", lane.Title, err))
		}
		if got.Notice == "" {
			r.rec.received(lane.Name, got.ID, time.Now())
		}
	}
	return nil
}

// ended is nil for an error that only says that the run is over.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

// until waits for a moment, and says false when ctx ended first.
func until(ctx context.Context, at time.Time) bool {
	t := time.NewTimer(time.Until(at))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
