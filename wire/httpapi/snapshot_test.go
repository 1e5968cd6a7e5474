package httpapi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/parleyhq/parley"
)

// A snapshot is bytes of any length; HEAD makes none.
func TestSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		whole, made := bytes.Repeat([]byte("copy"), 100_000), 0
		r := newRig(t, func(s *setup) {
			s.Snapshot = func(_ context.Context, w io.Writer) error {
				made++
				_, err := w.Write(whole)
				return err
			}
		})
		res, body := r.do("GET", "/v1/snapshot", "")
		if res.StatusCode != 200 || body != string(whole) || res.Header.Get("Content-Type") != "application/octet-stream" || res.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%d, %d bytes, %v", res.StatusCode, len(body), res.Header)
		}
		if res, body := r.do("HEAD", "/v1/snapshot", ""); res.StatusCode != 200 || body != "" || made != 1 {
			t.Errorf("HEAD: %d %q, %d were made", res.StatusCode, body, made)
		}
	})
}

// What breaks off must not look whole: neither over HTTP/1.1 nor over HTTP/2. The
// next request has nothing of it.
func TestSnapshotThatBreaksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(s *setup) {
			s.Snapshot = func(_ context.Context, w io.Writer) error {
				if _, err := w.Write(make([]byte, 3*copyBuffer)); err != nil {
					return err
				}
				return parley.Errorf(parley.Unavailable, "the disk failed")
			}
		})
		for version, client := range map[int]*http.Client{1: r.client, 2: r.h2()} {
			for range 2 {
				res, err := client.Do(r.request("GET", "/v1/snapshot", ""))
				if err != nil {
					t.Fatal(err)
				}
				n, err := io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
				if res.ProtoMajor != version || res.StatusCode != 200 || err == nil {
					t.Errorf("HTTP/%d: %d, %d bytes, %v", res.ProtoMajor, res.StatusCode, n, err)
				}
			}
			res, err := client.Do(r.request("GET", "/v1/errors", ""))
			if err != nil || res.StatusCode != 200 {
				t.Fatalf("HTTP/%d, afterwards: %v", version, err)
			}
			_ = res.Body.Close()
		}
	})
}

// A client that leaves, or stops to read, is no error of the server.
func TestSnapshotThatNobodyWaitsFor(t *testing.T) {
	for name, leave := range map[string]func(net.Conn){
		"leaves":        func(c net.Conn) { _ = c.Close() },
		"stops to read": func(net.Conn) {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				failed := make(chan struct{})
				r := newRig(t, func(s *setup) {
					s.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
					s.Snapshot = func(_ context.Context, w io.Writer) error {
						defer close(failed)
						for {
							if _, err := w.Write(make([]byte, copyBuffer)); err != nil {
								return errors.Join(err, err) // as who closes after a failed write
							}
						}
					}
				})
				c, br := r.raw("GET /v1/snapshot HTTP/1.1\r\nHost: localhost\r\n\r\n")
				if _, err := br.ReadString('\n'); err != nil {
					t.Fatal(err)
				}
				leave(c)
				<-failed
				synctest.Wait()
				if text := log.String(); strings.Contains(text, "ERROR") || strings.Count(text, "code=canceled") != 1 {
					t.Errorf("logged: %s", text)
				}
			})
		})
	}
}
