package cursor_test

import (
	"cmp"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/cursor"
)

func testKey(id byte) cursor.Key {
	k := cursor.Key{ID: id}
	for i := range k.Secret {
		k.Secret[i] = id ^ byte(i*7)
	}
	return k
}

var genMarks = rapid.Custom(func(t *rapid.T) []cursor.Mark {
	numbers := rapid.SliceOfNDistinct(rapid.Uint64(), 0, cursor.MaxMarks, rapid.ID).Draw(t, "numbers")
	marks := make([]cursor.Mark, 0, len(numbers))
	for _, n := range numbers {
		marks = append(marks, cursor.Mark{Number: n, Epoch: rapid.Uint32().Draw(t, "epoch"), Next: parley.Position(rapid.Int64Min(0).Draw(t, "next"))})
	}
	return marks
})

func sealers() map[string]*cursor.Sealer {
	return map[string]*cursor.Sealer{"plain": {}, "signed": cursor.NewSealer(testKey(1)), "two keys": cursor.NewSealer(testKey(2), testKey(1))}
}

func TestRoundTrip(t *testing.T) {
	for name, s := range sealers() {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				namespace := rapid.StringN(0, 20, -1).Draw(t, "namespace")
				marks := genMarks.Draw(t, "marks")
				given := slices.Clone(marks)
				token := s.Seal(namespace, marks)
				if !slices.Equal(marks, given) {
					t.Fatal("Seal changed its argument")
				}
				got, err := s.Open(namespace, token)
				if err != nil {
					t.Fatal(err)
				}
				slices.SortFunc(marks, func(a, b cursor.Mark) int { return cmp.Compare(a.Number, b.Number) })
				if !slices.Equal(got, marks) {
					t.Fatalf("opened %v, sealed %v", got, marks)
				}
				if again := s.Seal(namespace, got); again != token {
					t.Fatalf("sealed again as %s, first as %s", again, token)
				}
			})
		})
	}
}

// A token that a later version must go on reading: written down once.
func TestGolden(t *testing.T) {
	marks := []cursor.Mark{{Number: 3, Epoch: 1, Next: 300}, {Number: 200, Epoch: 0, Next: 1}}
	plain := (&cursor.Sealer{}).Seal("", marks)
	if want := base64.RawURLEncoding.EncodeToString([]byte{1, 3, 1, 0xac, 2, 0xc5, 1, 0, 1}); plain != want {
		t.Errorf("plain token is %s, want %s", plain, want)
	}
	// The signature was computed by another program: HMAC-SHA-256 over
	// 02 6e 73 · 02 01 03 01 ac 02 c5 01 00 01.
	if got, want := cursor.NewSealer(testKey(1)).Seal("ns", marks), "AgEDAawCxQEAAfXSI8NfJ9PG"; got != want {
		t.Errorf("signed token is %s, want %s", got, want)
	}
}

func TestSize(t *testing.T) {
	s := cursor.NewSealer(testKey(255))
	largest := cursor.Mark{Number: 1<<14 - 1, Epoch: 1<<28 - 1, Next: 1<<42 - 1}
	if token := s.Seal("", []cursor.Mark{largest}); len(token) > 30 {
		t.Errorf("%s has %d characters, more than 30", token, len(token))
	}
}

// Every single bit counts: with any one flipped, the token is refused.
func TestTampering(t *testing.T) {
	s := cursor.NewSealer(testKey(1), testKey(2))
	rapid.Check(t, func(t *rapid.T) {
		token := s.Seal("", genMarks.Draw(t, "marks"))
		raw, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil {
			t.Fatal(err)
		}
		bit := rapid.IntRange(0, 8*len(raw)-1).Draw(t, "bit")
		raw[bit/8] ^= 1 << (bit % 8)
		if marks, err := s.Open("", base64.RawURLEncoding.EncodeToString(raw)); parley.CodeOf(err) != parley.BadCursor {
			t.Fatalf("with bit %d flipped: %v, %v", bit, marks, err)
		}
	})
}

