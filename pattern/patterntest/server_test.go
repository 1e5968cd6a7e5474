package patterntest_test

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/parleyhq/parley/internal/memnet"
	"github.com/parleyhq/parley/pattern/patterntest"
	"github.com/parleyhq/parley/wire/door"
	"github.com/parleyhq/parley/wire/httpapi"
)

// wires is a network whose connections can be cut, also those that have left
// net/http. They hold little, so that who reads slowly is felt.
type wires struct {
	*memnet.Listener
	mu    sync.Mutex
	conns []net.Conn
	back  time.Time // until then every connection breaks at once
}

const wireBytes = 4 << 10

func newWires() *wires { return &wires{Listener: memnet.Listen(wireBytes)} }

// Accept implements net.Listener.
func (w *wires) Accept() (net.Conn, error) {
	conn, err := w.Listener.Accept()
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if time.Now().Before(w.back) {
		_ = conn.Close()
	} else {
		w.conns = append(w.conns, conn)
	}
	return conn, nil
}

// dial is Dial as gRPC wants it.
func (w *wires) dial(ctx context.Context, _ string) (net.Conn, error) { return w.Dial(ctx, "", "") }

// Cut breaks all connections, and those that are made during the outage.
func (w *wires) Cut(outage time.Duration) {
	w.mu.Lock()
	w.back = time.Now().Add(outage)
	conns := w.conns
	w.conns = nil
	w.mu.Unlock()
	for _, conn := range conns {
		_ = conn.Close()
	}
}

// serveHTTP serves a world by wire/httpapi, and gives its network and a client.
func serveHTTP(w *patterntest.World) (*wires, *http.Client) {
	lives := door.NewLives()
	wire := newWires()
	home := door.Listen(wire, nil, door.Limits{})
	api, err := httpapi.New(httpapi.Options{Topics: w.Topics, Hub: w.Hub, Lives: lives, Context: w.Life, Home: home, Admission: door.Limited(w.Limits), Throttle: w.Limits, Groups: w.Groups, Queues: w.Queues, Pipes: w.Pipes})
	if err != nil {
		w.Fatal(err)
	}
	srv := &http.Server{Handler: api}
	w.Background("lives", lives.Run)
	w.Background("listener", func(context.Context) error { return home.Run() })
	w.Background("http", func(context.Context) error { _ = srv.Serve(home); return nil }) // ends by Close
	transport := &http.Transport{DialContext: wire.Dial}
	w.Cleanup(func() {
		transport.CloseIdleConnections()
		wire.Cut(0)
		_ = srv.Close()
		_ = home.Close()
		if err := lives.Drain(context.Background(), 0); err != nil {
			w.Errorf("connections that are cut do not end: %v", err)
		}
	})
	return wire, &http.Client{Transport: transport}
}
