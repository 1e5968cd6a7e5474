package vfs_test

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley/internal/vfs"
)

func TestRulesChooseCalls(t *testing.T) {
	boom := errors.New("boom")
	f := vfs.NewFaulty(vfs.NewMem(),
		vfs.Rule{Kind: vfs.OpWrite, Path: "*.log", Skip: 1, Times: 2, Fault: vfs.Fail(boom)},
		vfs.Rule{Kind: vfs.OpRemove | vfs.OpList, Path: "d/*"},
		vfs.Rule{Kind: vfs.OpRename, Path: "locked"},
	)
	must(t, f.MkdirAll("d"))
	log, txt := open(t, f, "d/a.log", vfs.New), open(t, f, "a.txt", vfs.New)
	for i, want := range []error{nil, boom, boom, nil, nil} {
		if _, err := log.WriteAt([]byte("x"), int64(i)); !errors.Is(err, want) {
			t.Errorf("write %d: %v, want %v", i, err, want)
		}
		_, err := txt.WriteAt([]byte("y"), int64(i))
		must(t, err)
	}
	wantFile(t, f, "d/a.log", "x\x00\x00xx")
	wantErr(t, "Remove", f.Remove("d/a.log"), vfs.ErrInjected)
	_, err := f.List("d")
	must(t, err)
	wantErr(t, "Rename to", f.Rename("a.txt", "locked"), vfs.ErrInjected)
	must(t, f.Remove("a.txt"))
	f.Heal()
	must(t, f.Remove("d/a.log"))
}

// TestEveryKindFails makes sure that no call slips past the rules and the counter.
func TestEveryKindFails(t *testing.T) {
	m := vfs.NewMem()
	f := vfs.NewFaulty(m)
	file := open(t, f, "a", vfs.Create)
	calls := []struct {
		kind vfs.Kind
		call func() error
	}{
		{vfs.OpOpen, func() error { _, err := f.Open("a", vfs.Read); return err }},
		{vfs.OpCreate, func() error { _, err := f.Open("b", vfs.New); return err }},
		{vfs.OpRead, func() error { _, err := file.ReadAt(nil, 0); return err }},
		{vfs.OpWrite, func() error { _, err := file.WriteAt([]byte("x"), 0); return err }},
		{vfs.OpSync, file.Sync},
		{vfs.OpWriteBack, func() error { return vfs.WriteBack(file, 0, 1) }},
		{vfs.OpTruncate, func() error { return file.Truncate(9) }},
		{vfs.OpPreallocate, func() error { return file.Preallocate(9) }},
		{vfs.OpRename, func() error { return f.Rename("a", "c") }},
		{vfs.OpRemove, func() error { return f.Remove("a") }},
		{vfs.OpMkdir, func() error { return f.MkdirAll("d") }},
		{vfs.OpList, func() error { _, err := f.List("."); return err }},
		{vfs.OpSyncDir, func() error { return f.SyncDir(".") }},
		{vfs.OpLock, func() error { _, err := f.Lock("L"); return err }},
	}
	var all vfs.Kind
	for _, c := range calls {
		all |= c.kind
		f.Inject(vfs.Rule{Kind: c.kind})
		before := f.Calls()
		wantErr(t, c.kind.String(), c.call(), vfs.ErrInjected)
		if f.Calls() != before+1 {
			t.Errorf("%s was counted %d times", c.kind, f.Calls()-before)
		}
		f.Heal()
		f.CutPower(f.Calls())
		wantErr(t, c.kind.String(), c.call(), vfs.ErrPowerCut)
		f.CutPower(1 << 62)
	}
	if all != vfs.OpAny {
		t.Errorf("not tried: %s", vfs.OpAny&^all)
	}
	if got := whole(t, m, "."); got != "a=" {
		t.Errorf("failed calls left %q", got)
	}
}

