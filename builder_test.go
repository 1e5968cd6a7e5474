package parley_test

import (
	"bytes"
	"crypto/rand"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/parleyhq/parley"
)

// A refused event leaves the batch as it was: also the first one.
func TestBuilderRefusal(t *testing.T) {
	var b parley.Builder
	valid := parley.Event{ID: "1", Source: "/", Type: "t"}
	huge := valid
	huge.Data = make([]byte, parley.MaxBatchBytes)
	if err := b.Add(time.UnixMilli(5), &parley.Event{}); parley.CodeOf(err) != parley.Invalid {
		t.Errorf("an empty event: %v", err)
	}
	if err := b.Add(time.UnixMilli(6), &huge); parley.CodeOf(err) != parley.TooLarge {
		t.Errorf("a huge event: %v", err)
	}
	if batch, err := b.Batch(); err != nil || !batch.IsZero() || b.Size() != 0 || b.Len() != 0 {
		t.Errorf("after refusals there are %d bytes, %v", batch.Size(), err)
	}
	if err := b.Add(time.UnixMilli(7), &valid); err != nil {
		t.Fatal(err)
	}
	if err := b.Add(time.UnixMilli(8), &huge); parley.CodeOf(err) != parley.TooLarge {
		t.Errorf("a huge event as the second: %v", err)
	}
	got, err := b.Batch()
	if err != nil {
		t.Fatal(err)
	}
	want, err := parley.NewBatch(time.UnixMilli(7), valid)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Errorf("batch is %x, want %x", got.Bytes(), want.Bytes())
	}
}

// Room that was made is there: for the first event and for more.
func TestBuilderGrow(t *testing.T) {
	e := parley.Event{ID: "1", Source: "/", Type: "t", Data: make([]byte, 1000)}
	var b, plain parley.Builder
	add := func(b *parley.Builder) {
		if err := b.Add(time.UnixMilli(5), &e); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		add(&b) // what it encodes into grows, too
	}
	b.Reset()
	b.Grow(40 * 1100)
	if n := testing.AllocsPerRun(20, func() { add(&b) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	b.Grow(parley.MaxBatchBytes)
	b.Grow(-1)
	for range b.Len() {
		add(&plain)
	}
	got, err := b.Batch()
	want, failed := plain.Batch()
	if err != nil || failed != nil || !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Errorf("%d bytes, want %d: %v %v", got.Size(), want.Size(), err, failed)
	}
}

func TestBuilderHoldsAtMost(t *testing.T) {
	var b parley.Builder
	for range parley.MaxBatchEvents {
		if err := b.AddRecord(time.UnixMilli(0), nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.AddRecord(time.UnixMilli(0), nil, nil); parley.CodeOf(err) != parley.TooLarge {
		t.Errorf("one more than the limit: %v", err)
	}
	batch, err := b.Batch()
	if err != nil {
		t.Fatal(err)
	}
	if batch, err = parley.ParseBatch(batch.Bytes()); err != nil || batch.Len() != parley.MaxBatchEvents {
		t.Errorf("the largest batch has %d records, %v", batch.Len(), err)
	}
}

// A builder that is used again gives the same bytes as a new one.
func TestBuilderReset(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var reused parley.Builder
		for range 3 {
			var fresh parley.Builder
			reused.Reset()
			reused.Codec = genCodec.Draw(t, "codec")
			fresh.Codec = reused.Codec
			for _, o := range genOnes.Draw(t, "records") {
				for _, b := range []*parley.Builder{&reused, &fresh} {
					if err := b.AddRecord(time.UnixMilli(o.millis), o.key, o.value, o.headers...); err != nil {
						t.Fatal(err)
					}
				}
			}
			got, err := reused.Batch()
			if err != nil {
				t.Fatal(err)
			}
			want, err := fresh.Batch()
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want.Bytes()) || reused.Size() != fresh.Size() {
				t.Fatalf("batch is %x, want %x", got.Bytes(), want.Bytes())
			}
		}
	})
}

