package cluster_test

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/engine/natslog"
)

// refusal is what Open says of servers that cannot carry a log.
func refusal(t *testing.T, o natslog.Options) *parley.Error {
	t.Helper()
	o.Logger = slog.New(slog.DiscardHandler)
	log, err := natslog.Open(t.Context(), o)
	if err == nil {
		log.Close()
		t.Fatal("the log was opened")
	}
	var e *parley.Error
	if !errors.As(err, &e) || e.Field == "" || e.Detail == "" || e.Fix == "" {
		t.Fatalf("%v names no field, or does not say what to do", err)
	}
	return e
}

func TestOpenRefuses(t *testing.T) {
	s := startServers(t, 1, false)
	if e := refusal(t, natslog.Options{URL: "nats://127.0.0.1:1"}); e.Code != parley.Unavailable || e.Field != "url" {
		t.Errorf("nobody there: %v", e)
	}
	if e := refusal(t, natslog.Options{URL: s.url()}); e.Code != parley.Unsupported || e.Field != "replicas" {
		t.Errorf("three replicas on one server: %v", e)
	}
	if e := refusal(t, natslog.Options{URL: s.url(), Prefix: "large", Replicas: 1, MemoryBytes: 1 << 40}); e.Code != parley.Unsupported || e.Field != "memory" {
		t.Errorf("more memory than there is: %v", e)
	}
	log := runLog(t, natslog.Options{URL: s.url(), Prefix: "made", Replicas: 1, Synced: true})
	m, err := log.Conn().Request("$JS.API.STREAM.CREATE.theirs_0", []byte(`{"name":"theirs_0","subjects":["theirs.0.>"],"max_age":3600000000000,"storage":"file"}`), 5*time.Second)
	if err != nil || strings.Contains(string(m.Data), `"error"`) {
		t.Fatalf("%s, %v", m.Data, err)
	}
	e := refusal(t, natslog.Options{URL: s.url(), Prefix: "theirs", Replicas: 1})
	for _, what := range []string{"atomic publishing is off", "direct gets are off", "rollups are off", "limits of its own"} {
		if e.Code != parley.Unsupported || !strings.Contains(e.Detail, what) {
			t.Errorf("a stream of somebody else's: %v; it does not say that %s", e, what)
		}
	}
	// A stream of ours is taken as it is.
	again, err := natslog.Open(t.Context(), natslog.Options{URL: s.url(), Prefix: "made", Replicas: 1, Synced: true})
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
	if e := refusal(t, natslog.Options{URL: s.url(), Prefix: "made", Replicas: 3}); !strings.Contains(e.Detail, "1 replicas instead of 3") {
		t.Errorf("more replicas than before: %v", e)
	}
}

