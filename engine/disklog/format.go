package disklog

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"

	"github.com/parleyhq/parley"
)

// A log file is groups; a group is frames and, last, its commit frame. Numbers
// are big-endian. A frame:
//
//	0 "PLF"                       8 length of the payload  uint32
//	3 kind    uint8              12 CRC-32C                uint32
//	4 flags   uint8              16 stream number          uint64
//	5 zero    3 bytes            24 payload
//
// The CRC is over the generation of the file (8 bytes), bytes 0–11 and 16–23, and
// the payload; of a batch frame's payload only what comes before the records,
// since the batch has its own CRC over those. The generation is the number in the
// file's name: what a file held when it had another name does not pass.
const (
	kindBatch  = 1 // [key 16] batch
	kindCreate = 2 // epoch uint32, namespace (uint8 length), name
	kindTrim   = 3 // lowest position left, int64
	kindRemove = 4 // nothing
	kindCommit = 5 // see commit

	flagKey = 1 // a batch frame begins with a Once key
	flagOS  = 2 // acknowledged at level OS

	frameHeader  = 24
	commitHeader = 44 // of a commit frame's payload
	commitEntry  = 20
	keyBytes     = 16
)

var (
	castagnoli  = crc32.MakeTable(crc32.Castagnoli)
	be          = binary.BigEndian
	frameMagic  = []byte("PLF")
	commitMagic = []byte("PLF\x05")
)

// place is an offset in the log file of a generation.
type place struct {
	gen uint64
	off int64
}

func (p place) after(q place) bool { return p.gen > q.gen || p.gen == q.gen && p.off > q.off }

// putFrame writes a frame's header but for its CRC, which depends on the file.
func putFrame(b []byte, kind, flags byte, stream uint64) {
	copy(b, frameMagic)
	b[3], b[4], b[5], b[6], b[7] = kind, flags, 0, 0, 0
	be.PutUint32(b[8:], uint32(len(b)-frameHeader))
	be.PutUint64(b[16:], stream)
}

// frameCRC computes the CRC of a whole frame in a file of generation gen.
func frameCRC(gen uint64, frame []byte) uint32 {
	var seed [8]byte
	be.PutUint64(seed[:], gen)
	crc := crc32.Update(0, castagnoli, seed[:])
	crc = crc32.Update(crc, castagnoli, frame[:12])
	covered := frame[16:]
	if frame[3] == kindBatch {
		n := frameHeader - 16 + parley.BatchHeader
		if frame[4]&flagKey != 0 {
			n += keyBytes
		}
		covered = covered[:min(n, len(covered))]
	}
	return crc32.Update(crc, castagnoli, covered)
}

func sealFrame(gen uint64, frame []byte) uint32 {
	crc := frameCRC(gen, frame)
	be.PutUint32(frame[12:], crc)
	return crc
}

// frame is a decoded frame; its slices alias the file's bytes.
type frame struct {
	kind   byte
	flags  byte
	stream uint64
	body   []byte // without the key
	key    parley.Key
	batch  parley.Batch // kindBatch
}

// frameSize gives the length of the frame that b begins with, 0 if it cannot be
// one.
func frameSize(b []byte) int {
	if len(b) < frameHeader || !bytes.HasPrefix(b, frameMagic) {
		return 0
	}
	n := int64(be.Uint32(b[8:])) + frameHeader
	if n > int64(len(b)) {
		return 0
	}
	return int(n)
}

// parseFrame decodes and checks one whole frame.
func parseFrame(gen uint64, b []byte) (frame, error) {
	if frameSize(b) != len(b) {
		return frame{}, parley.Errorf(parley.Damaged, "not a frame of %d bytes", len(b))
	}
	if got, want := frameCRC(gen, b), be.Uint32(b[12:]); got != want {
		return frame{}, parley.Errorf(parley.Damaged, "frame has CRC %08x, its header says %08x", got, want)
	}
	f := frame{kind: b[3], flags: b[4], stream: be.Uint64(b[16:]), body: b[frameHeader:]}
	if f.kind != kindBatch {
		return f, nil
	}
	if f.flags&flagKey != 0 {
		if len(f.body) < keyBytes {
			return frame{}, parley.Errorf(parley.Damaged, "a key is cut short")
		}
		f.key, f.body = parley.Key(f.body), f.body[keyBytes:]
	}
	var err error
	f.batch, err = parley.ParseBatch(f.body)
	return f, err
}

// commit is a commit frame: it lists the frames of its group and says up to
// where the log had been flushed when it was written.
//
//	 0 group number  uint64        24 flushed: offset   int64
//	 8 group's start int64         32 time ms           int64
//	16 flushed: generation uint64  40 number of frames  uint32
//	44 each: stream uint64, offset from the start uint32, length uint32, CRC uint32
type commit struct {
	seq    uint64
	start  int64
	synced place
	millis int64
	list   []listed
	end    int64 // offset behind the commit frame
}