func TestOpsDescribeThemselves(t *testing.T) {
	f := vfs.NewFaulty(vfs.NewMem())
	var log []string
	f.Hook(func(op vfs.Op) error { log = append(log, op.String()); return nil })
	must(t, vfs.ReplaceFile(f, "a", []byte("xyz")))
	want := []string{"#0 create a.tmp", "#1 truncate a.tmp 0", "#2 write a.tmp 0+3", "#3 sync a.tmp", "#4 rename a.tmp -> a", "#5 syncdir ."}
	if !slices.Equal(log, want) {
		t.Errorf("calls: %q\nwant:  %q", log, want)
	}
	if got := (vfs.OpRead | vfs.OpSyncDir).String(); got != "read|syncdir" {
		t.Errorf("a set of kinds: %q", got)
	}
}

func TestWriteFaults(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault vfs.Fault
		n     int
		err   error
		file  string
	}{
		{"fail", vfs.Fail(vfs.ErrInjected), 0, vfs.ErrInjected, "old"},
		{"short", vfs.ShortWrite(2, vfs.ErrInjected), 2, vfs.ErrInjected, "NEd"},
		{"torn", vfs.TornWrite(2, vfs.ErrInjected), 0, vfs.ErrInjected, "NEd"},
		{"all bytes and an error", vfs.TornWrite(9, vfs.ErrInjected), 0, vfs.ErrInjected, "NEW"},
		{"lie", vfs.Lie(), 3, nil, "old"},
	} {
		m := vfs.NewMem()
		put(t, m, "a", "old")
		f := open(t, vfs.NewFaulty(m, vfs.Rule{Kind: vfs.OpWrite, Fault: c.fault}), "a", vfs.Write)
		n, err := f.WriteAt([]byte("NEW"), 0)
		if n != c.n || !errors.Is(err, c.err) {
			t.Errorf("%s: wrote %d, error %v, want %d, %v", c.name, n, err, c.n, c.err)
		}
		wantFile(t, m, "a", c.file)
	}
}

func TestFailedSyncLosesData(t *testing.T) {
	m := vfs.NewMem()
	put(t, m, "a", "old")
	must(t, m.SyncDir("."))
	f := open(t, vfs.NewFaulty(m, vfs.Rule{Kind: vfs.OpSync, Times: 1, Fault: vfs.FailSync(vfs.ErrInjected)}), "a", vfs.Write)
	_, err := f.WriteAt([]byte("NEW"), 0)
	must(t, err)
	wantErr(t, "first Sync", f.Sync(), vfs.ErrInjected)
	wantFile(t, m, "a", "NEW") // the cache still has it
	_, err = f.WriteAt([]byte("!"), 3)
	must(t, err)
	must(t, f.Sync()) // and now claims that all is well
	wantFile(t, m.CrashClone(100, nil), "a", "old!")
}

// TestFaultyOverFaulty: the losses of a failed sync reach the Mem through two layers.
func TestFaultyOverFaulty(t *testing.T) {
	m := vfs.NewMem()
	outer := vfs.NewFaulty(vfs.NewFaulty(m), vfs.Rule{Kind: vfs.OpSync, Times: 1, Fault: vfs.FailSync(vfs.ErrInjected)})
	f := open(t, outer, "a", vfs.New)
	_, err := f.WriteAt([]byte("x"), 0)
	must(t, err)
	wantErr(t, "Sync", f.Sync(), vfs.ErrInjected)
	wantFile(t, m.CrashClone(100, nil), "a", "")
}

func TestLyingSync(t *testing.T) {
	m := vfs.NewMem()
	f := vfs.NewFaulty(m, vfs.Rule{Kind: vfs.OpSync | vfs.OpSyncDir, Fault: vfs.Lie()})
	must(t, vfs.ReplaceFile(f, "a", []byte("x")))
	if got := whole(t, m.CrashClone(0, nil), "."); got != "" {
		t.Errorf("a disk that syncs nothing kept %q", got)
	}
	wantFile(t, m.CrashClone(100, nil), "a", "x")
}

