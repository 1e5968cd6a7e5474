package sse

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

func BenchmarkAppendEvent(b *testing.B) {
	m := Message{ID: "AQIDBAUGBwgJCgsMDQ4PEA", Data: []byte(strings.Repeat(`{"a":1}`, 32))}
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst, _ = AppendEvent(dst[:0], m)
	}
	b.SetBytes(int64(len(dst)))
}

func BenchmarkReader(b *testing.B) {
	frame, err := AppendEvent(nil, Message{ID: "AQIDBAUGBwgJCgsMDQ4PEA", Data: []byte(strings.Repeat(`{"a":1}`, 32))})
	if err != nil {
		b.Fatal(err)
	}
	const events = 1000
	stream := bytes.Repeat(frame, events)
	b.ReportAllocs()
	for b.Loop() {
		r, n := NewReader(bytes.NewReader(stream), 0), 0
		for {
			if _, err := r.Next(); err == io.EOF {
				break
			} else if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != events {
			b.Fatalf("%d events", n)
		}
	}
	b.SetBytes(int64(len(stream)))
}
