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
}
