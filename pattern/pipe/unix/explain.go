package unix

// Explained is what one stage does.
type Explained struct {
	Text  string `json:"text"`
	Does  string `json:"does"`
	Holds string `json:"holds"` // in memory
}

// Explain says what each stage does.
func (p *Plan) Explain() []Explained {
	var all []Explained
	for _, s := range p.steps {
		e := Explained{Text: s.stage.String(), Does: s.kind.Summary, Holds: s.kind.Holds}
		switch {
		case s.fused:
			e.Does += "; the sort before it does that while it sorts"
			e.Holds = "nothing"
		case s.sort != nil && s.sort.fused:
			e.Holds = "lines that differ, up to -S, more in temporary files"
		case s.follows:
			e.Does += ", and follows the file"
		case s.grep != nil && !s.grep.count && !s.grep.number:
			e.Does += ", on all processors, in order"
		}
		if s.first && s.reads == nil {
			e.Does += "; from standard input"
		}
		all = append(all, e)
	}
	return all
}

// Finding is something in a pipe that is probably not meant.
type Finding struct {
	Column int    `json:"column"` // from 1
	Stage  string `json:"stage"`
	What   string `json:"what"`
	Fix    string `json:"fix"`
}

// Lint looks for what is allowed, but probably not meant.
func (p *Plan) Lint() []Finding {
	var all []Finding
	for i, s := range p.steps {
		add := func(what, fix string) {
			all = append(all, Finding{s.stage.Name.Pos + 1, s.stage.String(), what, fix})
		}
		before := &step{}
		if i > 0 {
			before = p.steps[i-1]
		}
		switch {
		case s.uniq != nil && before.uniq != nil:
			add("its lines differ already", "take it away")
		case s.uniq != nil && before.sort == nil:
			add("only equal lines that follow each other become one", "put sort before it")
		case s.uniq != nil && before.sort.how.stable && !before.sort.how.whole():
			add("after a stable sort equal lines need not follow each other", "take -s away")
		case s.uniq != nil && before.sort.how.unique && !s.uniq.count:
			add("sort -u has made one of equal lines already", "take one of the two away")
		case s.sort != nil && before.sort != nil && !s.sort.how.stable:
			add("it undoes the order of the sort before it", "take one away, or make the later one -s")
		case s.kind.Name == "cat" && i > 0:
			add("it passes everything as it is", "take it away")
		case s.kind.Name == "tee" && len(s.stage.Args) == 0:
			add("it writes to no file", "name a file, or take it away")
		}
		if p.steps[0].follows && !s.first && neverEnds(s) {
			add("it waits for the end of its input, which never comes with tail -f", "take -f away, or put head before it")
		}
	}
	return all
}

// neverEnds says that a stage gives nothing before its input has ended.
func neverEnds(s *step) bool {
	return s.sort != nil || s.kind.Name == "wc" || s.kind.Name == "tail" || s.grep != nil && s.grep.count
}
