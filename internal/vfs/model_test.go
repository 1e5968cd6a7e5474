package vfs_test

import (
	"bytes"
	"math/rand/v2"
	"path"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/parleyhq/parley/internal/vfs"
)

// The model knows nothing of edits and operations. For each byte and each name it
// keeps the set of values a crash may leave; synced means that the set has one member.

// byteSet is what a byte may be after a crash; the last member is the present one.
type byteSet []byte

func (s byteSet) add(b byte) byteSet { return append(slices.Clone(s), b) }

// modelFile is a file and its possible pasts. Every file starts with the byte id,
// which is synced at once and never changed, so it can be recognised under any name.
type modelFile struct {
	id    byte
	bytes []byteSet // as long as the file ever was since the last sync
	sizes []int     // possible sizes; the last one is the present
}

const absent = byte(0) // the id of no file

// modelDir maps a name to the ids it may have after a crash; the last is the present.
type modelDir map[string]byteSet

func (d modelDir) now(name string) byte {
	if s := d[name]; len(s) > 0 {
		return s[len(s)-1]
	}
	return absent
}

func (d modelDir) set(name string, id byte) {
	if d[name] == nil {
		d[name] = byteSet{absent}
	}
	d[name] = d[name].add(id)
}

type model struct {
	mem    *vfs.Mem
	dirs   map[string]modelDir
	files  map[byte]*modelFile
	synced map[byte]bool // files whose name was durable and that nobody removed or replaced since
	next   byte
}

var (
	modelDirs  = []string{"d", "d/e"}
	modelNames = []string{"a", "b", "c"}
)

func newModel(t *rapid.T) *model {
	m := &model{mem: vfs.NewMem(), dirs: map[string]modelDir{}, files: map[byte]*modelFile{}, synced: map[byte]bool{}, next: 1}
	for _, dir := range modelDirs {
		must(t, m.mem.MkdirAll(dir))
		m.dirs[dir] = modelDir{}
	}
	return m
}

// pick draws a file that is there, or a free name.
func (m *model) pick(t *rapid.T, there bool) (dir, name string, file *modelFile) {
	var found []string
	for _, dir := range modelDirs {
		for _, name := range modelNames {
			if (m.dirs[dir].now(name) != absent) == there {
				found = append(found, path.Join(dir, name))
			}
		}
	}
	if len(found) == 0 {
		t.Skip("no such name")
	}
	dir, name = path.Split(rapid.SampledFrom(found).Draw(t, "name"))
	dir = path.Clean(dir)
	return dir, name, m.files[m.dirs[dir].now(name)]
}

func (m *model) create(t *rapid.T) {
	dir, name, _ := m.pick(t, false)
	if m.next == 255 {
		t.Skip("out of ids")
	}
	put(t, m.mem, path.Join(dir, name), string(m.next))
	m.files[m.next] = &modelFile{id: m.next, bytes: []byteSet{{m.next}}, sizes: []int{1}}
	m.dirs[dir].set(name, m.next)
	m.next++
}

func (m *model) write(t *rapid.T) {
	dir, name, file := m.pick(t, true)
	off := rapid.OneOf(rapid.IntRange(1, 20), rapid.IntRange(4080, 4110), rapid.IntRange(500, 9000)).Draw(t, "off")
	data := bytes.Repeat([]byte{byte(rapid.IntRange(1, 255).Draw(t, "byte"))}, rapid.SampledFrom([]int{1, 7, 600, 5000}).Draw(t, "len"))
	f := open(t, m.mem, path.Join(dir, name), vfs.Write)
	_, err := f.WriteAt(data, int64(off))
	must(t, err)
	size := file.sizes[len(file.sizes)-1]
	file.extend(off + len(data))
	for i, b := range data {
		file.bytes[off+i] = file.bytes[off+i].add(b)
	}
	// Any atom of the write may be the last that got through.
	for n := off + 1; n <= off+len(data); n++ {
		file.sizes = append(file.sizes, n)
	}
	file.sizes = append(file.sizes, max(size, off+len(data)))
}

// extend lets the model know of bytes up to size; those never written are zero.
func (f *modelFile) extend(size int) {
	for len(f.bytes) < size {
		f.bytes = append(f.bytes, byteSet{0})
	}
}

func (m *model) resize(t *rapid.T) {
	dir, name, file := m.pick(t, true)
	size := rapid.IntRange(1, 6000).Draw(t, "size")
	f := open(t, m.mem, path.Join(dir, name), vfs.Write)
	if rapid.Bool().Draw(t, "preallocate") {
		must(t, f.Preallocate(int64(size)))
		file.extend(size)
		file.sizes = append(file.sizes, size, max(size, file.sizes[len(file.sizes)-1]))
		return
	}
	must(t, f.Truncate(int64(size)))
	file.extend(size)
	for i := size; i < len(file.bytes); i++ {
		file.bytes[i] = file.bytes[i].add(0)
	}
	file.sizes = append(file.sizes, size)
}

func (m *model) sync(t *rapid.T) {
	dir, name, file := m.pick(t, true)
	must(t, open(t, m.mem, path.Join(dir, name), vfs.Read).Sync())
	file.settle()
}

