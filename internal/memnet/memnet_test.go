package memnet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestHTTPInFakeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := Listen(0)
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			timer := time.NewTimer(time.Hour)
			defer timer.Stop()
			<-timer.C
			fmt.Fprint(w, "late")
		})}
		served := make(chan error)
		go func() { served <- srv.Serve(l) }()
		tr := &http.Transport{DialContext: l.Dial}
		start := time.Now()
		resp, err := (&http.Client{Transport: tr}).Get("http://mem/")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(body) != "late" || time.Since(start) != time.Hour {
			t.Errorf("got %q, %v after %v", body, err, time.Since(start))
		}
		tr.CloseIdleConnections()
		srv.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}

func TestBoundedBufferAndDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := Pipe(4)
		start := time.Now()
		a.SetWriteDeadline(start.Add(3 * time.Second))
		n, err := a.Write([]byte("123456"))
		if n != 4 || !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != 3*time.Second {
			t.Errorf("write: %d, %v after %v; want 4 bytes and the deadline", n, err, time.Since(start))
		}
		a.SetWriteDeadline(time.Time{})
		go func() {
			a.Write([]byte("56789"))
			a.Close()
		}()
		all, err := io.ReadAll(b)
		if string(all) != "123456789" || err != nil {
			t.Errorf("read %q, %v", all, err)
		}
		if _, err := b.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("write to a closed end: %v", err)
		}
	})
}

func TestReadDeadlineWakesASleepingReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, b := Pipe(0)
		got := make(chan error)
		go func() {
			_, err := b.Read(make([]byte, 1))
			got <- err
		}()
		synctest.Wait()
		b.SetReadDeadline(time.Now().Add(-time.Second))
		if err := <-got; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
		b.SetDeadline(time.Time{})
		go func() {
			_, err := b.Read(make([]byte, 1))
			got <- err
		}()
		synctest.Wait()
		b.Close()
		if err := <-got; !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}

func TestListenerCloses(t *testing.T) {
	l := Listen(0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Dial(ctx, "", ""); !errors.Is(err, context.Canceled) {
		t.Errorf("dial without an acceptor: %v", err)
	}
	l.Close()
	l.Close()
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if _, err := l.Dial(t.Context(), "", ""); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("dial after close: %v", err)
	}
}

func TestCloseWriteLeavesReading(t *testing.T) {
	a, b := Pipe(0)
	a.(interface{ CloseWrite() error }).CloseWrite()
	if _, err := b.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("got %v, want EOF", err)
	}
	b.Write([]byte("ok"))
	buf := make([]byte, 8)
	if n, err := a.Read(buf); string(buf[:n]) != "ok" || err != nil {
		t.Errorf("got %q, %v", buf[:n], err)
	}
}
