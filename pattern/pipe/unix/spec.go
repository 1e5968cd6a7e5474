package unix

import (
	"strings"

	"github.com/parleyhq/parley/pattern/pipe/lang"
)

// Option is an option of a stage, as GNU has it.
type Option struct {
	Short string // one letter, "" = none
	Long  string
	Arg   string // what its argument is; "" = it has none
	Help  string
}

// Kind is a stage that can be written.
type Kind struct {
	Name     string
	Operands string // as a synopsis
	Summary  string
	Holds    string // what it keeps in memory
	Options  []Option
	build    func(s *step, a *arguments) error
}

// KindNames gives the names of all stages.
func KindNames() []string {
	var names []string
	for _, k := range Kinds() {
		names = append(names, k.Name)
	}
	return names
}

func kindNamed(name string) (Kind, bool) {
	for _, k := range Kinds() {
		if k.Name == name {
			return k, true
		}
	}
	return Kind{}, false
}

// arguments are the options and operands of a stage, read as getopt_long does:
// options may follow operands, -- ends them, letters may be joined.
type arguments struct {
	text     string
	kind     Kind
	name     lang.Word
	given    []given
	operands []lang.Word
}

type given struct {
	option Option
	value  string
	word   lang.Word
}

// has says that an option was given.
func (a *arguments) has(name string) bool {
	_, ok := a.last(name)
	return ok
}

// last gives the last of an option.
func (a *arguments) last(name string) (given, bool) {
	for i := len(a.given) - 1; i >= 0; i-- {
		if o := a.given[i].option; o.Short == name || o.Long == name {
			return a.given[i], true
		}
	}
	return given{}, false
}

func (a *arguments) wrong(w lang.Word, fix, what string, args ...any) error {
	return lang.At(a.text, w, fix, what, args...)
}

// readArguments reads the words of a stage. With first it ends at the first
// operand, which begins another command.
func readArguments(text string, k Kind, s lang.Stage) (*arguments, error) {
	a := &arguments{text: text, kind: k, name: s.Name}
	words, err := expand(text, s.Args)
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(words); i++ {
		w := words[i]
		switch {
		case w.Text == "--":
			a.operands = append(a.operands, words[i+1:]...)
			return a, nil
		case len(w.Text) < 2 || w.Text[0] != '-':
			if k.Name == "exec" {
				a.operands = words[i:]
				return a, nil
			}
			a.operands = append(a.operands, w)
		case strings.HasPrefix(w.Text, "--"):
			i, err = a.long(words, i)
		default:
			i, err = a.short(words, i)
		}
		if err != nil {
			return nil, err
		}
	}
	return a, nil
}

func (a *arguments) long(words []lang.Word, i int) (int, error) {
	w := words[i]
	name, value, joined := strings.Cut(w.Text[2:], "=")
	var known []string
	for _, o := range a.kind.Options {
		known = append(known, "--"+o.Long)
		if o.Long != name {
			continue
		}
		if o.Arg == "" && joined {
			return i, a.wrong(w, "write it without =", "--%s has no argument", name)
		}
		if o.Arg != "" && !joined {
			if i++; i >= len(words) {
				return i, a.wrong(w, "write it like --"+name+"="+o.Arg, "the argument of --%s is missing", name)
			}
			value = words[i].Text
		}
		a.given = append(a.given, given{o, value, w})
		return i, nil
	}
	return i, a.unknown(w, "--"+name, known)
}

func (a *arguments) short(words []lang.Word, i int) (int, error) {
	w := words[i]
	letters := w.Text[1:]
	if (a.kind.Name == "head" || a.kind.Name == "tail") && strings.Trim(letters, "0123456789") == "" {
		a.given = append(a.given, given{Option{Short: "n", Arg: "NUMBER"}, letters, w}) // head -5
		return i, nil
	}
	for n := range len(letters) {
		o, ok := a.letter(letters[n : n+1])
		if !ok {
			var known []string
			for _, o := range a.kind.Options {
				if o.Short != "" {
					known = append(known, "-"+o.Short)
				}
			}
			return i, a.unknown(w, "-"+letters[n:n+1], known)
		}
		if o.Arg == "" {
			a.given = append(a.given, given{o, "", w})
			continue
		}
		value := letters[n+1:]
		if value == "" {
			if i++; i >= len(words) {
				return i, a.wrong(w, "write it like -"+o.Short+" "+o.Arg, "the argument of -%s is missing", o.Short)
			}
			value = words[i].Text
		}
		a.given = append(a.given, given{o, value, w})
		return i, nil
	}
	return i, nil
}

func (a *arguments) letter(l string) (Option, bool) {
	for _, o := range a.kind.Options {
		if o.Short == l {
			return o, true
		}
	}
	return Option{}, false
}

func (a *arguments) unknown(w lang.Word, option string, known []string) error {
	fix := "use one of " + strings.Join(known, " ") + ", or: exec " + a.kind.Name + " …"
	if len(known) == 0 {
		fix = "it has no options; or use: exec " + a.kind.Name + " …"
	}
	return lang.Wrong(&lang.Mistake{
		Text: a.text, Pos: w.Pos, End: w.Pos + len(w.Raw), Word: option, Known: known,
		What: a.kind.Name + " has no option " + option,
	}, fix)
}
