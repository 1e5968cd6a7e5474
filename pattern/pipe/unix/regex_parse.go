package unix

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// byteSet is a set of bytes.
type byteSet [4]uint64

func (s *byteSet) add(c byte)      { s[c>>6] |= 1 << (c & 63) }
func (s *byteSet) remove(c byte)   { s[c>>6] &^= 1 << (c & 63) }
func (s *byteSet) has(c byte) bool { return s[c>>6]&(1<<(c&63)) != 0 }

func (s *byteSet) addIf(in func(byte) bool) {
	for c := range 256 {
		if in(byte(c)) {
			s.add(byte(c))
		}
	}
}

// fold adds the other case of each letter.
func (s *byteSet) fold() {
	for c := byte('a'); c <= 'z'; c++ {
		if s.has(c) || s.has(c-'a'+'A') {
			s.add(c)
			s.add(c - 'a' + 'A')
		}
	}
}

func (s *byteSet) negate() {
	for i := range s {
		s[i] = ^s[i]
	}
}

// The classes of the C locale (POSIX XBD 7.3.1).
var classes = map[string]func(byte) bool{
	"alpha": isAlpha, "digit": isDigit, "upper": func(c byte) bool { return c >= 'A' && c <= 'Z' },
	"lower": func(c byte) bool { return c >= 'a' && c <= 'z' },
	"alnum": func(c byte) bool { return isAlpha(c) || isDigit(c) },
	"space": isSpace, "blank": func(c byte) bool { return c == ' ' || c == '\t' },
	"cntrl":  func(c byte) bool { return c < ' ' || c == 127 },
	"print":  isPrint,
	"graph":  func(c byte) bool { return isPrint(c) && c != ' ' },
	"punct":  func(c byte) bool { return isPrint(c) && c != ' ' && !isAlpha(c) && !isDigit(c) },
	"xdigit": func(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' && isAlpha(c) },
}

func isAlpha(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' && c < 128 }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }
func isPrint(c byte) bool { return c >= ' ' && c < 127 }
func isWord(c byte) bool  { return c == '_' || isAlpha(c) || isDigit(c) }

type nodeKind int

const (
	nodeEmpty nodeKind = iota
	nodeSet            // one byte of a set
	nodeBol            // the start of the line
	nodeEol
	nodeEdge   // of a word
	nodeNoEdge // not of a word
	nodeWordStart
	nodeWordEnd
	nodeConcat
	nodeAlt
	nodeRepeat
)

// node is a part of an expression.
type node struct {
	kind     nodeKind
	set      byteSet
	one      int // the only byte of the set, or −1
	subs     []node
	min, max int // of a repetition; max −1 = no end
}

// Bounds of an expression.
const (
	maxRepeat = 1000 // in {m,n}; POSIX asks for 255
	maxDepth  = 200  // of groups
)

// regex parses a POSIX regular expression, basic or extended, with the extensions
// of GNU grep: \w \W \s \S \b \B \< \>, and \+ \? \| in basic ones.
type regex struct {
	text     string
	at       int
	extended bool
	fold     bool
	depth    int
}

var errHint = errors.New("exec")

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{errHint}, args...)...)
}

func (r *regex) parse() (node, error) {
	n, err := r.alternatives()
	if err != nil {
		return n, err
	}
	if r.at < len(r.text) {
		return n, errors.New("a closing parenthesis has no opening one")
	}
	return n, nil
}

// next says whether the operator op (written with or without a backslash, as the
// syntax wants) comes next.
func (r *regex) next(op byte) bool {
	rest := r.text[r.at:]
	if r.extended {
		return len(rest) > 0 && rest[0] == op
	}
	return len(rest) > 1 && rest[0] == '\\' && rest[1] == op
}

func (r *regex) skip() {
	r.at++
	if !r.extended {
		r.at++
	}
}

