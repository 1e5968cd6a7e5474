package websocket

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestMaskInPieces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "p")
		key := [4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "key"))
		cut := rapid.IntRange(0, len(p)).Draw(t, "cut")
		want := slices.Clone(p)
		for i := range want {
			want[i] ^= key[i%4]
		}
		got := slices.Clone(p)
		Mask(got[cut:], Mask(got[:cut], key))
		if !bytes.Equal(got, want) {
			t.Fatalf("masked %x, want %x", got, want)
		}
	})
}

func TestHeaderRoundTrip(t *testing.T) {
	for _, n := range []uint64{0, 1, 125, 126, 127, 65535, 65536, 1<<63 - 1} {
		for _, op := range []Opcode{Continuation, Text, Binary, Close, Ping, Pong} {
			h := Header{Fin: true, Opcode: op, Masked: n%2 == 1, Length: n, Compressed: op == Text}
			if op.control() && n > maxControl {
				continue
			}
			if h.Masked {
				h.Key = testKey
			}
			b := h.AppendTo(nil)
			for i := range b {
				if _, size, err := ParseHeader(b[:i]); size != 0 || err != nil {
					t.Fatalf("%d of %d bytes: %d %v", i, len(b), size, err)
				}
			}
			got, size, err := ParseHeader(append(b, 'x'))
			if got != h || size != len(b) || err != nil {
				t.Errorf("%+v became %+v, %d of %d bytes, %v", h, got, size, len(b), err)
			}
		}
	}
}

// The range of a code is its verdict.
func TestReconnect(t *testing.T) {
	for code := CloseCode(3000); code < 5000; code++ {
		if got, want := Reconnect(code), code%1000 < 500; got != want {
			t.Errorf("%d: %v", code, got)
		}
	}
	yes := []CloseCode{
		CloseGoingAway, CloseNoStatus, CloseAbnormal, CloseInternal, CloseRestart, CloseTryLater, CloseBadGateway,
		CloseShutdown, CloseExpired, CloseSlow, CloseNoPong, CloseTooMany, 0, 2000, 5000,
	}
	no := []CloseCode{
		CloseNormal, CloseProtocol, CloseUnsupported, CloseInvalid, ClosePolicy, CloseTooBig, CloseExtension,
		CloseInvalidToken, CloseBadRequest, CloseStale, CloseForced, CloseConnectionLimit, CloseSubscriptionLimit, ClosePermission,
	}
	for _, code := range yes {
		if !Reconnect(code) {
			t.Errorf("%d should say: come back", code)
		}
	}
	for _, code := range no {
		if Reconnect(code) {
			t.Errorf("%d should say: stay away", code)
		}
	}
}

func TestCloseFrames(t *testing.T) {
	long := string(bytes.Repeat([]byte("é"), 100))
	for _, row := range []struct {
		code         CloseCode
		reason, want string
	}{
		{CloseNormal, "", "\x88\x02\x03\xE8"},
		{CloseShutdown, "bye", "\x88\x05\x0B\xB9bye"},
		{CloseNoStatus, "lost", "\x88\x00"},
		{CloseAbnormal, "", "\x88\x00"},
		{CloseNormal, "\xFF", "\x88\x02\x03\xE8"},
		{CloseNormal, long, "\x88\x7C\x03\xE8" + long[:122]}, // cut between characters
	} {
		if got := appendClose(nil, row.code, row.reason); string(got) != row.want {
			t.Errorf("%d %q: %q", row.code, row.reason, got)
		}
	}
}
