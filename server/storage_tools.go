package server

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/engine/disklog"
	"github.com/parleyhq/parley/internal/vfs"
)

// Finding is something that a check of stored data has to say.
type Finding struct {
	Stream string `json:"stream,omitempty"` // the one that it is about; "" = none in particular
	Where  string `json:"where"`            // file and offset, below the directory
	What   string `json:"what"`
	Lost   bool   `json:"lost"` // acknowledged events cannot be read; else nothing is lost
}

// StoredStream is what a directory holds of one stream.
type StoredStream struct {
	Name     string          `json:"name"`
	Number   uint64          `json:"number"`
	Epoch    uint32          `json:"epoch"`
	Earliest parley.Position `json:"earliest"` // 0 = nothing was ever appended
	Next     parley.Position `json:"next"`     // behind the newest event
	Events   int64           `json:"events"`
	Bytes    int64           `json:"bytes"`
	Segments int             `json:"segments"`
	Damaged  string          `json:"damaged,omitempty"` // why it is quarantined
}

// VerifyData reads everything in a server's directory, checks every CRC and tells
// report what it finds. It changes nothing. The error is Damaged when acknowledged
// events are lost, and another one when the check could not be made: NotFound where
// there is no data, Unavailable while a server uses it.
func VerifyData(dir string, report func(Finding)) error {
	fsys, err := dataIn(dir)
	if err != nil {
		return err
	}
	return disklog.Verify(fsys, func(f disklog.Finding) {
		report(Finding{Stream: f.Stream.Name, Where: f.Where, What: f.What, Lost: f.Lost})
	})
}

// ListData tells which streams a server's directory holds. Errors: as VerifyData.
func ListData(dir string) ([]StoredStream, error) {
	fsys, err := dataIn(dir)
	if err != nil {
		return nil, err
	}
	stored, err := disklog.List(fsys)
	if err != nil {
		return nil, err
	}
	all := make([]StoredStream, len(stored))
	for i, s := range stored {
		all[i] = StoredStream{s.Stream.Name, s.Number, s.Epoch, s.Earliest, s.Next, s.Events, s.Bytes, s.Segments, s.Damaged}
	}
	return all, nil
}

// DumpData writes what can be read of one stream to w as lines of JSON:
// {"batch": …} for each batch, then {"position": …} for each of its records. It
// changes nothing. Errors: those of VerifyData and of w, NotFound without such a
// stream, Damaged at the end when a part could not be read.
func DumpData(dir, stream string, w io.Writer) error {
	fsys, err := dataIn(dir)
	if err != nil {
		return err
	}
	RegisterCodecs()
	return disklog.Dump(fsys, parley.Stream{Name: stream}, w)
}

// CheckSnapshot reads a snapshot to its end and tells whether it is whole and
// unchanged. Errors: Damaged, those of r.
func CheckSnapshot(r io.Reader) error { return disklog.CheckSnapshot(r) }

// RestoreData makes a server's directory of a snapshot, and checks every CRC of
// it. The directory must be empty or missing, and is so again after an error.
// Errors: Exists, Damaged, those of r and of the disk.
func RestoreData(dir string, r io.Reader) (err error) {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return parley.BadField("dir", err.Error(), "name a directory that is empty or missing")
	case len(entries) > 0:
		return &parley.Error{Code: parley.Exists, Field: "dir", Detail: dir + " is not empty", Fix: "restore into a directory that is empty or missing"}
	}
	defer func() {
		if err == nil {
			return
		}
		left, _ := os.ReadDir(dir) // the error to tell is the first one
		for _, e := range left {
			_ = os.RemoveAll(filepath.Join(dir, e.Name()))
		}
	}()
	return disklog.Restore(vfs.OS(dir), r)
}

// dataIn opens a directory that holds data. Anything else is left as it is: a
// look at a wrong directory makes no lock file in it.
func dataIn(dir string) (vfs.FS, error) {
	fsys := vfs.OS(dir)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() || !disklog.Exists(fsys) {
		return nil, &parley.Error{Code: parley.NotFound, Field: "dir", Detail: "there is no data in " + dir, Fix: "name the directory that serve has as --data"}
	}
	return fsys, nil
}
