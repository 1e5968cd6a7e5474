// Command stream measures consumer groups of a real server, over HTTP: replaying a
// topic beside reading it without a group, commits at a steady pace beside single
// appends, and the rebalance of many members.
//
//	go run ./stream
//	go run ./stream -events 100000 -rounds 3
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/bench/target"
	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/pattern/stream"
)

var (
	events  = flag.Int("events", 1_000_000, "events of the topic that is replayed")
	rounds  = flag.Int("rounds", 3, "rounds of the replay")
	commits = flag.Int("commits", 1000, "commits a second")
	length  = flag.Duration("for", 10*time.Second, "how long to commit")
	members = flag.Int("members", 64, "members of the rebalance")
	parts   = flag.Int("partitions", 256, "partitions of the rebalance")
)

func main() {
	target.Main()
	flag.Parse()
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "parley-bench-stream-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	s, err := target.Start("data", dir)
	if err != nil {
		return err
	}
	defer func() { _ = s.Stop() }()
	c, err := client.New("http://"+s.HTTP, client.Options{})
	if err != nil {
		return err
	}
	fmt.Printf("%s, %d processors\n", runtime.Version(), runtime.GOMAXPROCS(0))
	for _, part := range []func(context.Context, *client.Client) error{replay, commit, rebalance} {
		if err := part(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// replay reads all events by polls, then as a group, by turns.
func replay(ctx context.Context, c *client.Client) error {
	if _, err := c.PutTopic(ctx, "replay", []byte(`{"partitions":4}`)); err != nil {
		return err
	}
	for sent := 0; sent < *events; {
		list := make([]parley.Event, min(1000, *events-sent))
		for i := range list {
			list[i] = parley.Event{Type: "Sale", DataContentType: "application/json", Data: fmt.Appendf(nil, `{"n":%d,"customer":"customer-%d","amount":12.5,"currency":"EUR","note":"a line of some length"}`, sent+i, i%97)}
			list[i].Set("partitionkey", strconv.Itoa(i%97))
		}
		if _, err := c.Publish(ctx, "replay", list...); err != nil {
			return err
		}
		sent += len(list)
	}
	for round := range *rounds {
		begun := time.Now()
		n, at := 0, "earliest"
		for n < *events {
			page, err := c.Poll(ctx, "replay", client.Poll{After: at, Limit: 1000})
			if err != nil {
				return err
			}
			n, at = n+len(page.Events), page.Cursor
		}
		raw := float64(n) / time.Since(begun).Seconds()
		group, err := c.Group("replay-" + strconv.Itoa(round)).Consumer(client.ConsumerOptions{Topics: []string{"replay"}, Limit: 1000, AutoCommit: 5 * time.Second})
		if err != nil {
			return err
		}
		begun, n = time.Now(), 0
		for list, err := range group.Batches(ctx) {
			if err != nil {
				return err
			}
			if n += len(list); n >= *events {
				break
			}
		}
		grouped := float64(n) / time.Since(begun).Seconds()
		fmt.Printf("replay of %d events: polls %.0f/s, a group %.0f/s: %.0f %%\n", n, raw, grouped, 100*grouped/raw)
	}
	return nil
}

// commit moves the places of a group on at a steady pace, and appends single events
// meanwhile at a tenth of it: what one flush takes.
func commit(ctx context.Context, c *client.Client) error {
	const spread = 50 // partitions, so that each commit is of another place than the last
	if _, err := c.PutTopic(ctx, "commits", fmt.Appendf(nil, `{"partitions":%d}`, spread)); err != nil {
		return err
	}
	perPart := int(length.Seconds())**commits/spread + 2
	for p := range spread {
		w := c.Batches("commits", p)
		for left := perPart; left > 0; left -= 500 {
			var b parley.Builder
			for range min(left, 500) {
				if err := b.Add(time.Now(), &parley.Event{ID: "1", Source: "/bench", Type: "x", Data: []byte("x")}); err != nil {
					return err
				}
			}
			batch, err := b.Batch()
			if err != nil {
				return err
			}
			if _, err := w.Publish(ctx, batch); err != nil {
				return err
			}
		}
		_ = w.Close()
	}
	return paced(ctx, c, spread)
}

func paced(ctx context.Context, c *client.Client, spread int) error {
	g := c.Group("commits")
	if _, err := g.Seek(ctx, client.GroupSeek{To: "earliest", Topics: []string{"commits"}}); err != nil {
		return err
	}
	if _, err := c.PutTopic(ctx, "flushes", nil); err != nil {
		return err
	}
	var mu sync.Mutex
	var took, flushes []time.Duration
	var failed error
	note := func(list *[]time.Duration, begun time.Time, err error) {
		mu.Lock()
		defer mu.Unlock()
		*list = append(*list, time.Since(begun))
		if err != nil {
			failed = err
		}
	}
	var work sync.WaitGroup
	turns := make([]chan int, spread) // one commit of a partition at a time: they may not go back
	for p := range turns {
		turns[p] = make(chan int, 1000)
		work.Go(func() {
			for at := range turns[p] {
				begun := time.Now()
				note(&took, begun, g.Commit(ctx, stream.Place{Topic: "commits", Partition: p, Position: parley.Position(at)}))
			}
		})
	}
	tick := time.NewTicker(time.Second / time.Duration(*commits))
	begun := time.Now()
	sent := 0
	for time.Since(begun) < *length {
		<-tick.C
		for due := int(time.Since(begun).Seconds() * float64(*commits)); sent < due; sent++ {
			turns[sent%spread] <- sent/spread + 2
			if sent%10 == 0 {
				work.Go(func() {
					begun := time.Now()
					_, err := c.Publish(ctx, "flushes", parley.Event{Data: []byte("x")})
					note(&flushes, begun, err)
				})
			}
		}
	}
	tick.Stop()
	for _, turn := range turns {
		close(turn)
	}
	work.Wait()
	fmt.Printf("%.0f commits/s: p50 %v, p99 %v; single appends beside them: p50 %v, p99 %v\n",
		float64(len(took))/time.Since(begun).Seconds(), quantile(took, 0.5), quantile(took, 0.99), quantile(flushes, 0.5), quantile(flushes, 0.99))
	return failed
}

func quantile(list []time.Duration, q float64) time.Duration {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	return list[int(q*float64(len(list)-1))].Round(10 * time.Microsecond)
}

// rebalance has one member more join, and waits until everybody is in the generation
// that all are in.
func rebalance(ctx context.Context, c *client.Client) error {
	if _, err := c.PutTopic(ctx, "many", fmt.Appendf(nil, `{"partitions":%d}`, *parts)); err != nil {
		return err
	}
	ctx, end := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer end()
	type share struct{ member, partitions int }
	shares := make(chan share, 100_000)
	join := func(member int) error {
		one, err := c.Group("many").Consumer(client.ConsumerOptions{Topics: []string{"many"}, OnAssign: func(_ context.Context, list []stream.Place) { shares <- share{member, len(list)} }})
		if err != nil {
			return err
		}
		work.Go(func() {
			for _, err := range one.Messages(ctx) {
				if err != nil {
					return
				}
			}
		})
		return nil
	}
	have := map[int]int{}
	settled := func(n int) {
		for {
			s := <-shares
			have[s.member] = s.partitions
			sum, most := 0, 0
			for _, v := range have {
				sum, most = sum+v, max(most, v)
			}
			if len(have) == n && sum == *parts && most <= (*parts+n-1)/n {
				return
			}
		}
	}
	begun := time.Now()
	for member := range *members - 1 {
		if err := join(member); err != nil {
			return err
		}
	}
	settled(*members - 1)
	first := time.Since(begun)
	begun = time.Now()
	if err := join(*members); err != nil {
		return err
	}
	settled(*members)
	fmt.Printf("%d members join at once: %v; one more, over %d partitions: %v\n", *members-1, first.Round(time.Millisecond), *parts, time.Since(begun).Round(time.Millisecond))
	return nil
}
