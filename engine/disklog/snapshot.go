package disklog

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/internal/vfs"
)

// digestName is the last entry of a snapshot: the SHA-256, in hex, of the names,
// sizes and contents of all entries before it.
const digestName = "SHA256"

// Snapshot writes a copy of the running log to w, as it was at one commit: all
// of every Append before it, nothing of any after. It is a tar file of the files
// that a log directory has; Restore reads it. Appends go on meanwhile; what is
// trimmed is kept on the disk until the snapshot is through. What is quarantined
// is copied as it is.
func (l *Log) Snapshot(ctx context.Context, w io.Writer) error {
	c := l.core.Load()
	c.pin(1) // from here on no file goes that a checkpoint names
	defer c.pin(-1)
	if err := c.settle(ctx); err != nil {
		return err
	}
	if err := c.hold(ctx); err != nil {
		return err
	}
	m := *c.meta // streams and segments are replaced, never changed
	keys := make([][]byte, len(m.keys))
	var err error
	for i, k := range m.keys { // a later checkpoint may remove them
		if keys[i], err = vfs.ReadFile(l.fs, keysName(k.gen), 1<<30); err != nil {
			break
		}
	}
	c.release()
	if err != nil {
		return err
	}
	m.clean, m.sealed = true, nil
	return l.writeSnapshot(ctx, &m, keys, w)
}

func (l *Log) writeSnapshot(ctx context.Context, m *meta, keys [][]byte, w io.Writer) error {
	out := tarWriter{tar: tar.NewWriter(w), sum: sha256.New()}
	out.add(formatName, []byte(formatText))
	for i, k := range m.keys {
		out.add(keysName(k.gen), keys[i])
	}
	for i := range m.streams {
		for _, g := range m.streams[i].segs {
			if err := ctx.Err(); err != nil {
				return err
			}
			out.copy(l.fs, segmentName(g.id), g.fileSize())
		}
	}
	out.add(metaNames[0], m.encode())
	out.add(digestName, []byte(hex.EncodeToString(out.sum.Sum(nil))))
	return errors.Join(out.err, out.tar.Close())
}

// pin counts the snapshots that read segments.
func (c *core) pin(n int) {
	c.pub.Lock()
	c.pins += n
	c.pub.Unlock()
	poke(c.toLay) // what waits to be deleted
}

// tarWriter writes entries and sums them up, until something fails.
type tarWriter struct {
	tar *tar.Writer
	sum hash.Hash
	err error
}

func (t *tarWriter) head(name string, size int64) {
	if t.err == nil {
		t.err = t.tar.WriteHeader(&tar.Header{Name: name, Size: size, Mode: 0o600, Format: tar.FormatPAX})
		sumHead(t.sum, name, size)
	}
}

func sumHead(sum hash.Hash, name string, size int64) {
	sum.Write([]byte(name + "\x00" + strconv.FormatInt(size, 10) + "\x00"))
}

func (t *tarWriter) write(b []byte) {
	if t.err == nil {
		t.sum.Write(b)
		_, t.err = t.tar.Write(b)
	}
}

func (t *tarWriter) add(name string, b []byte) {
	t.head(name, int64(len(b)))
	t.write(b)
}

func (t *tarWriter) copy(fsys vfs.FS, name string, size int64) {
	if t.err != nil {
		return
	}
	f, err := fsys.Open(name, vfs.Read)
	if err != nil {
		t.err = err
		return
	}
	defer f.Close()
	t.head(name, size)
	for off := int64(0); off < size && t.err == nil; off += segmentBuffer {
		b, err := readExactly(f, off, min(segmentBuffer, size-off))
		if err != nil {
			t.err = err
			return
		}
		t.write(b)
	}
}

// Restore makes a log in an empty or missing directory out of a snapshot. The
// log is there only once all of it was read, its digest held and everything in
// it was checked: until then Open finds nothing. Errors: Exists when the directory
// holds a log, Damaged when the snapshot is cut short, changed, or holds damage.
func Restore(fsys vfs.FS, r io.Reader) error {
	for _, dir := range []string{".", "wal", "seg"} {
		if err := fsys.MkdirAll(dir); err != nil {
			return err
		}
	}
	lock, err := fsys.Lock(lockName)
	if err != nil {
		return err
	}
	im, err := readImage(fsys)
	if err == nil && !im.fresh || parley.CodeOf(err) == parley.Damaged {
		err = &parley.Error{Code: parley.Exists, Detail: "the directory holds a log", Fix: "restore into an empty directory"}
	}
	if err == nil {
		err = restore(fsys, r)
	}
	if err = errors.Join(err, lock.Close()); err != nil {
		return err
	}
	return Verify(fsys, func(Finding) {})
}

func restore(fsys vfs.FS, r io.Reader) error {
	in, sum := tar.NewReader(r), sha256.New()
	var last []byte // the meta file, written when all else is there
	damaged := func(err error) error {
		return &parley.Error{Code: parley.Damaged, Detail: "the snapshot is cut short or changed", Fix: "use another one", Err: err}
	}
	for {
		h, err := in.Next()
		if err != nil {
			return damaged(err)
		}
		switch {
		case h.Name == digestName:
			b, err := io.ReadAll(io.LimitReader(in, 128))
			if err != nil || string(b) != hex.EncodeToString(sum.Sum(nil)) || last == nil {
				return damaged(err)
			}
			return finishRestore(fsys, last)
		case h.Name == metaNames[0] && h.Size <= maxMeta:
			sumHead(sum, h.Name, h.Size)
			if last, err = io.ReadAll(io.TeeReader(in, sum)); err != nil {
				return damaged(err)
			}
		case isRestored(h.Name):
			sumHead(sum, h.Name, h.Size)
			if err := restoreFile(fsys, h.Name, io.TeeReader(in, sum)); err != nil {
				return err
			}
		default:
			return damaged(parley.Errorf(parley.Damaged, "an entry called %.40q", h.Name))
		}
	}
}

// isRestored takes only names that a log has.
func isRestored(name string) bool {
	dir, file := path.Split(name)
	base, ext, _ := strings.Cut(file, ".")
	_, err := strconv.ParseUint(base, 16, 64)
	return name == formatName || len(base) == 16 && err == nil && (dir == "seg/" && ext == "seg" || dir == "wal/" && ext == "keys")
}

func restoreFile(fsys vfs.FS, name string, r io.Reader) (err error) {
	f, err := fsys.Open(name, vfs.Create)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.Truncate(0); err != nil {
		return err
	}
	buf := make([]byte, segmentBuffer)
	for off := int64(0); ; {
		n, err := io.ReadFull(r, buf)
		if n > 0 {
			if _, err := f.WriteAt(buf[:n], off); err != nil {
				return err
			}
			off += int64(n)
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF { // the tar reader counts
			return f.Sync()
		}
		if err != nil {
			return &parley.Error{Code: parley.Damaged, Detail: "the snapshot is cut short", Fix: "use another one", Err: err}
		}
	}
}

// finishRestore makes the names durable, then the log exist.
func finishRestore(fsys vfs.FS, b []byte) error {
	m, err := decodeMeta(b)
	if err != nil {
		return err
	}
	for _, dir := range []string{"seg", "wal", "."} {
		if err := fsys.SyncDir(dir); err != nil {
			return err
		}
	}
	return m.save(fsys)
}