// TestHomes spreads streams over several JetStream streams and memory: one commit
// has one home.
func TestHomes(t *testing.T) {
	s := startServers(t, 1, false)
	where := map[string]int{"a/1": 0, "b/1": 1, "b.moves": 1, "m/1": natslog.Memory}
	log := runLog(t, natslog.Options{
		URL: s.url(), Prefix: "homes", Replicas: 1, Homes: 2, MemoryBytes: 1 << 20, Synced: true,
		Home: func(s parley.Stream) int { return where[s.Name] },
	})
	write := func(name string) parley.Write {
		return parley.Write{Stream: parley.Stream{Name: name}, Batch: batchOf(t, name)}
	}
	if _, err := log.Append(t.Context(), write("b/1"), write("b.moves")); err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{"a/1", "m/1"} {
		if _, err := log.Append(t.Context(), write("b/1"), write(other)); parley.CodeOf(err) != parley.Apart || err == nil {
			t.Errorf("one commit with %s: %v", other, err)
		}
		if end, err := log.End(t.Context(), parley.Stream{Name: other}); err != nil || end != 0 {
			t.Errorf("%s ends at %d, %v", other, end, err)
		}
		if _, err := log.Append(t.Context(), write(other)); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan error, 1)
	at := []parley.Place{}
	for name := range where {
		end, err := log.End(t.Context(), parley.Stream{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		at = append(at, parley.Place{Stream: parley.Stream{Name: name}, At: end})
	}
	go func() { done <- log.Wait(t.Context(), at...) }()
	if _, err := log.Append(t.Context(), write("m/1")); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("waiting in all homes: %v", err)
	}
	// Memory has a bound, and says so.
	var err error
	for range 20 {
		w := parley.Write{Stream: parley.Stream{Name: "m/1"}, Batch: batchOf(t, strings.Repeat("x", 200<<10))}
		if _, err = log.Append(t.Context(), w); err != nil {
			break
		}
	}
	if parley.CodeOf(err) != parley.Full || err == nil {
		t.Errorf("more than the memory home holds: %v", err)
	}
	where["m/1"] = 0 // its topic is gone, and with it the word about where it lived
	if err := log.Remove(t.Context(), parley.Stream{Name: "m/1"}); err != nil {
		t.Fatal(err)
	}
	all, err := log.Streams(t.Context(), "")
	var names []string
	for _, s := range all {
		names = append(names, s.Name)
	}
	if want := []string{"a/1", "b.moves", "b/1"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("streams %q, %v; want %q", names, err, want)
	}
}

// TestTwoNodes is what one Log sees of another on the same servers: trimming and
// removing are told, keys are known, and End is current.
func TestTwoNodes(t *testing.T) {
	o := natslog.Options{URL: startServers(t, 1, false).url(), Prefix: "two", Replicas: 1, Synced: true}
	here, there := runLog(t, o), runLog(t, o)
	var bases []parley.Position
	for i := range 20 {
		w := parley.Write{Stream: jobs, Batch: batchOf(t, string(rune('a'+i)))}
		w.Once[0] = byte(i + 1)
		got, err := here.Append(t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		if end, err := there.End(t.Context(), jobs); err != nil || end != got[0].Base+1 {
			t.Fatalf("the end is %d elsewhere, after an append to %d; %v", end, got[0].Base, err)
		}
		again, err := there.Append(t.Context(), w)
		if err != nil || !again[0].Repeat || again[0].Base != got[0].Base {
			t.Fatalf("the same key elsewhere: %v after %v, %v", again, got, err)
		}
		bases = append(bases, got[0].Base)
	}
	tenth := bases[9]
	if err := here.Trim(t.Context(), jobs, tenth); err != nil {
		t.Fatal(err)
	}
	for _, at := range []parley.Position{1, bases[3], bases[8]} {
		_, err := there.Read(t.Context(), parley.Place{Stream: jobs, At: at}, 1<<20)
		var e *parley.Error
		if !errors.As(err, &e) || e.Code != parley.Trimmed || e.Earliest != tenth {
			t.Fatalf("at %d, which another node trimmed: %v; want Trimmed with %d", at, err, tenth)
		}
	}
	// Who has read all that was trimmed has missed nothing.
	run, err := there.Read(t.Context(), parley.Place{Stream: jobs, At: bases[8] + 1}, 1<<20)
	if err != nil || run.Empty() {
		t.Fatalf("right behind what was trimmed: %v", err)
	}
	run.Release()
	if err := here.Remove(t.Context(), jobs); err != nil {
		t.Fatal(err)
	}
	if end, err := there.End(t.Context(), jobs); err != nil || end != 0 {
		t.Fatalf("removed elsewhere, it ends at %d, %v", end, err)
	}
	if _, err := there.Append(t.Context(), parley.Write{Stream: jobs, Expect: parley.Empty, Batch: batchOf(t, "new")}); err != nil {
		t.Fatal(err)
	}
	if end, err := here.End(t.Context(), jobs); err != nil || end <= bases[19] {
		t.Fatalf("written again elsewhere, it ends at %d, %v", end, err)
	}
}

// TestCountsAreSaved: a node that has counted a stream saves others the work, also
// when it is trimmed, removed and written again.
func TestCountsAreSaved(t *testing.T) {
	o := natslog.Options{URL: startServers(t, 1, false).url(), Prefix: "counts", Replicas: 1, Synced: true}
	log := runLog(t, o)
	const n = 6000
	var work sync.WaitGroup
	for range 60 {
		work.Go(func() {
			for range n / 60 {
				if _, err := log.Append(t.Context(), parley.Write{Stream: jobs, Batch: batchOf(t, "x")}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	work.Wait()
	stat := func(l *natslog.Log, want int64) parley.Stats {
		t.Helper()
		got, err := l.Stat(t.Context(), jobs)
		if err != nil || got.Events != want {
			t.Fatalf("%+v, %v; want %d events", got, err, want)
		}
		return got
	}
	first := stat(log, n)
	saved, err := log.Conn().Request("$JS.API.STREAM.MSG.GET.counts_0", []byte(`{"last_by_subj":"counts.0.x.%.jobs/1"}`), 5*time.Second)
	if err != nil || strings.Contains(string(saved.Data), `"error"`) {
		t.Fatalf("nothing was saved: %s, %v", saved.Data, err)
	}
	if second := stat(runLog(t, o), n); second != first {
		t.Errorf("another node counts %+v, not %+v", second, first)
	}
	middle, err := log.Back(t.Context(), parley.Place{Stream: jobs, At: first.End}, n/2+100)
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Trim(t.Context(), jobs, middle); err != nil {
		t.Fatal(err)
	}
	third := stat(log, n/2+100)
	if fourth := stat(runLog(t, o), n/2+100); fourth != third || third.Earliest != middle {
		t.Errorf("trimmed to %d, another node counts %+v, not %+v", middle, fourth, third)
	}
	if err := log.Remove(t.Context(), jobs); err != nil {
		t.Fatal(err)
	}
	stat(runLog(t, o), 0)
	if _, err := log.Append(t.Context(), parley.Write{Stream: jobs, Batch: batchOf(t, "x")}); err != nil {
		t.Fatal(err)
	}
	stat(runLog(t, o), 1)
	stat(log, 1)
}

// TestLargestBatch: what the servers' max_payload just allows goes in, and comes
// out everywhere; more is refused before it is sent.
func TestLargestBatch(t *testing.T) {
	o := natslog.Options{URL: startServers(t, 3, false).url(), Prefix: "large", Replicas: 3, Synced: true}
	log := runLog(t, o)
	largest := int(log.Conn().MaxPayload()) - 2048
	one := batchOf(t, strings.Repeat("x", largest-200))
	over := batchOf(t, strings.Repeat("x", largest))
	if _, err := log.Append(t.Context(), parley.Write{Stream: jobs, Batch: over}); parley.CodeOf(err) != parley.TooLarge || err == nil {
		t.Errorf("%d bytes: %v", over.Size(), err)
	}
	got, err := log.Append(t.Context(), parley.Write{Stream: jobs, Expect: parley.Empty, Batch: one})
	if err != nil {
		t.Fatal(err)
	}
	other := runLog(t, o)
	newest, err := other.Append(t.Context(), parley.Write{Stream: jobs})
	if err != nil || newest[0] != got[0] {
		t.Errorf("a guard answers %v, %v; want %v", newest, err, got)
	}
	for _, l := range []*natslog.Log{log, other} {
		run, err := l.Read(t.Context(), parley.Place{Stream: jobs}, 1)
		if err != nil || len(run.Bytes()) != one.Size() {
			t.Fatalf("%d bytes, %v; want %d", len(run.Bytes()), err, one.Size())
		}
		run.Release()
	}
}
