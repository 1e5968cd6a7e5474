// Package regex bounds what a regular expression of package regexp costs: the program
// that it becomes when it is read, and the time that it may take when it is used.
//
// RE2 takes time in proportion to text × program, and one call of package regexp cannot
// be stopped. What is cheap however it goes is called as it is. What may be expensive
// reads its text through a reader that ends it when the time is over.
package regex

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"regexp/syntax"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/parleyhq/parley"
)

// Bounds.
const (
	MaxProgram = 2000        // instructions of one expression
	MaxTime    = time.Second // of the expensive matches of one Meter

	cheap  = 1 << 23 // text × program that no clock is needed for: some 0.3 s at worst
	sample = 32      // characters between two looks at the clock
)

// Regex is an expression with what a match costs. It is safe for concurrent use.
type Regex struct {
	re   *regexp.Regexp
	size int // instructions
}

// Compile reads an expression in the syntax of package regexp. The error says what is
// wrong with it in half a sentence, without what to do.
func Compile(text string) (*Regex, error) {
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, errors.New("it is no regular expression: " + strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	if tree.Op == syntax.OpLiteral && tree.Flags&syntax.FoldCase == 0 {
		re, err := regexp.Compile(text)
		return &Regex{re, 1}, err // text is only looked for
	}
	if estimate(tree) > 10*MaxProgram { // which would be made first, to be counted
		return nil, tooLarge()
	}
	program, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return nil, errors.New("it is no regular expression: " + err.Error())
	}
	if len(program.Inst) > MaxProgram {
		return nil, tooLarge()
	}
	re, err := regexp.Compile(text)
	return &Regex{re, len(program.Inst)}, err
}

func tooLarge() error {
	return fmt.Errorf("the regular expression is too large: its repetitions make more than %d steps of it", MaxProgram)
}

// estimate gives about the size of a program that was not made.
func estimate(re *syntax.Regexp) int {
	size := 1 + len(re.Sub)
	for _, sub := range re.Sub {
		if size += estimate(sub); size > 10*MaxProgram {
			return size
		}
	}
	switch re.Op {
	case syntax.OpRepeat:
		size *= max(re.Min, re.Max, 1)
	case syntax.OpLiteral:
		size += len(re.Rune)
	}
	return size
}

// Meter counts what matches cost together, of one event say. The zero Meter has spent
// nothing.
type Meter struct {
	spent int
	ends  time.Time
}

// Match says whether data matches. Errors: Timeout when the time of the meter is over,
// and the cause of the context.
func (r *Regex) Match(ctx context.Context, m *Meter, data []byte) (bool, error) {
	if m.pays(r.size, len(data)) {
		return r.re.Match(data), nil
	}
	return r.slowly(m, &runes{ctx: ctx, left: len(data), next: func(at int) (rune, int) { return utf8.DecodeRune(data[at:]) }})
}

// MatchString is Match for a string, where there is no context: time alone ends it.
func (r *Regex) MatchString(m *Meter, text string) (bool, error) {
	if m.pays(r.size, len(text)) {
		return r.re.MatchString(text), nil
	}
	return r.slowly(m, &runes{left: len(text), next: func(at int) (rune, int) { return utf8.DecodeRuneInString(text[at:]) }})
}

// pays says that a match is cheap enough to need no clock.
func (m *Meter) pays(size, text int) bool {
	m.spent = min(m.spent, cheap) + size*(text+1)
	return m.spent <= cheap
}

func (r *Regex) slowly(m *Meter, from *runes) (bool, error) {
	if m.ends.IsZero() {
		m.ends = time.Now().Add(MaxTime)
	}
	from.ends = m.ends
	yes := r.re.MatchReader(from)
	return yes && from.err == nil, from.err
}

// runes reads a text until its time is over.
type runes struct {
	ctx      context.Context //nolint:containedctx // of one match, whose reader this is
	ends     time.Time
	next     func(at int) (rune, int)
	at, left int
	n        int
	err      error
}

// ReadRune implements io.RuneReader.
func (r *runes) ReadRune() (rune, int, error) {
	if r.n%sample == 0 && r.err == nil {
		switch {
		case r.ctx != nil && r.ctx.Err() != nil:
			r.err = context.Cause(r.ctx)
		case time.Now().After(r.ends):
			r.err = &parley.Error{Code: parley.Timeout, Detail: "the regular expression takes more than " + MaxTime.String(), Fix: "make it simpler, with fewer and smaller repetitions, or the data smaller"}
		}
	}
	if r.err != nil || r.left == 0 {
		return 0, 0, io.EOF
	}
	c, size := r.next(r.at)
	r.n, r.at, r.left = r.n+1, r.at+size, r.left-size
	return c, size, nil
}