func (r *regex) alternatives() (node, error) {
	if r.depth++; r.depth > maxDepth {
		return node{}, fmt.Errorf("groups are nested more than %d deep", maxDepth)
	}
	defer func() { r.depth-- }()
	alt := node{kind: nodeAlt}
	for {
		n, err := r.sequence()
		if err != nil {
			return n, err
		}
		alt.subs = append(alt.subs, n)
		if !r.next('|') {
			break
		}
		r.skip()
	}
	if len(alt.subs) == 1 {
		return alt.subs[0], nil
	}
	return alt, nil
}

func (r *regex) sequence() (node, error) {
	seq := node{kind: nodeConcat}
	for r.at < len(r.text) && !r.next('|') && !(r.next(')') && (r.depth > 1 || !r.extended)) {
		if r.next(')') {
			return seq, errors.New("a closing parenthesis has no opening one")
		}
		start := len(seq.subs) == 0 || !r.extended && len(seq.subs) == 1 && seq.subs[0].kind == nodeBol
		n, err := r.atom(start)
		if err != nil {
			return n, err
		}
		if r.extended || n.kind != nodeBol { // behind a basic ^ a * is a star
			if n, err = r.repeats(n); err != nil {
				return n, err
			}
		}
		seq.subs = append(seq.subs, n)
	}
	return seq, nil
}

func (r *regex) atom(start bool) (node, error) {
	c := r.text[r.at]
	if r.next('(') {
		r.skip()
		n, err := r.alternatives()
		if err != nil {
			return n, err
		}
		if !r.next(')') {
			return n, errors.New("a parenthesis is never closed")
		}
		r.skip()
		return n, nil
	}
	r.at++
	switch {
	case c == '\\':
		return r.escape()
	case c == '[':
		return r.bracket()
	case c == '.':
		n := node{kind: nodeSet, one: -1}
		n.set.negate()
		return n, nil
	case c == '^' && (r.extended || start && r.prior()):
		return node{kind: nodeBol}, nil
	case c == '$' && (r.extended || r.at == len(r.text) || r.next(')') || r.next('|')):
		return node{kind: nodeEol}, nil
	case c == '*' && start && r.extended, (c == '+' || c == '?') && start && r.extended:
		r.at--
		return node{kind: nodeEmpty}, nil // the repetition of nothing
	case c == '{' && start && r.extended:
		return node{}, refuse("an interval stands at the start, where it means nothing")
	}
	return r.byte(c), nil
}

// prior says that a ^ at hand stands where it is an anchor, not behind another.
func (r *regex) prior() bool { return r.at < 2 || r.text[r.at-2] != '^' }

func (r *regex) byte(c byte) node {
	n := node{kind: nodeSet, one: int(c)}
	n.set.add(c)
	if r.fold && isAlpha(c) {
		n.set.fold()
		n.one = -1
	}
	return n
}

func (r *regex) class(in func(byte) bool, negate bool) node {
	n := node{kind: nodeSet, one: -1}
	n.set.addIf(func(c byte) bool { return in(c) != negate })
	return n
}

// escape reads what follows a backslash and is no operator.
func (r *regex) escape() (node, error) {
	if r.at >= len(r.text) {
		return node{}, errors.New("a backslash has nothing behind it")
	}
	c := r.text[r.at]
	r.at++
	switch c {
	case 'w', 'W':
		return r.class(isWord, c == 'W'), nil
	case 's', 'S':
		return r.class(isSpace, c == 'S'), nil
	case 'b':
		return node{kind: nodeEdge}, nil
	case 'B':
		return node{kind: nodeNoEdge}, nil
	case '<':
		return node{kind: nodeWordStart}, nil
	case '>':
		return node{kind: nodeWordEnd}, nil
	case '`', '\'':
		return node{}, refuse(`\%c is not known here`, c)
	case '{', '+', '?':
		if !r.extended {
			return node{}, refuse(`\%c stands where there is nothing to repeat`, c)
		}
	}
	if c >= '1' && c <= '9' {
		return node{}, refuse(`\%c refers back to a group, which takes time without bound`, c)
	}
	return r.byte(c), nil
}

