package topic

import (
	"hash/fnv"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/parleyhq/parley"
)

// The vectors of Kafka's own test of its hash.
func TestMurmur2(t *testing.T) {
	for key, want := range map[string]int32{
		"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536, "a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971, "abc": 479470107,
	} {
		if got := int32(murmur2(key)); got != want {
			t.Errorf("murmur2(%q) = %d, want %d", key, got, want)
		}
	}
}

func TestPartitionOf(t *testing.T) {
	e := parley.Event{ID: "1", Source: "/s"}
	e.Set(parley.PartitionKey, "foobar")
	if got, want := PartitionOf(&e, 7), int(uint32(0xffffffff&(-790332482&0x7fffffff))%7); got != want {
		t.Errorf("got %d, want %d", got, want)
	}
	if PartitionOf(&e, 1) != 0 {
		t.Error("one partition is partition 0")
	}
	counts := make([]int, 10)
	for i := range 10_000 {
		counts[PartitionOf(&parley.Event{ID: strconv.Itoa(i), Source: "/s"}, len(counts))]++
	}
	for p, n := range counts {
		if n < 800 || n > 1200 {
			t.Errorf("partition %d takes %d of 10000 events without a key", p, n)
		}
	}
	h := fnv.New64a()
	h.Write([]byte("/s\x001"))
	if sum := h.Sum64(); spread("/s", "1") != sum^sum>>32 {
		t.Errorf("spread = %#x, not FNV-1a folded", spread("/s", "1"))
	}
	if spread("a", "bc") == spread("ab", "c") {
		t.Error("source and id run into each other")
	}
}

func TestIDs(t *testing.T) {
	now := time.UnixMilli(0x017F22E279B0).Add(500 * time.Microsecond) // RFC 9562 §A.6
	id := NewID(now)
	if !regexp.MustCompile(`^017f22e2-79b0-7800-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(id) {
		t.Errorf("NewID = %s", id)
	}
	if NewID(now) == id {
		t.Error("two ids of one moment are equal")
	}
	if later := NewID(now.Add(time.Microsecond)); later <= id {
		t.Errorf("%s does not sort behind %s", later, id)
	}
	d := DerivedID("orders", "k", 0)
	if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(d) {
		t.Errorf("DerivedID = %s", d)
	}
	for _, other := range []string{DerivedID("orders", "k", 1), DerivedID("orders", "l", 0), DerivedID("order", "sk", 0)} {
		if other == d {
			t.Error("two derived ids are equal")
		}
	}
	if DerivedID("orders", "k", 0) != d {
		t.Error("a derived id is not the same again")
	}
}
