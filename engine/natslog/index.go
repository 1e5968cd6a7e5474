package natslog

import (
	"encoding/binary"
	"sort"

	"github.com/parleyhq/parley"
)

// note is what the index keeps of one batch.
type note struct {
	seq    uint64
	millis int64 // latest time of a record
	size   int32
	span   int32
	events int32
}

func (n note) base() parley.Position { return baseOf(n.seq) }

func noteOf(it item) note {
	b := it.batch
	return note{seq: it.seq, millis: b.MaxTime().UnixMilli(), size: int32(b.Size()), span: int32(b.Span()), events: int32(b.Len())}
}

// block is what the index keeps of many batches in a row.
type block struct {
	first, last    uint64 // sequences
	count          int64  // batches
	events, bytes  int64
	oldest, latest int64 // time of the first batch, and the latest of any, in milliseconds
}

// blockSize is how many batches become a block.
const blockSize = 512

// index counts what is left of a stream: blocks of old batches, notes of new ones.
// It is pure; positions only rise.
type index struct {
	size   int    // batches a block; 0 = blockSize
	front  []note // what is left of a block that was trimmed in part
	blocks []block
	notes  []note
	saved  uint64 // last sequence of what was saved
}

func (x *index) blockSize() int {
	if x.size > 0 {
		return x.size
	}
	return blockSize
}

// last gives the sequence up to which the index counts.
func (x *index) last() uint64 {
	if n := len(x.notes); n > 0 {
		return x.notes[n-1].seq
	}
	if n := len(x.blocks); n > 0 {
		return x.blocks[n-1].last
	}
	if n := len(x.front); n > 0 {
		return x.front[n-1].seq
	}
	return 0
}

// add takes the next batch in; one that is counted already is not counted again.
func (x *index) add(n note) {
	if n.seq <= x.last() {
		return
	}
	x.notes = append(x.notes, n)
	if size := x.blockSize(); len(x.notes) >= 2*size {
		x.blocks = append(x.blocks, blockOf(x.notes[:size]))
		x.notes = append(make([]note, 0, 2*size), x.notes[size:]...)
	}
}

func blockOf(notes []note) block {
	b := block{first: notes[0].seq, last: notes[len(notes)-1].seq, count: int64(len(notes)), oldest: notes[0].millis, latest: notes[0].millis}
	for _, n := range notes {
		b.events += int64(n.events)
		b.bytes += int64(n.size)
		b.latest = max(b.latest, n.millis)
	}
	return b
}

// trim forgets what is below low. A block that is trimmed in part has to be opened
// first: it is returned, and trim is to be called again.
func (x *index) trim(low parley.Position) (partly block, ok bool) {
	x.front = since(x.front, low)
	for len(x.blocks) > 0 && baseOf(x.blocks[0].last) < low {
		x.blocks = x.blocks[1:]
	}
	if len(x.blocks) > 0 && baseOf(x.blocks[0].first) < low {
		return x.blocks[0], false
	}
	x.notes = since(x.notes, low)
	return block{}, true
}

// since gives the notes from a position on.
func since(notes []note, low parley.Position) []note {
	return notes[sort.Search(len(notes), func(i int) bool { return notes[i].base() >= low }):]
}

// open replaces the first block, if it still is that one, by its notes.
func (x *index) open(b block, notes []note) {
	if len(x.blocks) > 0 && x.blocks[0] == b {
		x.blocks, x.front = x.blocks[1:], notes
	}
}

// sums adds everything up; the first block's oldest batch is the oldest of all.
func (x *index) sums() (earliest parley.Position, oldest, events, bytes int64) {
	switch {
	case len(x.front) > 0:
		earliest, oldest = x.front[0].base(), x.front[0].millis
	case len(x.blocks) > 0:
		earliest, oldest = baseOf(x.blocks[0].first), x.blocks[0].oldest
	case len(x.notes) > 0:
		earliest, oldest = x.notes[0].base(), x.notes[0].millis
	}
	for _, notes := range [][]note{x.front, x.notes} {
		for _, n := range notes {
			events += int64(n.events)
			bytes += int64(n.size)
		}
	}
	for _, b := range x.blocks {
		events += b.events
		bytes += b.bytes
	}
	return earliest, oldest, events, bytes
}

