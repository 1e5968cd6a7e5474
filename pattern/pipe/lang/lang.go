package lang

import (
	"fmt"
	"strings"

	"github.com/parleyhq/parley"
)

// MaxBytes bounds the text of a pipe.
const MaxBytes = 64 << 10

// Word is a word as it is meant, and where it stands.
type Word struct {
	Text string // without quotes and escapes
	Raw  string // as it was written
	Glob string // as a pattern of path.Match; "" when nothing in it is a pattern
	Pos  int    // of its first byte, from 0
}

// Stage is a name and its arguments.
type Stage struct {
	Name Word
	Args []Word
}

// Pipe is stages in their order, at least one.
type Pipe struct {
	Text   string // what was parsed
	Stages []Stage
}

// Mistake is what is wrong with a text, and where. It is the cause of the
// *parley.Error that Parse and those who read its stages return.
type Mistake struct {
	Text  string   // all of it
	Pos   int      // first byte, from 0
	End   int      // behind the last byte; Pos when something is missing there
	Word  string   // the word that is not known, if that is the matter
	Known []string // what may stand in its place
	What  string
}

// Error implements error.
func (m *Mistake) Error() string { return m.What }

// Wrong makes the error of a mistake; its field says where, from 1.
func Wrong(m *Mistake, fix string) error {
	return &parley.Error{Code: parley.Invalid, Field: fmt.Sprintf("pipe, column %d", m.Pos+1), Detail: m.What, Fix: fix, Err: m}
}

// At makes an error about a word.
func At(text string, w Word, fix, what string, args ...any) error {
	return Wrong(&Mistake{Text: text, Pos: w.Pos, End: w.Pos + len(w.Raw), What: fmt.Sprintf(what, args...)}, fix)
}

// Parse reads a pipe. An error is a *parley.Error whose cause is a *Mistake.
func Parse(text string) (Pipe, error) { return ParseWith(text, nil) }

// ParseWith is Parse for a language some of whose stages take the rest of their
// text as it is: see Expressions in the documentation of the package. whole names
// them.
func ParseWith(text string, whole func(stage string) bool) (Pipe, error) {
	p := parser{text: text, whole: whole}
	if len(text) > MaxBytes {
		return Pipe{}, p.wrong(MaxBytes, len(text), fmt.Sprintf("split it: a pipe has at most %d bytes", MaxBytes), "the text goes on for too long")
	}
	if i := strings.IndexByte(text, 0); i >= 0 {
		return Pipe{}, p.wrong(i, i+1, "take it away", "a NUL byte cannot be part of a word")
	}
	for {
		s, err := p.stage()
		if err != nil {
			return Pipe{}, err
		}
		p.stages = append(p.stages, s)
		if p.at >= len(text) {
			return Pipe{text, p.stages}, nil
		}
		p.at++ // the |
	}
}

type parser struct {
	text   string
	at     int
	stages []Stage
	whole  func(stage string) bool
}

func (p *parser) wrong(from, to int, fix, what string) error {
	return Wrong(&Mistake{Text: p.text, Pos: from, End: to, What: what}, fix)
}

// stage reads words up to a | or the end.
func (p *parser) stage() (Stage, error) {
	var words []Word
	for {
		p.blanks()
		if p.at >= len(p.text) || p.text[p.at] == '|' {
			break
		}
		w, err := p.word()
		if err != nil {
			return Stage{}, err
		}
		words = append(words, w)
		if p.whole != nil && len(words) == 1 && p.whole(w.Text) {
			w, there, err := p.expression()
			if err != nil {
				return Stage{}, err
			}
			if there {
				words = append(words, w)
			}
			break
		}
	}
	if len(words) > 0 {
		return Stage{words[0], words[1:]}, nil
	}
	switch {
	case strings.HasPrefix(p.text[p.at:], "|") && p.at > 0 && p.text[p.at-1] == '|':
		return Stage{}, p.wrong(p.at-1, p.at+1, "write one | between two stages", "|| is not part of a pipe")
	case len(p.stages) == 0 && p.at >= len(p.text):
		return Stage{}, p.wrong(p.at, p.at, "write stages with | between them, as in: cat file.txt | grep error", "there is no stage")
	case len(p.stages) == 0:
		return Stage{}, p.wrong(p.at, p.at+1, "begin with a stage, as in: cat file.txt | …", "nothing stands before the |")
	}
	return Stage{}, p.wrong(p.at, p.at, "name a stage behind the |, or take it away", "nothing stands behind the |")
}

func (p *parser) blanks() {
	for p.at < len(p.text) {
		switch {
		case strings.IndexByte(" \t\n", p.text[p.at]) >= 0:
			p.at++
		case strings.HasPrefix(p.text[p.at:], "\\\n"):
			p.at += 2
		default:
			return
		}
	}
}

