package sharded

import (
	"fmt"
	"slices"
	"testing"

	"github.com/parleyhq/parley/base/journal"
)

// TestPartsOfASnapshotAreBounded has keys that are small, and ones that are larger
// than a part may be.
func TestPartsOfASnapshotAreBounded(t *testing.T) {
	for limit, keys := range map[string]int{
		"sliding-log 65536/1h": 3, "sliding-log 65533/1h": 2, "sliding-log 65532/1h": 2, "sliding-log 65531/1h": 2,
		"sliding-log 1000/1h": 200, "fixed-window 5/1h": 40_000, "0/1h": 2,
	} {
		tx := newTape()
		tx.make(t, move{Op: opLimit, Name: "l", Limit: limit})
		tx.make(t, move{Op: opLimit, Name: "other", Limit: "5/1h", Revision: 3})
		a, now := tx.book.limits["l"], since(tx.at)
		for i := range keys {
			a.rule.Take(a.cell(hashOf(fmt.Sprint(i)), now), now, int64(i%5+1))
		}
		s := tx.save()
		for _, p := range s.parts {
			if len(p) > journal.MaxPart {
				t.Errorf("%s: a part of %d bytes", limit, len(p))
			}
		}
		next, err := tx.replay(s, asItIs)
		if err != nil {
			t.Fatalf("%s: %v", limit, err)
		}
		if d := differs(tx.book, next); d != "" {
			t.Errorf("%s: %s", limit, d)
		}
	}
}

// TestAKeyThatIsCutOff has snapshots end, or another limit begin, within a key.
func TestAKeyThatIsCutOff(t *testing.T) {
	head := []byte(`l{"name":"l","limit":"gcra 5/1h"}`)
	key := append([]byte{'k'}, make([]byte, 24)...)
	for name, parts := range map[string][][]byte{
		"at the end": {head, key[:20]}, "by a limit": {head, key[:20], head}, "in the second": {head, append(key, 1)}, "without a limit": {key},
	} {
		if err := newBook().Restore(slices.Values(parts)); err == nil {
			t.Errorf("%s: restored", name)
		}
	}
	if err := newBook().Restore(slices.Values([][]byte{head, key[:20], append([]byte{'k'}, key[20:]...), head})); err != nil {
		t.Error("a key in two parts:", err)
	}
}
