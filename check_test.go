package parley

import (
	"strings"
	"testing"
	"time"
)

func TestCheckWrites(t *testing.T) {
	one, err := NewBatch(time.Unix(1, 0), Event{ID: "1", Source: "/s", Type: "t"})
	if err != nil {
		t.Fatal(err)
	}
	hollow, err := one.Keep(func(Record) bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	s := Stream{Name: "a"}
	long := strings.Repeat("x", MaxStreamName+1)
	for _, row := range []struct {
		what   string
		writes []Write
		code   Code
		field  string
	}{
		{"no name", []Write{{}}, Invalid, "stream"},
		{"a long name", []Write{{Stream: Stream{Name: long}}}, Invalid, "stream"},
		{"NUL in a name", []Write{{Stream: Stream{Name: "a\x00"}}}, Invalid, "stream"},
		{"a long namespace", []Write{{Stream: Stream{Name: "a", Namespace: long}}}, Invalid, "namespace"},
		{"NUL in a namespace", []Write{{Stream: Stream{Name: "a", Namespace: "\x00"}}}, Invalid, "namespace"},
		{"no position", []Write{{Stream: s, Expect: -2}}, Invalid, "expect"},
		{"a key with a guard", []Write{{Stream: s, Once: Key{1}}}, Invalid, "once"},
		{"a key in company", []Write{{Stream: s, Once: Key{1}, Batch: one}, {Stream: s}}, Invalid, "once"},
		{"half a batch", []Write{{Stream: s, Batch: Batch{one.b[:70]}}}, Invalid, "batch"},
		{"two batches", []Write{{Stream: s, Batch: Batch{append(one.Clone().b, one.b...)}}}, Invalid, "batch"},
		{"no record", []Write{{Stream: s, Batch: hollow}}, Invalid, "batch"},
		{"a large batch", []Write{{Stream: s, Batch: Batch{make([]byte, MaxBatchBytes+1)}}}, TooLarge, "batch"},
		{"many writes", make([]Write, MaxAppendWrites+1), TooLarge, "writes"},
	} {
		e, ok := CheckWrites(row.writes).(*Error)
		if !ok || e.Code != row.code || e.Field != row.field || e.Fix == "" && row.code == Invalid {
			t.Errorf("%s: %v, want %v of %s", row.what, e, row.code, row.field)
		}
	}
	fine := []Write{{Stream: s, Expect: Empty, Batch: one}, {Stream: Stream{Name: strings.Repeat("x", MaxStreamName)}}}
	if err := CheckWrites(fine); err != nil {
		t.Error(err)
	}
	if err := (Place{Stream: s, At: -1}).Check(); CodeOf(err) != Invalid {
		t.Errorf("a negative place: %v", err)
	}
	if err := (Place{Stream: s}).Check(); err != nil {
		t.Error(err)
	}
}
