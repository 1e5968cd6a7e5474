package disklog

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/internal/vfs"
)

// leveled puts the streams that begin with "os" at level OS, and says so of "$os"
// in vain.
func leveled() Options {
	o := tiny()
	o.Level = func(s parley.Stream) Level {
		if strings.HasPrefix(strings.TrimPrefix(s.Name, "$"), "os") {
			return OS
		}
		return Fsync
	}
	return o
}

// TestLevels: an append at level OS does not wait for the flush; one that touches
// a stream at Fsync does, and so does what comes after it in its streams; "$"
// streams are always at Fsync.
func TestLevels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faulty := vfs.NewFaulty(vfs.NewMem())
		l := open(t, faulty, leveled())
		stop := run(t, l)
		defer stop()
		h := newHistory()
		mustPut(t, h, l, "0", name("os"), name("f"))
		goOn := make(chan struct{})
		faulty.Hook(func(op vfs.Op) error {
			if op.Kind == vfs.OpSync && strings.HasSuffix(op.Name, ".wal") {
				<-goOn
			}
			return nil
		})
		done := make(chan string, 10)
		put := func(label string, streams ...parley.Stream) {
			go func() {
				writes := make([]parley.Write, len(streams))
				for i, s := range streams {
					writes[i] = parley.Write{Stream: s, Batch: batch(t, label)}
				}
				if _, err := l.Append(t.Context(), writes...); err != nil {
					label = err.Error()
				}
				done <- label
			}()
			synctest.Wait()
		}
		put("quick", name("os"))
		if got := <-done; got != "quick" {
			t.Fatal(got)
		}
		if end, _ := l.End(t.Context(), name("os")); end != 4 {
			t.Fatalf("what was acknowledged is not visible: end %d", end)
		}
		put("mixed", name("os"), name("f"))
		put("behind it", name("os"))
		put("internal", name("$os"))
		select {
		case got := <-done:
			t.Fatalf("%q did not wait for the flush", got)
		default:
		}
		if end, _ := l.End(t.Context(), name("os")); end != 4 {
			t.Fatalf("what was not acknowledged is visible: end %d", end)
		}
		close(goOn)
		for range 3 {
			if got := <-done; strings.Contains(got, ":") {
				t.Fatal(got)
			}
		}
	})
}

// TestEpochs: after a power cut that may have taken acknowledged events, a stream
// has another epoch, for good; one at Fsync keeps its own, and so does one at OS
// when only the process died.
func TestEpochs(t *testing.T) {
	for _, c := range []struct {
		what    string
		percent int
		boot    string
		changes bool
	}{{"power cut", 0, "second", true}, {"killed", 100, "first", false}, {"not known which", 100, "", true}} {
		t.Run(c.what, func(t *testing.T) {
			disk := vfs.NewMem()
			o := leveled()
			o.Boot = "first"
			l := open(t, disk, o)
			stop := run(t, l)
			h := newHistory()
			mustPut(t, h, l, "0", name("f"), name("os"))
			mustPut(t, h, l, "1", name("os"))
			before := [2]uint32{stat(t, l, "os").Epoch, stat(t, l, "f").Epoch}
			disk = disk.CrashClone(c.percent, nil)
			stop()
			o.Boot = c.boot
			var after [2]uint32
			for life := range 2 {
				l = open(t, disk, o)
				stop = run(t, l)
				now := [2]uint32{stat(t, l, "os").Epoch, stat(t, l, "f").Epoch}
				if life > 0 && now != after {
					t.Fatalf("epochs %v, after a clean restart %v", after, now)
				}
				after = now
				stop()
			}
			if after[1] != before[1] || (after[0] != before[0]) != c.changes {
				t.Fatalf("epochs before %v, after %v", before, after)
			}
		})
	}
}

