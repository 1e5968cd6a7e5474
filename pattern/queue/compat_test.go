package queue

import (
	"slices"
	"strings"
	"testing"
)

// firstMoves and firstSnapshot are as the first version of the package wrote them:
// every later one reads them, and goes on from there.
var firstMoves = []string{
	"s{\"max_attempts\":3,\"visibility\":\"30s\",\"retry\":{\"kind\":\"exponential\",\"delay\":\"1s\",\"max\":\"15m0s\",\"jitter\":0.2},\"concurrency\":0,\"rate\":\"5/s\",\"dead_letter\":\"\"}",
	"i\x17\x00\x02\x01\x01\x14\x01\x00\x01\x80\x89z\x01k\x01u\x01\x00\x01\x00\x00\x01u",
	"a\x01\x01w",
	"a\x02\x01w",
	"a\x03\x01w",
	"b\x01\x00\x01c",
	"x\x02\x03bad\x03bad",
	"c\x05",
	"i\x18\x02\x17\a",
}

const firstSnapshot = "h\x9a\x01{\"max_attempts\":3,\"visibility\":\"30s\",\"retry\":{\"kind\":\"exponential\",\"delay\":\"1s\",\"max\":\"15m0s\",\"jitter\":0.2},\"concurrency\":0,\"rate\":\"5/s\",\"dead_letter\":\"\"}\x00\x18\x00\x17\x15\x00m\x01\x00r\x02\x04\x01\x01r\x02\x06\x01\x01r\x02\b\x01\re\x01\x01\x00\x02\x00\x01\x00\x01\x00\x00\x00\x00\x01\x01\x01w\xc0\x84=\xc0\x84=\x01ce\x02\x02\x00\x02\x03\x01\x00\x02\x00\x03bad\x01\xc0\x84=\x01\x01\x01w\xc0\x84=\xc0\x84=\x03bade\x03\x03\x00\x02\x02\x01\x00\x01\x00\x00\x00\x00\x01\x01\x01w\xc0\x84=\x00\x00e\a\x17\x00\x02\x00\x00\x00\x00e\x15\x15\x80\x89z\x00\x01\x00\x01k\x01\x01u\x00\x00\x00\x00d\x16\x15"

func TestFirstVersion(t *testing.T) {
	folded := newBench(t)
	for _, move := range firstMoves {
		if err := folded.Move([]byte(move)); err != nil {
			t.Fatal(err)
		}
	}
	restored := newMachine()
	if err := restored.Restore(slices.Values([][]byte{[]byte(firstSnapshot)})); err != nil {
		t.Fatal(err)
	}
	restored.promote(folded.now)
	// What was not remembered then, how job 5 ended, is all that differs.
	const since = "end 5 {0 0}\n"
	want := folded.dump()
	if got := restored.dump(); !strings.Contains(want, since) || got != strings.Replace(want, since, "", 1) {
		t.Fatalf("the snapshot gives\n%s\nthe moves give\n%s", got, want)
	}
	if !strings.Contains(want, "job 2 dead prio 2 due 0 attempts 1 place 2") || !strings.Contains(want, "groups [k] dups map[22:21]") {
		t.Fatalf("they give\n%s", want)
	}
	folded.same()
}
