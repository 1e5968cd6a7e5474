package jq

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Bounds of a regular expression: instructions of its program, and of those × text in
// one search, which cannot be stopped: half a second at worst.
const (
	maxProgram = 2000
	maxSearch  = 1 << 24
)

// searcher is what test, match and those that are made of them search with. It keeps
// expressions, which are constants of the program in most.
type searcher struct{ known sync.Map } // [2]string -> *expression

type expression struct {
	re    *regexp.Regexp
	next  *regexp.Regexp // the first match behind the character that it begins with
	steps int
}

// search gives whether text matches with testing, and else all that is known of each
// match. A search for all of them is many, between which the clock is looked at.
func (s *searcher) search(v any, args []any) any {
	text, isText := v.(string)
	pattern, isPattern := args[0].(string)
	flags, isFlags := args[1].(string)
	if !isText || !isPattern || !isFlags && args[1] != nil {
		return errors.New("a search with a regular expression needs a text, and an expression and flags that are texts")
	}
	x, err := s.expression(pattern, flags)
	if err != nil {
		return err
	}
	if (len(text)+1)*x.steps > maxSearch {
		return fmt.Errorf("a regular expression of %d steps is too large for a text of %d bytes: make it simpler, or the text smaller", x.steps, len(text))
	}
	if args[2] == true {
		return x.re.MatchString(text)
	}
	return x.all(text, strings.Contains(flags, "g"))
}

func (s *searcher) expression(pattern, flags string) (*expression, error) {
	key := [2]string{pattern, flags}
	if x, ok := s.known.Load(key); ok {
		return x.(*expression), nil
	}
	if strings.Trim(flags, "gim") != "" {
		return nil, fmt.Errorf("the flags of a regular expression are g, i and m, not %q", flags)
	}
	if strings.Contains(flags, "i") {
		pattern = "(?i)" + pattern
	}
	if strings.Contains(flags, "m") {
		pattern = "(?s)" + pattern
	}
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, err
	}
	program, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return nil, err
	}
	if len(program.Inst) > maxProgram {
		return nil, fmt.Errorf("a regular expression is too large: its repetitions make more than %d steps of it", maxProgram)
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	next, err := regexp.Compile(`\A(?s:.)(?s:.*?)(` + pattern + `)`)
	if err != nil {
		return nil, err
	}
	x := &expression{re: re, next: next, steps: len(program.Inst)}
	if _, computed := s.known.Load(key); !computed && s.size() < 100 {
		s.known.Store(key, x)
	}
	return x, nil
}

// size counts what is kept.
func (s *searcher) size() (n int) {
	s.known.Range(func(any, any) bool { n++; return true })
	return n
}

// all gives the matches as jq shows them, places in characters.
func (x *expression) all(text string, all bool) any {
	found, ends := []any{}, time.Now().Add(MaxTime)
	c := counter{text: text}
	for at := 0; at <= len(text); {
		m := x.from(text, at)
		if m == nil {
			break
		}
		found = append(found, x.describe(&c, m))
		if !all {
			break
		}
		if at = m[1]; m[0] == m[1] {
			_, size := utf8.DecodeRuneInString(text[at:])
			at += max(size, 1)
		}
		if time.Now().After(ends) {
			return errors.New("a search with a regular expression takes more than " + MaxTime.String())
		}
	}
	return found
}

// from finds the first match from a place on; what is before it counts for ^ and \b.
func (x *expression) from(text string, at int) []int {
	if at == 0 {
		return x.re.FindStringSubmatchIndex(text)
	}
	_, size := utf8.DecodeLastRuneInString(text[:at])
	m := x.next.FindStringSubmatchIndex(text[at-size:])
	if m == nil {
		return nil
	}
	for i := range m {
		if m[i] >= 0 {
			m[i] += at - size
		}
	}
	return m[2:]
}

func (x *expression) describe(c *counter, m []int) any {
	whole := c.place(m[0], m[1])
	captures := make([]any, 0, len(m)/2-1)
	for i := 1; i < len(m)/2; i++ {
		group := c.place(m[2*i], m[2*i+1])
		group["name"] = nil
		if name := x.re.SubexpNames()[i]; name != "" {
			group["name"] = name
		}
		captures = append(captures, group)
	}
	whole["captures"] = captures
	return whole
}

// counter counts characters up to places, from the one before on if that is earlier.
type counter struct {
	text      string
	at, runes int
}

func (c *counter) count(at int) int {
	if at < c.at {
		return c.runes - utf8.RuneCountInString(c.text[at:c.at])
	}
	c.runes += utf8.RuneCountInString(c.text[c.at:at])
	c.at = at
	return c.runes
}

func (c *counter) place(from, to int) map[string]any {
	if from < 0 {
		return map[string]any{"offset": -1, "length": 0, "string": nil}
	}
	first := c.count(from)
	return map[string]any{"offset": first, "length": utf8.RuneCountInString(c.text[from:to]), "string": c.text[from:to]}
}
