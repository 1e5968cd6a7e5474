package parley_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/parleyhq/parley"
)

func BenchmarkBuilder(b *testing.B) {
	for _, n := range []int{1, 64} {
		b.Run(fmt.Sprintf("events=%d", n), func(b *testing.B) {
			e, at := sample(100), time.UnixMilli(1)
			var builder parley.Builder
			b.ReportAllocs()
			for b.Loop() {
				builder.Reset()
				for range n {
					if err := builder.Add(at, &e); err != nil {
						b.Fatal(err)
					}
				}
				batch, err := builder.Batch()
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(batch.Size()))
			}
		})
	}
}

func sampleBatch(b *testing.B, n int, codec parley.Codec) parley.Batch {
	b.Helper()
	builder, e := parley.Builder{Codec: codec}, sample(100)
	for range n {
		if err := builder.Add(time.UnixMilli(1), &e); err != nil {
			b.Fatal(err)
		}
	}
	batch, err := builder.Batch()
	if err != nil {
		b.Fatal(err)
	}
	return batch
}

func BenchmarkParseBatch(b *testing.B) {
	batch := sampleBatch(b, 64, parley.None)
	b.SetBytes(int64(batch.Size()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parley.ParseBatch(batch.Bytes()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRecords(b *testing.B) {
	for _, codec := range []parley.Codec{parley.None, parley.Gzip} {
		b.Run(fmt.Sprintf("events=64/codec=%s", codec), func(b *testing.B) {
			batch := sampleBatch(b, 64, codec)
			b.ReportAllocs()
			for b.Loop() {
				for _, err := range batch.Records() {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

func BenchmarkRecordEvent(b *testing.B) {
	batch := sampleBatch(b, 1, parley.None)
	for rec := range batch.Records() {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := rec.Event(); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkJSON(b *testing.B) {
	e := sample(100)
	text := e.AppendJSON(nil)
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		var room []byte
		for b.Loop() {
			room = e.AppendJSON(room[:0])
		}
	})
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := parley.ParseJSON(text); err != nil {
				b.Fatal(err)
			}
		}
	})
}