func (f *modelFile) settle() {
	f.sizes = f.sizes[len(f.sizes)-1:]
	f.bytes = f.bytes[:f.sizes[0]]
	for i, s := range f.bytes {
		f.bytes[i] = s[len(s)-1:]
	}
}

func (m *model) rename(t *rapid.T) {
	dir, name, file := m.pick(t, true)
	to := rapid.SampledFrom(modelNames).Draw(t, "to")
	if to == name {
		t.Skip("same name")
	}
	must(t, m.mem.Rename(path.Join(dir, name), path.Join(dir, to)))
	delete(m.synced, m.dirs[dir].now(to))
	m.dirs[dir].set(name, absent)
	m.dirs[dir].set(to, file.id)
}

func (m *model) remove(t *rapid.T) {
	dir, name, file := m.pick(t, true)
	must(t, m.mem.Remove(path.Join(dir, name)))
	delete(m.synced, file.id)
	m.dirs[dir].set(name, absent)
}

func (m *model) syncDir(t *rapid.T) {
	dir := rapid.SampledFrom(modelDirs).Draw(t, "dir")
	must(t, m.mem.SyncDir(dir))
	for name := range m.dirs[dir] {
		id := m.dirs[dir].now(name)
		m.dirs[dir][name] = byteSet{id}
		if id != absent {
			m.synced[id] = true
		}
	}
}

// crash cuts the power and goes on with what is left.
func (m *model) crash(t *rapid.T) {
	percent := rapid.SampledFrom([]int{0, 20, 50, 80, 100}).Draw(t, "percent")
	rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
	m.mem = m.mem.CrashClone(percent, rng)
	found := map[byte]int{}
	for _, dir := range modelDirs {
		for _, name := range modelNames {
			content, _ := get(t, m.mem, path.Join(dir, name))
			id := m.checkName(t, m.dirs[dir], name, content, percent)
			m.dirs[dir][name] = byteSet{id}
			if id == absent {
				continue
			}
			found[id]++
			m.files[id].check(t, []byte(content), percent)
		}
	}
	for id := range m.files {
		if n := found[id]; n > 1 || (n == 0 && m.synced[id]) {
			t.Fatalf("file %d is there %d times after the crash (its name was durable: %v)", id, n, m.synced[id])
		}
		if m.synced[id] = found[id] == 1; !m.synced[id] {
			delete(m.synced, id)
		}
	}
}

func (m *model) checkName(t *rapid.T, dir modelDir, name, content string, percent int) byte {
	id := absent
	if content != "" {
		id = content[0]
	}
	allowed := dir[name]
	if allowed == nil {
		allowed = byteSet{absent}
	}
	if !slices.Contains(limit(allowed, percent), id) {
		t.Fatalf("%s is file %d after a crash with %d %%, allowed: %v", name, id, percent, limit(allowed, percent))
	}
	return id
}

// limit narrows what is possible to the oldest value at 0 % and the present one at 100 %.
func limit[T any](s []T, percent int) []T {
	switch percent {
	case 0:
		return s[:1]
	case 100:
		return s[len(s)-1:]
	}
	return s
}

func (f *modelFile) check(t *rapid.T, content []byte, percent int) {
	if !slices.Contains(limit(f.sizes, percent), len(content)) {
		t.Fatalf("file %d has %d bytes after a crash with %d %%, synced %d, written %d",
			f.id, len(content), percent, f.sizes[0], f.sizes[len(f.sizes)-1])
	}
	for i, b := range content {
		allowed := limit(f.bytes[i], percent)
		if i >= f.sizes[0] && percent > 0 && percent < 100 {
			allowed = append(slices.Clone(allowed), 0) // the size may be there without the byte
		}
		if !bytes.Contains(allowed, []byte{b}) {
			t.Fatalf("file %d, byte %d is %d after a crash with %d %%, allowed: %v", f.id, i, b, percent, allowed)
		}
	}
	f.bytes, f.sizes = make([]byteSet, len(content)), []int{len(content)}
	for i := range content {
		f.bytes[i] = byteSet{content[i]}
	}
}

// same compares what a running process sees with the present of the model.
func (m *model) same(t *rapid.T) {
	for _, dir := range modelDirs {
		for _, name := range modelNames {
			got, ok := get(t, m.mem, path.Join(dir, name))
			id := m.dirs[dir].now(name)
			if ok != (id != absent) {
				t.Fatalf("%s/%s is there: %v, want file %d", dir, name, ok, id)
			}
			if !ok {
				continue
			}
			f := m.files[id]
			want := make([]byte, f.sizes[len(f.sizes)-1])
			for i := range want {
				want[i] = f.bytes[i][len(f.bytes[i])-1]
			}
			if got != string(want) {
				t.Fatalf("%s/%s: content differs from the model", dir, name)
			}
		}
	}
}

func TestMemAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t)
		t.Repeat(map[string]func(*rapid.T){
			"": m.same, "create": m.create, "write": m.write, "resize": m.resize, "sync": m.sync,
			"rename": m.rename, "remove": m.remove, "syncDir": m.syncDir, "crash": m.crash,
		})
	})
}
