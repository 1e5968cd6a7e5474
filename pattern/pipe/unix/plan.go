package unix

import (
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/parleyhq/parley/pattern/pipe"
	"github.com/parleyhq/parley/pattern/pipe/lang"
)

// step is a stage that was understood.
type step struct {
	stage lang.Stage
	kind  Kind
	first bool
	reads []string // files, "-" for standard input; nil = what comes before, or standard input

	needsLines bool // blocks must end where lines do
	givesLines bool // and do so behind it
	keepsLines bool // as they did before it
	linesEach  bool // each file's last line gets a newline
	last       verdict
	follows    bool

	source func(*running) pipe.Source[*block] // nil = the files
	put    func(*running, flow) flow

	grep  *grepper
	sort  *sorter
	uniq  *choice
	fused bool // done by the sort before it
	found atomic.Bool
}

// verdict says what the last stage has to say about how a pipe ended.
type verdict int

const (
	alwaysGood verdict = iota
	selects            // nothing was found when it selected nothing
)

// input takes the operands as files to read, at most so many.
func (s *step) input(a *arguments, most int) error {
	for i, w := range a.operands {
		if !s.first {
			return a.wrong(w, "take the file away, or begin the pipe with it", "%s would read %s and not what comes before it", a.kind.Name, w.Text)
		}
		if i >= most {
			return a.wrong(w, "write it like: cat FILE… | "+a.kind.Name, "%s takes one file", a.kind.Name)
		}
		s.reads = append(s.reads, w.Text)
	}
	return nil
}

// Plan is a pipe that was understood, ready to run any number of times, one at a
// time.
type Plan struct {
	pipe  lang.Pipe
	steps []*step
}

// Compile understands a pipe. Errors are *parley.Error with a *lang.Mistake in
// their chain. File name patterns are looked up now.
func Compile(text string) (*Plan, error) {
	parsed, err := lang.Parse(text)
	if err != nil {
		return nil, err
	}
	p := &Plan{pipe: parsed}
	for i, st := range parsed.Stages {
		kind, ok := kindNamed(st.Name.Text)
		if !ok {
			return nil, lang.Wrong(&lang.Mistake{
				Text: text, Pos: st.Name.Pos, End: st.Name.Pos + len(st.Name.Raw), Word: st.Name.Text, Known: KindNames(),
				What: strconv.Quote(st.Name.Text) + " is not a stage",
			}, "use one of "+strings.Join(KindNames(), ", ")+"; a program is run by: exec "+st.Name.Raw+" …")
		}
		a, err := readArguments(text, kind, st)
		if err != nil {
			return nil, err
		}
		s := &step{stage: st, kind: kind, first: i == 0}
		if err := kind.build(s, a); err != nil {
			return nil, err
		}
		if n := len(p.steps); n > 0 {
			fuse(p.steps[n-1], s)
		}
		p.steps = append(p.steps, s)
	}
	return p, nil
}

// fuse lets sort do the work of the uniq behind it, where equal lines are beside
// each other whatever the keys.
func fuse(before, s *step) {
	if before.sort == nil || s.uniq == nil || before.sort.how.stable || before.sort.how.unique {
		return
	}
	before.sort.fused, before.sort.choice = true, *s.uniq
	s.fused = true
}

// String gives the text of the pipe in its one form.
func (p *Plan) String() string { return p.pipe.String() }

// wantsLines says that nobody sees bytes of the input before their line is whole.
func (p *Plan) wantsLines() bool {
	for _, s := range p.steps {
		if s.needsLines || s.kind.Name != "cat" {
			return s.needsLines
		}
	}
	return false
}

// build makes the flow of a run.
func (p *Plan) build(r *running) flow {
	first := p.steps[0]
	var src pipe.Source[*block]
	if first.source != nil {
		src = first.source(r)
	} else {
		names := first.reads
		if names == nil {
			names = []string{"-"}
		}
		src = &files{r: r, names: names, linesEach: first.linesEach, lines: p.wantsLines()}
	}
	f := pipe.From(src).Named(first.stage.Name.Text)
	aligned := false
	for _, s := range p.steps {
		if s.fused {
			continue
		}
		if s.needsLines && !aligned {
			f = pipe.Apply(f, true, func() pipe.Stage[*block, *block] { return &aligner{most: r.line} }).Named("lines")
			aligned = true
		}
		f = s.put(r, f)
		if s.kind.Name != "cat" && s.source == nil {
			f = f.Named(s.kind.Name)
		}
		aligned = s.givesLines || s.keepsLines && aligned
	}
	return f
}