type listed struct {
	stream uint64
	off    uint32
	size   uint32
	crc    uint32
}

func commitSize(frames int) int { return frameHeader + commitHeader + commitEntry*frames }

// putCommit writes a commit frame into b, which has commitSize bytes, but for
// its list; see putListed.
func putCommit(b []byte, c *commit, frames int) {
	putFrame(b, kindCommit, 0, 0)
	p := b[frameHeader:]
	be.PutUint64(p, c.seq)
	be.PutUint64(p[8:], uint64(c.start))
	be.PutUint64(p[16:], c.synced.gen)
	be.PutUint64(p[24:], uint64(c.synced.off))
	be.PutUint64(p[32:], uint64(c.millis))
	be.PutUint32(p[40:], uint32(frames))
}

func putListed(b []byte, i int, l listed) {
	p := b[frameHeader+commitHeader+i*commitEntry:]
	be.PutUint64(p, l.stream)
	be.PutUint32(p[8:], l.off)
	be.PutUint32(p[12:], l.size)
	be.PutUint32(p[16:], l.crc)
}

// parseCommit decodes the commit frame that lies at off in a file.
func parseCommit(gen uint64, file []byte, off int64) (commit, bool) {
	n := frameSize(file[off:])
	if n < frameHeader+commitHeader {
		return commit{}, false
	}
	b := file[off : off+int64(n)]
	if b[3] != kindCommit || frameCRC(gen, b) != be.Uint32(b[12:]) {
		return commit{}, false
	}
	p := b[frameHeader:]
	c := commit{
		seq: be.Uint64(p), start: int64(be.Uint64(p[8:])),
		synced: place{be.Uint64(p[16:]), int64(be.Uint64(p[24:]))},
		millis: int64(be.Uint64(p[32:])), end: off + int64(n),
	}
	p = p[commitHeader:]
	if c.start < 0 || c.start > off || int64(be.Uint32(b[frameHeader+40:]))*commitEntry != int64(len(p)) {
		return commit{}, false
	}
	for ; len(p) > 0; p = p[commitEntry:] {
		l := listed{be.Uint64(p), be.Uint32(p[8:]), be.Uint32(p[12:]), be.Uint32(p[16:])}
		if c.start+int64(l.off)+int64(l.size) > off {
			return commit{}, false
		}
		c.list = append(c.list, l)
	}
	return c, true
}

// findCommit gives the first commit frame at or after off that passes its check.
func findCommit(gen uint64, file []byte, off int64) (commit, bool) {
	for off < int64(len(file)) {
		i := bytes.Index(file[off:], commitMagic)
		if i < 0 {
			break
		}
		off += int64(i)
		if c, ok := parseCommit(gen, file, off); ok {
			return c, true
		}
		off++
	}
	return commit{}, false
}

// frames decodes what the commit lists. Frames that fail their check are named
// in bad by their index and zero in the result.
func (c *commit) frames(gen uint64, file []byte) (all []frame, bad []int) {
	all = make([]frame, len(c.list))
	for i, l := range c.list {
		at := c.start + int64(l.off)
		f, err := parseFrame(gen, file[at:at+int64(l.size)])
		if err != nil || be.Uint32(file[at+12:]) != l.crc || f.stream != l.stream {
			bad = append(bad, i)
			continue
		}
		all[i] = f
	}
	return all, bad
}

// cutGroup finds the commit frame of the group that begins at off by walking
// its frames.
func cutGroup(gen uint64, file []byte, off int64) (commit, bool) {
	for at := off; at < int64(len(file)); {
		n := frameSize(file[at:])
		if n == 0 {
			break
		}
		if file[at+3] == kindCommit {
			c, ok := parseCommit(gen, file, at)
			return c, ok && c.start == off
		}
		at += int64(n)
	}
	return commit{}, false
}

// createBody is the payload of a create frame.
func appendCreate(b []byte, epoch uint32, s parley.Stream) []byte {
	b = be.AppendUint32(b, epoch)
	b = append(b, byte(len(s.Namespace)))
	b = append(b, s.Namespace...)
	return append(b, s.Name...)
}

func parseCreate(b []byte) (epoch uint32, s parley.Stream, ok bool) {
	if len(b) < 5 || len(b) < 5+int(b[4]) {
		return 0, s, false
	}
	n := 5 + int(b[4])
	return be.Uint32(b), parley.Stream{Namespace: string(b[5:n]), Name: string(b[n:])}, n < len(b)
}