func TestFullDisk(t *testing.T) {
	f := vfs.NewFaulty(vfs.NewMem())
	file := open(t, f, "a", vfs.New)
	f.SetSpace(10)
	must(t, file.Preallocate(4))
	n, err := file.WriteAt(bytes.Repeat([]byte("x"), 8), 0) // 4 in the preallocated part
	must(t, err)
	if free, err := vfs.Free(f); n != 8 || free != 2 || err != nil {
		t.Fatalf("wrote %d, then free: %d, %v, want 8 and 2", n, free, err)
	}
	err = file.Preallocate(11)
	if !vfs.IsFull(err) {
		t.Fatalf("Preallocate beyond the space: %v", err)
	}
	wantSize(t, file, 8)
	if n, err := file.WriteAt([]byte("12345"), 7); n != 3 || !vfs.IsFull(err) {
		t.Fatalf("write beyond the space: %d, %v, want 3 and a full disk", n, err)
	}
	wantFile(t, f, "a", "xxxxxxx123")
	f.SetSpace(100)
	if err := open(t, f, "a", vfs.Read).Preallocate(50); err == nil || vfs.IsFull(err) {
		t.Errorf("Preallocate of a file opened for reading: %v", err)
	}
	if free, err := vfs.Free(f); free != 100 || err != nil {
		t.Errorf("a call that failed used space: %d of 100 left, %v", free, err)
	}
	if vfs.IsFull(vfs.ErrInjected) || vfs.IsFull(nil) {
		t.Error("IsFull knows no difference")
	}
	f.SetSpace(-1)
	_, err = file.WriteAt([]byte("12345"), 7)
	must(t, err)
}

func TestHookMakesTheDiskSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := vfs.NewFaulty(vfs.NewMem())
		file := open(t, f, "a", vfs.New)
		release := make(chan struct{})
		f.Hook(func(op vfs.Op) error {
			if op.Kind == vfs.OpSync {
				<-release
			}
			return nil
		})
		start := time.Now()
		done := make(chan error)
		go func() { done <- file.Sync() }()
		go func() { <-time.After(time.Minute); close(release) }()
		_, err := file.WriteAt([]byte("not held up"), 0)
		must(t, err)
		synctest.Wait()
		if at := time.Since(start); at != 0 {
			t.Errorf("the write took %v", at)
		}
		must(t, <-done)
		if took := time.Since(start); took != time.Minute {
			t.Errorf("Sync took %v, want a minute", took)
		}
		boom := errors.New("boom")
		f.Hook(func(vfs.Op) error { return boom })
		wantErr(t, "with a failing hook", file.Sync(), boom)
		f.Hook(nil)
		must(t, file.Sync())
	})
}

// crashEverywhere replaces a file with the power cut at each call in turn and returns
// the first state that ReplaceFile promises not to leave.
func crashEverywhere(t *testing.T, rules ...vfs.Rule) (violation string) {
	for cut := int64(0); ; cut++ {
		m := vfs.NewMem()
		must(t, m.MkdirAll("d"))
		must(t, vfs.ReplaceFile(m, "d/meta", []byte("old")))
		f := vfs.NewFaulty(m, rules...)
		f.CutPower(cut)
		err := vfs.ReplaceFile(f, "d/meta", []byte("longer"))
		if err != nil {
			wantErr(t, fmt.Sprint("cut at ", cut), err, vfs.ErrPowerCut)
		}
		for _, percent := range []int{0, 50, 100} {
			for seed := range uint64(20) {
				after := m.CrashClone(percent, seeded(seed))
				got, _ := get(t, after, path.Join("d", "meta"))
				if got != "longer" && (got != "old" || err == nil) {
					return fmt.Sprintf("cut at %d, %d %%: %q (acknowledged: %v)", cut, percent, got, err == nil)
				}
			}
		}
		if err == nil {
			return ""
		}
	}
}

func TestReplaceFileSurvivesEveryCrash(t *testing.T) {
	if v := crashEverywhere(t); v != "" {
		t.Error(v)
	}
	for _, lie := range []vfs.Kind{vfs.OpSync, vfs.OpSyncDir} {
		if v := crashEverywhere(t, vfs.Rule{Kind: lie, Fault: vfs.Lie()}); v == "" {
			t.Errorf("a lying %s went unnoticed", lie)
		} else {
			t.Logf("a lying %s is found: %s", lie, v)
		}
	}
}
