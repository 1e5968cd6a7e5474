package policy

import (
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"
)

func BenchmarkNote(b *testing.B) {
	for name, keys := range map[string]int{"one": 1, "all remembered": 100, "flood": 1_000_000} {
		b.Run(name, func(b *testing.B) {
			texts := make([]string, keys)
			for i := range texts {
				texts[i] = "203.0.113." + strconv.Itoa(i)
			}
			t := newTally(time.Time{})
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				t.note(texts[i%keys], Allowed)
			}
		})
	}
}

// TestTallyKeepsTheBusy has four busy keys among a flood of others that come once.
func TestTallyKeepsTheBusy(t *testing.T) {
	tally := newTally(time.Time{})
	const rounds = 20_000
	for i := range rounds {
		tally.note("other-"+strconv.Itoa(i), Allowed)
		tally.note("busy-"+strconv.Itoa(i%4), Rejected)
	}
	found := 0
	for _, n := range tally.named() {
		if strings.HasPrefix(n.key, "busy-") {
			found++
			if n.counts.Rejected < rounds/4*9/10 || n.counts.Allowed != 0 {
				t.Errorf("%s: %+v of %d", n.key, n.counts, rounds/4)
			}
		}
	}
	if found != 4 {
		t.Errorf("%d of 4 busy keys are remembered", found)
	}
	if got := tally.counts(); got != (Counts{Allowed: rounds, Rejected: rounds}) {
		t.Errorf("%+v", got)
	}
	if n := len(tally.named()); n != MaxTop {
		t.Errorf("%d keys are remembered", n)
	}
}

// TestTallyForgetsYesterday lets one set of keys be busy, and then another, which is
// not as busy as the first has been.
func TestTallyForgetsYesterday(t *testing.T) {
	tally := newTally(time.Time{})
	for i := range 1000 * MaxTop {
		tally.note("old-"+strconv.Itoa(i%MaxTop), Allowed)
	}
	for i := range 20 * fadeEvery * tallyParts {
		tally.note("new-"+strconv.Itoa(i%40), Allowed)
	}
	found := 0
	for _, n := range tally.named() {
		if strings.HasPrefix(n.key, "new-") {
			found++
		}
	}
	if found != 40 {
		t.Errorf("%d of 40 are remembered", found)
	}
}

func TestTallyIsBounded(t *testing.T) {
	tally := newTally(time.Time{})
	for i := range 10 * MaxTop {
		tally.note(strings.Repeat("x", MaxNamed)+strconv.Itoa(i), Rejected)
		tally.note(strings.Repeat("y", MaxNamed-5)+strconv.Itoa(10_000+i), Rejected)
	}
	bytes := 0
	for i := range tally.parts {
		for _, s := range tally.parts[i].seats {
			bytes += cap(s.key) + int(unsafe.Sizeof(s)) + 8
		}
	}
	if bytes > 150_000 {
		t.Errorf("%d bytes", bytes)
	}
	for _, n := range tally.named() {
		if n.key[0] == 'x' {
			t.Fatalf("a key of %d bytes is remembered", len(n.key))
		}
	}
	if got := tally.counts().Rejected; got != 20*MaxTop {
		t.Errorf("%d are counted", got)
	}
}
