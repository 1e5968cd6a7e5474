package websocket

import (
	"bufio"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
)

// closedAt reads frames up to the close frame, and gives it and when it came.
func closedAt(t *testing.T, nc net.Conn) (string, time.Duration) {
	t.Helper()
	start, r := time.Now(), bufio.NewReader(nc)
	for {
		b0, p, err := readFrame(r)
		if err != nil {
			t.Fatal(err)
		}
		if Opcode(b0&0x0F) == Close {
			return describe(b0, p), time.Since(start)
		}
	}
}

// trickle writes head after a second, and piece every five for as long as the
// server takes it; then it closes done.
func trickle(nc net.Conn, head, piece []byte, done chan<- struct{}) {
	defer close(done)
	<-time.After(time.Second)
	for _, err := nc.Write(head); err == nil; _, err = nc.Write(piece) {
		<-time.After(5 * time.Second)
	}
}

// Whatever keeps a message from its end, and whatever keeps arriving meanwhile: it
// has its time and no more.
func TestAMessageMayNotTakeForEver(t *testing.T) {
	long := masked(0x82, make([]byte, 60_000))
	for _, c := range []struct {
		name        string
		head, piece []byte
	}{
		{"one frame, byte by byte", long[:50_000], []byte{0}},
		{"a head without its end", []byte{0x82, 0xFF}, nil},
		{"fragments", maskedString(0x02, "a"), maskedString(0x00, "b")},
		{"fragments without a byte", maskedString(0x02, ""), maskedString(0x00, "")},
		{"pings inside of a message", maskedString(0x02, "a"), maskedString(0x89, "p")},
		{"a control frame without its end", maskedString(0x89, "ping")[:6], nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn, nc := connect(t, 0, Options{})
				ran, kept := echo(conn), make(chan error, 1)
				go func() { kept <- conn.KeepAlive(t.Context(), Pulse{Grace: 2 * time.Minute}) }()
				sent := make(chan struct{})
				go trickle(nc, c.head, c.piece, sent)
				if end, after := closedAt(t, nc); end != "close 1008" || after != 61*time.Second {
					t.Errorf("%s after %v, want close 1008 a minute after the first byte", end, after)
				}
				if err := <-kept; parley.CodeOf(err) != parley.Timeout {
					t.Errorf("KeepAlive: %v", err)
				}
				if err := <-ran; CloseCodeOf(err) != CloseAbnormal {
					t.Errorf("Run: %v", err)
				}
				_ = nc.Close()
				<-sent
				if conn.rx.buf != nil || conn.in.big != nil {
					t.Error("what had arrived is still held")
				}
			})
		})
	}
}

// The time is that of one message. A peer that always has one under way, as reads
// cut them, may go on for ever.
func TestEachMessageHasTheWholeTime(t *testing.T) {
	for _, first := range []byte{0x81, 0x89} {
		synctest.Test(t, func(t *testing.T) {
			conn, nc := connect(t, 0, Options{MessageTimeout: 10 * time.Second})
			echo(conn)
			go func() { _ = conn.KeepAlive(t.Context(), Pulse{Interval: time.Second}) }()
			r := bufio.NewReader(nc)
			m := maskedString(first, "message")
			for cut := 1; cut < len(m); cut++ {
				// The rest of one and the beginning of the next arrive together.
				mustWrite(t, nc, m[:cut])
				for range 3 {
					<-time.After(9 * time.Second)
					mustWrite(t, nc, join(m[cut:], m[:cut]))
				}
				mustWrite(t, nc, m[cut:])
				for answers := 0; answers < 4; {
					b0, p, err := readFrame(r)
					if err != nil || b0 == 0x88 {
						t.Fatalf("cut at %d: %s %v", cut, describe(b0, p), err)
					}
					if b0 != 0x89 {
						answers++
					}
				}
			}
		})
	}
}

// What lies behind a message whose handler takes its time is not late for that.
func TestAHandlersTimeIsNotTheMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, nc := connect(t, 0, Options{MessageTimeout: 10 * time.Second})
		got := make(chan string, 2)
		go func() {
			_ = conn.Run(t.Context(), func(_ Opcode, p []byte) error {
				if got <- string(p); string(p) == "a" {
					<-time.After(time.Minute)
				}
				return nil
			})
		}()
		m := maskedString(0x81, "b")
		mustWrite(t, nc, join(maskedString(0x81, "a"), m[:4]))
		<-time.After(time.Minute)
		synctest.Wait()
		for range 9 {
			<-time.After(time.Second)
			if beat, _ := conn.Beat(time.Now(), Pulse{Interval: time.Hour}); beat != BeatWait {
				t.Errorf("beat %d", beat)
			}
		}
		mustWrite(t, nc, m[4:])
		if one, two := <-got, <-got; one != "a" || two != "b" {
			t.Errorf("%q, %q", one, two)
		}
	})
}

// Who drives Beat is told when to look again, so that no message is found later
// than the time it has, once more.
func TestBeatLooksInTimeForLateMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, nc := connect(t, 0, Options{MessageTimeout: 10 * time.Second})
		echo(conn)
		p := Pulse{Interval: time.Hour}
		if beat, next := conn.Beat(time.Now(), p); beat != BeatWait || time.Until(next) != 10*time.Second {
			t.Errorf("nothing has come: %d in %v", beat, time.Until(next))
		}
		<-time.After(3 * time.Second)
		mustWrite(t, nc, []byte{0x81})
		synctest.Wait()
		<-time.After(7 * time.Second)
		if beat, next := conn.Beat(time.Now(), p); beat != BeatWait || time.Until(next) != 3*time.Second {
			t.Errorf("a message is on its way: %d in %v", beat, time.Until(next))
		}
		<-time.After(3 * time.Second)
		if beat, _ := conn.Beat(time.Now(), p); beat != BeatLate {
			t.Errorf("its time is over: %d", beat)
		}
	})
}
