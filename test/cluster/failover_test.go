package cluster_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/engine/natslog"
	"github.com/parleyhq/parley/test/rig"
)

var jobs, tally = parley.Stream{Name: "jobs/1"}, parley.Stream{Name: "tally/1"}

// ledger is what a load was told.
type ledger struct {
	mu      sync.Mutex
	acked   map[string]parley.Position
	unknown map[string]bool
	times   []time.Time
}

func (l *ledger) told(value string, at parley.Position, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		l.acked[value] = at
		l.times = append(l.times, time.Now())
	case parley.CodeOf(err) == parley.Unknown:
		l.unknown[value] = true
	}
}

// gap gives the longest time without an acknowledgement.
func (l *ledger) gap() (longest time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.SortFunc(l.times, time.Time.Compare)
	for i := 1; i < len(l.times); i++ {
		longest = max(longest, l.times[i].Sub(l.times[i-1]))
	}
	return longest
}

// load appends until the context ends: plain batches, batches with a key, and
// pairs over two streams.
func load(ctx context.Context, t *testing.T, log parley.Log, told *ledger) (stop func()) {
	var work sync.WaitGroup
	for k := range 6 {
		work.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				value := fmt.Sprintf("%d.%d", k, i)
				w := []parley.Write{{Stream: jobs, Batch: batchOf(t, value)}}
				switch k % 3 {
				case 1:
					copy(w[0].Once[:], value)
				case 2:
					w = append(w, parley.Write{Stream: tally, Batch: batchOf(t, value)})
				}
				got, err := log.Append(context.WithoutCancel(ctx), w...)
				if err != nil {
					told.told(value, 0, err)
					if code := parley.CodeOf(err); code != parley.Unknown && code != parley.Unavailable {
						t.Errorf("append %s: %v", value, err)
						return
					}
					continue
				}
				told.told(value, got[0].Base, nil)
			}
		})
	}
	return work.Wait
}

func batchOf(t testing.TB, value string) parley.Batch {
	var b parley.Builder
	if err := b.AddRecord(time.Now(), nil, []byte(value)); err != nil {
		t.Error(err)
	}
	batch, err := b.Batch()
	if err != nil {
		t.Error(err)
	}
	return batch
}

// stored reads a whole stream: what is where.
func stored(ctx context.Context, t *testing.T, log parley.Log, s parley.Stream) map[string][]parley.Position {
	t.Helper()
	all := make(map[string][]parley.Position)
	for at := (parley.Place{Stream: s}); ; {
		run, err := log.Read(ctx, at, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if run.Empty() {
			return all
		}
		for r, err := range run.Records() {
			if err != nil {
				t.Fatal(err)
			}
			all[string(r.Value)] = append(all[string(r.Value)], r.Position)
		}
		at.At = run.Next()
		run.Release()
	}
}

// runLog opens a log and runs it until the test ends.
func runLog(t *testing.T, o natslog.Options) *natslog.Log {
	t.Helper()
	log, err := natslog.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- log.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		log.Close()
	})
	return log
}

// leader gives the name of the server that leads a stream, "" while there is none.
func leader(log *natslog.Log, stream string) string {
	m, err := log.Conn().Request("$JS.API.STREAM.INFO."+stream, nil, time.Second)
	if err != nil {
		return ""
	}
	var info struct {
		Cluster struct {
			Leader string `json:"leader"`
		} `json:"cluster"`
	}
	if json.Unmarshal(m.Data, &info) != nil {
		return ""
	}
	return info.Cluster.Leader
}

// TestLeaderKilled kills the server that leads the log's stream while others
// append: nothing that was acknowledged is lost or twice there, pairs are whole,
// and a follower misses nothing.
func TestLeaderKilled(t *testing.T) {
	s := startServers(t, 3, false)
	o := natslog.Options{URL: s.url(), Prefix: "failover", Replicas: 3, Synced: true}
	log, other := runLog(t, o), runLog(t, o)
	told := &ledger{acked: map[string]parley.Position{}, unknown: map[string]bool{}}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	followed := make(map[string]int)
	followCtx, endFollow := context.WithTimeout(t.Context(), time.Minute)
	defer endFollow()
	following := make(chan error, 1)
	go func() { following <- follow(followCtx, other, followed) }()
	stop := load(ctx, t, log, told)

	acks := func() int { told.mu.Lock(); defer told.mu.Unlock(); return len(told.acked) }
	rig.Eventually(t, "the load", func() bool { return acks() > 200 })
	victim := slices.IndexFunc(s.specs, func(sp spec) bool { return sp.Name == leader(log, "failover_0") })
	if victim < 0 {
		t.Fatal("the stream has no leader")
	}
	killed := time.Now()
	s.procs[victim].kill()
	rig.Eventually(t, "another leader", func() bool {
		name := leader(log, "failover_0")
		return name != "" && name != s.specs[victim].Name
	})
	elected := time.Since(killed)
	before := acks()
	rig.Eventually(t, "acknowledgements again", func() bool { return acks() > before+200 })
	s.launch(victim)
	s.ready(victim)
	before = acks()
	rig.Eventually(t, "acknowledgements with all servers", func() bool { return acks() > before+200 })
	cancel()
	stop()

	t.Logf("%d acknowledged, %d unknown; a leader after %s, the longest pause %s", len(told.acked), len(told.unknown), elected.Round(10*time.Millisecond), told.gap().Round(10*time.Millisecond))
	if gap := told.gap(); gap > elected+time.Second {
		t.Errorf("appending resumed %s after the election", gap-elected)
	}
	if _, err := log.Append(t.Context(), parley.Write{Stream: jobs, Batch: batchOf(t, "last")}); err != nil {
		t.Fatal(err)
	}
	if err := <-following; err != nil {
		t.Errorf("following: %v", err)
	}
	told.compare(t, stored(t.Context(), t, log, jobs), stored(t.Context(), t, log, tally), followed)
}

// compare holds what was told against what is there.
func (l *ledger) compare(t *testing.T, jobs, tally map[string][]parley.Position, followed map[string]int) {
	t.Helper()
	for value, at := range l.acked {
		if got := jobs[value]; len(got) != 1 || got[0] != at {
			t.Errorf("%s was acknowledged at %d, it is at %v", value, at, got)
		}
	}
	for value, at := range jobs {
		_, known := l.acked[value]
		if len(at) != 1 || !known && !l.unknown[value] && value != "last" {
			t.Errorf("%s is at %v, and nobody was told so", value, at)
		}
		if value[0] == '2' || value[0] == '5' {
			if len(tally[value]) != 1 {
				t.Errorf("the other half of %s is at %v", value, tally[value])
			}
		}
		if followed[value] != 1 {
			t.Errorf("%s was followed %d times", value, followed[value])
		}
	}
	for value := range tally {
		if len(jobs[value]) != 1 {
			t.Errorf("%s is half there", value)
		}
	}
}

// follow follows the jobs until it has seen the last.
func follow(ctx context.Context, log parley.Log, seen map[string]int) error {
	for run, err := range parley.Follow(ctx, log, parley.Place{Stream: jobs}, 64<<10) {
		if err != nil {
			return err
		}
		for r, err := range run.Records() {
			if err != nil {
				return err
			}
			if seen[string(r.Value)]++; string(r.Value) == "last" {
				return nil
			}
		}
	}
	return nil
}
