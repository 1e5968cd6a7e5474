package unix

import (
	"bytes"
	"context"
	"sync"

	"github.com/parleyhq/parley/pattern/pipe"
)

// blockBytes is what a block has room for; one with a longer line is larger.
const blockBytes = 128 << 10

// block is a part of a stream of bytes, which moves as one event. Whoever was given
// it owns it: passes it on, or frees it.
type block struct {
	data   []byte
	binary bool // it has a NUL byte, or what came before it had; for grep
}

var blocks = sync.Pool{New: func() any { return &block{data: make([]byte, 0, blockBytes)} }}

func newBlock() *block {
	b := blocks.Get().(*block) //nolint:forcetypeassert // nothing else is in the pool
	b.data, b.binary = b.data[:0], false
	return b
}

func (b *block) free() {
	if cap(b.data) == blockBytes {
		blocks.Put(b)
	}
}

func blockSize(b *block) int { return cap(b.data) }

type (
	flow = pipe.Flow[*block]
	emit = pipe.Emit[*block]
)

// output gathers what a stage writes into blocks, and emits those that are full.
type output struct {
	now *block
	one [1]*block
}

// room gives the block at hand, to append to.
func (o *output) room(to emit) (*block, error) {
	if o.now != nil && len(o.now.data) >= blockBytes-(blockBytes>>3) {
		if err := o.flush(to); err != nil {
			return nil, err
		}
	}
	if o.now == nil {
		o.now = newBlock()
	}
	return o.now, nil
}

func (o *output) write(to emit, p []byte) error {
	b, err := o.room(to)
	if err != nil {
		return err
	}
	b.data = append(b.data, p...)
	return nil
}

// line writes a line, which gets a newline.
func (o *output) line(to emit, p []byte) error {
	b, err := o.room(to)
	if err != nil {
		return err
	}
	b.data = append(append(b.data, p...), '\n')
	return nil
}

func (o *output) flush(to emit) error {
	if o.now == nil || len(o.now.data) == 0 {
		return nil
	}
	o.one[0], o.now = o.now, nil
	return to(o.one[:])
}

// aligner makes blocks end where lines end: all but the last.
type aligner struct {
	rest []byte // of a line that is not complete
	one  [1]*block
}

// Push implements pipe.Stage.
func (a *aligner) Push(_ context.Context, in []*block, to emit) error {
	for _, b := range in {
		end := bytes.LastIndexByte(b.data, '\n') + 1
		if end == 0 {
			a.rest = append(a.rest, b.data...)
			b.free()
			continue
		}
		if len(a.rest) > 0 {
			first := bytes.IndexByte(b.data, '\n') + 1
			whole := newBlock()
			whole.data = append(append(whole.data, a.rest...), b.data[:first]...)
			a.rest = append(a.rest[:0], b.data[end:]...)
			if err := a.pass(whole, to); err != nil {
				return err
			}
			b.data = b.data[:copy(b.data, b.data[first:end])]
		} else {
			a.rest = append(a.rest, b.data[end:]...)
			b.data = b.data[:end]
		}
		if cap(a.rest) > 4*blockBytes && len(a.rest) < blockBytes {
			a.rest = append([]byte(nil), a.rest...) // a very long line has passed
		}
		if err := a.pass(b, to); err != nil {
			return err
		}
	}
	return nil
}

func (a *aligner) pass(b *block, to emit) error {
	if len(b.data) == 0 {
		b.free()
		return nil
	}
	a.one[0] = b
	return to(a.one[:])
}

// End implements pipe.Stage.
func (a *aligner) End(_ context.Context, to emit) error {
	return a.pass(&block{data: a.rest}, to)
}

// eachLine calls do with each line of a block, without its newline; ended says
// whether it had one.
func eachLine(data []byte, do func(line []byte, ended bool) error) error {
	for len(data) > 0 {
		line, rest, ended := bytes.Cut(data, newline)
		if err := do(line, ended); err != nil {
			return err
		}
		data = rest
	}
	return nil
}

var newline = []byte{'\n'}
