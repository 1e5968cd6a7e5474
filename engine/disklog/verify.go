package disklog

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/internal/vfs"
)

// Verify reads everything that a closed log holds — meta files, log files,
// segments, indexes, key files — checks every CRC and tells report what it
// finds, and whether events are lost by it. It changes nothing. nil means that
// all was read; the error is Damaged if report was told of lost events.
func Verify(fsys vfs.FS, report func(Finding)) error {
	lock, err := lockForReading(fsys)
	if err != nil {
		return err
	}
	defer lock()
	im, err := readImage(fsys)
	if err != nil {
		return err
	}
	lost := false
	tell := func(f Finding) {
		lost = lost || f.Lost
		report(f)
	}
	for _, f := range append(im.notes, im.fold.lost...) {
		tell(f)
	}
	if im.scan.torn {
		tell(Finding{Where: fmt.Sprintf("%s at %d", walName(im.scan.end.gen), im.scan.end.off), What: "a torn end of the log; nothing in it was acknowledged at level fsync"})
	}
	for i := range im.meta.streams { // what is found now was told above
		if s := &im.meta.streams[i]; s.damaged != "" && im.fold.streams[s.number].view.Load() != nil {
			tell(Finding{Stream: s.name, Where: "meta", What: "quarantined: " + s.damaged, Lost: true})
		}
	}
	for _, number := range slices.Sorted(maps.Keys(im.fold.streams)) {
		st := im.fold.streams[number]
		if v := st.view.Load(); v != nil {
			verifyStream(fsys, st, v, tell)
		}
	}
	if err := verifyRest(im, tell); err != nil {
		return err
	}
	if lost {
		return &parley.Error{Code: parley.Damaged, Detail: "acknowledged events are lost", Fix: "restore a snapshot, or remove the streams named"}
	}
	return nil
}

// lockForReading keeps a server from starting meanwhile. Where nothing can be
// locked, on a read-only copy say, it is not needed.
func lockForReading(fsys vfs.FS) (unlock func(), err error) {
	lock, err := fsys.Lock(lockName)
	if errors.Is(err, vfs.ErrLocked) {
		return nil, &parley.Error{Code: parley.Unavailable, Detail: "the log directory is in use", Fix: "stop the server first, or look at a snapshot", Err: err}
	}
	if err != nil {
		return func() {}, nil //nolint:nilerr // see above
	}
	return func() { _ = lock.Close() }, nil
}

func verifyStream(fsys vfs.FS, st *stream, v *view, tell func(Finding)) {
	for _, s := range v.segs {
		f, err := fsys.Open(segmentName(s.id), vfs.Read)
		if err != nil {
			tell(Finding{Stream: st.name, Where: segmentName(s.id), What: err.Error(), Lost: true})
			continue
		}
		verifySegment(f, st, s, tell)
		_ = f.Close()
	}
}

// verifySegment reads the index, then every block.
func verifySegment(f vfs.File, st *stream, s *segment, tell func(Finding)) {
	where := segmentName(s.id)
	tail, err := readExactly(f, s.size, s.fileSize()-s.size)
	var marks []mark
	if err == nil {
		marks, err = s.parseIndex(tail)
	}
	if err != nil {
		batches, rerr := readExactly(f, 0, s.size)
		if rerr == nil {
			_, rerr = s.rebuild(batches)
		}
		tell(Finding{Stream: st.name, Where: where, What: errors.Join(err, rerr).Error(), Lost: rerr != nil})
		return
	}
	h := handle{seg: s, f: f, marks: marks}
	for i := range marks {
		end := h.blockEnd(i)
		b, err := readExactly(f, int64(marks[i].off), end-int64(marks[i].off))
		if err == nil {
			err = checkBlock(marks[i], b)
		}
		if err != nil {
			next := s.next
			if i+1 < len(marks) {
				next = marks[i+1].base
			}
			tell(Finding{Stream: st.name, Where: fmt.Sprintf("%s at %d", where, marks[i].off), What: fmt.Sprintf("positions %d to %d: %v", marks[i].base, next-1, err), Lost: true})
		}
	}
}

// verifyRest looks at key files and at what was kept because of damage.
func verifyRest(im *image, tell func(Finding)) error {
	for _, k := range im.meta.keys {
		b, err := vfs.ReadFile(im.fs, keysName(k.gen), 1<<30)
		if err == nil {
			_, err = decodeKeys(b)
		}
		if err != nil {
			tell(Finding{Where: keysName(k.gen), What: "Once keys cannot be read: " + err.Error()})
		}
	}
	entries, err := im.fs.List("wal")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name, ".damaged") {
			tell(Finding{Where: "wal/" + e.Name, What: "a damaged log file, kept by an earlier recovery"})
		}
	}
	return nil
}
