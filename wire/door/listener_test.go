package door

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley/internal/memnet"
)

func TestListenerRefusesOverItsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := memnet.Listen(1 << 10)
		l := Listen(net, nil, Limits{Connections: 2})
		go func() { _ = l.Run() }()
		defer l.Close()
		var open []io.Closer
		for range 2 {
			c, err := net.Dial(t.Context(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			s, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, s)
			defer c.Close()
		}
		c, err := net.Dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		answer, _ := io.ReadAll(c)
		if !strings.HasPrefix(string(answer), "HTTP/1.1 503 ") || !strings.Contains(string(answer), "Retry-After") {
			t.Fatalf("%q", answer)
		}
		_ = open[0].Close()
		_ = open[0].Close() // twice counts once
		if l.Open() != 1 {
			t.Fatalf("%d open", l.Open())
		}
	})
}

func TestPrefixOf(t *testing.T) {
	for _, row := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1:1", "192.0.2.1:2", true},
		{"192.0.2.1:1", "192.0.2.2:1", false},
		{"[2001:db8::1]:1", "[2001:db8::2]:1", true},
		{"[2001:db8::1]:1", "[2001:db8:0:1::1]:1", false},
		{"[::ffff:192.0.2.1]:1", "192.0.2.1:1", true},
		{"[fe80::1%eth0]:1", "[fe80::1]:1", true},
	} {
		a, _ := net.ResolveTCPAddr("tcp", row.a)
		b, _ := net.ResolveTCPAddr("tcp", row.b)
		if (prefixOf(a) == prefixOf(b)) != row.same {
			t.Errorf("%s and %s: same peer is %v", row.a, row.b, !row.same)
		}
	}
}

// held is a Poll that is answered with what was put into it.
type held struct {
	wake   interface{ Wake() }
	ready  bool
	parked chan struct{}
	over   chan struct{}
}

func (h *held) Park(w interface{ Wake() }) bool { h.wake = w; h.parked <- struct{}{}; return true }
func (h *held) Ready(last bool) bool            { return h.ready || last }
func (h *held) Done()                           { close(h.over) }
func (h *held) Answer(dst []byte, keepAlive bool) []byte {
	connection := "close"
	if keepAlive {
		connection = "keep-alive"
	}
	return append(dst, "HTTP/1.1 204 No Content\r\nConnection: "+connection+"\r\n\r\n"...)
}

// TestAConnectionIsHandedBack serves three requests on one connection, each held
// outside of net/http.
func TestAConnectionIsHandedBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wire := memnet.Listen(1 << 10)
		l := Listen(wire, nil, Limits{})
		lives := NewLives()
		running(t, lives.Run)
		polls := make(chan *held, 3)
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			h := &held{parked: make(chan struct{}, 9), over: make(chan struct{})}
			lives.Park(conn, l, time.Minute, h)
			polls <- h
		})}
		go func() { _ = l.Run() }()
		go func() { _ = srv.Serve(l) }()
		defer srv.Close()
		dials := 0
		transport := &http.Transport{DialContext: func(ctx context.Context, a, b string) (net.Conn, error) { dials++; return wire.Dial(ctx, a, b) }}
		defer transport.CloseIdleConnections()
		client := &http.Client{Transport: transport}
		for i, how := range []string{"spurious wake", "timeout", "wake"} {
			answered := make(chan *http.Response)
			start := time.Now()
			go func() {
				res, err := client.Get("http://parley.test/")
				if err != nil {
					t.Error(err)
				}
				answered <- res
			}()
			h := <-polls
			<-h.parked
			switch how {
			case "spurious wake":
				h.wake.Wake()
				<-h.parked // it waits again
				h.ready = true
				h.wake.Wake()
			case "wake":
				h.ready = true
				h.wake.Wake()
			}
			res := <-answered
			<-h.over
			if res.StatusCode != 204 || dials != 1 {
				t.Fatalf("%d: status %d after %d dials", i, res.StatusCode, dials)
			}
			synctest.Wait()
			h.wake.Wake() // too late: the connection is net/http's again
			synctest.Wait()
			if took := time.Since(start); how == "timeout" && (took < time.Minute || took > time.Minute+time.Second) {
				t.Fatalf("timed out after %v", took)
			}
		}
	})
}

func TestAHeldRequestWhosePeerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lives := NewLives()
		server, client := memnet.Pipe(1 << 10)
		h := &held{parked: make(chan struct{}, 9), over: make(chan struct{})}
		lives.Park(server, nil, time.Minute, h)
		<-h.parked
		_ = client.Close()
		<-h.over
		synctest.Wait()
		if lives.Count() != 0 {
			t.Fatal("still counted")
		}
	})
}
