package parley

import (
	"bytes"
	"compress/gzip"
	"io"
	"sync"
	"sync/atomic"
)

// Codec is how a batch's records are compressed: Kafka's numbers.
type Codec uint8

// The codecs of the format. None and Gzip are built in; a program that needs
// the others registers them.
const (
	None   Codec = 0
	Gzip   Codec = 1
	Snappy Codec = 2
	LZ4    Codec = 3
	Zstd   Codec = 4
)

// MaxDecompressed bounds the records of one batch after decompression: a small
// batch must not become a large allocation.
const MaxDecompressed = 4 * MaxBatchBytes

// Compression compresses and decompresses records. Decompress must fail rather
// than return more than max bytes.
type Compression struct {
	Compress   func(src []byte) ([]byte, error)
	Decompress func(src []byte, max int) ([]byte, error)
}

var compressions [8]atomic.Pointer[Compression]

// Register makes a codec known to the process. A program calls it at its start
// for the codecs it links; registering again replaces.
func (c Codec) Register(z Compression) { compressions[c&7].Store(&z) }

// String gives the codec's name.
func (c Codec) String() string {
	names := [...]string{"none", "gzip", "snappy", "lz4", "zstd"}
	if int(c) < len(names) {
		return names[c]
	}
	return "unknown"
}

var builtin = Compression{Compress: gzipped, Decompress: gunzipped}

func (c Codec) get() (*Compression, error) {
	if z := compressions[c&7].Load(); z != nil {
		return z, nil
	}
	if c == Gzip {
		return &builtin, nil
	}
	return nil, &Error{Code: Unsupported, Detail: "compression codec " + c.String() + " is not available", Fix: "send none or gzip, or register the codec"}
}

func (c Codec) compress(src []byte) ([]byte, error) {
	z, err := c.get()
	if err != nil {
		return nil, err
	}
	return z.Compress(src)
}

func (c Codec) decompress(src []byte) ([]byte, error) {
	z, err := c.get()
	if err != nil {
		return nil, err
	}
	return z.Decompress(src, MaxDecompressed)
}

// A writer's tables weigh hundreds of kilobytes and a reader's 40: more than most
// batches.
var (
	gzipWriters = sync.Pool{New: func() any {
		w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is valid
		return w
	}}
	gzipReaders = sync.Pool{New: func() any { return new(gzip.Reader) }}
)

func gzipped(src []byte) ([]byte, error) {
	w := gzipWriters.Get().(*gzip.Writer) // the pool makes nothing else
	defer gzipWriters.Put(w)
	var out bytes.Buffer
	w.Reset(&out)
	if _, err := w.Write(src); err != nil {
		return nil, err
	}
	err := w.Close()
	return out.Bytes(), err
}

func gunzipped(src []byte, limit int) ([]byte, error) {
	r := gzipReaders.Get().(*gzip.Reader) // the pool makes nothing else
	defer gzipReaders.Put(r)
	if err := r.Reset(bytes.NewReader(src)); err != nil {
		return nil, Errorf(Damaged, "gzip: %w", err)
	}
	out := bytes.NewBuffer(make([]byte, 0, 4*len(src)+bytes.MinRead)) // by what is there, not by what it says
	if _, err := out.ReadFrom(io.LimitReader(r, int64(limit)+1)); err != nil {
		return nil, Errorf(Damaged, "gzip: %w", err)
	}
	if out.Len() > limit {
		return nil, Errorf(TooLarge, "a batch decompresses to more than %d bytes", limit)
	}
	return out.Bytes(), nil
}