// instead says what to write for what a shell would act on.
var instead = map[byte]string{
	'>': "end the pipe with: tee FILE",
	'<': "begin the pipe with: cat FILE",
	'&': "quote it, as in '&'; a pipe runs in the foreground",
	';': "quote it, as in ';'; one text is one pipe",
	'(': "quote it, as in '('",
	')': "quote it, as in ')'",
	'`': "quote it with single quotes; commands are not replaced by their output",
}

type building struct {
	text, glob strings.Builder
	pattern    bool
}

// add adds a byte that stands for itself.
func (b *building) add(c byte) {
	b.text.WriteByte(c)
	if strings.IndexByte(`*?[\`, c) >= 0 {
		b.glob.WriteByte('\\')
	}
	b.glob.WriteByte(c)
}

func (p *parser) word() (Word, error) {
	var b building
	from := p.at
	for p.at < len(p.text) && strings.IndexByte(" \t\n|", p.text[p.at]) < 0 {
		if err := p.part(&b, from); err != nil {
			return Word{}, err
		}
	}
	w := Word{Text: b.text.String(), Raw: p.text[from:p.at], Pos: from}
	if b.pattern {
		w.Glob = b.glob.String()
	}
	return w, nil
}

// part reads one character, escape or quotation of a word that began at from.
func (p *parser) part(b *building, from int) error {
	c := p.text[p.at]
	switch c {
	case '\'':
		n := strings.IndexByte(p.text[p.at+1:], '\'')
		if n < 0 {
			return p.wrong(p.at, len(p.text), "close it with another '", "a single quote is never closed")
		}
		for i := range n {
			b.add(p.text[p.at+1+i])
		}
		p.at += n + 2
		return nil
	case '"':
		return p.double(b)
	case '\\':
		if p.at+1 >= len(p.text) {
			return p.wrong(p.at, p.at+1, `write \\ for a backslash`, "a backslash has nothing behind it")
		}
		if p.text[p.at+1] != '\n' {
			b.add(p.text[p.at+1])
		}
		p.at += 2
		return nil
	case '$':
		if err := p.dollar(); err != nil {
			return err
		}
	case '#', '~':
		if p.at == from {
			return p.wrong(p.at, p.at+1, `put a \ before it, or write the whole path`, fmt.Sprintf("an unquoted %c at the start of a word means something else to a shell", c))
		}
	case '*', '?', '[':
		b.pattern = true
		b.text.WriteByte(c)
		b.glob.WriteByte(c)
		p.at++
		return nil
	}
	if fix, ok := instead[c]; ok {
		return p.wrong(p.at, p.at+1, fix, fmt.Sprintf("an unquoted %c is not part of a pipe", c))
	}
	b.add(c)
	p.at++
	return nil
}

// double reads a quotation in double quotes.
func (p *parser) double(b *building) error {
	from := p.at
	for p.at++; p.at < len(p.text); p.at++ {
		switch c := p.text[p.at]; c {
		case '"':
			p.at++
			return nil
		case '\\':
			if p.at+1 < len(p.text) && strings.IndexByte("\"\\$`\n", p.text[p.at+1]) >= 0 {
				p.at++
				if p.text[p.at] != '\n' {
					b.add(p.text[p.at])
				}
				continue
			}
			b.add(c)
		case '$':
			if err := p.dollar(); err != nil {
				return err
			}
			b.add(c)
		case '`':
			return p.wrong(p.at, p.at+1, instead['`'], "an unquoted ` is not part of a pipe")
		default:
			b.add(c)
		}
	}
	return p.wrong(from, len(p.text), `close it with another "`, "a double quote is never closed")
}

// dollar refuses what a shell would replace.
func (p *parser) dollar() error {
	if p.at+1 >= len(p.text) {
		return nil
	}
	c := p.text[p.at+1]
	letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9'
	if letter || strings.IndexByte("_{(@*#?$!-", c) >= 0 {
		return p.wrong(p.at, p.at+2, "use single quotes to keep a $ as it is", "nothing is put in the place of $"+string(c)+"…: there are no variables")
	}
	return nil
}

// String writes the pipe in the one form that has no needless quotes and blanks.
// Parsing it gives the same pipe.
func (p Pipe) String() string {
	var b strings.Builder
	for i, s := range p.Stages {
		if i > 0 {
			b.WriteString(" | ")
		}
		b.WriteString(s.String())
	}
	return b.String()
}

// String writes the stage as Pipe.String does.
func (s Stage) String() string {
	var b strings.Builder
	b.WriteString(s.Name.String())
	for _, w := range s.Args {
		b.WriteByte(' ')
		b.WriteString(w.String())
	}
	return b.String()
}

// String writes the word with the quotes that it needs. A pattern stays as it was
// written.
func (w Word) String() string {
	if w.Glob != "" {
		return w.Raw
	}
	return Quote(w.Text)
}

// Quote writes a text as one word.
func Quote(text string) string {
	plain := text != "" && strings.IndexFunc(text, func(r rune) bool {
		return strings.ContainsRune(" \t\n|'\"\\$#~*?[<>&;()`", r)
	}) < 0
	if plain {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
