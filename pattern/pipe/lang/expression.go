package lang

import (
	"fmt"
	"strings"
)

// expression reads the rest of a stage as one word: up to a | outside of brackets
// and strings that is not doubled.
func (p *parser) expression() (w Word, there bool, err error) {
	p.blanks()
	from := p.at
	if p.at < len(p.text) && (p.text[p.at] == '\'' || p.text[p.at] == '"') {
		w, err := p.word() // quotes around all of it, if nothing follows
		if err != nil {
			return Word{}, false, err
		}
		if p.blanks(); p.at >= len(p.text) || p.text[p.at] == '|' && !strings.HasPrefix(p.text[p.at:], "||") {
			return w, true, nil
		}
		p.at = from
	}
	var open []int // brackets that are not closed
	for p.at < len(p.text) {
		switch c := p.text[p.at]; c {
		case '"', '\'', '`':
			if err := p.skipString(c); err != nil {
				return Word{}, false, err
			}
			continue
		case '(', '[', '{':
			open = append(open, p.at)
		case ')', ']', '}':
			if n := len(open); n == 0 || closing[p.text[open[n-1]]] != c {
				return Word{}, false, p.wrong(p.at, p.at+1, "take it away, or open it before", fmt.Sprintf("nothing is open that this %c closes", c))
			}
			open = open[:len(open)-1]
		case '|':
			if len(open) == 0 && !strings.HasPrefix(p.text[p.at:], "||") {
				return p.rest(from)
			}
			if strings.HasPrefix(p.text[p.at:], "||") {
				p.at++
			}
		}
		p.at++
	}
	if n := len(open); n > 0 {
		at := open[n-1]
		return Word{}, false, p.wrong(at, at+1, fmt.Sprintf("close it with a %c", closing[p.text[at]]), fmt.Sprintf("this %c is never closed", p.text[at]))
	}
	return p.rest(from)
}

var closing = map[byte]byte{'(': ')', '[': ']', '{': '}'}

// rest makes the word of an expression from there to here.
func (p *parser) rest(from int) (Word, bool, error) {
	raw := strings.TrimRight(p.text[from:p.at], " \t\n")
	return Word{Text: raw, Raw: raw, Pos: from}, raw != "", nil
}

// skipString passes a string of the expression.
func (p *parser) skipString(quote byte) error {
	from := p.at
	for p.at++; p.at < len(p.text); p.at++ {
		switch {
		case p.text[p.at] == quote:
			p.at++
			return nil
		case p.text[p.at] == '\\' && quote != '`':
			p.at++
		}
	}
	return p.wrong(from, len(p.text), fmt.Sprintf("close it with another %c", quote), "a string in the expression is never closed")
}
