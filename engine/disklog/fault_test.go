package disklog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/internal/vfs"
)

var errDisk = errors.New("input/output error")

func mustPut(t *testing.T, h *history, l *Log, value string, streams ...parley.Stream) {
	t.Helper()
	if err := h.put(t, l, value, streams...); err != nil {
		t.Fatalf("append of %.20q: %v", value, err)
	}
}

func newHistory() *history { return &history{low: make(map[parley.Stream]parley.Position)} }

// again appends until the log takes it, as a client does who is told
// Unavailable while the log recovers.
func (h *history) again(t *testing.T, l *Log, value string, streams ...parley.Stream) {
	t.Helper()
	for {
		switch err := h.put(t, l, value, streams...); parley.CodeOf(err) {
		case parley.Unavailable:
			h.sent = h.sent[:len(h.sent)-1]
			select {
			case <-time.After(time.Millisecond):
			case <-t.Context().Done():
				t.Fatal(t.Context().Err())
			}
		default:
			if err != nil {
				t.Fatalf("append of %.20q: %v", value, err)
			}
			return
		}
	}
}

// TestFailedSync: a flush that fails is never taken for done, not even when the
// next one succeeds; what is acknowledged afterwards is on the disk.
func TestFailedSync(t *testing.T) {
	faults := map[string]vfs.Rule{
		"flush":       {Kind: vfs.OpSync, Path: "*.wal", Skip: 4, Times: 1, Fault: vfs.FailSync(errDisk)},
		"write":       {Kind: vfs.OpWrite, Path: "*.wal", Skip: 4, Times: 1, Fault: vfs.Fail(errDisk)},
		"torn write":  {Kind: vfs.OpWrite, Path: "*.wal", Skip: 4, Times: 1, Fault: vfs.TornWrite(150, errDisk)},
		"short write": {Kind: vfs.OpWrite, Path: "*.wal", Skip: 4, Times: 1, Fault: vfs.ShortWrite(70, errDisk)},
	}
	for what, rule := range faults {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk := vfs.NewMem()
				// Nothing is laid out, so that all hangs on the log itself.
				faulty := vfs.NewFaulty(disk, rule, vfs.Rule{Kind: vfs.OpCreate, Path: "*.seg"})
				l := open(t, faulty, tiny())
				stop := run(t, l)
				h := newHistory()
				failed := 0
				for i := range 20 {
					err := h.put(t, l, fmt.Sprint("v", i), name("a"), name("b"))
					switch {
					case err == nil:
					case parley.CodeOf(err) == parley.Unknown:
						failed++
						h.again(t, l, fmt.Sprint("after ", i), name("a"), name("b"))
					default:
						t.Fatal(err)
					}
				}
				if failed != 1 || l.Counters().Failures != 1 {
					t.Fatalf("%d appends were unknown, %d failures counted", failed, l.Counters().Failures)
				}
				h.check(t, l)
				crashed := disk.CrashClone(0, nil)
				stop()
				h.verifyClone(t, crashed)
			})
		})
	}
}

// TestFailedSegments: what cannot be laid out stays in the log and is read from
// there; nothing is lost and the layout is done later.
func TestFailedSegments(t *testing.T) {
	for what, rule := range map[string]vfs.Rule{
		"create":        {Kind: vfs.OpCreate, Path: "*.seg", Times: 1},
		"write":         {Kind: vfs.OpWrite, Path: "*.seg", Times: 1},
		"flush":         {Kind: vfs.OpSync, Path: "*.seg", Times: 1, Fault: vfs.FailSync(errDisk)},
		"write back":    {Kind: vfs.OpWriteBack, Path: "*.seg", Times: 1},
		"directory":     {Kind: vfs.OpSyncDir, Path: "seg", Times: 1},
		"meta":          {Kind: vfs.OpRename, Path: "meta.b", Skip: 1, Times: 1},
		"next log file": {Kind: vfs.OpPreallocate, Path: "*.wal", Skip: 1, Times: 1},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk := vfs.NewMem()
				o, size := tiny(), 8_000
				if rule.Kind == vfs.OpWriteBack { // of large segments alone
					o.LogBytes, size = 3*segmentBuffer, segmentBuffer/2
				}
				faulty := vfs.NewFaulty(disk, rule)
				var met atomic.Int64
				faulty.Hook(func(op vfs.Op) error {
					if hit, _ := path.Match(rule.Path, path.Base(cmp.Or(op.To, op.Name))); hit && op.Kind == rule.Kind {
						met.Add(1)
					}
					return nil
				})
				l := open(t, faulty, o)
				stop := run(t, l)
				h := newHistory()
				for i := range 20 {
					h.again(t, l, fmt.Sprint("v", i, strings.Repeat("z", size)), name("a"))
				}
				h.check(t, l)
				if err := l.core.Load().settle(t.Context()); err != nil {
					t.Fatal(err)
				}
				if met.Load() <= rule.Skip {
					t.Fatal("nothing failed")
				}
				h.check(t, l)
				crashed := disk.CrashClone(0, nil)
				stop()
				h.verifyClone(t, crashed)
			})
		})
	}
}

