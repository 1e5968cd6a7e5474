package natslog

import (
	"fmt"
	"strings"

	"github.com/parleyhq/parley"
)

// Subjects of a home, after PREFIX.HOME.: what they hold.
const (
	kindEvents = "e" // e.NAMESPACE.NAME: the batches of a stream
	kindMark   = "m" // m.NAMESPACE.NAME: how far the stream was trimmed, and its life
	kindTally  = "x" // x.NAMESPACE.NAME: how much is in the stream, as some node has counted
	kindGuard  = "g" // comparisons that found no other message to ride on
)

// plain says which bytes stand for themselves in a token. A subject cannot hold
// dots, wildcards and white space; everything that is not plain ASCII is written
// out too, so that tools can show it.
func plain(c byte) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		return true
	}
	return strings.IndexByte("-_/$~@:+,=!", c) >= 0
}

// token makes one token of a subject of any name; "" becomes %.
func token(name string) string {
	if name == "" {
		return "%"
	}
	clean := true
	for i := range len(name) {
		clean = clean && plain(name[i])
	}
	if clean {
		return name
	}
	var b strings.Builder
	for i := range len(name) {
		if c := name[i]; plain(c) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// untoken reads what token wrote, and nothing else.
func untoken(t string) (string, bool) {
	if t == "%" {
		return "", true
	}
	b := make([]byte, 0, len(t))
	for i := 0; i < len(t); i++ {
		c := t[i]
		switch {
		case plain(c):
			b = append(b, c)
			continue
		case c != '%' || i+2 >= len(t):
			return "", false
		}
		high, low := unhex(t[i+1]), unhex(t[i+2])
		if high < 0 || low < 0 || plain(byte(high<<4|low)) {
			return "", false
		}
		b = append(b, byte(high<<4|low))
		i += 2
	}
	return string(b), len(b) > 0
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// parseSubject reads the part of a subject after PREFIX.HOME. .
func parseSubject(rest string) (kind string, s parley.Stream, ok bool) {
	kind, rest, _ = strings.Cut(rest, ".")
	if kind == kindGuard {
		return kind, s, rest == ""
	}
	if kind != kindEvents && kind != kindMark {
		return "", s, false
	}
	ns, name, two := strings.Cut(rest, ".")
	if !two {
		return "", s, false
	}
	var okNS, okName bool
	s.Namespace, okNS = untoken(ns)
	s.Name, okName = untoken(name)
	return kind, s, okNS && okName && s.Name != ""
}

// A position is a sequence of JetStream and the place within its batch.
const indexBits = 16

func baseOf(seq uint64) parley.Position { return parley.Position(seq << indexBits) }

func seqOf(p parley.Position) uint64 { return uint64(p) >> indexBits }

func indexOf(p parley.Position) int { return int(p & (1<<indexBits - 1)) }

// Tokens gives a stream's two tokens in a subject: the namespace's and the name's.
// Each decodes to nothing but what it was made of.
func Tokens(s parley.Stream) string { return token(s.Namespace) + "." + token(s.Name) }