// repeats reads the operators behind an atom.
func (r *regex) repeats(n node) (node, error) {
	for r.at < len(r.text) {
		least, most := 0, -1
		switch {
		case r.text[r.at] == '*':
			r.at++
		case r.next('+'):
			r.skip()
			least = 1
		case r.next('?'):
			r.skip()
			most = 1
		case r.next('{'):
			from := r.at
			r.skip()
			var ok bool
			var err error
			if least, most, ok, err = r.interval(); err != nil {
				return n, err
			}
			if !ok && r.extended { // GNU: then it is no interval
				r.at = from + 1
				return node{kind: nodeConcat, subs: []node{n, r.byte('{')}}, nil
			}
			if !ok {
				return n, errors.New(`an interval is not written like \{2,5\}`)
			}
		default:
			return n, nil
		}
		if n.kind >= nodeBol && n.kind <= nodeWordEnd {
			return n, refuse("what matches no character is repeated")
		}
		n = node{kind: nodeRepeat, subs: []node{n}, min: least, max: most}
	}
	return n, nil
}

// interval reads "m}", "m,}", ",n}" or "m,n}".
func (r *regex) interval() (least, most int, ok bool, err error) {
	closing := "}"
	if !r.extended {
		closing = `\}`
	}
	inner, _, found := strings.Cut(r.text[r.at:], closing)
	from, to, comma := strings.Cut(inner, ",")
	if !found || from+to == "" && !comma || strings.Trim(from+to, "0123456789") != "" {
		return 0, 0, false, nil
	}
	r.at += len(inner) + len(closing)
	most = -1
	if from != "" {
		least, err = strconv.Atoi(from)
	}
	if err == nil && to != "" {
		most, err = strconv.Atoi(to)
	}
	if !comma {
		most = least
	}
	if err != nil || least > maxRepeat || most > maxRepeat {
		return 0, 0, false, refuse("an interval goes beyond %d", maxRepeat)
	}
	if most >= 0 && least > most {
		return 0, 0, false, errors.New("an interval ends before it begins")
	}
	return least, most, true, nil
}

// bracket reads a bracket expression (POSIX XBD 9.3.5) behind its [.
func (r *regex) bracket() (node, error) {
	n := node{kind: nodeSet, one: -1}
	negate := strings.HasPrefix(r.text[r.at:], "^")
	if negate {
		r.at++
	}
	for first := true; ; first = false {
		if r.at >= len(r.text) {
			return n, errors.New("a [ is never closed")
		}
		if r.text[r.at] == ']' && !first {
			r.at++
			break
		}
		if err := r.element(&n.set); err != nil {
			return n, err
		}
	}
	if r.fold {
		n.set.fold()
	}
	if negate {
		n.set.negate()
	}
	return n, nil
}

// element reads a class, a range or a byte of a bracket expression.
func (r *regex) element(set *byteSet) error {
	if rest := r.text[r.at:]; strings.HasPrefix(rest, "[:") {
		name, _, ok := strings.Cut(rest[2:], ":]")
		in := classes[name]
		if !ok || in == nil {
			return fmt.Errorf("[:%s:] is not a class", name)
		}
		r.at += len(name) + 4
		if r.fold && (name == "upper" || name == "lower") {
			in = isAlpha
		}
		set.addIf(in)
		return nil
	}
	from, err := r.collating()
	if err != nil {
		return err
	}
	to := from
	if rest := r.text[r.at:]; len(rest) > 1 && rest[0] == '-' && rest[1] != ']' {
		r.at++
		if to, err = r.collating(); err != nil {
			return err
		}
		if to < from {
			return errors.New("a range ends before it begins")
		}
	}
	set.addIf(func(c byte) bool { return c >= from && c <= to })
	return nil
}

// collating reads one byte, or [.x.] or [=x=].
func (r *regex) collating() (byte, error) {
	rest := r.text[r.at:]
	for _, mark := range []string{".", "="} {
		if strings.HasPrefix(rest, "["+mark) {
			if len(rest) < 5 || rest[3:5] != mark+"]" {
				return 0, refuse("[%s…%s] has room for one character in the C locale", mark, mark)
			}
			r.at += 5
			return rest[2], nil
		}
	}
	r.at++
	return rest[0], nil
}
