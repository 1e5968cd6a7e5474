package server

import (
	"bytes"
	"io"
	"sync"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/parleyhq/parley"
)

// RegisterCodecs makes the compressions of record batches known that the root
// package leaves to programs: snappy, lz4 and zstd. New does it.
func RegisterCodecs() {
	parley.Snappy.Register(parley.Compression{Compress: snap, Decompress: unsnap})
	parley.LZ4.Register(parley.Compression{Compress: lz4Compress, Decompress: lz4Decompress})
	parley.Zstd.Register(parley.Compression{Compress: zstdCompress, Decompress: zstdDecompress})
}

func snap(src []byte) ([]byte, error) { return snappy.Encode(nil, src), nil }

// xerial begins the framing that Java clients put around snappy blocks: 16 bytes
// of head, then each block after its big-endian length.
const xerial = "\x82SNAPPY\x00"

func unsnap(src []byte, limit int) ([]byte, error) {
	if !bytes.HasPrefix(src, []byte(xerial)) {
		return unsnapBlock(nil, src, limit)
	}
	if len(src) < 16 {
		return nil, damaged("snappy", io.ErrUnexpectedEOF)
	}
	var out []byte
	for rest := src[16:]; len(rest) > 0; {
		if len(rest) < 4 {
			return nil, damaged("snappy", io.ErrUnexpectedEOF)
		}
		n := int64(rest[0])<<24 | int64(rest[1])<<16 | int64(rest[2])<<8 | int64(rest[3])
		if rest = rest[4:]; n > int64(len(rest)) {
			return nil, damaged("snappy", io.ErrUnexpectedEOF)
		}
		var err error
		if out, err = unsnapBlock(out, rest[:n], limit); err != nil {
			return nil, err
		}
		rest = rest[n:]
	}
	return out, nil
}

// snappyRatio is more than snappy can compress: its longest copy is 64 bytes in
// 3. A block that says more is lying, and no memory is taken on its word.
const snappyRatio = 22

func unsnapBlock(dst, block []byte, limit int) ([]byte, error) {
	n, err := snappy.DecodedLen(block)
	switch {
	case err != nil:
		return nil, damaged("snappy", err)
	case n > snappyRatio*len(block):
		return nil, damaged("snappy", snappy.ErrCorrupt)
	case n > limit-len(dst):
		return nil, tooLarge(limit)
	}
	out, err := snappy.Decode(nil, block)
	if err != nil {
		return nil, damaged("snappy", err)
	}
	if dst == nil {
		return out, nil
	}
	return append(dst, out...), nil
}

var lz4Readers = sync.Pool{New: func() any { return lz4.NewReader(nil) }}

func lz4Compress(src []byte) ([]byte, error) {
	var out bytes.Buffer
	w := lz4.NewWriter(&out)
	if err := w.Apply(lz4.BlockSizeOption(lz4.Block64Kb)); err != nil {
		return nil, err
	}
	if _, err := w.Write(src); err != nil {
		return nil, err
	}
	err := w.Close()
	return out.Bytes(), err
}

func lz4Decompress(src []byte, limit int) ([]byte, error) {
	r := lz4Readers.Get().(*lz4.Reader) // the pool makes nothing else
	defer lz4Readers.Put(r)
	r.Reset(bytes.NewReader(src))
	return readAll("lz4", r, limit)
}

// zstdWindow is the largest window of the format that decoders have to take
// (RFC 8878 §3.1.1.1.2).
const zstdWindow = 8 << 20

// zstdEncoder is made once, when it is first needed: EncodeAll may be called by
// many at once.
var zstdEncoder = sync.OnceValues(func() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
})

var zstdReaders = sync.Pool{New: func() any {
	r, _ := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(zstdWindow)) // the options are valid
	return r
}}

func zstdCompress(src []byte) ([]byte, error) {
	w, err := zstdEncoder()
	if err != nil {
		return nil, err
	}
	return w.EncodeAll(src, nil), nil
}

func zstdDecompress(src []byte, limit int) ([]byte, error) {
	r := zstdReaders.Get().(*zstd.Decoder) // the pool makes nothing else
	defer zstdReaders.Put(r)
	if err := r.Reset(bytes.NewReader(src)); err != nil {
		return nil, damaged("zstd", err)
	}
	return readAll("zstd", r, limit)
}

// readAll reads no more than the limit, and takes memory as bytes come.
func readAll(codec string, r io.Reader, limit int) ([]byte, error) {
	out, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	switch {
	case err != nil:
		return nil, damaged(codec, err)
	case len(out) > limit:
		return nil, tooLarge(limit)
	}
	return out, nil
}

func damaged(codec string, err error) error { return parley.Errorf(parley.Damaged, codec+": %w", err) }

func tooLarge(limit int) error {
	return parley.Errorf(parley.TooLarge, "a batch decompresses to more than %d bytes", limit)
}
