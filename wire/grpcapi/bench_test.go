package grpcapi

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/pattern/pubsub"
	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
)

// tcp is a rig over loopback TCP.
func tcp(b *testing.B) *rig {
	b.Helper()
	ln, err := new(net.ListenConfig).Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	var d net.Dialer
	return rigOn(b, ln, func(ctx context.Context) (net.Conn, error) { return d.DialContext(ctx, "tcp", ln.Addr().String()) }, setup{topics: topic.Options{AutoCreate: true}})
}

func payload(n int) *parleyv1.PublishRequest {
	in := &parleyv1.PublishRequest{Topic: "a"}
	for range n {
		in.Events = append(in.Events, text(strings.Repeat("x", 100)))
	}
	return in
}

// Unary calls of one event of 100 bytes, one after the other and 64 at a time,
// over one connection.
func BenchmarkPublish(b *testing.B) {
	for _, c := range []struct {
		name string
		at   int
	}{{"one at a time", 1}, {"64 at a time", 64}} {
		b.Run(c.name, func(b *testing.B) {
			r, in := tcp(b), payload(1)
			var left atomic.Int64
			left.Store(int64(b.N))
			done := make(chan error, c.at)
			b.ReportAllocs()
			b.ResetTimer()
			for range c.at {
				go func() {
					for left.Add(-1) >= 0 {
						if _, err := r.publish.Publish(b.Context(), in); err != nil {
							done <- err
							return
						}
					}
					done <- nil
				}()
			}
			for range c.at {
				if err := <-done; err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// One stream, with one and with 100 events of 100 bytes in each request.
func BenchmarkPublishStream(b *testing.B) {
	for _, c := range []struct {
		name   string
		events int
	}{{"1 event", 1}, {"100 events", 100}} {
		b.Run(c.name, func(b *testing.B) {
			r, in := tcp(b), payload(c.events)
			s, err := r.publish.PublishStream(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.ResetTimer()
			go func() {
				for i := range b.N {
					if s.Send(&parleyv1.PublishStreamRequest{Request: uint64(i), Publish: in}) != nil {
						return // answers has the error
					}
				}
				_ = s.CloseSend()
			}()
			if all, err := answers(s); err != nil || len(all) != b.N {
				b.Fatalf("%d answers, %v", len(all), err)
			}
			b.ReportMetric(float64(b.N*c.events)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// What one of 1000 subscribers costs the server for each event of 100 bytes, up
// to what is handed to grpc; and what it would cost if each encoded by itself.
func BenchmarkFanOut(b *testing.B) {
	r := newRig(b, nil)
	if _, err := r.publish.Publish(b.Context(), payload(100)); err != nil {
		b.Fatal(err)
	}
	sub, err := r.hub.Subscribe(b.Context(), pubsub.Request{Topics: []string{"a"}, From: pubsub.Earliest()})
	if err != nil {
		b.Fatal(err)
	}
	defer sub.Close()
	d, err := sub.Next(b.Context())
	if err != nil || d.Len() != 100 {
		b.Fatalf("%d events, %v", d.Len(), err)
	}
	b.Run("shared", func(b *testing.B) {
		rd := &reading{stream: &sent{}, sub: sub}
		b.ReportAllocs()
		for b.Loop() {
			if err := rd.deliver(&d); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*100), "ns/event")
	})
	b.Run("each by itself", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var out []byte
			for _, c := range d.Chunks {
				views := c.Views()
				for i := range views {
					out = appendStored(out, &views[i])
				}
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*100), "ns/event")
	})
}
