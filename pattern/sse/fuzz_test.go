package sse

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/parleyhq/parley"
)

// Whatever comes in, the reader gives the same events however the bytes are cut,
// all of them text within the limit, and what it gives can be encoded and read
// again.
func FuzzReader(f *testing.F) {
	for _, row := range streams {
		f.Add([]byte(row.in))
	}
	f.Add([]byte("retry: 99999999999999999999\nid: a\x00\n\r\r\n\ndata"))
	const limit = 64
	f.Fuzz(func(t *testing.T, in []byte) {
		whole, _, err := readAll(bytes.NewReader(in), limit)
		cut, _, cutErr := readAll(iotest.OneByteReader(bytes.NewReader(in)), limit)
		if whole != cut || parley.CodeOf(err) != parley.CodeOf(cutErr) {
			t.Fatalf("whole %q, %v\nbyte by byte %q, %v", whole, err, cut, cutErr)
		}
		r := NewReader(bytes.NewReader(in), limit)
		for {
			m, err := r.Next()
			if err != nil {
				return
			}
			if len(m.Data) > limit || !utf8.Valid(m.Data) || !utf8.ValidString(m.ID) || !utf8.ValidString(m.Type) {
				t.Fatalf("event out of bounds: %+v", m)
			}
			m.ID = ""
			if strings.ContainsRune(m.Type, 0) {
				continue // readers take a NUL in a name, our encoder sends none
			}
			frame, err := AppendEvent(nil, m)
			if err != nil {
				t.Fatalf("%+v: %v", m, err)
			}
			again, err := NewReader(bytes.NewReader(frame), limit).Next()
			if err != nil || again.Type != m.Type || !bytes.Equal(again.Data, m.Data) {
				t.Fatalf("%+v came back as %+v, %v", m, again, err)
			}
			if _, err := NewReader(bytes.NewReader(frame[:len(frame)-1]), limit).Next(); err != io.EOF {
				t.Fatalf("dispatched without its blank line: %v", err)
			}
		}
	})
}
