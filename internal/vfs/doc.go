// Package vfs is the seam between the durable engine and the disk: two small
// interfaces, [FS] and [File], through which every byte of a log is read and
// written. The engine imports no other way to a file, so a test decides what the
// disk does.
//
//   - [OS] is a directory of the real file system. Sync is fdatasync on Linux and
//     the strongest flush the platform offers elsewhere.
//   - [Mem] is a file system in memory that knows which bytes and which directory
//     entries would outlive a power cut. [Mem.CrashClone] is the disk after one.
//   - [Faulty] wraps any FS and makes it fail, tear writes, fill up, lie about
//     durability, wait for the test, or lose power at the n-th call.
//
// # Names
//
// Names are slash-separated and relative to the root of the FS, as [io/fs.ValidPath]
// defines them: "wal/7.log", "." for the root itself; no "..", no leading slash.
// A name that breaks this is refused with [io/fs.ErrInvalid] on every platform.
//
// # Durability
//
// There are two independent questions, as POSIX puts them:
//
//   - Are the bytes of a file on the disk? Those written before a successful
//     [File.Sync] began are. Bytes written since may survive a power cut in any
//     part and any order.
//   - Is the file under its name? Only once [FS.SyncDir] of its directory succeeded
//     after the create, rename or remove. File.Sync says nothing about the name.
//
// A Sync that failed has left the bytes in doubt for good: the kernel marks the
// pages clean, so that a second Sync succeeds without having written them. The only
// sound reaction is to stop trusting the file, reopen it and read what is there.
package vfs
