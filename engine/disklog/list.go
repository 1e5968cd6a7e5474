package disklog

import (
	"cmp"
	"slices"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/internal/vfs"
)

// Stored is what a closed log holds of one stream.
type Stored struct {
	Stream   parley.Stream
	Number   uint64          // in this directory, never given twice
	Epoch    uint32          // changes when acknowledged positions may be lost
	Earliest parley.Position // of the oldest event left; 0 = nothing was ever appended
	Next     parley.Position // behind the newest event
	Events   int64           // in the batches left, the trimmed ones of the oldest included
	Bytes    int64           // of the batches left
	Segments int             // files; what is newer lies in the log
	Damaged  string          // why it is quarantined; "" = it is not
}

// List tells which streams a closed log holds, by name. It changes nothing, and
// reads no segment: Verify does. Errors: Unavailable while a server has the
// directory, Damaged when nothing can be made of the meta files.
func List(fsys vfs.FS) ([]Stored, error) {
	unlock, err := lockForReading(fsys)
	if err != nil {
		return nil, err
	}
	defer unlock()
	im, err := readImage(fsys)
	if err != nil {
		return nil, err
	}
	var all []Stored
	for _, st := range im.fold.byName {
		v := st.view.Load()
		s := Stored{Stream: st.name, Number: st.number, Epoch: v.epoch, Next: v.next, Events: v.events(), Bytes: v.bytes(), Segments: len(v.segs), Damaged: v.damaged}
		if v.newest > 0 {
			s.Earliest = v.earliest()
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b Stored) int {
		return cmp.Or(cmp.Compare(a.Stream.Namespace, b.Stream.Namespace), cmp.Compare(a.Stream.Name, b.Stream.Name))
	})
	return all, nil
}

// Exists says whether a directory holds a log, or what is left of one.
func Exists(fsys vfs.FS) bool {
	for _, dir := range []string{".", "wal", "seg"} {
		entries, err := fsys.List(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if !e.Dir && (dir != "." || e.Name == formatName || slices.Contains(metaNames[:], e.Name)) {
				return true
			}
		}
	}
	return false
}