func stat(t *testing.T, l *Log, s string) parley.Stats {
	t.Helper()
	st, err := l.Stat(t.Context(), name(s))
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// TestOnceKeys: keys outlive the log file that they came in, restarts and the
// trimming of their batches, and are forgotten after the window.
func TestOnceKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := vfs.NewMem()
		at := make(map[parley.Key]parley.Position)
		put := func(l *Log, k parley.Key) parley.Appended {
			got, err := l.Append(t.Context(), parley.Write{Stream: name("a"), Once: k, Batch: batch(t, "keyed")})
			if err != nil {
				t.Fatal(err)
			}
			return got[0]
		}
		for life := range 3 {
			l := open(t, disk, tiny())
			stop := run(t, l)
			for k, base := range at {
				if got := put(l, k); !got.Repeat || got.Base != base {
					t.Fatalf("life %d: key %x went to %d and is answered with %+v", life, k[:2], base, got)
				}
			}
			for i := range 20 {
				k := parley.Key{byte(life + 1), byte(i)}
				at[k] = put(l, k).Base
				if i == 10 {
					if err := l.core.Load().settle(t.Context()); err != nil {
						t.Fatal(err)
					}
					if err := l.Trim(t.Context(), name("a"), at[k]); err != nil {
						t.Fatal(err)
					}
				}
			}
			stop()
		}
		l := open(t, disk, tiny())
		stop := run(t, l)
		defer stop()
		<-time.After(parley.OnceWindow + time.Second)
		for k := range at {
			if got := put(l, k); got.Repeat {
				t.Fatal("a key is remembered beyond the window")
			}
			break
		}
	})
}

// TestRefusedDirectories: a directory in use, and one of a newer format, are
// refused and left alone.
func TestRefusedDirectories(t *testing.T) {
	disk := vfs.NewMem()
	l := open(t, disk, tiny())
	if _, err := Open(disk, tiny()); err == nil || parley.CodeOf(err) != parley.Unavailable {
		t.Fatalf("in use: %v", err)
	}
	if err := Verify(disk, func(Finding) {}); err == nil || parley.CodeOf(err) != parley.Unavailable {
		t.Fatalf("verify in use: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := vfs.ReplaceFile(disk, formatName, []byte("parley disklog 2\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(disk, tiny()); err == nil || parley.CodeOf(err) != parley.Unsupported {
		t.Fatalf("newer: %v", err)
	}
	if _, err := Open(vfs.NewMem(), Options{LogBytes: 1}); err == nil || parley.CodeOf(err) != parley.Invalid {
		t.Fatalf("options: %v", err)
	}
}

// TestBeforeRun: an append before Run waits for it, or for its context.
func TestBeforeRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := open(t, vfs.NewMem(), tiny())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := l.Append(ctx, parley.Write{Stream: name("a"), Batch: batch(t, "1")})
		if parley.CodeOf(err) != parley.Timeout {
			t.Fatalf("before Run: %v", err)
		}
		done := make(chan error, 1)
		go func() {
			_, err := l.Append(t.Context(), parley.Write{Stream: name("a"), Batch: batch(t, "2")})
			done <- err
		}()
		synctest.Wait()
		stop := run(t, l)
		defer stop()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		stop()
		if _, err := l.End(t.Context(), name("a")); parley.CodeOf(err) != parley.Unavailable {
			t.Fatalf("after Run: %v", err)
		}
	})
}

// TestDamagedMeta: one copy of the meta file is enough; with none the log is
// refused, never taken for an empty one.
func TestDamagedMeta(t *testing.T) {
	disk, h := filled(t, false)
	for i, n := range metaNames {
		if err := disk.FlipBit(n, 200); err != nil {
			t.Fatal(err)
		}
		both := disk.CrashClone(100, nil)
		if said := h.survives(t, both); (said != "") != (i == 1) {
			t.Fatalf("%d copies damaged: %q", i+1, said)
		}
	}
	for _, n := range metaNames {
		if err := disk.Remove(n); err != nil {
			t.Fatal(err)
		}
	}
	if err := Dump(disk, name("a"), io.Discard); parley.CodeOf(err) != parley.Damaged {
		t.Fatalf("no meta file, but a log: %v", err)
	}
}

// TestManyFiles: a long life in small files leaves few of them, and merging
// loses nothing.
func TestManyFiles(t *testing.T) {
	disk := vfs.NewMem()
	l := open(t, disk, tiny())
	stop := run(t, l)
	h := newHistory()
	for i := range 40 {
		mustPut(t, h, l, fmt.Sprint(i, strings.Repeat("k", 1500)), name("a"), name("b"))
		if err := l.core.Load().settle(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	h.check(t, l)
	stop()
	im, err := readImage(disk)
	if err != nil {
		t.Fatal(err)
	}
	if len(im.segs) > 40 || len(im.wals) > 6 {
		t.Fatalf("%d segments and %d log files", len(im.segs), len(im.wals))
	}
	h.verifyClone(t, disk.CrashClone(0, nil))
}
