package main

// mutants are the faults that would break a promise without being seen. A new
// promise brings its mutants along.
var mutants = []mutant{
	{
		"the CRC of a batch is not compared", "batch.go",
		"got != want {", "got != want && false {",
		".", "TestBatchRefused",
	},
	{
		"a batch may say that it has more records than positions", "batch.go",
		"|| count > delta+1 {", "{",
		".", "TestBatchRefused",
	},
	{
		"records may go back in position", "batch.go",
		"rec.delta <= past ||", "",
		".", "TestRecordsRefused",
	},
	{
		"bytes after the last record are passed over", "batch.go",
		"if len(body) > 0 {", "if false {",
		".", "TestRecordsRefused",
	},
	{
		"decompression has no bound", "codec.go",
		"if out.Len() > limit {", "if false {",
		".", "TestDecompressionIsBounded",
	},
	{
		"a refused event leaves its time behind", "builder.go",
		"if b.count == 0 {\n\t\tb.buf = append", "if len(b.buf) == 0 {\n\t\tb.buf = append",
		".", "TestBuilderRefusal",
	},
	{
		"a header with a null name is taken", "record.go",
		"err != nil || name == nil {", "err != nil || name == nil && false {",
		".", "TestRecordsRefused",
	},
	{
		"JSON data with white space around it is embedded", "event_json.go",
		"len(data) > 0 && data[0] > ' ' && data[len(data)-1] > ' ' &&", "",
		".", "TestJSONAwkwardData",
	},
	{
		"data that is not UTF-8 is embedded in JSON", "event_json.go",
		"json.Valid(data) && utf8.Valid(data)", "json.Valid(data)",
		".", "TestJSONAwkwardData",
	},
	{
		"Follow does not release", "log.go",
		"run.Release()", "_ = run.Release",
		".", "TestFollowBreak",
	},
	{
		"Follow reads the same place again", "log.go",
		"at.At = run.Next()", "_ = run.Next()",
		".", "TestFollow",
	},
	{
		"the MAC of a cursor is not compared", "base/cursor/cursor.go",
		"!hmac.Equal(mac, want[:])", "!hmac.Equal(mac, mac) && want[0] == 0",
		"./base/cursor", "TestTampering",
	},
	{
		"the namespace is not part of a cursor's MAC", "base/cursor/cursor.go",
		"append(append(s.in, namespace...), body...)", "append(s.in[:0], body...)",
		"./base/cursor", "TestRefused",
	},
	{
		"a cursor without a signature is taken by a server with keys", "base/cursor/cursor.go",
		"case b[0] == plain && len(s.keys) > 0:", "case false:",
		"./base/cursor", "TestRefused",
	},
	{
		"a cursor has several forms", "base/cursor/cursor.go",
		"n <= 0 || n > 1 && b[n-1] == 0", "n <= 0",
		"./base/cursor", "TestRefused",
	},
	{
		"the first key is appended without a comparison", "base/cursor/keys.go",
		"Expect: parley.Empty, ", "",
		"./base/cursor", "TestLoadKeysRace",
	},
	{
		"memlog does not compare", "engine/memlog/append.go",
		"if !holds(w.Expect, p.newest) {", "if false {",
		"./engine/memlog", "TestContract",
	},
	{
		"a group stops in the order of its start", "internal/run/run.go",
		"r := all[i]", "r := all[len(all)-1-i]",
		"./internal/run", "TestStopsInReverseOrder",
	},
	{
		"disklog: a flush of the log does nothing", "engine/disklog/writer.go",
		"err := f.f.Sync()", "err := error(nil)",
		"./engine/disklog", "TestCrash",
	},
	{
		"disklog: an append is answered before its flush", "engine/disklog/core.go",
		"return ticket{on: g.fate.durable, sent: true}", "return ticket{on: g.fate.written, sent: true}",
		"./engine/disklog", "TestSlow",
	},
	{
		"disklog: the name of a log file is not flushed", "engine/disklog/prepare.go",
		"err = fsys.SyncDir(\"wal\")", "err = nil",
		"./engine/disklog", "TestCrash",
	},
	{
		"disklog: the names of segments are not flushed", "engine/disklog/layer.go",
		"return c.log.fs.SyncDir(\"seg\")", "return nil",
		"./engine/disklog", "TestCrash",
	},
	{
		"disklog: a segment is not flushed before the log is given up", "engine/disklog/layer.go",
		"err = w.f.Sync()", "err = nil",
		"./engine/disklog", "TestCrash",
	},
	{
		"disklog: the CRC of a frame is not compared", "engine/disklog/format.go",
		"got != want {", "got != want && false {",
		"./engine/disklog", "TestFrameBits",
	},
	{
		"disklog: the heads of batches are not checked", "engine/disklog/segment.go",
		"if heads != m.heads {", "if false {",
		"./engine/disklog", "TestSegmentBits",
	},
	{
		"disklog: a frame's CRC does not depend on its file", "engine/disklog/format.go",
		"crc := crc32.Update(0, castagnoli, seed[:])", "crc := uint32(0)",
		"./engine/disklog", "TestFrameBits",
	},
	{
		"disklog: a comparison is not made", "engine/disklog/core.go",
		"if !holds(w.Expect, p.newest) {", "if !holds(w.Expect, p.newest) && false {",
		"./engine/disklog", "TestEngine",
	},
	{
		"disklog: a torn group is taken", "engine/disklog/scan.go",
		"len(bad) == 0 {", "len(bad) >= 0 {",
		"./engine/disklog", "TestScan",
	},
	{
		"disklog: what a failed flush left in doubt is not written again", "engine/disklog/recover.go",
		"if err == nil && len(b) > 0 {", "if false {",
		"./engine/disklog", "TestFailedSync",
	},
	{
		"disklog: damage is taken for a torn end", "engine/disklog/scan.go",
		"if c.synced.after(at) {", "if false {",
		"./engine/disklog", "TestBitFlips",
	},
}
