package natslog

import (
	"strings"
	"testing"

	"github.com/parleyhq/parley"
)

func TestToken(t *testing.T) {
	for name, want := range map[string]string{
		"":                           "%",
		"orders/0":                   "orders/0",
		"~typing":                    "~typing",
		"$queue.jobs.moves":          "$queue%2Ejobs%2Emoves",
		"a b*c>d":                    "a%20b%2Ac%3Ed",
		"100%":                       "100%25",
		"\x00\xff":                   "%00%FF",
		"é":                          "%C3%A9",
		strings.Repeat(".", 3) + "x": "%2E%2E%2Ex",
	} {
		if got := token(name); got != want {
			t.Errorf("%q becomes %q, want %q", name, got, want)
		}
		if back, ok := untoken(want); !ok || back != name {
			t.Errorf("%q reads as %q, %v", want, back, ok)
		}
	}
	for _, bad := range []string{"%2", "%2e", "%zz", "%41", "a.b", "a b", "%%", "*"} { // %41 is A, which stands for itself
		if name, ok := untoken(bad); ok {
			t.Errorf("%q reads as %q", bad, name)
		}
	}
}

func FuzzToken(f *testing.F) {
	for _, s := range []string{"", "a.b", "%", "%2E", "x y", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		tok := token(s)
		if strings.ContainsAny(tok, ". *>\t\r\n") || tok == "" {
			t.Errorf("%q becomes %q, which is no token", s, tok)
		}
		if back, ok := untoken(tok); !ok || back != s {
			t.Errorf("%q becomes %q and then %q", s, tok, back)
		}
		if name, ok := untoken(s); ok && token(name) != s {
			t.Errorf("%q reads as %q, which is written %q", s, name, token(name))
		}
	})
}

func TestSubjects(t *testing.T) {
	l := &Log{opt: Options{Prefix: "p"}}
	h := newHome(l, "0")
	s := parley.Stream{Namespace: "n.s", Name: "$a/1"}
	for subject, want := range map[string]string{
		h.events(s): "p.0.e.n%2Es.$a/1",
		h.mark(s):   "p.0.m.n%2Es.$a/1",
		h.guards():  "p.0.g",
	} {
		if subject != want {
			t.Errorf("%q, want %q", subject, want)
		}
	}
	kind, got, ok := parseSubject(strings.TrimPrefix(h.events(s), h.prefix))
	if kind != kindEvents || got != s || !ok {
		t.Errorf("%q, %v, %v", kind, got, ok)
	}
	for _, bad := range []string{"", "e", "e.x", "e.x.%", "e.%.a.b", "z.%.a", "g.x"} {
		if kind, got, ok := parseSubject(bad); ok {
			t.Errorf("%q reads as %q of %v", bad, kind, got)
		}
	}
}

func TestPositions(t *testing.T) {
	at := baseOf(7) + 65535
	if seqOf(at) != 7 || indexOf(at) != 65535 || at+1 != baseOf(8) {
		t.Errorf("%d is event %d of message %d", at, indexOf(at), seqOf(at))
	}
}
