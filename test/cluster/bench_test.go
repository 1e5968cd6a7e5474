package cluster_test

import (
	"context"
	"encoding/binary"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/engine/natslog"
)

// side is one of two things that are measured by turns, on one cluster.
type side struct {
	name string
	run  func(n int) error // n messages
}

// inFlight is how many messages each side has under way.
const inFlight = 512

// BenchmarkPublish compares a log whose appends are single batches with nats.go's
// own asynchronous publish of the same bytes: one server, one replica.
func BenchmarkPublish(b *testing.B) {
	url := startServers(b, 1, false).url()
	batch := batchOf(b, strings.Repeat("x", 256))
	sides := []side{rawAsync(b, url, batch), appends(b, url, 1, batch, false), appends(b, url, 1, batch, true)}
	const each = 20_000
	var rates [3][]float64
	for _, s := range sides {
		if err := s.run(each); err != nil { // warm
			b.Fatal(err)
		}
	}
	for b.Loop() {
		for i, s := range sides {
			begun := time.Now()
			if err := s.run(each); err != nil {
				b.Fatal(err)
			}
			rates[i] = append(rates[i], each/time.Since(begun).Seconds())
		}
	}
	raw, ours := median(rates[0]), median(rates[1])
	b.ReportMetric(raw, "raw/s")
	b.ReportMetric(ours, "parley/s")
	b.ReportMetric(100*ours/raw, "%")
	b.ReportMetric(100*median(rates[2])/raw, "%-with-keys")
}

// BenchmarkLatency compares the time of one append after the other with that of a
// raw synchronous publish: three servers, three replicas.
func BenchmarkLatency(b *testing.B) {
	url := startServers(b, 3, false).url()
	batch := batchOf(b, strings.Repeat("x", 256))
	js, stream := rawStream(b, url, 3)
	log := runBenchLog(b, url, 3)
	var raw, ours []time.Duration
	one := func(times *[]time.Duration, f func() error) {
		begun := time.Now()
		if err := f(); err != nil {
			b.Fatal(err)
		}
		*times = append(*times, time.Since(begun))
	}
	for b.Loop() {
		one(&raw, func() error { _, err := js.Publish(b.Context(), stream+".x", batch.Bytes()); return err })
		one(&ours, func() error {
			_, err := log.Append(b.Context(), parley.Write{Stream: jobs, Batch: batch})
			return err
		})
	}
	for name, times := range map[string][]time.Duration{"raw": raw, "parley": ours} {
		slices.Sort(times)
		b.ReportMetric(float64(times[len(times)/2].Microseconds()), name+"-p50-µs")
		b.ReportMetric(float64(times[len(times)*99/100].Microseconds()), name+"-p99-µs")
	}
}

func rawStream(b *testing.B, url string, replicas int) (jetstream.JetStream, string) {
	b.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(inFlight))
	if err != nil {
		b.Fatal(err)
	}
	for {
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		_, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "raw", Subjects: []string{"raw.>"}, Replicas: replicas, AllowDirect: true})
		cancel()
		if err == nil {
			return js, "raw"
		}
		if b.Context().Err() != nil {
			b.Fatal(err)
		}
	}
}

func rawAsync(b *testing.B, url string, batch parley.Batch) side {
	js, stream := rawStream(b, url, 1)
	return side{"raw", func(n int) error {
		futures := make([]jetstream.PubAckFuture, 0, n)
		for range n {
			f, err := js.PublishAsync(stream+".x", batch.Bytes(), jetstream.WithStallWait(10*time.Second))
			if err != nil {
				return err
			}
			futures = append(futures, f)
		}
		for _, f := range futures {
			select {
			case <-f.Ok():
			case err := <-f.Err():
				return err
			}
		}
		return nil
	}}
}

func runBenchLog(b *testing.B, url string, replicas int) *natslog.Log {
	b.Helper()
	log, err := natslog.Open(b.Context(), natslog.Options{URL: url, Prefix: "bench", Replicas: replicas, Synced: true, MemoryBytes: 1 << 20})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(log.Close)
	return log
}

func appends(b *testing.B, url string, replicas int, batch parley.Batch, keys bool) side {
	log := runBenchLog(b, url, replicas)
	var last atomic.Uint64
	return side{"parley", func(n int) error {
		var left atomic.Int64
		left.Store(int64(n))
		errs := make(chan error, inFlight)
		var work sync.WaitGroup
		for range inFlight {
			work.Go(func() {
				for left.Add(-1) >= 0 {
					w := parley.Write{Stream: jobs, Batch: batch}
					if keys {
						binary.BigEndian.PutUint64(w.Once[:], last.Add(1))
					}
					if _, err := log.Append(b.Context(), w); err != nil {
						errs <- err
						return
					}
				}
			})
		}
		work.Wait()
		close(errs)
		return <-errs
	}}
}

func median(of []float64) float64 {
	of = slices.Clone(of)
	slices.Sort(of)
	return of[len(of)/2]
}
