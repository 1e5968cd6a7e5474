package stream

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/engine/disklog"
	"github.com/parleyhq/parley/internal/vfs"
)

// benchGroup runs groups over a log on disk, with a topic of so many partitions.
func benchGroup(b *testing.B, partitions int) (context.Context, *Group) {
	b.Helper()
	ctx, stop := context.WithCancel(context.Background())
	log, err := disklog.Open(vfs.OS(b.TempDir()), disklog.Options{})
	if err != nil {
		b.Fatal(err)
	}
	topics := topic.New(log, topic.Options{})
	gs, err := New(log, new(shard.Local), topics, Options{})
	if err != nil {
		b.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() { _ = log.Run(ctx) })
	if err := topics.Load(ctx); err != nil {
		b.Fatal(err)
	}
	running.Go(func() { _ = gs.Run(ctx) })
	b.Cleanup(func() { stop(); running.Wait() })
	if _, err := topics.Create(ctx, "a", topic.Settings{Partitions: partitions}); err != nil {
		b.Fatal(err)
	}
	g, err := gs.Ensure(ctx, "g")
	if err != nil {
		b.Fatal(err)
	}
	return ctx, g
}

// BenchmarkRebalance has one of 64 members leave and another come, over 256
// partitions; the time is that until all who are there have their new shares.
func BenchmarkRebalance(b *testing.B) {
	const members, partitions = 64, 256
	ctx, g := benchGroup(b, partitions)
	news := make(chan struct{}, 1) // somebody has a new share
	var polling sync.WaitGroup
	defer polling.Wait()
	enter := func() (leave func()) {
		own, cancel := context.WithCancel(ctx)
		c, err := NewConsumer(g, ConsumerOptions{Topics: []string{"a"}, OnAssign: func(context.Context, []Place) {
			select {
			case news <- struct{}{}:
			default:
			}
		}})
		if err != nil {
			b.Fatal(err)
		}
		polling.Go(func() {
			for {
				if _, err := c.Poll(own); err != nil {
					_ = c.Leave(ctx)
					return
				}
			}
		})
		return cancel
	}
	settled := func(n int) { // all partitions are with n members
		for {
			info, err := g.Describe(ctx)
			if err != nil {
				b.Fatal(err)
			}
			total := 0
			for _, m := range info.Members {
				total += len(m.Assigned)
			}
			if info.State == Stable && len(info.Members) == n && total == partitions {
				return
			}
			<-news
		}
	}
	var leave []func()
	for range members {
		leave = append(leave, enter())
	}
	settled(members)
	defer func() {
		for _, end := range leave {
			end()
		}
	}()
	for b.Loop() {
		leave[0]()
		leave = leave[1:]
		settled(members - 1)
		leave = append(leave, enter())
		settled(members)
	}
}

// BenchmarkCommits makes 1,000 commits a second, by ten members, each durable when
// it is answered, and tells the 99th percentile of the answers.
func BenchmarkCommits(b *testing.B) {
	const members, rate = 10, 1000
	ctx, g := benchGroup(b, members)
	topics := g.all.topics
	for range 2000 {
		if _, _, err := topics.Publish(ctx, "a", []parley.Event{{Data: []byte("x")}}, topic.PublishOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	j, err := g.Join(ctx, JoinRequest{Topics: []string{"a"}, Session: MaxSession})
	if err != nil {
		b.Fatal(err)
	}
	var mu sync.Mutex
	var took []time.Duration
	var next [members]parley.Position
	var under sync.WaitGroup
	tick := time.NewTicker(time.Second / rate)
	defer tick.Stop()
	i := 0
	for b.Loop() {
		<-tick.C
		p := i % members
		i++
		if next[p]++; next[p] > 150 {
			next[p] = 150
		}
		at := []Place{{"a", p, next[p]}}
		under.Go(func() {
			began := time.Now()
			_, err := g.Commit(ctx, CommitRequest{Member: j.Member, Generation: j.Generation, Places: at})
			if err != nil && parley.CodeOf(err) != parley.Conflict { // one overtook another
				b.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, time.Since(began))
		})
	}
	under.Wait()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
}
