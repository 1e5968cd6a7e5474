package vfs_test

import (
	"bytes"
	"io"
	"io/fs"
	"path/filepath"
	"sync"
	"testing"

	"github.com/parleyhq/parley/internal/vfs"
)

// implementations are what the contract is checked on. Each call gives a fresh FS.
var implementations = []struct {
	name string
	open func(t *testing.T) vfs.FS
}{
	{"OS", func(t *testing.T) vfs.FS { return vfs.OS(filepath.Join(t.TempDir(), "not", "there", "yet")) }},
	{"Mem", func(*testing.T) vfs.FS { return vfs.NewMem() }},
	{"Faulty over Mem", func(*testing.T) vfs.FS { return vfs.NewFaulty(vfs.NewMem()) }},
	{"Faulty over OS", func(t *testing.T) vfs.FS { return vfs.NewFaulty(vfs.OS(t.TempDir())) }},
}

// rules are the contract, one sentence each.
var rules = []struct {
	rule  string
	check func(t *testing.T, fsys vfs.FS)
}{
	{"Open obeys its mode", checkModes},
	{"names that leave the root or name it are refused", checkNames},
	{"reads and writes follow io.ReaderAt and io.WriterAt", checkReadWrite},
	{"Truncate cuts and extends with zeros, Preallocate only extends", checkSizes},
	{"Rename replaces a file of the same directory and nothing else", checkRename},
	{"an open file follows its rename and outlives its removal", checkOpenFiles},
	{"Remove takes files and empty directories", checkRemove},
	{"MkdirAll makes parents and may be repeated", checkMkdirAll},
	{"List is sorted and complete", checkList},
	{"a lock has one holder", checkLock},
	{"a closed file refuses every call with fs.ErrClosed", checkClosed},
	{"concurrent writes of one file do not disturb each other", checkConcurrent},
	{"ReplaceFile replaces the whole content, ReadFile keeps its limit", checkWhole},
	{"free space is reported", checkFree},
}

func TestConformance(t *testing.T) {
	for _, impl := range implementations {
		for _, r := range rules {
			t.Run(impl.name+"/"+r.rule, func(t *testing.T) {
				fsys := impl.open(t)
				must(t, fsys.MkdirAll("."))
				r.check(t, fsys)
			})
		}
	}
}

func checkModes(t *testing.T, fsys vfs.FS) {
	for _, mode := range []vfs.Mode{vfs.Read, vfs.Write} {
		_, err := fsys.Open("a", mode)
		wantErr(t, "missing file", err, fs.ErrNotExist)
	}
	_, err := fsys.Open("no/a", vfs.Create)
	wantErr(t, "missing directory", err, fs.ErrNotExist)
	_, err = fsys.Open("a", vfs.Mode(9))
	wantErr(t, "unknown mode", err, fs.ErrInvalid)
	put(t, fsys, "a", "kept")
	_, err = fsys.Open("a", vfs.New)
	wantErr(t, "New on a file that exists", err, fs.ErrExist)
	must(t, open(t, fsys, "a", vfs.Create).Close())
	wantFile(t, fsys, "a", "kept")

	r := open(t, fsys, "a", vfs.Read)
	defer r.Close()
	if _, err := r.WriteAt([]byte("x"), 0); err == nil {
		t.Error("a file opened with Read was written")
	}
	if err := r.Truncate(0); err == nil {
		t.Error("a file opened with Read was truncated")
	}
	if err := r.Preallocate(100); err == nil {
		t.Error("a file opened with Read was preallocated")
	}
	must(t, r.Sync())
	wantFile(t, fsys, "a", "kept")
}

func checkNames(t *testing.T, fsys vfs.FS) {
	for _, name := range []string{"", ".", "..", "../a", "/a", "a/../b", "a//b", "a/"} {
		_, err := fsys.Open(name, vfs.Create)
		wantErr(t, "Open "+name, err, fs.ErrInvalid)
		wantErr(t, "Remove "+name, fsys.Remove(name), fs.ErrInvalid)
		wantErr(t, "Rename "+name, fsys.Rename(name, "b"), fs.ErrInvalid)
		wantErr(t, "Rename to "+name, fsys.Rename("b", name), fs.ErrInvalid)
		_, err = fsys.Lock(name)
		wantErr(t, "Lock "+name, err, fs.ErrInvalid)
		if name == "." {
			continue
		}
		wantErr(t, "MkdirAll "+name, fsys.MkdirAll(name), fs.ErrInvalid)
		wantErr(t, "SyncDir "+name, fsys.SyncDir(name), fs.ErrInvalid)
		_, err = fsys.List(name)
		wantErr(t, "List "+name, err, fs.ErrInvalid)
	}
}

