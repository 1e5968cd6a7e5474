package journal

import (
	"context"
	"encoding/binary"
	"iter"
	"testing"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/engine/memlog"
)

// tape is a machine that keeps its moves' numbers.
type tape struct{ last uint64 }

func (m *tape) Apply(v Move) error { m.last = v.Number; return nil }
func (m *tape) Snapshot() iter.Seq[[]byte] {
	n := m.last
	return func(yield func([]byte) bool) { yield(binary.AppendUvarint(nil, n)) }
}

func (m *tape) Restore(parts iter.Seq[[]byte]) error {
	m.last = 0
	for p := range parts {
		n, size := binary.Uvarint(p)
		if size <= 0 {
			return parley.Errorf(parley.Damaged, "not a number")
		}
		m.last = n
	}
	return nil
}

// FuzzFold restores from streams of any records: input is cut into a length
// byte, a key and a value, again and again. Nothing may panic; and what is
// restored once is restored again after the takeover that Open appends.
func FuzzFold(f *testing.F) {
	rec := func(key, value string) string { return string([]byte{byte(len(key)), byte(len(value))}) + key + value }
	f.Add([]byte(rec("t\x00", "\x01\x01nonce 8 me") + rec("m\x01", "a") + rec("m\x02", "b")))
	f.Add([]byte(rec("m\x01", "a") + rec("b\x01", "\x01\x01") + rec("p\x01", "\x01") + rec("e\x01", "\x00\x00\x00\x00\x01\x01") + rec("h\x01", "") + rec("r\x01", "")))
	f.Add([]byte(rec("e\x00", "") + rec("b\x80", "\x01\xff") + rec("z", "")))
	f.Fuzz(func(t *testing.T, in []byte) {
		log, s := memlog.New(memlog.Options{}), parley.Stream{Name: "fuzz"}
		for len(in) > 2 {
			k, v := int(in[0]), int(in[1])
			if in = in[2:]; k+v > len(in) {
				break
			}
			var b parley.Builder
			if err := b.AddRecord(time.UnixMilli(int64(v)), in[:k], in[k:k+v]); err != nil {
				t.Fatal(err)
			}
			in = in[k+v:]
			batch, err := b.Batch()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := log.Append(context.Background(), parley.Write{Stream: s, Batch: batch}); err != nil {
				t.Fatal(err)
			}
		}
		var m, again tape
		j, err := Open(context.Background(), log, s, &m, Options{})
		if err != nil {
			if c := parley.CodeOf(err); c != parley.Damaged && c != parley.Unsupported {
				t.Fatalf("error %v", err)
			}
			return
		}
		k, err := Open(context.Background(), log, s, &again, Options{})
		if err != nil || again != m || k.Term() <= j.Term() {
			t.Fatalf("the second time: error %v, machine %v and %v, terms %d and %d", err, m, again, j.Term(), k.Term())
		}
	})
}
