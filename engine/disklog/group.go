package disklog

import (
	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/internal/vfs"
)

// signal tells many at once that something has happened. err is set before done
// is closed.
type signal struct {
	done chan struct{}
	err  error
}

func newSignal() *signal { return &signal{done: make(chan struct{})} }

func (s *signal) fire(err error) { s.err = err; close(s.done) }

// pending says that the signal has not been given; a nil signal was long ago.
func (s *signal) pending() bool {
	if s == nil {
		return false
	}
	select {
	case <-s.done:
		return false
	default:
		return true
	}
}

// fate is what becomes of a group; streams remember it, without its bytes.
type fate struct {
	seq              uint64 // number of the group
	written, durable *signal
}

// at is the signal for a level.
func (f *fate) at(level Level) *signal {
	switch {
	case f == nil:
		return nil
	case level == Fsync:
		return f.durable
	}
	return f.written
}

// walFile is one file of the write-ahead log.
type walFile struct {
	gen  uint64
	f    vfs.File
	size int64 // preallocated

	// Guarded by core.pub.
	dirty  map[*stream]*extent // streams that it holds something of
	keys   []keyed
	millis int64  // of its last group
	group  uint64 // number of its last group
	end    int64  // behind its last group

	damaged bool // holds damage: kept under another name when it is given up
}

// extent is how far a file's groups bring a stream; zero if they hold no batch
// of it.
type extent struct{ newest, next parley.Position }

func newWALFile(gen uint64, f vfs.File, size int64) *walFile {
	return &walFile{gen: gen, f: f, size: size, dirty: make(map[*stream]*extent)}
}

// op is one frame of a group and what it does to its stream.
type op struct {
	st    *stream
	kind  byte
	level Level
	frame []byte
	batch parley.Batch    // kindBatch; aliases frame
	low   parley.Position // kindTrim
	key   parley.Key
}

// group is the unit of commit: its frames, then a commit frame. Where it goes in
// which file is known when it is begun.
type group struct {
	file     *walFile
	off      int64
	bytes    int64 // of its frames
	ops      []op
	millis   int64
	appends  int
	needSync bool // somebody waits for the flush
	atOS     bool // has changes at level OS
	fate     *fate
}

// size is what the group takes in the file.
func (g *group) size() int64 { return g.bytes + int64(commitSize(len(g.ops))) }

func (g *group) end() int64 { return g.off + g.size() }

// seal fills in what depends on the file and gives the pieces to be written one
// after the other at g.off. tail is room for the commit frame.
func (g *group) seal(synced place, tail []byte) [][]byte {
	putCommit(tail, &commit{seq: g.fate.seq, start: g.off, synced: synced, millis: g.millis}, len(g.ops))
	var pieces [][]byte
	off := uint32(0)
	for i := range g.ops {
		o := &g.ops[i]
		crc := sealFrame(g.file.gen, o.frame)
		putListed(tail, i, listed{o.st.number, off, uint32(len(o.frame)), crc})
		off += uint32(len(o.frame))
		pieces = join(pieces, o.frame)
	}
	sealFrame(g.file.gen, tail)
	return join(pieces, tail)
}

// join appends a piece, to the last one where that ends in memory just before.
func join(pieces [][]byte, p []byte) [][]byte {
	if n := len(pieces); n > 0 {
		last := pieces[n-1]
		if cap(last)-len(last) >= len(p) && &last[:len(last)+1][len(last)] == &p[0] {
			pieces[n-1] = last[:len(last)+len(p)]
			return pieces
		}
	}
	return append(pieces, p)
}

// arena hands out memory that lies one after the other, so that a group of small
// batches is written in one piece and stays where it is for readers.
type arena struct{ chunk []byte }

const arenaChunk = 256 << 10

// take gives n bytes. Their capacity reaches to the end of the chunk: join
// relies on it, and nobody else appends.
func (a *arena) take(n int) []byte {
	if cap(a.chunk)-len(a.chunk) < n {
		a.chunk = make([]byte, 0, max(n, arenaChunk))
	}
	at := len(a.chunk)
	a.chunk = a.chunk[:at+n]
	return a.chunk[at : at+n]
}