func checkReadWrite(t *testing.T, fsys vfs.FS) {
	f := open(t, fsys, "a", vfs.New)
	defer f.Close()
	long := bytes.Repeat([]byte("0123456789"), 1000) // crosses pages
	for _, off := range []int64{5000, 0, 12345} {
		n, err := f.WriteAt(long, off)
		must(t, err)
		if n != len(long) {
			t.Fatalf("wrote %d of %d", n, len(long))
		}
	}
	want := make([]byte, 22345)
	copy(want[5000:], long)
	copy(want, long)
	copy(want[12345:], long)
	got := make([]byte, len(want)+10)
	n, err := f.ReadAt(got, 0)
	if n != len(want) || err != io.EOF || !bytes.Equal(got[:n], want) {
		t.Fatalf("read %d bytes, error %v, want %d equal ones and io.EOF", n, err, len(want))
	}
	if n, err := f.ReadAt(got[:10], 4090); n != 10 || err != nil || !bytes.Equal(got[:10], want[4090:4100]) {
		t.Fatalf("read %d bytes %q, error %v", n, got[:10], err)
	}
	if n, err := f.ReadAt(got[:1], int64(len(want))+5); n != 0 || err != io.EOF {
		t.Fatalf("beyond the end: %d, %v, want 0 and io.EOF", n, err)
	}
	if _, err := f.ReadAt(got, -1); err == nil || err == io.EOF {
		t.Errorf("negative offset: error %v", err)
	}
	if _, err := f.WriteAt(long, -1); err == nil {
		t.Error("written at a negative offset")
	}
	if n, err := f.WriteAt(nil, 1<<20); n != 0 || err != nil {
		t.Errorf("empty write: %d, %v", n, err)
	}
	wantSize(t, f, int64(len(want)))
}

func checkSizes(t *testing.T, fsys vfs.FS) {
	f := open(t, fsys, "a", vfs.New)
	defer f.Close()
	_, err := f.WriteAt([]byte("abcdef"), 0)
	must(t, err)
	must(t, f.Truncate(3))
	must(t, f.Truncate(6))
	wantFile(t, fsys, "a", "abc\x00\x00\x00")
	must(t, f.Preallocate(4))
	wantSize(t, f, 6)
	must(t, f.Preallocate(10000))
	wantSize(t, f, 10000)
	must(t, f.Preallocate(10000))
	wantFile(t, fsys, "a", "abc"+string(make([]byte, 9997)))
	_, err = f.WriteAt([]byte("x"), 9000)
	must(t, err)
	must(t, f.Truncate(0))
	must(t, f.Truncate(9500))
	wantFile(t, fsys, "a", string(make([]byte, 9500)))
	if f.Truncate(-1) == nil {
		t.Error("truncated to a negative size")
	}
}

func checkLock(t *testing.T, fsys vfs.FS) {
	lock, err := fsys.Lock("LOCK")
	must(t, err)
	_, err = fsys.Lock("LOCK")
	wantErr(t, "second holder", err, vfs.ErrLocked)
	must(t, lock.Close())
	wantErr(t, "second Close", lock.Close(), fs.ErrClosed)
	lock, err = fsys.Lock("LOCK")
	must(t, err)
	must(t, lock.Close())
	wantFile(t, fsys, "LOCK", "")
}

func checkClosed(t *testing.T, fsys vfs.FS) {
	f := open(t, fsys, "a", vfs.New)
	must(t, f.Close())
	_, readErr := f.ReadAt(make([]byte, 1), 0)
	_, writeErr := f.WriteAt(make([]byte, 1), 0)
	_, sizeErr := f.Size()
	for what, err := range map[string]error{
		"ReadAt": readErr, "WriteAt": writeErr, "Size": sizeErr, "Sync": f.Sync(),
		"Truncate": f.Truncate(1), "Preallocate": f.Preallocate(1), "Close": f.Close(),
	} {
		wantErr(t, what, err, fs.ErrClosed)
	}
}

func checkConcurrent(t *testing.T, fsys vfs.FS) {
	f := open(t, fsys, "a", vfs.New)
	defer f.Close()
	const writers, chunk = 8, 1000
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range 10 {
				b := bytes.Repeat([]byte{byte('a' + w)}, chunk)
				if _, err := f.WriteAt(b, int64((i*writers+w)*chunk)); err != nil {
					t.Error(err)
				}
				if err := f.Sync(); err != nil {
					t.Error(err)
				}
				if _, err := f.ReadAt(b, int64((i*writers+w)*chunk)); err != nil || b[0] != byte('a'+w) || b[chunk-1] != b[0] {
					t.Errorf("writer %d reads %q…, %v", w, b[:1], err)
				}
			}
		})
	}
	wg.Wait()
	wantSize(t, f, 10*writers*chunk)
}

func checkWhole(t *testing.T, fsys vfs.FS) {
	must(t, vfs.ReplaceFile(fsys, "meta", []byte("a longer first content")))
	put(t, fsys, "meta.tmp", "left behind by a crash, longer than what comes")
	must(t, vfs.ReplaceFile(fsys, "meta", []byte("second")))
	wantFile(t, fsys, "meta", "second")
	if _, ok := get(t, fsys, "meta.tmp"); ok {
		t.Error("the temporary file is still there")
	}
	if _, err := vfs.ReadFile(fsys, "meta", 5); err == nil {
		t.Error("read a file of 6 bytes with a limit of 5")
	}
	if _, err := vfs.ReadFile(fsys, "meta", 6); err != nil {
		t.Error(err)
	}
}

func checkFree(t *testing.T, fsys vfs.FS) {
	if free, err := vfs.Free(fsys); err != nil || free <= 0 {
		t.Errorf("Free: %d, %v", free, err)
	}
}
