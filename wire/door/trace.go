package door

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
)

// Trace is the W3C trace context of a request (Trace Context §3.2).
type Trace struct {
	ID    [16]byte
	Span  [8]byte
	Flags byte
}

// TraceOf reads a traceparent header and begins a span below it; without a valid
// one it begins a new trace, as §4.3 asks. The ids are no secrets: they tell traces
// apart, and a request must not wait for the system's entropy.
func TraceOf(traceparent string) Trace {
	t, ok := parseTraceparent(traceparent)
	if !ok {
		t = Trace{Flags: 1}
		binary.NativeEndian.PutUint64(t.ID[:8], rand.Uint64())
		binary.NativeEndian.PutUint64(t.ID[8:], rand.Uint64()|1) // never all zero
	}
	binary.NativeEndian.PutUint64(t.Span[:], rand.Uint64()|1)
	return t
}

func parseTraceparent(s string) (t Trace, ok bool) {
	// 00-32 hex-16 hex-2 hex; later versions may append more after a dash
	if len(s) < 55 || s[2] != '-' || s[35] != '-' || s[52] != '-' || s[:2] == "ff" || s[:2] == "00" && len(s) != 55 || len(s) > 55 && s[55] != '-' {
		return t, false
	}
	var version, flags [1]byte
	for _, part := range []struct {
		dst  []byte
		text string
	}{{version[:], s[:2]}, {t.ID[:], s[3:35]}, {t.Span[:], s[36:52]}, {flags[:], s[53:55]}} {
		if !lowerHex(part.text) {
			return t, false
		}
		_, _ = hex.Decode(part.dst, []byte(part.text)) // checked
	}
	t.Flags = flags[0] & 1
	return t, t.ID != [16]byte{} && t.Span != [8]byte{}
}

func lowerHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// String gives the traceparent to send on.
func (t Trace) String() string {
	return "00-" + hex.EncodeToString(t.ID[:]) + "-" + hex.EncodeToString(t.Span[:]) + "-0" + string('0'+rune(t.Flags&1))
}