// detail gives the notes of a block.
type detail func(block) ([]note, error)

// back finds the n-th batch, counted backwards, that begins below a position.
func (x *index) back(at parley.Position, n int, open detail) (parley.Position, error) {
	earliest, _, _, _ := x.sums()
	below := func(notes []note) (parley.Position, bool) {
		k := len(notes) - len(since(notes, at))
		if k >= n {
			return notes[k-n].base(), true
		}
		n -= k
		return 0, false
	}
	if base, ok := below(x.notes); ok {
		return base, nil
	}
	for i := len(x.blocks) - 1; i >= 0; i-- {
		b := x.blocks[i]
		switch {
		case baseOf(b.first) >= at:
		case baseOf(b.last) < at && b.count < int64(n):
			n -= int(b.count)
		default:
			notes, err := open(b)
			if err != nil {
				return 0, err
			}
			if base, ok := below(notes); ok {
				return base, nil
			}
		}
	}
	if base, ok := below(x.front); ok {
		return base, nil
	}
	return earliest, nil
}

// at finds the first batch whose latest time is not before millis; 0 = none.
func (x *index) at(millis int64, open detail) (parley.Position, error) {
	first := func(notes []note) parley.Position {
		for _, n := range notes {
			if n.millis >= millis {
				return n.base()
			}
		}
		return 0
	}
	if base := first(x.front); base != 0 {
		return base, nil
	}
	for _, b := range x.blocks {
		if b.latest < millis {
			continue
		}
		notes, err := open(b)
		if err != nil {
			return 0, err
		}
		if base := first(notes); base != 0 {
			return base, nil
		}
	}
	return first(x.notes), nil
}

// saveEvery is how many new blocks are worth to be saved.
const saveEvery = 8

// unsaved says whether it is time to save.
func (x *index) unsaved() bool {
	n := len(x.blocks)
	return n >= saveEvery && x.blocks[n-saveEvery].first > x.saved
}

// encode writes the blocks, of a life of the stream, in at most so many bytes:
// neighbours become one where they are too many.
func (x *index) encode(life uint64, most int) []byte {
	blocks := x.blocks
	if len(x.front) > 0 {
		blocks = append([]block{blockOf(x.front)}, blocks...)
	}
	for {
		b := binary.AppendUvarint([]byte{1}, life)
		var past uint64
		for _, k := range blocks {
			for _, v := range []uint64{k.first - past, k.last - k.first, uint64(k.count), uint64(k.events), uint64(k.bytes)} {
				b = binary.AppendUvarint(b, v)
			}
			b = binary.AppendVarint(binary.AppendVarint(b, k.oldest), k.latest)
			past = k.last
		}
		if len(b) <= most || len(blocks) < 2 {
			return b
		}
		blocks = joined(blocks)
	}
}

// joined makes one block of each two.
func joined(blocks []block) (half []block) {
	for len(blocks) > 1 {
		a, b := blocks[0], blocks[1]
		half = append(half, block{a.first, b.last, a.count + b.count, a.events + b.events, a.bytes + b.bytes, a.oldest, max(a.latest, b.latest)})
		blocks = blocks[2:]
	}
	return append(half, blocks...)
}

// decodeBlocks reads what encode wrote; ok is false for anything else.
func decodeBlocks(b []byte) (life uint64, blocks []block, ok bool) {
	if len(b) == 0 || b[0] != 1 {
		return 0, nil, false
	}
	b = b[1:]
	good := true
	next := func() uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 || v > 1<<62 {
			good = false
			return 0
		}
		b = b[n:]
		return v
	}
	signed := func() int64 {
		v, n := binary.Varint(b)
		if n <= 0 {
			good = false
			return 0
		}
		b = b[n:]
		return v
	}
	life = next()
	for past := uint64(0); good && len(b) > 0; {
		k := block{first: past + next()}
		k.last = k.first + next()
		k.count, k.events, k.bytes = int64(next()), int64(next()), int64(next())
		k.oldest, k.latest = signed(), signed()
		if k.first <= past || k.last > 1<<47 || k.count < 1 || uint64(k.count) > k.last-k.first+1 {
			return 0, nil, false
		}
		blocks, past = append(blocks, k), k.last
	}
	return life, blocks, good
}
