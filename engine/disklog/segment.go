package disklog

import (
	"fmt"
	"hash/crc32"

	"github.com/parleyhq/parley"
)

// segment is a file with consecutive batches of one stream. It is written once
// and never changes. These fields are in the meta file too; the index is read
// when the segment is first used.
type segment struct {
	id         uint64 // its name
	stream     uint64 // number of its stream
	base, next parley.Position
	size       int64 // bytes of batches
	events     int64
	until      int64  // latest batch time up to its end, in ms, over all segments before it too
	oldest     int64  // time of its first batch, in ms
	heads      uint32 // CRC-32C of bytes 0–20 of every batch
	marks      uint32 // number of index entries
}

// A segment file is batches, index, trailer:
//
//	batches           size bytes
//	index             24 bytes each: base int64, latest time so far ms int64,
//	                  offset uint32, CRC-32C of bytes 0–20 of the batches up to the
//	                  next entry uint32
//	trailer (76)       0 "PLSEG\x01\x00\x00"    40 events int64
//	                   8 stream number uint64   48 latest time ms int64
//	                  16 base int64             56 time of the first batch ms int64
//	                  24 next int64             64 CRC of all heads uint32
//	                  32 size int64             68 entries uint32
//	                                            72 CRC of index and bytes 0–71 uint32
//
// A batch's own CRC leaves out its first 21 bytes (it holds itself, and the base
// position is set late): those are the heads, which the index covers.
const (
	markBytes    = 24
	trailerBytes = 76
	headBytes    = 21
	indexEvery   = 4 << 10
)

var segmentMagic = []byte("PLSEG\x01\x00\x00")

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

func segmentName(id uint64) string { return fmt.Sprintf("seg/%016x.seg", id) }

// mark is an index entry: where a block of batches begins.
type mark struct {
	base  parley.Position
	until int64
	off   uint32
	heads uint32
}

// builder lays batches out as a segment. It is pure; the bytes go to emit in
// pieces, in order.
type builder struct {
	segment
	index []mark
	emit  func(b []byte) error
}

// add takes the next batch.
func (s *builder) add(b parley.Batch) error {
	if s.size == 0 {
		s.base, s.oldest = b.Base(), b.MaxTime().UnixMilli()
	}
	if n := len(s.index); n == 0 || s.size-int64(s.index[n-1].off) >= indexEvery {
		s.index = append(s.index, mark{base: b.Base(), off: uint32(s.size)})
	}
	m := &s.index[len(s.index)-1]
	s.until = max(s.until, b.MaxTime().UnixMilli())
	m.until = s.until
	m.heads = crc32.Update(m.heads, castagnoli, b.Bytes()[:headBytes])
	s.heads = crc32.Update(s.heads, castagnoli, b.Bytes()[:headBytes])
	s.next = b.Next()
	s.size += int64(b.Size())
	s.events += int64(b.Len())
	return s.emit(b.Bytes())
}

// finish writes index and trailer.
func (s *builder) finish() error {
	s.marks = uint32(len(s.index))
	b := make([]byte, 0, len(s.index)*markBytes+trailerBytes)
	for _, m := range s.index {
		b = be.AppendUint64(b, uint64(m.base))
		b = be.AppendUint64(b, uint64(m.until))
		b = be.AppendUint32(b, m.off)
		b = be.AppendUint32(b, m.heads)
	}
	return s.emit(s.appendTrailer(b))
}

func (s *segment) appendTrailer(b []byte) []byte {
	b = append(b, segmentMagic...)
	b = s.appendTo(b)
	return be.AppendUint32(b, checksum(b))
}

// appendTo encodes all but the id, as trailer and meta file hold it: 64 bytes.
func (s *segment) appendTo(b []byte) []byte {
	for _, v := range [...]uint64{s.stream, uint64(s.base), uint64(s.next), uint64(s.size), uint64(s.events), uint64(s.until), uint64(s.oldest)} {
		b = be.AppendUint64(b, v)
	}
	return be.AppendUint32(be.AppendUint32(b, s.heads), s.marks)
}

func segmentFrom(id uint64, b []byte) segment {
	u := func(i int) uint64 { return be.Uint64(b[8*i:]) }
	return segment{
		id: id, stream: u(0), base: parley.Position(u(1)), next: parley.Position(u(2)), size: int64(u(3)),
		events: int64(u(4)), until: int64(u(5)), oldest: int64(u(6)), heads: be.Uint32(b[56:]), marks: be.Uint32(b[60:]),
	}
}

// fileSize is the size that the segment's file has.
func (s *segment) fileSize() int64 { return s.size + int64(s.marks)*markBytes + trailerBytes }

// parseIndex decodes index and trailer, the last bytes of a segment's file, and
// holds them to what the meta file says of the segment.
func (s *segment) parseIndex(b []byte) ([]mark, error) {
	fail := func(what string) ([]mark, error) {
		return nil, parley.Errorf(parley.Damaged, "index of segment %016x: %s", s.id, what)
	}
	n := int(s.marks) * markBytes
	if len(b) != n+trailerBytes {
		return fail("cut short")
	}
	if be.Uint32(b[len(b)-4:]) != checksum(b[:len(b)-4]) || string(b[n:n+8]) != string(segmentMagic) {
		return fail("fails its check")
	}
	if segmentFrom(s.id, b[n+8:]) != *s {
		return fail("belongs to another segment")
	}
	marks := make([]mark, s.marks)
	for i := range marks {
		p := b[i*markBytes:]
		m := mark{parley.Position(be.Uint64(p)), int64(be.Uint64(p[8:])), be.Uint32(p[16:]), be.Uint32(p[20:])}
		if int64(m.off) >= s.size || i == 0 && m.off != 0 || i > 0 && (m.off <= marks[i-1].off || m.base <= marks[i-1].base) {
			return fail("is not in order")
		}
		marks[i] = m
	}
	return marks, nil
}

// rebuild makes the index anew from the batches, and holds the result to what
// the meta file says.
func (s *segment) rebuild(batches []byte) ([]mark, error) {
	made := builder{segment: segment{id: s.id, stream: s.stream}, emit: func([]byte) error { return nil }}
	for len(batches) > 0 {
		b, rest, err := parley.CutBatch(batches)
		if err == nil {
			err = b.Check()
		}
		if err != nil {
			return nil, parley.Errorf(parley.Damaged, "segment %016x: %w", s.id, err)
		}
		_ = made.add(b) // emit cannot fail
		batches = rest
	}
	if made.heads != s.heads || made.size != s.size || made.base != s.base || made.next != s.next {
		return nil, parley.Errorf(parley.Damaged, "segment %016x does not hold what the meta file says", s.id)
	}
	return made.index, nil
}

// checkBlock holds the bytes of one block to its entry: whole batches, each
// with its CRC, and their heads.
func checkBlock(m mark, block []byte) error {
	var heads uint32
	for rest := block; len(rest) > 0; {
		b, after, err := parley.CutBatch(rest)
		if err != nil { // of whatever code: it was a batch when it was written
			return parley.Errorf(parley.Damaged, "the batches at %d and after: %w", m.base, err)
		}
		if err := b.Check(); err != nil {
			return err
		}
		heads = crc32.Update(heads, castagnoli, rest[:headBytes])
		rest = after
	}
	if heads != m.heads {
		return parley.Errorf(parley.Damaged, "the batches at %d and after fail their check", m.base)
	}
	return nil
}