// TestFull: a full disk refuses before anything is written, reading goes on,
// trimming works, and with space the log takes appends again by itself.
func TestFull(t *testing.T) { synctest.Test(t, testFull) }

func testFull(t *testing.T) {
	disk := vfs.NewMem()
	faulty := vfs.NewFaulty(disk)
	faulty.SetSpace(600 << 10)
	o := tiny()
	o.Reserve = 128 << 10
	l := open(t, faulty, o)
	stop := run(t, l)
	h := newHistory()
	var err error
	for i := 0; err == nil; i++ {
		if i > 1000 {
			t.Fatal("the disk never got full")
		}
		err = h.put(t, l, fmt.Sprint("v", i, strings.Repeat("f", 3000)), name("a"))
	}
	if parley.CodeOf(err) != parley.Full {
		t.Fatalf("a full disk answers %v", err)
	}
	if !l.Counters().Full || l.Counters().Failures != 0 {
		t.Fatalf("counters %+v", l.Counters())
	}
	h.check(t, l)
	if err := h.trim(t.Context(), l, name("a")); err != nil {
		t.Fatalf("trim on a full disk: %v", err)
	}
	h.check(t, l)
	faulty.SetSpace(-1)
	for parley.CodeOf(err) == parley.Full {
		select {
		case <-time.After(time.Millisecond):
		case <-t.Context().Done():
			t.Fatal("it does not recover")
		}
		err = h.put(t, l, "again", name("a"))
	}
	if err != nil {
		t.Fatal(err)
	}
	crashed := disk.CrashClone(0, nil)
	stop()
	h.sent = slices.DeleteFunc(h.sent, func(s sent) bool { return s.at == nil })
	h.verifyClone(t, crashed)
}

// TestSlow: while a flush takes more than ten seconds new work is refused, and
// taken again afterwards; what waited for it is answered.
func TestSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faulty := vfs.NewFaulty(vfs.NewMem())
		l := open(t, faulty, tiny())
		stop := run(t, l)
		defer stop()
		h := newHistory()
		mustPut(t, h, l, "1", name("a"))
		goOn := make(chan struct{})
		faulty.Hook(func(op vfs.Op) error {
			if op.Kind == vfs.OpSync {
				<-goOn
			}
			return nil
		})
		waiting := make(chan error, 1)
		go func() {
			_, err := l.Append(t.Context(), parley.Write{Stream: name("a"), Batch: batch(t, "2")})
			waiting <- err
		}()
		synctest.Wait()
		<-time.After(stalledSync + time.Second)
		_, err := l.Append(t.Context(), parley.Write{Stream: name("a"), Batch: batch(t, "3")})
		if err == nil || parley.CodeOf(err) != parley.Unavailable {
			t.Fatalf("behind a flush that takes 11 s: %v", err)
		}
		if end, err := l.End(t.Context(), name("a")); err != nil || end != 3 {
			t.Fatalf("what is not flushed is visible: end %d, %v", end, err)
		}
		select {
		case err := <-waiting:
			t.Fatalf("an append was answered before its flush: %v", err)
		default:
		}
		if l.Counters().Stalled < stalledSync {
			t.Fatalf("counters %+v", l.Counters())
		}
		close(goOn)
		if err := <-waiting; err != nil {
			t.Fatal(err)
		}
		mustPut(t, h, l, "4", name("a"))
		if n := l.Counters().SlowSyncs; n != 1 {
			t.Fatalf("%d slow flushes counted", n)
		}
	})
}

