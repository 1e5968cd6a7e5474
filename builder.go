package parley

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
	"time"
)

// Builder encodes events into one batch. Its zero value is ready; Reset makes it
// ready again and keeps its buffer. It is not safe for concurrent use.
type Builder struct {
	// Codec compresses the records, unless that makes them larger; the zero value
	// does not.
	Codec Codec

	buf   []byte // header and records
	rec   []byte // the record being encoded, to know its length
	first int64
	max   int64
	count int
}

// Reset forgets what was added. The batches made before stay valid only if the
// builder is not used again, or if they were cloned.
func (b *Builder) Reset() { b.buf, b.count, b.first, b.max = b.buf[:0], 0, 0, 0 }

// Grow makes room for so many bytes of records, up to what a batch may have, so that the
// buffer has not to grow for each of them.
func (b *Builder) Grow(bytes int) {
	if b.count == 0 {
		b.buf = b.buf[:0]
	}
	b.buf = slices.Grow(b.buf, min(max(bytes, 0)+BatchHeader, MaxBatchBytes-len(b.buf)))
}

// Len is the number of events added.
func (b *Builder) Len() int { return b.count }

// Size is the number of bytes so far, uncompressed.
func (b *Builder) Size() int {
	if b.count == 0 {
		return 0
	}
	return len(b.buf)
}

// Add appends an event. at is its append time (kept to the millisecond). Errors:
// Invalid for an event that breaks the rules of Event.Check, TooLarge when the
// batch would pass its limits; the batch is then as it was.
func (b *Builder) Add(at time.Time, e *Event) error {
	if err := e.Check(); err != nil {
		return err
	}
	return b.add(at.UnixMilli(), func(dst []byte) []byte { return appendEventFields(dst, e) })
}

// AddRecord appends a record as it is: key, value and headers, each nil or
// bytes. It is for what is not an event: a machine's move, a Kafka record.
func (b *Builder) AddRecord(at time.Time, key, value []byte, headers ...Header) error {
	return b.add(at.UnixMilli(), func(dst []byte) []byte {
		dst = appendNullable(appendNullable(dst, key), value)
		dst = binary.AppendVarint(dst, int64(len(headers)))
		for _, h := range headers {
			dst = appendNullable(appendBytes(dst, h.Name), h.Value)
		}
		return dst
	})
}

// Header is one header of a record.
type Header struct {
	Name  string
	Value []byte
}

var emptyHeader [BatchHeader]byte

func (b *Builder) add(millis int64, fields func([]byte) []byte) error {
	if b.count >= MaxBatchEvents {
		return Errorf(TooLarge, "a batch holds at most %d events", MaxBatchEvents)
	}
	if b.count == 0 {
		b.buf = append(b.buf[:0], emptyHeader[:]...)
		b.first, b.max = millis, millis
	}
	rec := append(b.rec[:0], 0) // attributes
	rec = binary.AppendVarint(rec, millis-b.first)
	rec = binary.AppendVarint(rec, int64(b.count))
	b.rec = fields(rec)
	if len(b.buf)+len(b.rec)+binary.MaxVarintLen64 > MaxBatchBytes {
		return Errorf(TooLarge, "a batch holds at most %d bytes", MaxBatchBytes)
	}
	b.buf = appendBytes(b.buf, b.rec)
	b.max = max(b.max, millis)
	b.count++
	return nil
}

// Batch finishes and returns the batch: positions from 0, epoch 0, no producer.
// It aliases the builder's buffer. With no event added it is the zero Batch.
func (b *Builder) Batch() (Batch, error) {
	if b.count == 0 {
		return Batch{}, nil
	}
	buf, codec := slices.Clip(b.buf), b.Codec
	if codec != None {
		packed, err := codec.compress(buf[BatchHeader:])
		if err != nil {
			return Batch{}, err
		}
		if len(packed) < len(buf)-BatchHeader {
			buf = append(buf[:BatchHeader:BatchHeader], packed...)
		} else {
			codec = None // nothing gained, and the limits hold only for what was added
		}
	}
	be := binary.BigEndian
	be.PutUint64(buf[offBase:], 0)
	be.PutUint32(buf[offLength:], uint32(len(buf)-offEpoch))
	be.PutUint32(buf[offEpoch:], 0)
	buf[offMagic] = 2
	be.PutUint16(buf[offAttr:], uint16(codec))
	be.PutUint32(buf[offDelta:], uint32(b.count-1))
	be.PutUint64(buf[offFirst:], uint64(b.first))
	be.PutUint64(buf[offMax:], uint64(b.max))
	be.PutUint64(buf[offProducer:], ^uint64(0))
	be.PutUint16(buf[offProdEpoch:], ^uint16(0))
	be.PutUint32(buf[offSeq:], ^uint32(0))
	be.PutUint32(buf[offCount:], uint32(b.count))
	be.PutUint32(buf[offCRC:], crc32.Checksum(buf[offAttr:], castagnoli))
	return Batch{buf}, nil
}

// NewBatch encodes events, all appended at the same time, into a batch of its
// own.
func NewBatch(at time.Time, events ...Event) (Batch, error) {
	var b Builder
	for i := range events {
		if err := b.Add(at, &events[i]); err != nil {
			return Batch{}, err
		}
	}
	return b.Batch()
}

// Keep makes a batch of the records of b for which keep is true, each at its
// old position: what a Rewriter does. It may be empty of records; it is
// uncompressed.
func (b Batch) Keep(keep func(Record) bool) (Batch, error) {
	if b.IsZero() {
		return b, nil
	}
	buf := append([]byte(nil), b.b[:BatchHeader]...)
	first, count := b.int64(offFirst), 0
	var rec []byte
	for r, err := range b.Records() {
		if err != nil {
			return Batch{}, err
		}
		if !keep(r) {
			continue
		}
		rec = append(rec[:0], 0)
		rec = binary.AppendVarint(rec, r.Millis-first)
		rec = binary.AppendVarint(rec, r.delta)
		rec = appendNullable(appendNullable(rec, r.Key), r.Value)
		rec = append(binary.AppendVarint(rec, int64(r.count)), r.headers...)
		buf = appendBytes(buf, rec)
		count++
	}
	be := binary.BigEndian
	be.PutUint32(buf[offLength:], uint32(len(buf)-offEpoch))
	be.PutUint16(buf[offAttr:], be.Uint16(buf[offAttr:])&^7)
	be.PutUint32(buf[offCount:], uint32(count))
	be.PutUint32(buf[offCRC:], crc32.Checksum(buf[offAttr:], castagnoli))
	return Batch{buf}, nil
}
