package unix

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"

	"github.com/parleyhq/parley"
)

// lineRun is lines in order.
type lineRun interface {
	// next gives the next line, valid until the call after the next, and how often it
	// came; io.EOF after the last.
	next() (line []byte, times uint64, err error)
}

type memoryRun struct {
	store *lineStore
	left  []entry
	soon  byte
}

// ahead is how many lines before its turn a line is touched: in order, lines lie
// anywhere in memory, and one that is on its way to the cache is not waited for.
const ahead = 6

func (r *memoryRun) next() ([]byte, uint64, error) {
	if len(r.left) == 0 {
		return nil, 0, io.EOF
	}
	if len(r.left) > ahead {
		if e := &r.left[ahead]; e.len > 0 {
			r.soon ^= r.store.slabs[e.at>>32][uint32(e.at)]
		}
	}
	e := &r.left[0]
	r.left = r.left[1:]
	return r.store.line(e), uint64(e.times), nil
}

// head is a run and the line that comes next in it.
type head struct {
	run   lineRun
	line  []byte
	times uint64
	key   uint64 // of lines that are compared byte by byte: how they begin
	turn  int    // earlier runs first
}

// merger merges runs: a heap of their heads.
type merger struct {
	how   *sorting
	runs  []lineRun
	heads []head
}

func (m *merger) add(r lineRun) { m.runs = append(m.runs, r) }

func (m *merger) less(a, b *head) bool {
	if a.key != b.key {
		return (a.key < b.key) != m.how.reverse
	}
	if c := m.how.compare(a.line, b.line); c != 0 {
		return c < 0
	}
	return a.turn < b.turn
}

func (m *merger) key(line []byte) uint64 {
	if !m.how.whole() {
		return 0
	}
	return bytePrefix(line, 0)
}

func (m *merger) down(i int) {
	for {
		c := 2*i + 1
		if c >= len(m.heads) {
			return
		}
		if c+1 < len(m.heads) && m.less(&m.heads[c+1], &m.heads[c]) {
			c++
		}
		if !m.less(&m.heads[c], &m.heads[i]) {
			return
		}
		m.heads[i], m.heads[c] = m.heads[c], m.heads[i]
		i = c
	}
}

// each calls do with all lines in order, and how often each came. With fused, equal
// lines are one; with unique, of those whose keys are equal the first alone comes.
func (m *merger) each(fused bool, do func(line []byte, times uint64) error) error {
	for i, r := range m.runs {
		line, times, err := r.next()
		if errors.Is(err, io.EOF) {
			continue
		}
		if err != nil {
			return err
		}
		m.heads = append(m.heads, head{r, line, times, m.key(line), i})
	}
	for i := len(m.heads)/2 - 1; i >= 0; i-- {
		m.down(i)
	}
	var last []byte
	var sum uint64
	for len(m.heads) > 0 {
		h := &m.heads[0]
		switch {
		case !fused && !m.how.unique:
			for range h.times { // one that was counted is there so often
				if err := do(h.line, 1); err != nil {
					return err
				}
			}
		case sum > 0 && m.how.compare(last, h.line) == 0:
			if fused {
				sum += h.times
			}
		default:
			if sum > 0 {
				if err := do(last, sum); err != nil {
					return err
				}
			}
			last, sum = append(last[:0], h.line...), h.times
		}
		if err := m.advance(); err != nil {
			return err
		}
	}
	if sum > 0 {
		return do(last, sum)
	}
	return nil
}

func (m *merger) advance() error {
	h := &m.heads[0]
	line, times, err := h.run.next()
	switch {
	case errors.Is(err, io.EOF):
		n := len(m.heads) - 1
		m.heads[0] = m.heads[n]
		m.heads = m.heads[:n]
	case err != nil:
		return err
	default:
		h.line, h.times, h.key = line, times, m.key(line)
	}
	m.down(0)
	return nil
}

// runs are sorted lines in temporary files, oldest first.
type runs struct{ files []*tempFile }

// maxRuns is how many are read at once.
const maxRuns = 64

// tempFile is a file that has no name any more, where the system allows that: it
// goes with the process, however that ends.
type tempFile struct {
	file *os.File
	name string // "" = it has none
	buf  [2][]byte
	turn int
	in   *bufio.Reader
}

func newTempFile(dir string) (*tempFile, error) {
	f, err := os.CreateTemp(tempDir(dir), "parley-sort-*")
	if err != nil {
		return nil, tempError(err)
	}
	t := &tempFile{file: f, name: f.Name()}
	if os.Remove(t.name) == nil {
		t.name = ""
	}
	return t, nil
}

func tempError(err error) error {
	return &parley.Error{Code: parley.CodeOf(err), Detail: "a temporary file of sort: " + err.Error(), Fix: "set TMPDIR to a folder with room", Err: err}
}

func (t *tempFile) close() error {
	err := t.file.Close()
	if t.name != "" {
		err = errors.Join(err, os.Remove(t.name))
	}
	return err
}

// write writes what a merger gives as a new run.
func (r *runs) write(dir string, m *merger, fused bool) error {
	t, err := newTempFile(dir)
	if err != nil {
		return err
	}
	r.files = append(r.files, t)
	out := bufio.NewWriterSize(t.file, blockBytes)
	var head [2 * binary.MaxVarintLen64]byte
	err = m.each(fused, func(line []byte, times uint64) error {
		n := binary.PutUvarint(head[:], uint64(len(line)))
		n += binary.PutUvarint(head[n:], times)
		if _, err := out.Write(head[:n]); err != nil {
			return err
		}
		_, err := out.Write(line)
		return err
	})
	if err == nil {
		err = out.Flush()
	}
	if err == nil {
		_, err = t.file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return tempError(err)
	}
	return nil
}

// gather makes one run of all when there are many.
func (r *runs) gather(dir string, how *sorting, fused bool) error {
	if len(r.files) < maxRuns {
		return nil
	}
	m := merger{how: how}
	r.open(&m)
	old := r.files
	r.files = nil
	err := r.write(dir, &m, fused)
	for _, t := range old {
		err = errors.Join(err, t.close())
	}
	return err
}

func (r *runs) open(m *merger) {
	late := m.runs // what is in memory came last
	m.runs = nil
	for _, t := range r.files {
		t.in = bufio.NewReaderSize(t.file, blockBytes)
		m.add(t)
	}
	m.runs = append(m.runs, late...)
}

func (r *runs) close() error {
	var err error
	for _, t := range r.files {
		err = errors.Join(err, t.close())
	}
	r.files = nil
	return err
}

func (t *tempFile) next() ([]byte, uint64, error) {
	n, err := binary.ReadUvarint(t.in)
	if err != nil {
		return nil, 0, err
	}
	times, err := binary.ReadUvarint(t.in)
	if err != nil || n > math.MaxUint32 {
		return nil, 0, tempError(errors.Join(err, errors.New("it was changed")))
	}
	t.turn = 1 - t.turn
	buf := t.buf[t.turn]
	if uint64(cap(buf)) < n {
		buf = make([]byte, n, n+n/4)
	}
	t.buf[t.turn] = buf[:n]
	if _, err := io.ReadFull(t.in, t.buf[t.turn]); err != nil {
		return nil, 0, tempError(err)
	}
	return t.buf[t.turn], times, nil
}
