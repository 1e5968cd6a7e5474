package websocket

import (
	"bufio"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
)

func TestKeepAlivePingsAndFindsTheDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, nc := connect(t, 0, Options{CloseTimeout: time.Second})
		ran, kept := echo(c), make(chan error, 1)
		go func() { kept <- c.KeepAlive(t.Context(), Pulse{Interval: 20 * time.Second, Grace: 5 * time.Second}) }()
		start, r := time.Now(), bufio.NewReader(nc)
		at := func(want string, after time.Duration) {
			t.Helper()
			b0, p, err := readFrame(r)
			if err != nil || describe(b0, p) != want || time.Since(start) != after {
				t.Fatalf("%s after %v (%v), want %s after %v", describe(b0, p), time.Since(start), err, want, after)
			}
		}
		at("ping", 20*time.Second)
		mustWrite(t, nc, maskedString(0x8A, ""))
		at("ping", 40*time.Second)
		// Any byte is a sign of life, even a part of a message.
		m := maskedString(0x81, "hi")
		mustWrite(t, nc, m[:3])
		at("ping", 60*time.Second)
		mustWrite(t, nc, m[3:])
		at("text hi", 60*time.Second)
		at("ping", 80*time.Second)
		at("close 3012", 85*time.Second)
		if err := <-kept; parley.CodeOf(err) != parley.Timeout {
			t.Errorf("KeepAlive: %v", err)
		}
		if err := <-ran; CloseCodeOf(err) != CloseAbnormal {
			t.Errorf("Run: %v", err)
		}
		if time.Since(start) != 86*time.Second {
			t.Errorf("over after %v", time.Since(start))
		}
	})
}

func TestKeepAliveEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c, _ := connect(t, 0, Options{})
		kept := make(chan error, 2)
		go func() { kept <- c.KeepAlive(ctx, Pulse{}) }()
		synctest.Wait()
		cancel()
		if err := <-kept; err != nil {
			t.Errorf("with its context: %v", err)
		}
		go func() { kept <- c.KeepAlive(t.Context(), Pulse{}) }()
		synctest.Wait()
		c.Abort()
		if err := <-kept; err != nil {
			t.Errorf("with the connection: %v", err)
		}
	})
}

// A connection that is busy in both directions is never pinged; one that is busy
// in one direction is, for the sake of proxies that watch the other.
func TestBeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := connect(t, 0, Options{})
		p := Pulse{Interval: 10 * time.Second, Grace: 2 * time.Second}
		step := func(d time.Duration) Beat {
			<-time.After(d)
			b, _ := c.Beat(time.Now(), p)
			return b
		}
		for range 5 {
			c.life.saw()
			c.life.wrote()
			if b := step(9 * time.Second); b != BeatWait {
				t.Fatalf("busy: %v", b)
			}
		}
		c.life.wrote()
		if b := step(time.Second); b != BeatPing {
			t.Errorf("nothing received for 10 s: %v", b)
		}
		c.life.saw()
		if b := step(10 * time.Second); b != BeatPing {
			t.Errorf("nothing sent for 10 s: %v", b)
		}
		c.life.ask()
		if b := step(time.Second); b != BeatWait {
			t.Errorf("in the grace: %v", b)
		}
		c.life.ask() // a second ping gives no second grace
		if b := step(time.Second); b != BeatDead {
			t.Errorf("after the grace: %v", b)
		}
		c.life.saw()
		if b := step(0); b != BeatPing {
			t.Errorf("late, but alive, and long nothing sent: %v", b)
		}
	})
}
