package enginetest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/parleyhq/parley"
)

var readChecks = []check{
	{"Read/Verbatim", "a batch is read back byte for byte but for its base position and epoch", readVerbatim},
	{"Read/MaxBytes", "of more than one batch a Read returns no more than fit maxBytes; at least one if there is one, even if it is larger", readMaxBytes},
	{"Read/Inside", "a place inside a batch gets the whole batch; the run's records begin at the place", readInside},
	{"Read/CaughtUp", "an empty run says caught up: at the end, beyond it, and on a stream never written", readCaughtUp},
	{"Read/Next", "reading on from Next gives every batch once, in order, without a gap", readNext},
	{"Read/Start", "where nothing was trimmed, a place below the first event is not Trimmed but begins there", readStart},
	{"Read/Negative", "a negative place is Invalid", readNegative},
	{"End/Promise", "End is the position from which a reader sees nothing that is there and misses nothing that comes; 0 for a stream never written", endPromise},
}

// odd makes batches of every kind that an engine must carry without a look
// into them.
func odd(e *env) map[string]parley.Batch {
	e.Helper()
	gzip := parley.Builder{Codec: parley.Gzip}
	for i := range 100 {
		if err := gzip.AddRecord(epochTime, []byte("key"), []byte(strings.Repeat("text ", i)), parley.Header{Name: "h", Value: []byte{0, 255}}); err != nil {
			e.Fatal(err)
		}
	}
	packed, err := gzip.Batch()
	if err != nil {
		e.Fatal(err)
	}
	event, err := parley.NewBatch(epochTime, parley.Event{ID: "1", Source: "/s", Type: "t", Data: []byte("{}"), DataContentType: "application/json"})
	if err != nil {
		e.Fatal(err)
	}
	holes, err := batchOf("0", "1", "2", "3").Keep(func(r parley.Record) bool { return r.Position == 1 })
	if err != nil {
		e.Fatal(err)
	}
	produced := batchOf("with a producer").Clone()
	b := produced.Bytes()
	binary.BigEndian.PutUint16(b[21:], 1<<3) // log append time
	binary.BigEndian.PutUint64(b[43:], 4711)
	binary.BigEndian.PutUint16(b[51:], 3)
	binary.BigEndian.PutUint32(b[53:], 17)
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
	return map[string]parley.Batch{
		"one record": batchOf("x"), "an empty value": batchOf(""), "compressed": packed, "an event": event,
		"less records than positions": holes, "a producer": produced,
		"large": batchOf(strings.Repeat("0123456789abcdef", 20<<10)),
	}
}

func readVerbatim(e *env) {
	want := make(map[parley.Position]parley.Batch)
	for range 3 {
		for _, b := range odd(e) {
			base := e.put(parley.Write{Stream: sA, Batch: b})[0]
			want[base] = b
		}
	}
	got := e.all(sA)
	for _, b := range got {
		if w := want[b.Base()]; w.IsZero() || !sameBatch(w, b.Batch) {
			e.Fatalf("the batch at %d is not the one that was appended there", b.Base())
		}
		if b.Epoch() != got[0].Epoch() {
			e.Fatalf("epoch %d at %d, %d before", b.Epoch(), b.Base(), got[0].Epoch())
		}
	}
	if len(got) != len(want) {
		e.Fatalf("%d batches, %d were appended", len(got), len(want))
	}
}

func readMaxBytes(e *env) {
	sizes := []int{10, 2000, 1, 300, 300, 300, 90_000, 5, 5, 5, 5, 1 << 20, 1}
	for i, n := range sizes {
		e.add(sA, strings.Repeat(string(rune('a'+i)), n))
	}
	for _, maxBytes := range []int{-1, 0, 1, 80, 200, 1000, 4000, 100_000, 1 << 30} {
		var got []stored
		for at := parley.Position(0); ; at = got[len(got)-1].Next() {
			some, err := e.read(sA, at, maxBytes) // unpack checks the size
			if err != nil {
				e.Fatal(err)
			}
			if len(some) == 0 {
				break
			}
			if maxBytes < 2 && len(some) != 1 {
				e.Fatalf("maxBytes %d: %d batches", maxBytes, len(some))
			}
			got = append(got, some...)
		}
		if len(got) != len(sizes) {
			e.Fatalf("maxBytes %d: %d batches, want %d", maxBytes, len(got), len(sizes))
		}
	}
}

