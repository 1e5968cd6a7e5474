package client_test

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/internal/memnet"
)

// TestALostPollIsNotBegunAnew breaks a held request before anything has come:
// what is published until the next one belongs to the subscription.
func TestALostPollIsNotBegunAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, cut := serve(t)
		publish(t, c, 1, 3)
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Minute)
		got := make(chan string)
		go func() {
			defer close(got)
			for r, err := range c.Subscribe(ctx, client.Subscription{Topics: []string{"numbers"}, Over: client.LongPoll}) {
				if err != nil {
					return
				}
				got <- string(r.Data)
			}
		}()
		synctest.Wait() // it is held
		cut()
		publish(t, c, 4, 4)
		if data := <-got; data != "4" {
			t.Errorf("got %s, want 4", data)
		}
		stop()
		<-got
	})
}

// TestEphemeralByPolling delivers what is ephemeral to a held request, and refuses
// to a short one.
func TestEphemeralByPolling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := serve(t)
		publish(t, c, 1, 1)
		published := make(chan struct{})
		defer func() { <-published }()
		go func() {
			defer close(published)
			synctest.Wait() // it is held
			if _, err := c.PublishEphemeral(t.Context(), "numbers", numbered(7, 7)...); err != nil {
				t.Error(err)
			}
		}()
		s := client.Subscription{Topics: []string{"numbers"}, Over: client.LongPoll, Ephemeral: true}
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Minute)
		defer stop()
		for r, err := range c.Subscribe(ctx, s) {
			if err != nil || string(r.Data) != "7" {
				t.Errorf("%s, %v", r.Data, err)
			}
			break
		}
		s.Over = client.ShortPoll
		for _, err := range c.Subscribe(t.Context(), s) {
			if parley.CodeOf(err) != parley.Invalid {
				t.Errorf("short polls: %v", err)
			}
			break
		}
	})
}

// TestAFrameThatBreaksOff has a server that loses the connection within a frame:
// the client comes back.
func TestAFrameThatBreaksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wire := memnet.Listen(0)
		srv := &http.Server{Handler: http.HandlerFunc(breakOff)}
		done := make(chan struct{})
		go func() { defer close(done); _ = srv.Serve(wire) }()
		transport := &http.Transport{DialContext: wire.Dial}
		defer func() { transport.CloseIdleConnections(); _ = srv.Close(); <-done }()
		back := make(chan error, 1)
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		c, err := client.New("http://parley.test", client.Options{HTTP: &http.Client{Transport: transport}, OnReconnect: func(cause error, _ time.Duration) {
			back <- cause
			stop()
		}})
		if err != nil {
			t.Fatal(err)
		}
		for r, err := range c.Subscribe(ctx, client.Subscription{Topics: []string{"a"}, Over: client.WebSocket}) {
			if ctx.Err() == nil {
				t.Errorf("got %+v, %v", r, err)
			}
		}
		if cause := <-back; parley.CodeOf(cause) != parley.Unavailable {
			t.Errorf("it came back because of %v", cause)
		}
	})
}

// breakOff answers a WebSocket handshake (RFC 6455 §4.2.2), announces a frame of
// 1000 bytes and sends 512: as much as a reader may ask for at a time, so that the
// connection ends between two of its reads.
func breakOff(w http.ResponseWriter, r *http.Request) {
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	out := bufio.NewWriter(buf)
	_, _ = out.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: parley.v1\r\nSec-WebSocket-Accept: " + base64.StdEncoding.EncodeToString(sum[:]) + "\r\n\r\n")
	head := `{"topic":"a","events":[`
	_, _ = out.WriteString("\x81\x7e\x03\xe8" + head)
	for range 512 - len(head) {
		_ = out.WriteByte(' ')
	}
	_ = out.Flush()
	_ = buf.Flush()
}
