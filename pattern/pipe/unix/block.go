package unix

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/parleyhq/parley"
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
	b.data = slices.Grow(b.data, len(p)+1)
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
	most  int      // bytes of a line
	parts []*block // of a line that is not complete; in blocks, so that a long one is copied once
	one   [1]*block
}

// Push implements pipe.Stage.
func (a *aligner) Push(_ context.Context, in []*block, to emit) error {
	for _, b := range in {
		end := bytes.LastIndexByte(b.data, '\n') + 1
		if end == 0 {
			err := a.keep(b.data)
			b.free()
			if err != nil {
				return err
			}
			continue
		}
		from := 0
		if len(a.parts) > 0 {
			from = bytes.IndexByte(b.data, '\n') + 1
			if err := a.pass(a.whole(b.data[:from]), to); err != nil {
				return err
			}
		}
		if err := a.keep(b.data[end:]); err != nil {
			return err
		}
		b.data = b.data[:copy(b.data, b.data[from:end])]
		if err := a.pass(b, to); err != nil {
			return err
		}
	}
	return nil
}

// keep keeps a part of a line.
func (a *aligner) keep(part []byte) error {
	if (len(a.parts)-1)*blockBytes+len(part) > a.most {
		return pipe.Permanent(&parley.Error{Code: parley.TooLarge, Detail: fmt.Sprintf("a line is over %d MiB", a.most>>20), Fix: "allow more with --max-line, or run the program itself: exec grep …"})
	}
	for len(part) > 0 {
		n := len(a.parts) - 1
		if n < 0 || len(a.parts[n].data) == blockBytes {
			a.parts = append(a.parts, newBlock())
			n++
		}
		p := a.parts[n]
		fits := min(len(part), blockBytes-len(p.data))
		p.data = append(p.data, part[:fits]...)
		part = part[fits:]
	}
	return nil
}

// whole makes one block of the parts and their end.
func (a *aligner) whole(end []byte) *block {
	size := len(end)
	for _, p := range a.parts {
		size += len(p.data)
	}
	b := newBlock()
	if size > blockBytes {
		b.free()
		b = &block{data: make([]byte, 0, size)}
	}
	for i, p := range a.parts {
		b.data = append(b.data, p.data...)
		p.free()
		a.parts[i] = nil
	}
	a.parts = a.parts[:0]
	b.data = append(b.data, end...)
	return b
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
func (a *aligner) End(_ context.Context, to emit) error { return a.pass(a.whole(nil), to) }

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
