package vfs

import (
	"errors"
	"io"
	"path"
	"sync"
	"sync/atomic"
)

var (
	// ErrInjected stands for an input/output error of the disk.
	ErrInjected = errors.New("vfs: injected fault")

	// ErrPowerCut is the error of every call after Faulty.CutPower.
	ErrPowerCut = errors.New("vfs: power is off")
)

// Faulty is an FS that hands every call to another one, unless the test wants
// something else to happen. Without rules it changes nothing. All methods are safe for
// concurrent use and work while the file system is in use.
//
// A call passes, in this order: the counter, the hook, the power switch, the rules,
// the space left. No lock is held meanwhile but for the last two, which never wait.
type Faulty struct {
	base  FS
	calls atomic.Int64
	cut   atomic.Int64 // first index without power
	hook  atomic.Pointer[func(Op) error]

	mu    sync.Mutex
	rules []*ruleState
	space int64 // bytes left; negative: as many as base has
}

type ruleState struct {
	Rule
	met int64 // matching calls so far
}

// NewFaulty wraps base. Of the rules that meet a call the first that is due decides.
func NewFaulty(base FS, rules ...Rule) *Faulty {
	f := &Faulty{base: base, space: -1}
	f.cut.Store(1<<63 - 1)
	f.Inject(rules...)
	return f
}

// Inject adds rules behind the present ones; their counts start at zero. A malformed
// Path is a mistake in the test and panics.
func (f *Faulty) Inject(rules ...Rule) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range rules {
		if _, err := path.Match(r.Path, ""); err != nil {
			panic("vfs: rule with path " + r.Path + ": " + err.Error()) //nolint:forbidigo // a mistake in a test's rule
		}
		if r.Fault == (Fault{}) {
			r.Fault = Fail(ErrInjected)
		}
		f.rules = append(f.rules, &ruleState{Rule: r})
	}
}

// Heal removes all rules.
func (f *Faulty) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = nil
}

// Hook sets the function that sees every call before it happens; nil removes it. If
// it returns an error the call fails with it and does nothing. It may wait, on a
// channel of the test say, and so makes the disk slow; other calls go on meanwhile.
func (f *Faulty) Hook(fn func(Op) error) {
	if fn == nil {
		f.hook.Store(nil)
		return
	}
	f.hook.Store(&fn)
}

// Calls returns how many calls were made so far, which is the index of the next.
func (f *Faulty) Calls() int64 { return f.calls.Load() }

// CutPower makes the calls with index at or above at fail with ErrPowerCut and do
// nothing, so that a Mem below stays as it was for Mem.CrashClone. A test that runs
// its scenario once, reads Calls, and repeats it with each smaller index has crashed
// everywhere. Calls under way are not stopped.
func (f *Faulty) CutPower(at int64) { f.cut.Store(at) }

// SetSpace says how many bytes files may still grow, counted by their sizes; what goes
// beyond fails with ErrFull after the bytes that fit. Preallocate takes all or
// nothing. Space that was used or preallocated stays used, whatever is removed, until
// the next SetSpace. Negative means no limit.
func (f *Faulty) SetSpace(bytes int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.space = bytes
}

// Free returns what SetSpace left, or what base says.
func (f *Faulty) Free() (int64, error) {
	f.mu.Lock()
	space := f.space
	f.mu.Unlock()
	if space >= 0 {
		return space, nil
	}
	return Free(f.base)
}

// take uses up to want bytes of the space and returns how many there were; with all
// set it uses want or nothing.
func (f *Faulty) take(want int64, all bool) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.space < 0 || want <= 0 {
		return want
	}
	if all && want > f.space {
		return 0
	}
	got := min(want, f.space)
	f.space -= got
	return got
}

// giveBack returns what a call took and did not use.
func (f *Faulty) giveBack(bytes int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.space >= 0 {
		f.space += bytes
	}
}

// arrive counts a call and decides its fate: an error from the hook or the power
// switch, a fault (nil: none), or neither.
func (f *Faulty) arrive(op Op) (*Fault, error) {
	op.Index = f.calls.Add(1) - 1
	if hook := f.hook.Load(); hook != nil {
		if err := (*hook)(op); err != nil {
			return nil, pathError(op.Kind.String(), op.Name, err)
		}
	}
	if op.Index >= f.cut.Load() {
		return nil, pathError(op.Kind.String(), op.Name, ErrPowerCut)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var due *Fault
	for _, r := range f.rules {
		if !r.meets(op) {
			continue
		}
		r.met++
		if due == nil && r.met > r.Skip && (r.Times == 0 || r.met <= r.Skip+r.Times) {
			fault := r.Fault
			due = &fault
		}
	}
	return due, nil
}

// do runs a call that has nothing to show but its error.
func (f *Faulty) do(op Op, call func() error) error {
	fault, err := f.arrive(op)
	switch {
	case err != nil:
		return err
	case fault == nil:
		return call()
	case fault.lie:
		return nil
	}
	return pathError(op.Kind.String(), op.Name, fault.err)
}

// Open implements FS.
func (f *Faulty) Open(name string, mode Mode) (File, error) {
	kind := OpOpen
	if mode.creates() {
		kind = OpCreate
	}
	var file File
	err := f.do(Op{Kind: kind, Name: name}, func() (err error) {
		file, err = f.base.Open(name, mode)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &faultyFile{File: file, fs: f, name: name}, nil
}

// Rename implements FS.
func (f *Faulty) Rename(oldname, newname string) error {
	return f.do(Op{Kind: OpRename, Name: oldname, To: newname}, func() error { return f.base.Rename(oldname, newname) })
}

// Remove implements FS.
func (f *Faulty) Remove(name string) error {
	return f.do(Op{Kind: OpRemove, Name: name}, func() error { return f.base.Remove(name) })
}

// MkdirAll implements FS.
func (f *Faulty) MkdirAll(dir string) error {
	return f.do(Op{Kind: OpMkdir, Name: dir}, func() error { return f.base.MkdirAll(dir) })
}

// List implements FS.
func (f *Faulty) List(dir string) ([]Entry, error) {
	var list []Entry
	err := f.do(Op{Kind: OpList, Name: dir}, func() (err error) {
		list, err = f.base.List(dir)
		return err
	})
	return list, err
}

// SyncDir implements FS.
func (f *Faulty) SyncDir(dir string) error {
	return f.do(Op{Kind: OpSyncDir, Name: dir}, func() error { return f.base.SyncDir(dir) })
}

// Lock implements FS.
func (f *Faulty) Lock(name string) (io.Closer, error) {
	var lock io.Closer
	err := f.do(Op{Kind: OpLock, Name: name}, func() (err error) {
		lock, err = f.base.Lock(name)
		return err
	})
	return lock, err
}
