package vfs_test

import (
	"io/fs"
	"slices"
	"testing"

	"github.com/parleyhq/parley/internal/vfs"
)

func checkRename(t *testing.T, fsys vfs.FS) {
	must(t, fsys.MkdirAll("d/e"))
	must(t, fsys.MkdirAll("d/full"))
	put(t, fsys, "d/full/x", "x")
	put(t, fsys, "d/a", "new")
	put(t, fsys, "d/b", "old")
	must(t, fsys.Rename("d/a", "d/b"))
	if _, ok := get(t, fsys, "d/a"); ok {
		t.Error("the old name is still there")
	}
	wantFile(t, fsys, "d/b", "new")
	must(t, fsys.Rename("d/b", "d/b"))
	wantFile(t, fsys, "d/b", "new")
	wantErr(t, "missing file", fsys.Rename("d/a", "d/c"), fs.ErrNotExist)
	wantErr(t, "another directory", fsys.Rename("d/b", "d/e/b"), fs.ErrInvalid)
	if fsys.Rename("d/b", "d/e") == nil {
		t.Error("a directory was replaced by a file")
	}
	if fsys.Rename("d/e", "d/full") == nil {
		t.Error("a directory with files was replaced")
	}
	must(t, fsys.Rename("d/full", "d/moved"))
	wantFile(t, fsys, "d/moved/x", "x")
}

func checkOpenFiles(t *testing.T, fsys vfs.FS) {
	put(t, fsys, "a", "one")
	f := open(t, fsys, "a", vfs.Write)
	defer f.Close()
	must(t, fsys.Rename("a", "b"))
	_, err := f.WriteAt([]byte("two"), 0)
	must(t, err)
	wantFile(t, fsys, "b", "two")
	must(t, fsys.Remove("b"))
	put(t, fsys, "b", "other")
	got := make([]byte, 3)
	if _, err := f.ReadAt(got, 0); err != nil || string(got) != "two" {
		t.Fatalf("removed file reads %q, %v", got, err)
	}
	wantFile(t, fsys, "b", "other")
}

func checkRemove(t *testing.T, fsys vfs.FS) {
	must(t, fsys.MkdirAll("d/e"))
	put(t, fsys, "d/a", "a")
	wantErr(t, "missing file", fsys.Remove("d/b"), fs.ErrNotExist)
	if fsys.Remove("d") == nil {
		t.Error("a directory with files was removed")
	}
	must(t, fsys.Remove("d/a"))
	must(t, fsys.Remove("d/e"))
	must(t, fsys.Remove("d"))
	_, err := fsys.List("d")
	wantErr(t, "List", err, fs.ErrNotExist)
}

func checkMkdirAll(t *testing.T, fsys vfs.FS) {
	for range 2 {
		must(t, fsys.MkdirAll("a/b/c"))
	}
	put(t, fsys, "a/b/c/f", "f")
	wantFile(t, fsys, "a/b/c/f", "f")
	if fsys.MkdirAll("a/b/c/f/g") == nil || fsys.MkdirAll("a/b/c/f") == nil {
		t.Error("a directory was made in the place of a file")
	}
}

func checkList(t *testing.T, fsys vfs.FS) {
	for _, name := range []string{"b", "a.z", "c", "a"} {
		put(t, fsys, name, "123")
	}
	must(t, fsys.MkdirAll("a-dir/below"))
	must(t, fsys.SyncDir("."))
	got, err := fsys.List(".")
	must(t, err)
	want := []vfs.Entry{{Name: "a", Size: 3}, {Name: "a-dir", Dir: true}, {Name: "a.z", Size: 3}, {Name: "b", Size: 3}, {Name: "c", Size: 3}}
	if !slices.Equal(got, want) {
		t.Fatalf("List: %v\nwant: %v", got, want)
	}
	wantErr(t, "SyncDir of nothing", fsys.SyncDir("no"), fs.ErrNotExist)
	if _, err := fsys.List("a"); err == nil {
		t.Error("a file was listed")
	}
}
