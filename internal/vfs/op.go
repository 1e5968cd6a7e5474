package vfs

import (
	"fmt"
	"path"
	"strings"
)

// Kind is a set of kinds of calls to an FS and its files.
type Kind uint16

// The kinds. Size, Close and Free are never counted and never fail by injection.
const (
	OpOpen        Kind = 1 << iota // Open with Read or Write
	OpCreate                       // Open with Create or New
	OpRead                         // ReadAt
	OpWrite                        // WriteAt
	OpSync                         // File.Sync
	OpWriteBack                    // WriteBack of a file
	OpTruncate                     // Truncate
	OpPreallocate                  // Preallocate
	OpRename
	OpRemove
	OpMkdir // MkdirAll
	OpList
	OpSyncDir
	OpLock

	OpAny Kind = 1<<iota - 1
)

var kindNames = [...]string{
	"open", "create", "read", "write", "sync", "writeback", "truncate", "preallocate",
	"rename", "remove", "mkdir", "list", "syncdir", "lock",
}

// String returns the names of the kinds in the set, joined by "|".
func (k Kind) String() string {
	var names []string
	for i, name := range kindNames {
		if k&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, "|")
}

// Op is one call that reaches a Faulty file system.
type Op struct {
	Index int64  // number of the call, from 0, over all kinds and files
	Kind  Kind   // exactly one
	Name  string // of the file, as it was opened, or of the directory
	To    string // OpRename: the new name
	Off   int64  // OpRead, OpWrite, OpWriteBack: offset; OpTruncate, OpPreallocate: the size
	Len   int    // OpRead, OpWrite, OpWriteBack: length in bytes
}

// String describes the call for a test's log.
func (o Op) String() string {
	s := fmt.Sprintf("#%d %s %s", o.Index, o.Kind, o.Name)
	switch {
	case o.Kind == OpRename:
		s += " -> " + o.To
	case o.Kind&(OpRead|OpWrite|OpWriteBack) != 0:
		s += fmt.Sprintf(" %d+%d", o.Off, o.Len)
	case o.Kind&(OpTruncate|OpPreallocate) != 0:
		s += fmt.Sprintf(" %d", o.Off)
	}
	return s
}

// Rule makes certain calls fail.
type Rule struct {
	Kind  Kind   // kinds of calls; 0 = OpAny
	Path  string // path.Match pattern; without "/" it meets the last element; "" = every name
	Skip  int64  // so many matching calls go through first
	Times int64  // so many fail after that; 0 = all
	Fault Fault  // what happens to them; the zero value is Fail(ErrInjected)
}

// meets reports whether the rule is about op, before counting.
func (r Rule) meets(op Op) bool {
	if r.Kind != 0 && r.Kind&op.Kind == 0 {
		return false
	}
	if r.Fault.lie && op.Kind&canLie == 0 {
		return false
	}
	return r.Path == "" || r.matches(op.Name) || (op.Kind == OpRename && r.matches(op.To))
}

func (r Rule) matches(name string) bool {
	if !strings.Contains(r.Path, "/") {
		name = path.Base(name)
	}
	ok, err := path.Match(r.Path, name)
	return ok && err == nil
}

// canLie holds the calls that can pretend to have been carried out: those with
// nothing to show.
const canLie = OpWrite | OpSync | OpWriteBack | OpTruncate | OpPreallocate | OpRename | OpRemove | OpMkdir | OpSyncDir

// Fault is what a Rule does to a call.
type Fault struct {
	err    error
	keep   int  // OpWrite: so many leading bytes reach the file all the same
	hidden bool // OpWrite: the bytes kept are not reported
	drop   bool // OpSync: what was not synced is lost for good
	lie    bool // report success, do nothing
}

// Fail returns err and does nothing else.
func Fail(err error) Fault { return Fault{err: err} }

// ShortWrite lets the first n bytes of a write reach the file and says so. Other calls
// just fail.
func ShortWrite(n int, err error) Fault { return Fault{err: err, keep: n} }

// TornWrite lets the first n bytes of a write reach the file but reports none. Other
// calls just fail.
func TornWrite(n int, err error) Fault { return Fault{err: err, keep: n, hidden: true} }

// FailSync makes Sync fail as on Linux: with err, and, over a Mem, with the unsynced
// bytes still readable but lost for the disk, even if a later Sync succeeds. Other
// calls just fail.
func FailSync(err error) Fault { return Fault{err: err, drop: true} }

// Lie reports success for a call that was not carried out: a disk that answers Sync
// from its cache. It does not apply to opening, reading, listing and locking.
func Lie() Fault { return Fault{lie: true} }