func TestRefused(t *testing.T) {
	signed, plain := cursor.NewSealer(testKey(1)), &cursor.Sealer{}
	one := []cursor.Mark{{Number: 1, Next: 5}}
	raw := func(b ...byte) string { return base64.RawURLEncoding.EncodeToString(b) }
	many := make([]cursor.Mark, cursor.MaxMarks+1)
	for i := range many {
		many[i].Number = uint64(i)
	}
	for _, c := range []struct {
		name, token string
		by          *cursor.Sealer
		detail      string
	}{
		{"empty", "", plain, "is not a cursor"},
		{"not base64", "a b", plain, "is not a cursor"},
		{"padded", raw(1, 1, 0) + "=", plain, "is not a cursor"},
		{"a line break, which lenient decoders skip", raw(1, 1, 0, 5) + "\n", plain, "is not a cursor"},
		{"bits left over", "AQEABR", plain, "is not a cursor"},
		{"longer than any", strings.Repeat("A", 4000), plain, "longer than any"},
		{"of a later format", raw(3, 0, 0, 0), signed, "format 3"},
		{"plain where keys are", plain.Seal("", one), signed, "not signed"},
		{"signed where no keys are", signed.Seal("", one), plain, "no key here"},
		{"an unknown key", cursor.NewSealer(testKey(9)).Seal("", one), signed, "not known here"},
		{"another server's key of the same id", cursor.NewSealer(cursor.Key{ID: 1}).Seal("", one), signed, "signature"},
		{"another namespace", signed.Seal("other", one), signed, "signature"},
		{"too short for a signature", raw(2, 1, 0, 0), signed, "cut short"},
		{"half a mark", raw(1, 1, 0), plain, "cut short"},
		{"half a varint", raw(1, 1, 0, 0x85), plain, "cut short"},
		{"a varint with a needless byte", raw(1, 0x81, 0, 0, 5), plain, "badly written"},
		{"a varint of more than 64 bits", raw(1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 5), plain, "badly written"},
		{"a stream twice", raw(1, 1, 0, 5, 0, 0, 5), plain, "out of order"},
		{"a number beyond 64 bits", raw(1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0, 5, 1, 0, 5), plain, "out of order"},
		{"an epoch of more than 32 bits", raw(1, 1, 0x80, 0x80, 0x80, 0x80, 0x10, 5), plain, "out of range"},
		{"a negative position", raw(1, 1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1), plain, "out of range"},
		{"more than 64 streams", signed.Seal("", many), signed, "more than 64"},
	} {
		t.Run(c.name, func(t *testing.T) {
			marks, err := c.by.Open("", c.token)
			e, ok := err.(*parley.Error) // it must be ours
			if !ok || e.Code != parley.BadCursor || e.Field != "cursor" || e.Fix == "" || !strings.Contains(e.Detail, c.detail) {
				t.Errorf("gives %v, %v; want a BadCursor that says %q", marks, err, c.detail)
			}
		})
	}
}

// A key that no longer signs still opens, until it is taken away.
func TestRotation(t *testing.T) {
	one := []cursor.Mark{{Number: 1, Next: 5}}
	old := cursor.NewSealer(testKey(1)).Seal("", one)
	rotated := cursor.NewSealer(testKey(2), testKey(1))
	if _, err := rotated.Open("", old); err != nil {
		t.Errorf("the older key does not open any more: %v", err)
	}
	fresh := rotated.Seal("", one)
	if _, err := cursor.NewSealer(testKey(1)).Open("", fresh); parley.CodeOf(err) != parley.BadCursor {
		t.Errorf("the new token was signed with the old key: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	s, plain := cursor.NewSealer(testKey(1)), &cursor.Sealer{}
	f.Add(s.Seal("", []cursor.Mark{{Number: 1, Epoch: 2, Next: 3}, {Number: 400, Next: 1 << 40}}))
	f.Add(plain.Seal("", []cursor.Mark{{Number: 1, Epoch: 2, Next: 3}}))
	f.Add("AQ")
	f.Fuzz(func(t *testing.T, token string) {
		for _, s := range []*cursor.Sealer{s, plain} {
			marks, err := s.Open("", token)
			if err != nil {
				if parley.CodeOf(err) != parley.BadCursor {
					t.Errorf("error %v is no BadCursor", err)
				}
				continue
			}
			if again := s.Seal("", marks); again != token {
				t.Errorf("%q opens as %v, which is sealed as %q", token, marks, again)
			}
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	s := cursor.NewSealer(testKey(1))
	marks := []cursor.Mark{{Number: 7, Epoch: 1, Next: 123456}}
	var room [64]byte
	b.ReportAllocs()
	for b.Loop() {
		s.Append(room[:0], "", marks)
	}
}
