package parley

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"iter"
	"math"
	"time"
)

// Batch is an encoded record batch: Kafka's format v2, which is also what lies
// on disk. It is immutable, decoded lazily, and may alias a Run's buffer. Of the
// zero Batch, only IsZero, Bytes, Size, Len, Clone and Records may be asked.
//
//	 0 base position  int64     21 attributes     int16    43 producer id     int64
//	 8 length         int32     23 last delta     int32    51 producer epoch  int16
//	12 leader epoch   int32     27 first time ms  int64    53 base sequence   int32
//	16 magic 2        int8      35 max time ms    int64    57 record count    int32
//	17 CRC-32C of bytes 21…     all big-endian             61 records
//
// The base position and the leader epoch lie outside the CRC: an engine sets
// them without touching the rest.
type Batch struct{ b []byte }

// BatchHeader is the size of a batch without records.
const BatchHeader = 61

const (
	offBase, offLength, offEpoch, offMagic, offCRC = 0, 8, 12, 16, 17
	offAttr, offDelta, offFirst, offMax            = 21, 23, 27, 35
	offProducer, offProdEpoch, offSeq, offCount    = 43, 51, 53, 57
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// CutBatch takes the first batch off b and checks its shape: length, magic and
// counts, not the CRC. Both results alias b.
func CutBatch(b []byte) (batch Batch, rest []byte, err error) {
	if len(b) < BatchHeader {
		return Batch{}, b, Errorf(Damaged, "batch of %d bytes is shorter than its header", len(b))
	}
	if b[offMagic] != 2 {
		return Batch{}, b, Errorf(Unsupported, "batch of format %d; only record batch v2 is spoken", b[offMagic])
	}
	size := int64(int32(binary.BigEndian.Uint32(b[offLength:]))) + offEpoch
	if size < BatchHeader || size > int64(len(b)) {
		return Batch{}, b, Errorf(Damaged, "batch says it has %d bytes, %d are there", size, len(b))
	}
	batch = Batch{b[:size:size]}
	count, delta := batch.int32(offCount), batch.int32(offDelta)
	if count < 0 || count > MaxBatchEvents || delta < 0 || delta >= MaxBatchEvents || count > delta+1 {
		return Batch{}, b, Errorf(Damaged, "batch says it has %d records up to delta %d", count, delta)
	}
	if base := batch.Base(); base < 0 || base > math.MaxInt64-MaxBatchEvents {
		return Batch{}, b, Errorf(Damaged, "batch says it begins at position %d", base)
	}
	return batch, b[size:], nil
}

// ParseBatch reads exactly one batch and checks its shape and its CRC.
func ParseBatch(b []byte) (Batch, error) {
	batch, rest, err := CutBatch(b)
	if err == nil && len(rest) > 0 {
		err = Errorf(Damaged, "%d bytes after the batch", len(rest))
	}
	if err == nil {
		err = batch.Check()
	}
	if err != nil {
		return Batch{}, err
	}
	return batch, nil
}

// Check compares the CRC.
func (b Batch) Check() error {
	if got, want := crc32.Checksum(b.b[offAttr:], castagnoli), binary.BigEndian.Uint32(b.b[offCRC:]); got != want {
		return Errorf(Damaged, "batch at %d has CRC %08x, its header says %08x", b.Base(), got, want)
	}
	return nil
}

func (b Batch) int16(at int) int16 { return int16(binary.BigEndian.Uint16(b.b[at:])) }
func (b Batch) int32(at int) int32 { return int32(binary.BigEndian.Uint32(b.b[at:])) }
func (b Batch) int64(at int) int64 { return int64(binary.BigEndian.Uint64(b.b[at:])) }

// IsZero says that there is no batch at all, as in a guard.
func (b Batch) IsZero() bool { return len(b.b) == 0 }

// Bytes is the encoded batch.
func (b Batch) Bytes() []byte { return b.b }

// Size is the number of encoded bytes.
func (b Batch) Size() int { return len(b.b) }

// Base is the position of the first event.
func (b Batch) Base() Position { return Position(b.int64(offBase)) }

// Last is the position of the last event (also of one that compaction removed).
func (b Batch) Last() Position { return b.Base() + Position(b.int32(offDelta)) }

// Next is the first position after the batch.
func (b Batch) Next() Position { return b.Last() + 1 }

// Len is the number of events.
func (b Batch) Len() int {
	if b.IsZero() {
		return 0
	}
	return int(b.int32(offCount))
}

// Span is the number of positions that the batch takes: Last − Base + 1.
func (b Batch) Span() int { return int(b.int32(offDelta)) + 1 }

// Epoch is the leader epoch: the stream's epoch when the batch was appended.
func (b Batch) Epoch() uint32 { return uint32(b.int32(offEpoch)) }

// Codec is how the records are compressed.
func (b Batch) Codec() Codec { return Codec(b.int16(offAttr) & 7) }

// FirstTime is the time of the first record.
func (b Batch) FirstTime() time.Time { return time.UnixMilli(b.int64(offFirst)).UTC() }

// MaxTime is the latest time of a record.
func (b Batch) MaxTime() time.Time { return time.UnixMilli(b.int64(offMax)).UTC() }

// Producer is the idempotent producer's id, epoch and first sequence number; id
// is −1 when there is none.
func (b Batch) Producer() (id int64, epoch int16, seq int32) {
	return b.int64(offProducer), b.int16(offProdEpoch), b.int32(offSeq)
}

// SetBase writes a base position and an epoch into encoded batch bytes, in
// place: what an engine does to its own copy on append.
func SetBase(encoded []byte, base Position, epoch uint32) {
	binary.BigEndian.PutUint64(encoded[offBase:], uint64(base))
	binary.BigEndian.PutUint32(encoded[offEpoch:], epoch)
}

// Clone copies the batch out of whatever buffer it aliases.
func (b Batch) Clone() Batch { return Batch{bytes.Clone(b.b)} }

// Records decodes the records one by one. A record aliases the batch, or a
// buffer of its own when the batch is compressed. Positions increase from record
// to record. The walk ends at the first error (Damaged, Unsupported codec,
// TooLarge when decompressed).
func (b Batch) Records() iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		if b.IsZero() {
			return
		}
		body := b.b[BatchHeader:]
		if c := b.Codec(); c != None {
			var err error
			if body, err = c.decompress(body); err != nil {
				yield(Record{}, err)
				return
			}
		}
		base, first, past := b.Base(), b.int64(offFirst), int64(-1)
		for range b.Len() {
			rec, rest, err := cutRecord(body)
			if err == nil && (rec.delta <= past || rec.delta >= int64(b.Span())) {
				err = Errorf(Damaged, "record delta %d after %d in a batch of %d positions", rec.delta, past, b.Span())
			}
			if err != nil {
				yield(Record{}, err)
				return
			}
			past = rec.delta
			rec.Position = base + Position(rec.delta)
			rec.Millis += first
			if !yield(rec, nil) {
				return
			}
			body = rest
		}
		if len(body) > 0 {
			yield(Record{}, Errorf(Damaged, "%d bytes after the last record of the batch", len(body)))
		}
	}
}