// filled makes a disk with everything on it: segments, keys, meta, and a log
// behind them; crash says whether it ends with a power cut, long after the last
// append, or is closed.
func filled(t *testing.T, crash bool) (*vfs.Mem, *history) {
	t.Helper()
	disk := vfs.NewMem()
	h := newHistory()
	synctest.Test(t, func(t *testing.T) {
		o := tiny()
		l, err := Open(disk, o)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- l.Run(ctx) }()
		for i := range 12 {
			mustPut(t, h, l, fmt.Sprint("v", i, strings.Repeat("b", 900)), name("a"), name("$c"))
			if i == 7 {
				if err := l.core.Load().settle(ctx); err != nil {
					t.Fatal(err)
				}
			}
		}
		mustPut(t, h, l, "b", name("b"))
		<-time.After(time.Second) // the log notes how far it was flushed
		if crash {
			disk = disk.CrashClone(0, nil)
		}
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
	return disk, h
}

// survives opens a disk with a flipped bit and says what was noticed: "" if all
// is there, else how it was said. Anything else fails the test.
func (h *history) survives(t *testing.T, disk *vfs.Mem) string {
	l, err := Open(disk, tiny())
	if err != nil {
		if parley.CodeOf(err) != parley.Damaged && parley.CodeOf(err) != parley.Unsupported {
			t.Fatalf("open: %v", err)
		}
		return err.Error()
	}
	defer l.Close()
	said := ""
	for _, s := range []parley.Stream{name("a"), name("b"), name("$c")} {
		var want []string
		for _, one := range h.sent {
			if slices.Contains(one.streams, s) {
				want = append(want, one.value)
			}
		}
		at := parley.Position(0)
		for {
			run, err := l.Read(t.Context(), parley.Place{Stream: s, At: at}, 1)
			if err != nil {
				if parley.CodeOf(err) != parley.Damaged {
					t.Fatalf("read: %v", err)
				}
				said, want = err.Error(), nil
				break
			}
			if run.Empty() {
				break
			}
			for b := range run.Batches() {
				for r := range b.Records() {
					if len(want) == 0 || string(r.Value) != want[0] {
						t.Fatalf("stream %s at %d has %.20q", s.Name, r.Position, r.Value)
					}
				}
				want = want[1:]
			}
			at = run.Next()
			run.Release()
		}
		if len(want) > 0 {
			t.Fatalf("stream %s: %d batches are missing, and nothing was said", s.Name, len(want))
		}
	}
	return said
}

// TestBitFlips turns single bits all over the disk: all that was acknowledged is
// read as it was, or the damage is said.
func TestBitFlips(t *testing.T) {
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 2))
	for _, crash := range []bool{false, true} {
		disk, h := filled(t, crash)
		if said := h.survives(t, disk.CrashClone(100, nil)); said != "" {
			t.Fatalf("undamaged: %s", said)
		}
		noticed := 0
		for file, size := range content(t, disk) {
			for range 40 * *rounds {
				hurt := disk.CrashClone(100, nil)
				bit := rng.Int64N(8 * size)
				if err := hurt.FlipBit(file, bit); err != nil {
					t.Fatal(err)
				}
				ok := t.Run(fmt.Sprintf("crash=%v/%s/%d", crash, file, bit), func(t *testing.T) {
					if h.survives(t, hurt) != "" {
						noticed++
					}
				})
				if !ok {
					return
				}
			}
		}
		if noticed == 0 {
			t.Fatal("no flip was ever noticed")
		}
	}
}

// content lists the files of a disk with the bytes in them that matter.
func content(t *testing.T, disk *vfs.Mem) map[string]int64 {
	t.Helper()
	im, err := readImage(disk)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]int64{formatName: int64(len(formatText))}
	for _, n := range metaNames {
		b, err := vfs.ReadFile(disk, n, maxMeta)
		if err != nil {
			t.Fatal(err)
		}
		files[n] = int64(len(b))
	}
	for id, size := range im.segs {
		files[segmentName(id)] = size
	}
	for gen, w := range im.fold.files {
		files[walName(gen)] = w.end
	}
	return files
}
