package topic

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/engine/memlog"
)

func BenchmarkPublish(b *testing.B) {
	ctx := context.Background()
	log := memlog.New(memlog.Options{StreamBytes: 64 << 20})
	r := newTest(b, log, Options{AutoCreate: true})
	if _, err := r.Ensure(ctx, "orders"); err != nil {
		b.Fatal(err)
	}
	events := []parley.Event{{Data: make([]byte, 100), DataContentType: "application/json"}}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := r.Publish(ctx, "orders", events, PublishOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPublish1000(b *testing.B) {
	ctx := context.Background()
	log := memlog.New(memlog.Options{StreamBytes: 64 << 20})
	r := newTest(b, log, Options{AutoCreate: true, Defaults: Settings{Partitions: 8}})
	if _, err := r.Ensure(ctx, "orders"); err != nil {
		b.Fatal(err)
	}
	events := make([]parley.Event, 1000)
	for i := range events {
		events[i] = keyed(strings.Repeat("x", 100), fmt.Sprint("key", i%100))
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := r.Publish(ctx, "orders", events, PublishOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkIndexMatch(b *testing.B) {
	var x Index[int]
	for i := range 1000 {
		x.Add(mustPattern(b, fmt.Sprintf("orders.%d.>", i)), i)
		x.Add(mustPattern(b, fmt.Sprintf("*.%d.eu", i)), i)
	}
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for range x.Match("orders.77.eu") {
			n++
		}
		if n != 2 {
			b.Fatal(n)
		}
	}
}
