package unix

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// expression is what grep looks for. Bytes are what it knows: a byte from 0x80 on
// is matched as the character of that number, so a line that has one is written
// in UTF-8 first.
type expression struct {
	re      *regexp.Regexp
	lits    []string // one of these is in every line that matches; none = not known
	needles []needle // lits, ready to be looked for
	exact   bool     // and a line that has one matches
	fold    bool     // lits are in lower case, and so must be what they are looked for in
	wide    []byte   // a line as re wants it
	low     []byte
}

// compile reads the patterns of grep, of which one must match.
func compile(patterns []string, syntax byte, fold bool) (*expression, error) {
	alt := node{kind: nodeAlt}
	for _, p := range patterns {
		r := regex{text: p, extended: syntax == 'E', fold: fold}
		n := node{kind: nodeConcat}
		if syntax == 'F' {
			for i := range len(p) {
				n.subs = append(n.subs, r.byte(p[i]))
			}
		} else {
			var err error
			if n, err = r.parse(); err != nil {
				return nil, err
			}
		}
		alt.subs = append(alt.subs, n)
	}
	var b strings.Builder
	if err := write(&b, alt, nil, nil); err != nil {
		return nil, err
	}
	re, err := regexp.Compile(b.String())
	if err != nil {
		return nil, refuse("it is too large: %w", err)
	}
	re.Longest()
	x := &expression{re: re, fold: fold}
	x.lits, x.exact = literals(alt, fold)
	for _, l := range x.lits {
		x.needles = append(x.needles, newNeedle(l))
	}
	return x, nil
}

// write writes a node in the syntax of package regexp, in which it stands between
// two others.
func write(b *strings.Builder, n node, before, after *node) error {
	switch n.kind {
	case nodeEmpty:
		b.WriteString("(?:)")
	case nodeSet:
		writeSet(b, n.set)
	case nodeBol:
		b.WriteString(`(?:\A)`)
	case nodeEol:
		b.WriteString(`(?:\z)`)
	case nodeEdge:
		b.WriteString(`(?:\b)`)
	case nodeNoEdge:
		b.WriteString(`(?:\B)`)
	case nodeWordStart:
		if after == nil || !edge(*after, true) {
			return refuse(`\< is known only before a letter, digit or _`)
		}
		b.WriteString(`(?:\b)`)
	case nodeWordEnd:
		if before == nil || !edge(*before, false) {
			return refuse(`\> is known only behind a letter, digit or _`)
		}
		b.WriteString(`(?:\b)`)
	case nodeConcat:
		b.WriteString("(?:")
		for i := range n.subs {
			last, next := before, after
			if i > 0 {
				last = &n.subs[i-1]
			}
			if i+1 < len(n.subs) {
				next = &n.subs[i+1]
			}
			if err := write(b, n.subs[i], last, next); err != nil {
				return err
			}
		}
		b.WriteString(")")
	case nodeAlt:
		b.WriteString("(?:")
		for i := range n.subs {
			if i > 0 {
				b.WriteString("|")
			}
			if err := write(b, n.subs[i], before, after); err != nil {
				return err
			}
		}
		b.WriteString(")")
	case nodeRepeat:
		b.WriteString("(?:")
		if err := write(b, n.subs[0], nil, nil); err != nil {
			return err
		}
		b.WriteString(")")
		writeCount(b, n.min, n.max)
	}
	return nil
}

func writeCount(b *strings.Builder, least, most int) {
	switch {
	case most < 0 && least == 0:
		b.WriteString("*")
	case most < 0 && least == 1:
		b.WriteString("+")
	case most < 0:
		fmt.Fprintf(b, "{%d,}", least)
	default:
		fmt.Fprintf(b, "{%d,%d}", least, most)
	}
}

// edge says that a node begins (or ends) with a letter, digit or _ always.
func edge(n node, first bool) bool {
	switch n.kind {
	case nodeSet:
		for c := range 256 {
			if n.set.has(byte(c)) && !isWord(byte(c)) {
				return false
			}
		}
		return true
	case nodeConcat:
		if len(n.subs) == 0 {
			return false
		}
		if first {
			return edge(n.subs[0], first)
		}
		return edge(n.subs[len(n.subs)-1], first)
	case nodeAlt:
		for _, s := range n.subs {
			if !edge(s, first) {
				return false
			}
		}
		return true
	case nodeRepeat:
		return n.min > 0 && edge(n.subs[0], first)
	default:
		return false
	}
}

// writeSet writes a set without newlines, which are in no line.
func writeSet(b *strings.Builder, s byteSet) {
	s.remove('\n')
	if s == (byteSet{}) {
		b.WriteString(`[^\x{0}-\x{10FFFF}]`)
		return
	}
	b.WriteString("[")
	for c := 0; c < 256; c++ {
		if !s.has(byte(c)) {
			continue
		}
		to := c
		for to < 255 && s.has(byte(to+1)) {
			to++
		}
		fmt.Fprintf(b, `\x{%X}-\x{%X}`, c, to)
		c = to
	}
	b.WriteString("]")
}

// maxLiterals bounds how many texts are looked for at once.
const maxLiterals = 8

// literals gives texts of which one is in every match, and whether that is all
// that is asked for.
func literals(n node, fold bool) (lits []string, exact bool) {
	switch n.kind {
	case nodeSet:
		if c, ok := only(n, fold); ok {
			return []string{string([]byte{c})}, true
		}
	case nodeConcat:
		return concatLiterals(n, fold)
	case nodeAlt:
		exact = true
		for _, s := range n.subs {
			l, e := literals(s, fold)
			if len(l) == 0 || len(lits)+len(l) > maxLiterals {
				return nil, false
			}
			lits, exact = append(lits, l...), exact && e
		}
		return lits, exact
	case nodeRepeat:
		if n.min > 0 {
			lits, _ = literals(n.subs[0], fold)
			return lits, false
		}
	}
	return nil, false
}

// only gives the one byte that a set stands for; with fold, in lower case.
func only(n node, fold bool) (byte, bool) {
	if n.one >= 0 {
		return byte(n.one), true
	}
	if !fold {
		return 0, false
	}
	for c := byte('a'); c <= 'z'; c++ {
		var pair byteSet
		pair.add(c)
		pair.fold()
		if n.set == pair {
			return c, true
		}
	}
	return 0, false
}

// concatLiterals gives the longest text among runs of single bytes, or what the
// most telling part gives.
func concatLiterals(n node, fold bool) (best []string, exact bool) {
	var run []byte
	keep := func() {
		if len(run) > shortest(best) {
			best = []string{string(run)}
		}
		run = run[:0]
	}
	exact = len(n.subs) > 0
	for _, s := range n.subs {
		if s.kind == nodeSet {
			if c, ok := only(s, fold); ok {
				run = append(run, c)
				continue
			}
		}
		exact = false
		keep()
		if l, e := literals(s, fold); shortest(l) > shortest(best) {
			best = l
			if len(n.subs) == 1 {
				return l, e
			}
		}
	}
	keep()
	return best, exact
}

func shortest(lits []string) int {
	if len(lits) == 0 {
		return 0
	}
	n := len(lits[0])
	for _, l := range lits {
		n = min(n, len(l))
	}
	return n
}

// hint says whether grep itself would know what was refused.
func hint(err error) bool { return errors.Is(err, errHint) }
