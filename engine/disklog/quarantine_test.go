package disklog

import (
	"strings"
	"testing"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/internal/vfs"
)

// frameOf gives the file of the last batch frame of a stream, and where in it
// the frame and its commit frame end.
func frameOf(t *testing.T, disk *vfs.Mem, s parley.Stream) (file string, frameEnd, commitEnd int64) {
	t.Helper()
	im, err := readImage(disk)
	if err != nil {
		t.Fatal(err)
	}
	number := im.fold.byName[s].number
	for gen, w := range im.fold.files {
		b, err := vfs.ReadFile(disk, walName(gen), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for off := int64(0); off < w.end; {
			c, ok := cutGroup(gen, b, off)
			if !ok {
				t.Fatalf("no group at %d", off)
			}
			for _, l := range c.list {
				if at := c.start + int64(l.off); l.stream == number && b[at+3] == kindBatch {
					file, frameEnd, commitEnd = walName(gen), at+int64(l.size), c.end
				}
			}
			off = c.end
		}
	}
	if file == "" {
		t.Fatal("the stream has no batch in the log")
	}
	return file, frameEnd, commitEnd
}

func codeOfRead(t *testing.T, l *Log, s string) parley.Code {
	t.Helper()
	run, err := l.Read(t.Context(), parley.Place{Stream: name(s)}, 1)
	if err != nil {
		return parley.CodeOf(err)
	}
	run.Release()
	return 0
}

// TestQuarantine: a damaged frame takes its stream out of service and no other,
// for as long as the stream is not removed; its file is kept.
func TestQuarantine(t *testing.T) {
	disk, h := filled(t, true)
	file, end, _ := frameOf(t, disk, name("b"))
	if err := disk.FlipBit(file, 8*(end-1)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		l := open(t, disk, tiny())
		stop := run(t, l)
		if code := codeOfRead(t, l, "b"); code != parley.Damaged {
			t.Fatalf("a read answers %v", code)
		}
		if err := h.put(t, l, "no", name("b")); parley.CodeOf(err) != parley.Damaged {
			t.Fatalf("an append answers %v", err)
		}
		if err := h.put(t, l, "no", name("a"), name("b")); parley.CodeOf(err) != parley.Damaged {
			t.Fatalf("an append to two streams answers %v", err)
		}
		for _, s := range []string{"a", "$c"} {
			if code := codeOfRead(t, l, s); code != 0 {
				t.Fatalf("stream %s answers %v", s, code)
			}
			mustPut(t, h, l, "yes", name(s))
		}
		if err := l.core.Load().settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		stop()
	}
	var found []string
	err := Verify(disk, func(f Finding) { found = append(found, f.String()) })
	if all := strings.Join(found, "\n"); parley.CodeOf(err) != parley.Damaged || !strings.Contains(all, "stream b: ") || !strings.Contains(all, ".damaged") {
		t.Fatalf("%v, %s", err, all)
	}

	l := open(t, disk, tiny())
	stop := run(t, l)
	defer stop()
	if err := l.Remove(t.Context(), name("b")); err != nil {
		t.Fatal(err)
	}
	mustPut(t, h, l, "a new life", name("b"))
	if code := codeOfRead(t, l, "b"); code != 0 {
		t.Fatalf("after removal: %v", code)
	}
}

// TestQuarantineAll: behind a damaged commit frame no stream can be sure of
// itself; a stream made later can.
func TestQuarantineAll(t *testing.T) {
	disk, h := filled(t, true)
	l := open(t, disk, tiny())
	stop := run(t, l)
	mustPut(t, h, l, "x", name("a"))
	mustPut(t, h, l, "y", name("later"))
	stop()
	file, _, end := frameOf(t, disk, name("a"))
	if err := disk.FlipBit(file, 8*(end-1)); err != nil {
		t.Fatal(err)
	}
	l = open(t, disk, tiny())
	stop = run(t, l)
	defer stop()
	for s, want := range map[string]parley.Code{"a": parley.Damaged, "b": parley.Damaged, "$c": parley.Damaged, "later": 0} {
		if code := codeOfRead(t, l, s); code != want {
			t.Errorf("stream %s answers %v", s, code)
		}
	}
}

// TestMissingFiles: a segment or a log file that is gone is damage.
func TestMissingFiles(t *testing.T) {
	whole, h := filled(t, false)
	im, err := readImage(whole)
	if err != nil {
		t.Fatal(err)
	}
	files := []string{}
	for id := range im.segs {
		files = append(files, segmentName(id))
	}
	for gen := range im.fold.files {
		files = append(files, walName(gen))
	}
	for _, f := range files {
		disk := whole.CrashClone(100, nil)
		if err := disk.Remove(f); err != nil {
			t.Fatal(err)
		}
		if h.survives(t, disk) == "" {
			t.Errorf("%s is missing, and nothing was said", f)
		}
	}
}