func readInside(e *env) {
	e.add(sA, "before")
	base := e.add(sA, "0", "1", "2", "3")
	e.add(sA, "after")
	for i := range parley.Position(4) {
		run, err := e.log.Read(e.ctx, parley.Place{Stream: sA, At: base + i}, 1)
		if err != nil {
			e.Fatal(err)
		}
		for r, err := range run.Records() {
			if err != nil || r.Position != base+i || string(r.Value) != fmt.Sprint(i) {
				e.Fatalf("the first record at %d is %q at %d, %v", base+i, r.Value, r.Position, err)
			}
			break
		}
		got, err := unpack(run, base+i, 1)
		if err != nil || len(got) != 1 || got[0].Base() != base || len(got[0].values) != 4 {
			e.Fatalf("a read at %d, inside the batch at %d: %v, %v", base+i, base, got, err)
		}
	}
}

func readCaughtUp(e *env) {
	for _, at := range []parley.Position{0, 1, 1 << 40} {
		if got, err := e.read(sB, at, 100); err != nil || len(got) != 0 {
			e.Fatalf("a stream never written reads at %d as %v, %v", at, got, err)
		}
	}
	e.add(sA, "1", "2")
	end := e.end(sA)
	for _, at := range []parley.Position{end, end + 1, end + 1<<40} {
		if got, err := e.read(sA, at, 100); err != nil || len(got) != 0 {
			e.Fatalf("the end is %d; a read at %d gives %v, %v", end, at, got, err)
		}
	}
	e.put(guard(sB, parley.Empty)) // to have looked makes no stream
}

func readNext(e *env) {
	n := 2 * e.suite.Rounds
	for i := range n {
		e.add(sA, fmt.Sprint(i))
	}
	for _, maxBytes := range []int{1, 150, 700, 1 << 20} {
		at, i := parley.Position(0), 0
		for {
			got, err := e.read(sA, at, maxBytes)
			if err != nil {
				e.Fatal(err)
			}
			if len(got) == 0 {
				break
			}
			for _, b := range got {
				if b.values[0] != fmt.Sprint(i) {
					e.Fatalf("maxBytes %d: %q is number %d", maxBytes, b.values[0], i)
				}
				i++
			}
			at = got[len(got)-1].Next()
		}
		if i != n {
			e.Fatalf("maxBytes %d: %d of %d batches", maxBytes, i, n)
		}
	}
}

func readStart(e *env) {
	base := e.add(sA, "1")
	e.add(sA, "2")
	for _, at := range []parley.Position{0, 1, base - 1, base} {
		got, err := e.read(sA, max(at, 0), 1)
		if err != nil || len(got) != 1 || got[0].Base() != base {
			e.Fatalf("a read at %d gives %v, %v; the first batch is at %d", at, got, err, base)
		}
	}
}

func readNegative(e *env) {
	e.add(sA, "1")
	for _, at := range []parley.Position{parley.Empty, -1 << 62} {
		_, err := e.read(sA, at, 1)
		e.wantCode(err, parley.Invalid, fmt.Sprintf("Read at %d", at))
		e.wantCode(e.log.Wait(e.ctx, parley.Place{Stream: sA}, parley.Place{Stream: sB, At: at}), parley.Invalid, fmt.Sprintf("Wait at %d", at))
	}
}

func endPromise(e *env) {
	if end := e.end(sA); end != 0 {
		e.Fatalf("the end of a stream never written is %d", end)
	}
	for i := 1; i <= 10; i++ {
		end := e.end(sA)
		if got := e.from(sA, end); end > 0 && len(got) != 0 {
			e.Fatalf("from the end %d on there is %v", end, got)
		}
		values := make([]string, i)
		for k := range values {
			values[k] = fmt.Sprintf("%d.%d", i, k)
		}
		base := e.add(sA, values...)
		if got := e.from(sA, end); len(got) != 1 || got[0].Base() != base || base < end {
			e.Fatalf("from the end %d on there is %v; one batch went to %d", end, got, base)
		}
	}
}

// earliestOf gives what a Trimmed error names.
func earliestOf(err error) parley.Position {
	if e, ok := errors.AsType[*parley.Error](err); ok {
		return e.Earliest
	}
	return 0
}
