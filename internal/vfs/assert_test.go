package vfs_test

import (
	"errors"
	"io/fs"

	"github.com/parleyhq/parley/internal/vfs"
)

// tb is what the assertions need of *testing.T and *rapid.T.
type tb interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func must(t tb, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t tb, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%s: error %v, want %v", what, err, want)
	}
}

func open(t tb, fsys vfs.FS, name string, mode vfs.Mode) vfs.File {
	t.Helper()
	f, err := fsys.Open(name, mode)
	must(t, err)
	return f
}

// put writes a file and syncs its bytes, not its name.
func put(t tb, fsys vfs.FS, name, content string) {
	t.Helper()
	f := open(t, fsys, name, vfs.Create)
	must(t, f.Truncate(0))
	_, err := f.WriteAt([]byte(content), 0)
	must(t, err)
	must(t, f.Sync())
	must(t, f.Close())
}

// get returns the content of a file, and whether it is there.
func get(t tb, fsys vfs.FS, name string) (string, bool) {
	t.Helper()
	b, err := vfs.ReadFile(fsys, name, 1<<30)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false
	}
	must(t, err)
	return string(b), true
}

func wantFile(t tb, fsys vfs.FS, name, want string) {
	t.Helper()
	if got, ok := get(t, fsys, name); !ok || got != want {
		t.Fatalf("%s holds %q (there: %v), want %q", name, got, ok, want)
	}
}

func wantSize(t tb, f vfs.File, want int64) {
	t.Helper()
	size, err := f.Size()
	must(t, err)
	if size != want {
		t.Fatalf("size %d, want %d", size, want)
	}
}
