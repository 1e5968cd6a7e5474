package topic

import (
	"testing"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/engine/memlog"
)

func TestPublishBatch(t *testing.T) {
	log := memlog.New(memlog.Options{})
	now := time.Now()
	r := New(log, Options{AutoCreate: true, Now: func() time.Time { return now }})
	if err := r.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Create(t.Context(), "b", Settings{Partitions: 2, MaxEvent: 1 << 10}); err != nil {
		t.Fatal(err)
	}
	batch := func(at time.Time, data ...string) parley.Batch {
		var b parley.Builder
		for _, d := range data {
			if err := b.AddRecord(at, nil, []byte(d)); err != nil {
				t.Fatal(err)
			}
		}
		out, err := b.Batch()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	base, replayed, err := r.PublishBatch(t.Context(), "b", 1, batch(now, "1", "2"), PublishOptions{IdempotencyKey: "k"})
	if err != nil || replayed {
		t.Fatal(base, replayed, err)
	}
	again, replayed, err := r.PublishBatch(t.Context(), "b", 1, batch(now, "1", "2"), PublishOptions{IdempotencyKey: "k"})
	if err != nil || !replayed || again != base {
		t.Fatalf("the repeat is at %d (replayed %v, %v), want %d", again, replayed, err, base)
	}
	thin, err := batch(now, "1", "2").Keep(func(rec parley.Record) bool { return string(rec.Value) == "2" })
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		what      string
		partition int
		batch     parley.Batch
		key       string
		code      parley.Code
	}{
		{"another body", 1, batch(now, "3"), "k", parley.KeyReused},
		{"no such partition", 2, batch(now, "1"), "", parley.Invalid},
		{"a negative partition", -1, batch(now, "1"), "", parley.Invalid},
		{"no batch", 0, parley.Batch{}, "", parley.Invalid},
		{"a batch with holes", 0, thin, "", parley.Invalid},
		{"an old time", 0, batch(now.Add(-time.Hour), "1"), "", parley.Invalid},
		{"a time to come", 0, batch(now.Add(time.Hour), "1"), "", parley.Invalid},
		{"a large record", 0, batch(now, string(make([]byte, 2<<10))), "", parley.TooLarge},
	} {
		if _, _, err := r.PublishBatch(t.Context(), "b", row.partition, row.batch, PublishOptions{IdempotencyKey: row.key}); err == nil || parley.CodeOf(err) != row.code {
			t.Errorf("%s: %v, want %v", row.what, err, row.code)
		}
	}
	if _, _, err := r.PublishBatch(t.Context(), "$x", 0, batch(now, "1"), PublishOptions{}); parley.CodeOf(err) != parley.Forbidden {
		t.Errorf("an internal topic: %v", err)
	}
}
