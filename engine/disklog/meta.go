package disklog

import (
	"errors"
	"io/fs"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/internal/vfs"
)

// meta is what the log is up to a checkpoint: streams, their segments, and which
// log files come after. It is kept twice, and each copy is replaced as a whole;
// nothing that the older copy needs is given up before both are written.
type meta struct {
	seq        uint64 // counts the checkpoints
	epoch      uint32 // the last one given to a stream
	number     uint64 // the last stream number given
	segment    uint64 // the last segment id given
	group      uint64 // number of the last group in segments
	first      uint64 // log files of a lower generation are free
	generation uint64 // no generation up to it may be given again
	clean      bool   // the log was closed, and sealed holds all there is
	boot       string
	sealed     []place // log files from first on whose end is known
	keys       []keyFile
	epochs     []newEpoch
	streams    []metaStream // by number
}

// newEpoch is an epoch that a recovery gave to a stream whose create frame, with
// the old one, lies behind the checkpoint.
type newEpoch struct {
	stream uint64
	epoch  uint32
}

// keyFile is a file with the Once keys of a log file that was given up.
type keyFile struct {
	gen    uint64
	newest int64 // ms
}

type metaStream struct {
	number       uint64
	name         parley.Stream
	epoch        uint32
	atOS         bool
	newest, next parley.Position
	low          parley.Position
	damaged      string
	segs         []*segment
}

const (
	metaMagic  = "PLMETA\x00\x01"
	maxMeta    = 1 << 30
	formatName = "FORMAT"
	formatText = "parley disklog 1\n"
	lockName   = "LOCK"
)

var metaNames = [2]string{"meta.a", "meta.b"}

func (m *meta) encode() []byte {
	b := append([]byte(nil), metaMagic...)
	for _, v := range [...]uint64{m.seq, uint64(m.epoch), m.number, m.segment, m.group, m.first, m.generation} {
		b = be.AppendUint64(b, v)
	}
	b = append(b, bit(m.clean))
	b = appendString(b, m.boot)
	b = be.AppendUint32(b, uint32(len(m.sealed)))
	for _, p := range m.sealed {
		b = be.AppendUint64(be.AppendUint64(b, p.gen), uint64(p.off))
	}
	b = be.AppendUint32(b, uint32(len(m.keys)))
	for _, k := range m.keys {
		b = be.AppendUint64(be.AppendUint64(b, k.gen), uint64(k.newest))
	}
	b = be.AppendUint32(b, uint32(len(m.epochs)))
	for _, e := range m.epochs {
		b = be.AppendUint32(be.AppendUint64(b, e.stream), e.epoch)
	}
	b = be.AppendUint32(b, uint32(len(m.streams)))
	for i := range m.streams {
		b = m.streams[i].appendTo(b)
	}
	return be.AppendUint32(b, checksum(b))
}

func (s *metaStream) appendTo(b []byte) []byte {
	b = be.AppendUint64(b, s.number)
	b = appendString(appendString(b, s.name.Namespace), s.name.Name)
	b = be.AppendUint32(b, s.epoch)
	b = append(b, bit(s.atOS))
	for _, p := range [...]parley.Position{s.newest, s.next, s.low} {
		b = be.AppendUint64(b, uint64(p))
	}
	b = appendString(b, s.damaged)
	b = be.AppendUint32(b, uint32(len(s.segs)))
	for _, g := range s.segs {
		b = g.appendTo(be.AppendUint64(b, g.id))
	}
	return b
}

func bit(v bool) byte {
	if v {
		return 1
	}
	return 0
}

func appendString(b []byte, s string) []byte {
	s = s[:min(len(s), 1<<16-1)]
	return append(be.AppendUint16(b, uint16(len(s))), s...)
}

// cutter takes fields off bytes that passed their CRC, and still trusts no
// length.
type cutter struct {
	b   []byte
	bad bool
}

