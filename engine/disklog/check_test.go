package disklog

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/internal/vfs"
)

// smallSnapshot is one of two short streams.
func smallSnapshot(t testing.TB) []byte {
	t.Helper()
	l, err := Open(vfs.NewMem(), tiny())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	defer func() {
		cancel()
		<-done
	}()
	for range 3 {
		for _, s := range []string{"a", "b"} {
			if _, err := l.Append(ctx, parley.Write{Stream: name(s), Batch: batch(t, "one", "two")}); err != nil {
				t.Fatal(err)
			}
		}
	}
	var copied bytes.Buffer
	if err := l.Snapshot(ctx, &copied); err != nil {
		t.Fatal(err)
	}
	return copied.Bytes()
}

// TestCheckSnapshot: a whole snapshot passes, however it arrives; one that is
// changed or cut within what its digest covers does not; and a reader that fails
// is not taken for damage.
func TestCheckSnapshot(t *testing.T) {
	whole := smallSnapshot(t)
	for _, r := range []io.Reader{bytes.NewReader(whole), iotest.OneByteReader(bytes.NewReader(whole)), iotest.DataErrReader(bytes.NewReader(whole))} {
		if err := CheckSnapshot(r); err != nil {
			t.Fatal(err)
		}
	}
	lost := errors.New("the connection is gone")
	padding := 1024 + 512 - 64 // behind the digest
	for at := 0; at < len(whole)-padding; at += 37 {
		if err := CheckSnapshot(bytes.NewReader(whole[:at])); parley.CodeOf(err) != parley.Damaged {
			t.Fatalf("cut at %d of %d: %v", at, len(whole), err)
		}
		broken := io.MultiReader(bytes.NewReader(whole[:at]), iotest.ErrReader(lost))
		if err := CheckSnapshot(broken); !errors.Is(err, lost) {
			t.Fatalf("broken at %d: %v", at, err)
		}
		bad := bytes.Clone(whole)
		bad[at] ^= 0x10
		if CheckSnapshot(bytes.NewReader(bad)) == nil { // then it is in a tar header that nobody reads
			disk, same := vfs.NewMem(), vfs.NewMem()
			if err := errors.Join(Restore(disk, bytes.NewReader(bad)), Restore(same, bytes.NewReader(whole))); err != nil {
				t.Fatalf("changed at %d: it passes, and: %v", at, err)
			}
			if dump(t, disk, "a") != dump(t, same, "a") || dump(t, disk, "b") != dump(t, same, "b") {
				t.Fatalf("changed at %d: it passes, and is another one", at)
			}
		}
	}
	if err := CheckSnapshot(io.MultiReader(bytes.NewReader(whole), iotest.ErrReader(lost))); !errors.Is(err, lost) {
		t.Fatalf("broken behind the digest: %v", err)
	}
}

// TestList: streams by name, with what is left of them; not while a server is there.
func TestList(t *testing.T) {
	disk := vfs.NewMem()
	if Exists(disk) {
		t.Fatal("an empty directory has a log")
	}
	l := open(t, disk, tiny())
	if _, err := List(disk); parley.CodeOf(err) != parley.Unavailable {
		t.Fatalf("beside a server: %v", err)
	}
	ctx, stop := t.Context(), run(t, l)
	for _, s := range []string{"b", "a", "b"} {
		if _, err := l.Append(ctx, parley.Write{Stream: name(s), Batch: batch(t, "one", "two")}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Trim(ctx, name("b"), 3); err != nil {
		t.Fatal(err)
	}
	stop()
	all, err := List(disk)
	if err != nil || len(all) != 2 || !Exists(disk) {
		t.Fatalf("%+v, %v", all, err)
	}
	a, b := all[0], all[1]
	if a.Stream != name("a") || a.Earliest != 1 || a.Next != 3 || a.Events != 2 || a.Damaged != "" {
		t.Errorf("a is %+v", a)
	}
	if b.Stream != name("b") || b.Earliest != 3 || b.Next != 5 || b.Events != 2 || b.Number == a.Number || b.Bytes == 0 {
		t.Errorf("b is %+v", b)
	}
}

// FuzzRestore: whatever a snapshot is, nothing but a whole one makes a log, and
// CheckSnapshot lets pass only what Restore can read.
func FuzzRestore(f *testing.F) {
	whole := smallSnapshot(f)
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		disk := vfs.NewMem()
		err := Restore(disk, bytes.NewReader(b))
		if CheckSnapshot(bytes.NewReader(b)) != nil && err == nil {
			t.Fatal("it is restored, and does not pass the check")
		}
		if err != nil {
			return
		}
		if err := Verify(disk, func(Finding) {}); err != nil {
			t.Fatal(err)
		}
	})
}
