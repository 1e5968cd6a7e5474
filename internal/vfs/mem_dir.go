package vfs

import (
	"maps"
	"slices"
)

// node is a file or a directory, whatever its name is at the moment. Exactly one of
// dir and file is set.
type node struct {
	dir  *memDir
	file *memData
}

// memDir is a directory: the entries a process sees, those on the disk, and the
// changes between the two in the order they were made.
type memDir struct {
	now, disk map[string]*node
	ops       []dirOp
}

// memData is a file: the bytes a process sees, those on the disk, and the changes
// that the next Sync brings there.
type memData struct {
	now, disk pages
	edits     []edit
	locked    bool
}

func newDir(entries map[string]*node) *memDir {
	return &memDir{now: entries, disk: maps.Clone(entries)}
}

// dirOp is one atomic change of a directory: gone is taken away, then name is given
// to n. A create has no gone, a remove no name.
type dirOp struct {
	gone, name string
	n          *node
}

func (op dirOp) apply(entries map[string]*node) {
	delete(entries, op.gone)
	if op.name != "" {
		entries[op.name] = op.n
	}
}

// change makes op visible and remembers that it is not on the disk.
func (d *memDir) change(op dirOp) {
	op.apply(d.now)
	d.ops = append(d.ops, op)
}

func (d *memDir) sync() {
	for _, op := range d.ops {
		op.apply(d.disk)
	}
	d.ops = nil
}

// entries returns what is in a directory after the crash: what was there at its last
// sync, and of the changes since a subset.
//
// Journals commit in order, but POSIX promises no order between the entries of a
// directory, and file systems differ; so changes are lost independently of each
// other. What every file system keeps is kept here: one change happens wholly or not
// at all, and changes that share a name keep their order (two renames of one file do,
// by the name in between), so that no file is under two names and none is lost
// because its old name was taken again.
func (c crash) entries(d *memDir) map[string]*node {
	survivors := make([]bool, len(d.ops))
	names := map[string]bool{} // what the later survivors build on
	for i, op := range slices.Backward(d.ops) {
		needed := (op.gone != "" && names[op.gone]) || (op.name != "" && names[op.name])
		if survivors[i] = needed || c.survives(); survivors[i] {
			names[op.gone], names[op.name] = true, true
		}
	}
	entries := maps.Clone(d.disk)
	for i, op := range d.ops {
		if survivors[i] {
			op.apply(entries)
		}
	}
	return entries
}

// tree copies what is left of a directory and everything below it. Names are visited
// in order, so that the same seed gives the same crash.
func (c crash) tree(d *memDir) *memDir {
	left := c.entries(d)
	copied := make(map[string]*node, len(left))
	for _, name := range slices.Sorted(maps.Keys(left)) {
		n := left[name]
		if n.dir != nil {
			copied[name] = &node{dir: c.tree(n.dir)}
			continue
		}
		data := c.content(n.file)
		copied[name] = &node{file: &memData{now: data, disk: data.clone()}}
	}
	return newDir(copied)
}
