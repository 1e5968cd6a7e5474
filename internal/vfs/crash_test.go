package vfs_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/parleyhq/parley/internal/vfs"
)

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

// outcomes crashes m at 50 % under many seeds and counts what describe finds.
func outcomes(m *vfs.Mem, describe func(after *vfs.Mem) string) map[string]int {
	seen := map[string]int{}
	for seed := range uint64(300) {
		seen[describe(m.CrashClone(50, seeded(seed)))]++
	}
	return seen
}

// wantOutcomes fails unless exactly these were seen, each at least once.
func wantOutcomes(t *testing.T, seen map[string]int, want ...string) {
	t.Helper()
	for _, w := range want {
		if seen[w] == 0 {
			t.Errorf("never seen after a crash: %q", w)
		}
		delete(seen, w)
	}
	for s, n := range seen {
		t.Errorf("seen %d times and not allowed: %q", n, s)
	}
}

// whole describes a file system by its files and their content.
func whole(t *testing.T, fsys vfs.FS, dir string) string {
	list, err := fsys.List(dir)
	must(t, err)
	var parts []string
	for _, e := range list {
		name := strings.TrimPrefix(dir+"/"+e.Name, "./")
		if e.Dir {
			parts = append(parts, name+"/", whole(t, fsys, name))
			continue
		}
		content, _ := get(t, fsys, name)
		parts = append(parts, name+"="+content)
	}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " ")
}

func TestCrashKeepsWhatWasSynced(t *testing.T) {
	m := vfs.NewMem()
	must(t, m.MkdirAll("d/e"))
	put(t, m, "d/a", "synced")
	must(t, m.SyncDir("d"))
	put(t, m, "d/unnamed", "bytes synced, name not")
	f := open(t, m, "d/a", vfs.Write)
	buf := []byte("SYNC")
	_, err := f.WriteAt(buf, 0)
	must(t, err)
	clear(buf) // the caller's again
	must(t, m.Rename("d/e", "d/f"))

	for percent, want := range map[int]string{
		0:   "d/ d/a=synced d/e/",
		100: "d/ d/a=SYNCed d/f/ d/unnamed=bytes synced, name not",
	} {
		if got := whole(t, m.CrashClone(percent, nil), "."); got != want {
			t.Errorf("%d %%: %s\nwant: %s", percent, got, want)
		}
	}
	must(t, f.Sync())
	must(t, m.SyncDir("d"))
	if got, want := whole(t, m.CrashClone(0, nil), "."), whole(t, m, "."); got != want {
		t.Errorf("all synced, after the crash: %s\nbefore: %s", got, want)
	}
}

func TestCrashTearsUnsyncedWrites(t *testing.T) {
	m := vfs.NewMem()
	old, fresh := bytes.Repeat([]byte{'o'}, 3*4096), bytes.Repeat([]byte{'n'}, 6000)
	put(t, m, "a", string(old))
	must(t, m.SyncDir("."))
	f := open(t, m, "a", vfs.Write)
	const from = 1000
	_, err := f.WriteAt(fresh, from)
	must(t, err)

	seen := outcomes(m, func(after *vfs.Mem) string {
		got, _ := get(t, after, "a")
		if len(got) != len(old) || strings.Contains(got[:from]+got[from+len(fresh):], "n") {
			return "bytes outside of the write changed"
		}
		switch strings.Count(got[from:from+len(fresh)], "n") {
		case 0:
			return "old"
		case len(fresh):
			return "new"
		}
		return "torn"
	})
	wantOutcomes(t, seen, "old", "new", "torn")
}

func TestCrashLosesEarlierWriteAndKeepsLater(t *testing.T) {
	m := vfs.NewMem()
	put(t, m, "a", "0")
	must(t, m.SyncDir("."))
	f := open(t, m, "a", vfs.Write)
	for _, s := range []string{"1", "2"} {
		_, err := f.WriteAt([]byte(s), 0)
		must(t, err)
	}
	_, err := f.WriteAt([]byte("z"), 4)
	must(t, err)
	seen := outcomes(m, func(after *vfs.Mem) string { s, _ := get(t, after, "a"); return s })
	var want []string
	for _, first := range []string{"0", "1", "2"} {
		want = append(want, first, first+"\x00\x00\x00z", first+"\x00\x00\x00\x00")
	}
	wantOutcomes(t, seen, want...)
}