func (c *cutter) take(n int) []byte {
	if n > len(c.b) {
		c.bad, c.b = true, nil
		return make([]byte, min(n, 1<<16))
	}
	p := c.b[:n]
	c.b = c.b[n:]
	return p
}

func (c *cutter) u64() uint64 { return be.Uint64(c.take(8)) }
func (c *cutter) u32() uint32 { return be.Uint32(c.take(4)) }
func (c *cutter) flag() bool  { return c.take(1)[0] != 0 }
func (c *cutter) str() string { return string(c.take(int(be.Uint16(c.take(2))))) }

// count reads how many items follow, of at least size bytes each.
func (c *cutter) count(size int) int {
	n := int64(c.u32())
	if n*int64(size) > int64(len(c.b)) {
		c.bad = true
		return 0
	}
	return int(n)
}

func decodeMeta(b []byte) (*meta, error) {
	if len(b) < len(metaMagic)+4 || string(b[:len(metaMagic)]) != metaMagic || checksum(b[:len(b)-4]) != be.Uint32(b[len(b)-4:]) {
		return nil, parley.Errorf(parley.Damaged, "meta file of %d bytes fails its check", len(b))
	}
	c := cutter{b: b[len(metaMagic) : len(b)-4]}
	m := &meta{
		seq: c.u64(), epoch: uint32(c.u64()), number: c.u64(), segment: c.u64(), group: c.u64(), first: c.u64(), generation: c.u64(),
		clean: c.flag(), boot: c.str(),
	}
	for range c.count(16) {
		m.sealed = append(m.sealed, place{c.u64(), int64(c.u64())})
	}
	for range c.count(16) {
		m.keys = append(m.keys, keyFile{c.u64(), int64(c.u64())})
	}
	for range c.count(12) {
		m.epochs = append(m.epochs, newEpoch{c.u64(), c.u32()})
	}
	for range c.count(47) {
		s := metaStream{
			number: c.u64(), name: parley.Stream{Namespace: c.str(), Name: c.str()}, epoch: c.u32(), atOS: c.flag(),
			newest: parley.Position(c.u64()), next: parley.Position(c.u64()), low: parley.Position(c.u64()), damaged: c.str(),
		}
		for range c.count(72) {
			g := segmentFrom(c.u64(), c.take(64))
			s.segs = append(s.segs, &g)
		}
		m.streams = append(m.streams, s)
	}
	if c.bad || len(c.b) > 0 {
		return nil, parley.Errorf(parley.Damaged, "meta file does not add up")
	}
	return m, nil
}

// save makes both copies durable, one after the other: a crash leaves at least
// one whole.
func (m *meta) save(fsys vfs.FS) error {
	b := m.encode()
	for _, name := range metaNames {
		if err := vfs.ReplaceFile(fsys, name, b); err != nil {
			return err
		}
	}
	return nil
}

// loadMeta gives the newest copy that passes its check; complaints name copies
// that do not. No copy at all gives fs.ErrNotExist.
func loadMeta(fsys vfs.FS) (m *meta, complaints []error, err error) {
	missing := 0
	for _, name := range metaNames {
		b, err := vfs.ReadFile(fsys, name, maxMeta)
		if errors.Is(err, fs.ErrNotExist) {
			missing++
			continue
		}
		var got *meta
		if err == nil {
			got, err = decodeMeta(b)
		}
		switch {
		case err != nil:
			complaints = append(complaints, parley.Errorf(parley.CodeOf(err), "%s: %w", name, err))
		case m == nil || got.seq > m.seq:
			m = got
		}
	}
	if m != nil {
		return m, complaints, nil
	}
	if missing == len(metaNames) {
		return nil, nil, fs.ErrNotExist
	}
	return nil, complaints, &parley.Error{
		Code: parley.Damaged, Detail: "no copy of the meta file can be read",
		Fix: "restore a snapshot; the log files are untouched", Err: errors.Join(complaints...),
	}
}