// Records that compression would make larger stay as they are.
func TestIncompressible(t *testing.T) {
	b := parley.Builder{Codec: parley.Gzip}
	noise := make([]byte, 1000)
	_, _ = rand.Read(noise)
	if err := b.AddRecord(time.UnixMilli(0), nil, noise); err != nil {
		t.Fatal(err)
	}
	batch, err := b.Batch()
	if err != nil || batch.Codec() != parley.None {
		t.Errorf("codec is %s, %v", batch.Codec(), err)
	}
	b.Reset()
	if err := b.AddRecord(time.UnixMilli(0), nil, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if batch, err = b.Batch(); err != nil || batch.Codec() != parley.Gzip || batch.Size() > 200 {
		t.Errorf("codec is %s, size %d, %v", batch.Codec(), batch.Size(), err)
	}
	b.Codec = parley.Zstd
	if _, err := b.Batch(); parley.CodeOf(err) != parley.Unsupported {
		t.Errorf("a codec that nobody registered: %v", err)
	}
}

// Keep drops records and leaves the others exactly as they were.
func TestKeep(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ones := genOnes.Draw(t, "records")
		whole, err := parley.ParseBatch(theirBatch(ones, genCodec.Draw(t, "codec")))
		if err != nil {
			t.Fatal(err)
		}
		kept := map[parley.Position]bool{}
		for i := range ones {
			kept[whole.Base()+parley.Position(i)] = rapid.Bool().Draw(t, "keep")
		}
		part, err := whole.Keep(func(r parley.Record) bool { return kept[r.Position] })
		if err != nil {
			t.Fatal(err)
		}
		if part, err = parley.ParseBatch(part.Bytes()); err != nil {
			t.Fatal(err)
		}
		if part.Base() != whole.Base() || part.Next() != whole.Next() || part.Epoch() != whole.Epoch() || part.Codec() != parley.None {
			t.Fatalf("the rest spans %d to %d", part.Base(), part.Next())
		}
		id, epoch, seq := part.Producer()
		if wid, wepoch, wseq := whole.Producer(); id != wid || epoch != wepoch || seq != wseq {
			t.Fatalf("producer became %d %d %d", id, epoch, seq)
		}
		seen := 0
		for rec, err := range part.Records() {
			if err != nil {
				t.Fatal(err)
			}
			o := ones[rec.Position-whole.Base()]
			if !kept[rec.Position] || rec.Millis != o.millis {
				t.Fatalf("record at %d has time %d", rec.Position, rec.Millis)
			}
			sameBytes(t, "key", rec.Key, o.key)
			sameBytes(t, "value", rec.Value, o.value)
			n := 0
			for range rec.Headers() {
				n++
			}
			if n != len(o.headers) {
				t.Fatalf("%d headers of %d", n, len(o.headers))
			}
			seen++
		}
		for _, k := range kept {
			if k {
				seen--
			}
		}
		if seen != 0 {
			t.Fatalf("%d records too many", seen)
		}
	})
}

// No event costs an allocation once the buffer is there.
func TestBuilderAllocations(t *testing.T) {
	e := sample(100)
	var b parley.Builder
	at := time.UnixMilli(1)
	n := testing.AllocsPerRun(100, func() {
		b.Reset()
		for range 64 {
			if b.Add(at, &e) != nil {
				panic("refused")
			}
		}
		if _, err := b.Batch(); err != nil {
			panic(err)
		}
	})
	if n > 0 {
		t.Errorf("64 events cost %v allocations", n)
	}
}

// sample is an ordinary event with size bytes of data.
func sample(size int) parley.Event {
	return parley.Event{
		ID: "0193f3a1-7c3b-7cc2-b1a5-0d4c1a2b3c4d", Source: "/orders", Type: "order.created", DataContentType: "application/json",
		Time:       time.Date(2026, 1, 31, 12, 0, 0, 123456789, time.UTC),
		Data:       append(append([]byte(`{"a":"`), bytes.Repeat([]byte("x"), size-8)...), `"}`...),
		Extensions: map[string]string{"partitionkey": "customer-17", "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
	}
}
