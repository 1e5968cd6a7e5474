package parley_test

import (
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/parleyhq/parley"
)

// records gives those of a batch.
func recordsOf(t *rapid.T, b *parley.Builder) (all []parley.Record) {
	batch, err := b.Batch()
	if err != nil {
		t.Fatal(err)
	}
	for r, err := range batch.Records() {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// The event of a copy is that of the record, wherever and whenever it is copied; what
// fails there fails here.
func TestCopyIsTheSameEvent(t *testing.T) {
	names := rapid.SampledFrom([]string{"ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "ce_subject", "ce_partitionkey", "ce_region", "ce_data", "content-type", "other", "ce_"})
	values := rapid.SampledFrom([]string{"", "1.0", "x", "/a b", "\n", "2026-01-02T03:04:05.5+02:00", "2026-13-01T00:00:00Z", "application/json", parley.StructuredType})
	rapid.Check(t, func(t *rapid.T) {
		var headers []parley.Header
		for range rapid.IntRange(0, 8).Draw(t, "headers") {
			headers = append(headers, parley.Header{Name: names.Draw(t, "name"), Value: []byte(values.Draw(t, "value"))})
		}
		key := rapid.SampledFrom([][]byte{nil, {}, []byte("k"), {0xff}}).Draw(t, "key")
		value := rapid.SampledFrom([][]byte{nil, {}, []byte(`{"specversion":"1.0","id":"i","source":"/s","type":"t"}`)}).Draw(t, "data")
		var from, to parley.Builder
		for range rapid.IntRange(1, 3).Draw(t, "before") {
			if err := from.AddRecord(time.UnixMilli(1_700_000_000_123), key, value, headers...); err != nil {
				t.Fatal(err)
			}
		}
		all := recordsOf(t, &from)
		r := all[len(all)-1]
		want, failed := r.Event()
		if err := to.Copy(time.UnixMilli(1_800_000_000_000), r); (err != nil) != (failed != nil) {
			t.Fatal(err, failed)
		}
		if failed != nil {
			return
		}
		got, err := recordsOf(t, &to)[0].Event()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v (%v)\nwant %+v", got, err, want)
		}
	})
}
