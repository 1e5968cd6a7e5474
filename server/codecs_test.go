package server

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/klauspost/compress/snappy"

	"github.com/parleyhq/parley"
)

type codec struct {
	name string
	parley.Compression
}

func codecs() []codec {
	return []codec{
		{"snappy", parley.Compression{Compress: snap, Decompress: unsnap}},
		{"lz4", parley.Compression{Compress: lz4Compress, Decompress: lz4Decompress}},
		{"zstd", parley.Compression{Compress: zstdCompress, Decompress: zstdDecompress}},
	}
}

func TestCodecs(t *testing.T) {
	text := bytes.Repeat([]byte("an event, and another one; "), 5000)
	for _, c := range codecs() {
		for _, src := range [][]byte{{}, []byte("x"), text} {
			small, err := c.Compress(src)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			got, err := c.Decompress(small, len(src))
			if err != nil || !bytes.Equal(got, src) {
				t.Errorf("%s of %d bytes gives %d, %v", c.name, len(src), len(got), err)
			}
			if len(src) < 2 {
				continue
			}
			if got, err := c.Decompress(small, len(src)-1); parley.CodeOf(err) != parley.TooLarge {
				t.Errorf("%s beyond its limit gives %d bytes, %v", c.name, len(got), err)
			}
			if _, err := c.Decompress(small[:len(small)/2], len(src)); parley.CodeOf(err) != parley.Damaged {
				t.Errorf("half of %s gives %v", c.name, err)
			}
		}
	}
}

// Java clients put their snappy blocks into a frame.
func TestXerialSnappy(t *testing.T) {
	framed := append([]byte(xerial), 0, 0, 0, 1, 0, 0, 0, 1)
	for _, part := range []string{"hello, ", "world"} {
		block := snappy.Encode(nil, []byte(part))
		framed = append(binary.BigEndian.AppendUint32(framed, uint32(len(block))), block...)
	}
	if got, err := unsnap(framed, 100); err != nil || string(got) != "hello, world" {
		t.Errorf("gives %q, %v", got, err)
	}
	if _, err := unsnap(framed, 8); parley.CodeOf(err) != parley.TooLarge {
		t.Errorf("beyond its limit: %v", err)
	}
	for cut := len(xerial); cut < len(framed); cut++ {
		if got, err := unsnap(framed[:cut], 100); err == nil && string(got) == "hello, world" {
			t.Errorf("cut at %d it is whole", cut)
		}
	}
}

// A block that only claims to be huge costs nothing.
func TestSnappyLie(t *testing.T) {
	lie := binary.AppendUvarint(nil, 60<<20)
	if _, err := unsnap(lie, 64<<20); parley.CodeOf(err) != parley.Damaged {
		t.Errorf("gives %v", err)
	}
	if n := testing.AllocsPerRun(10, func() { _, _ = unsnap(lie, 64<<20) }); n > 10 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzDecompress(f *testing.F) {
	for i, c := range codecs() {
		small, err := c.Compress([]byte("seed seed seed seed"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), small)
	}
	f.Add(uint8(0), append([]byte(xerial), make([]byte, 12)...))
	f.Fuzz(func(t *testing.T, which uint8, src []byte) {
		c := codecs()[int(which)%3]
		const limit = 1 << 16
		out, err := c.Decompress(src, limit)
		if err == nil && len(out) > limit {
			t.Errorf("%s gives %d bytes", c.name, len(out))
		}
		if code := parley.CodeOf(err); err != nil && code != parley.Damaged && code != parley.TooLarge {
			t.Errorf("%s gives %v", c.name, err)
		}
	})
}
