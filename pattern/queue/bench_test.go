package queue

import (
	"context"
	"testing"

	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/engine/memlog"
)

// BenchmarkWork is what a job costs from Enqueue to Ack, a hundred at a time, over
// a log in memory.
func BenchmarkWork(b *testing.B) {
	ctx, cancel := context.WithCancel(context.Background())
	q, err := New(memlog.New(memlog.Options{}), new(shard.Local), "q", Options{})
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- q.Run(ctx) }()
	defer func() {
		cancel()
		<-done
	}()
	jobs := make([]Job, 100)
	for i := range jobs {
		jobs[i].Event.Data = make([]byte, 200)
	}
	b.ReportAllocs()
	for n := 0; n < b.N; {
		if _, err := q.Enqueue(ctx, jobs, EnqueueOptions{}); err != nil {
			b.Fatal(err)
		}
		list, err := q.Lease(ctx, LeaseRequest{Max: 100, Wait: MaxWait})
		if err != nil {
			b.Fatal(err)
		}
		acks := make([]Settlement, len(list))
		for i, l := range list {
			acks[i] = Settlement{Lease: l.Token, Action: Ack}
		}
		if _, err := q.Settle(ctx, acks); err != nil {
			b.Fatal(err)
		}
		n += len(list)
	}
}

// BenchmarkIntake is what the machine pays to take in a plain job, in moves of a
// thousand.
func BenchmarkIntake(b *testing.B) {
	m := newMachine()
	for at := int64(1); at < int64(b.N); at += 1000 {
		var g gatherer
		for id := at; id < at+1000; id++ {
			g.plain(id, 0, false)
		}
		if err := m.Apply(moveAt(1, encodeIntake(at+1000, g.list))); err != nil {
			b.Fatal(err)
		}
	}
}
