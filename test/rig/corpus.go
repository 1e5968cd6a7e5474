package rig

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// CorpusSize is how many events a corpus has.
const CorpusSize = 329

// A Corpus is a file of JSON documents, one a line, for a test of bytes.
type Corpus struct {
	Name string
	Path string
	Docs [][]byte
}

// Corpora gives documents that were made to be awkward, and, where it lies beside
// the repository, a collection of real webhook payloads.
func Corpora(t testing.TB) []Corpus {
	t.Helper()
	made := filepath.Join(t.TempDir(), "made.jsonl")
	if err := os.WriteFile(made, awkward(), 0o600); err != nil {
		t.Fatal(err)
	}
	paths := map[string]string{"made": made}
	found := filepath.Join(Root(t), "..", "shared", "data", "github-events.jsonl")
	if _, err := os.Stat(found); err == nil {
		paths["github"] = found
	}
	var all []Corpus
	for name, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		docs := bytes.Split(bytes.TrimSuffix(b, []byte("\n")), []byte("\n"))
		if len(docs) != CorpusSize {
			t.Fatalf("%s has %d lines, not %d", path, len(docs), CorpusSize)
		}
		all = append(all, Corpus{Name: name, Path: path, Docs: docs})
	}
	return all
}

// awkward makes documents whose bytes do not survive a parser and a printer.
func awkward() []byte {
	r := rand.New(rand.NewPCG(7, 329))
	values := []string{
		`1.0`, `1e400`, `-0`, `123456789012345678901234567890`, `"\u0041\u00e9"`, `"é"`, `"\ud83d\ude00 😀"`, `"\/"`,
		`"</script>&amp;"`, `"\u2028\u2029"`, "\"\u2028\u2029\"", `{"a":1,"a":2}`, `[ ]`, `{ "b" : null , "a" : [1 , 2] }`, `"data: x\n\nid: 7\n\n"`,
		`"` + strings.Repeat("long ", 3000) + `"`, `"\\\""`, `""`, `{"":{"":{"":[]}}}`,
	}
	var b bytes.Buffer
	for i := range CorpusSize {
		fmt.Fprintf(&b, `{"n":%d,"value":%s,"other":%s}`+"\n", i, values[i%len(values)], values[r.IntN(len(values))])
	}
	return b.Bytes()
}