func TestCrashKeepsPreallocationWholeOrNot(t *testing.T) {
	m := vfs.NewMem()
	put(t, m, "a", "x")
	must(t, m.SyncDir("."))
	f := open(t, m, "a", vfs.Write)
	must(t, f.Preallocate(3))
	wantOutcomes(t, outcomes(m, func(after *vfs.Mem) string { return whole(t, after, ".") }), "a=x", "a=x\x00\x00")
	must(t, f.Sync())
	wantOutcomes(t, outcomes(m, func(after *vfs.Mem) string { return whole(t, after, ".") }), "a=x\x00\x00")
}

func TestCrashDirectoryChanges(t *testing.T) {
	m := vfs.NewMem()
	describe := func(after *vfs.Mem) string { return whole(t, after, ".") }
	put(t, m, "a", "1")
	must(t, m.SyncDir("."))

	t.Log("a rename alone: the old name or the new one")
	must(t, m.Rename("a", "b"))
	wantOutcomes(t, outcomes(m, describe), "a=1", "b=1")

	t.Log("the old name used again: never without the rename, or file 1 would be lost")
	put(t, m, "a", "2")
	wantOutcomes(t, outcomes(m, describe), "a=1", "b=1", "a=2 b=1")

	t.Log("replacing: one of the two, under the name that is not free")
	must(t, m.SyncDir("."))
	must(t, m.Rename("a", "b"))
	wantOutcomes(t, outcomes(m, describe), "a=2 b=1", "b=2")

	t.Log("renamed twice: under exactly one of the three names")
	must(t, m.SyncDir("."))
	must(t, m.Rename("b", "c"))
	must(t, m.Rename("c", "d"))
	wantOutcomes(t, outcomes(m, describe), "b=2", "c=2", "d=2")
	must(t, m.Rename("d", "b"))

	t.Log("changes of different names are lost in any combination")
	must(t, m.SyncDir("."))
	put(t, m, "c", "3")
	must(t, m.Remove("b"))
	wantOutcomes(t, outcomes(m, describe), "b=2", "b=2 c=3", "c=3", "")
}

func TestCrashClonesAreIndependent(t *testing.T) {
	m := vfs.NewMem()
	must(t, m.MkdirAll("d"))
	put(t, m, "d/a", "before")
	_, err := m.Lock("LOCK")
	must(t, err)
	clone := m.CrashClone(100, nil)
	put(t, m, "d/a", "original")
	put(t, clone, "d/a", "clone")
	put(t, clone, "d/b", "clone")
	wantFile(t, m, "d/a", "original")
	if got, want := whole(t, m, "."), "LOCK= d/ d/a=original"; got != want {
		t.Errorf("the original holds %q, want %q", got, want)
	}
	lock, err := clone.Lock("LOCK")
	must(t, err)
	must(t, lock.Close())
}

func TestCrashIsRepeatable(t *testing.T) {
	m := vfs.NewMem()
	for i := range 20 {
		name := fmt.Sprintf("d%d", i%3)
		must(t, m.MkdirAll(name))
		f := open(t, m, fmt.Sprintf("%s/%d", name, i), vfs.New)
		_, err := f.WriteAt(bytes.Repeat([]byte{byte('a' + i)}, 40), 0)
		must(t, err)
	}
	seen := map[string]bool{}
	for seed := range uint64(20) {
		first := whole(t, m.CrashClone(50, seeded(seed)), ".")
		if again := whole(t, m.CrashClone(50, seeded(seed)), "."); again != first {
			t.Fatalf("seed %d: %q, then %q", seed, first, again)
		}
		seen[first] = true
	}
	if len(seen) < 15 {
		t.Errorf("20 seeds gave only %d crashes", len(seen))
	}
}

func TestFlipBit(t *testing.T) {
	m := vfs.NewMem()
	put(t, m, "a", "aaaa")
	must(t, m.SyncDir("."))
	f := open(t, m, "a", vfs.Write)
	_, err := f.WriteAt([]byte("aa"), 2)
	must(t, err)
	for _, bit := range []int64{1, 3*8 + 1} { // 'a' becomes 'c': on the disk, and in what has yet to get there
		must(t, m.FlipBit("a", bit))
	}
	wantFile(t, m, "a", "caac")
	wantFile(t, m.CrashClone(0, nil), "a", "caac")
	must(t, f.Sync())
	wantFile(t, m.CrashClone(0, nil), "a", "caac")
	must(t, m.FlipBit("a", 1))
	wantFile(t, m, "a", "aaac")
	for _, bit := range []int64{-1, 32} {
		if m.FlipBit("a", bit) == nil {
			t.Errorf("bit %d of a file of 32 bits was flipped", bit)
		}
	}
}
