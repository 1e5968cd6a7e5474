package enginetest

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/parleyhq/parley"
)

var limitChecks = []check{
	{"Limits/StreamName", "a stream name has 1 to 255 bytes and no NUL; every method answers Invalid to another", limitStreamName},
	{"Limits/AnyName", "every other name is taken as it is, and each is a stream of its own", limitAnyName},
	{"Limits/TooManyWrites", "more than MaxAppendWrites writes are TooLarge, and nothing is appended", limitWrites},
	{"Limits/BatchBytes", "a batch of more than MaxBatchBytes is TooLarge, and nothing is appended", limitBatch},
	{"Limits/BatchEvents", "a batch may hold MaxBatchEvents events", limitEvents},
	{"Limits/Shape", "a malformed batch, or one without records, is Invalid, and nothing is appended", limitShape},
	{"Limits/Expect", "an Expect that is neither Any, Empty nor a position is Invalid, and nothing is appended", limitExpect},
}

func limitStreamName(e *env) {
	for _, name := range []string{"", strings.Repeat("x", parley.MaxStreamName+1), "a\x00b"} {
		s := parley.Stream{Name: name}
		what := fmt.Sprintf("stream %.20q", name)
		e.refuse(parley.Invalid, "Append to "+what, write(sA, "no"), write(s, "no"))
		e.refuse(parley.Invalid, "guard of "+what, guard(s, parley.Empty), write(sA, "no"))
		_, err := e.read(s, 0, 1)
		e.wantCode(err, parley.Invalid, "Read of "+what)
		e.wantCode(e.log.Wait(e.ctx, place(sB, 0), place(s, 0)), parley.Invalid, "Wait for "+what)
		_, err = e.log.End(e.ctx, s)
		e.wantCode(err, parley.Invalid, "End of "+what)
		e.wantCode(e.log.Trim(e.ctx, s, 1), parley.Invalid, "Trim of "+what)
	}
	e.wantValues(sA)
}

// names are hostile to file systems, subjects and patterns.
func names() []string {
	long := strings.Repeat("n", parley.MaxStreamName-1)
	return []string{
		"a", "A", "a/0", "a/1", "a.0", "a\\0", "a/0/", "/a/0", "a//0", ".", "..", "../a", "../../etc/x", "a/../b",
		"~a", "$topics", "a b", " a", "a ", "a.", "a*", "*", ">", "a.>", "a:b", "a?", "CON", "nul.txt", "%2e", "%", "a%00",
		"\n", "\t", "é", "e\u0301", "日本", "\xff\xfe", "a\xff", long + "1", long + "2", strings.Repeat("é", 127),
	}
}

func limitAnyName(e *env) {
	for _, n := range names() {
		e.add(parley.Stream{Name: n}, "first "+n)
	}
	for _, n := range names() {
		e.add(parley.Stream{Name: n}, "second "+n)
	}
	for _, n := range names() {
		e.wantValues(parley.Stream{Name: n}, "first "+n, "second "+n)
	}
	lister, ok := e.log.(parley.Lister)
	if !ok {
		return
	}
	var got []string
	all, err := lister.Streams(e.ctx, "")
	for _, s := range all {
		got = append(got, s.Name)
	}
	want := names()
	slices.Sort(want)
	if err != nil || !slices.Equal(got, want) {
		e.Fatalf("streams %q, %v; want %q", got, err, want)
	}
}

func limitWrites(e *env) {
	writes := make([]parley.Write, parley.MaxAppendWrites+1)
	for i := range writes {
		writes[i] = write(sA, "no")
	}
	e.refuse(parley.TooLarge, fmt.Sprint(len(writes), " writes"), writes...)
	e.wantValues(sA)
}

func limitBatch(e *env) {
	raw := make([]byte, parley.MaxBatchBytes+1)
	copy(raw, batchOf("x").Bytes()[:parley.BatchHeader])
	binary.BigEndian.PutUint32(raw[8:], uint32(len(raw)-12))
	b, _, err := parley.CutBatch(raw)
	if err != nil {
		e.Fatal(err)
	}
	e.refuse(parley.TooLarge, fmt.Sprintf("a batch of %d bytes", b.Size()), write(sA, "no"), parley.Write{Stream: sB, Batch: b})
	e.wantValues(sA)
	e.wantValues(sB)
}

func limitEvents(e *env) {
	base := e.add(sA, make([]string, parley.MaxBatchEvents)...)
	next := e.add(sA, "after")
	if next < base+parley.MaxBatchEvents {
		e.Fatalf("%d events at %d, the next batch at %d", parley.MaxBatchEvents, base, next)
	}
	got := e.from(sA, base+parley.MaxBatchEvents-1)
	if len(got) != 2 || len(got[0].values) != parley.MaxBatchEvents || got[1].Base() != next {
		e.Fatalf("from the last of %d events on there are %d batches", parley.MaxBatchEvents, len(got))
	}
}

func limitShape(e *env) {
	none, err := batchOf("x").Keep(func(parley.Record) bool { return false })
	if err != nil {
		e.Fatal(err)
	}
	bad := map[string]parley.Batch{"no record": none}
	for what, spoil := range map[string]func(b []byte){
		"another format":               func(b []byte) { b[16] = 1 },
		"a length beyond it":           func(b []byte) { binary.BigEndian.PutUint32(b[8:], 1<<20) },
		"a length short of it":         func(b []byte) { binary.BigEndian.PutUint32(b[8:], uint32(len(b)-13)) },
		"a negative length":            func(b []byte) { binary.BigEndian.PutUint32(b[8:], 1<<31) },
		"a negative count":             func(b []byte) { binary.BigEndian.PutUint32(b[57:], 1<<31) },
		"more records than positions":  func(b []byte) { binary.BigEndian.PutUint32(b[57:], 2) },
		"a span beyond MaxBatchEvents": func(b []byte) { binary.BigEndian.PutUint32(b[23:], parley.MaxBatchEvents) },
	} {
		b := batchOf("x") // well made, then changed by the one who owns the bytes
		spoil(b.Bytes())
		bad[what] = b
	}
	for what, b := range bad {
		e.refuse(parley.Invalid, "a batch with "+what, write(sA, "no"), parley.Write{Stream: sB, Batch: b})
	}
	e.wantValues(sA)
	e.wantValues(sB)
}

func limitExpect(e *env) {
	e.add(sA, "1")
	for _, expect := range []parley.Position{-2, -1 << 63} {
		e.refuse(parley.Invalid, fmt.Sprint("Expect ", expect), write(sB, "no"), expecting(expect, write(sA, "no")))
	}
	e.wantValues(sA, "1")
	e.wantValues(sB)
}
