package archtest

import (
	"go/ast"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// calls are forbidden by what they do to tests, to callers or to whoever only
// imports a package.
var calls = []struct {
	name  string
	where func(source) bool
	why   string
}{
	{"time.Sleep", everywhere, "wait for what you wait for: a channel, a context, a timer in a select; in tests synctest"},
	{"time.Tick", everywhere, "nobody can stop it"},
	{"context.Background", midway, "take the caller's context"},
	{"context.TO" + "DO", everywhere, "take the caller's context"},
	{"fmt.Print", library, "log with slog, or return it"},
	{"fmt.Printf", library, "log with slog, or return it"},
	{"fmt.Println", library, "log with slog, or return it"},
	{"panic", product, "return an error"},
	{"os.Exit", product, "only a command may end the process"},
	{"log.Fatal", everywhere, "only main may end the process, with an exit code that says why"},
}

func everywhere(source) bool { return true }

// library is product code that others import.
func library(s source) bool {
	return !s.test && !strings.HasPrefix(s.pkg, "cmd/") && !strings.HasPrefix(s.pkg, "examples")
}

// product is library without the test kits, which may stop a test as they like.
func product(s source) bool { return library(s) && !kit(s.pkg) }

// midway is code that is always called by somebody with a context; a server's
// shutdown begins when that one has ended.
func midway(s source) bool { return product(s) && s.pkg != "server" }

func TestForbiddenCalls(t *testing.T) {
	for _, s := range goFiles(t) {
		if s.generated {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if f, ok := n.(*ast.FuncDecl); ok && f.Name.Name == "init" && f.Recv == nil {
				t.Errorf("%s: func init: an import must change nothing; let the caller call", s.path)
			}
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			for _, c := range calls {
				if c.name == called(call) && c.where(s) && !excused(s.path, c.name) {
					t.Errorf("%s:%d: %s: %s", s.path, positions.Position(call.Pos()).Line, c.name, c.why)
				}
			}
			return true
		})
	}
}

func excused(file, call string) bool {
	return slices.ContainsFunc(excuses, func(e excuse) bool { return e.file == file && e.call == call })
}

// TestExcuses finds the excuses that nobody needs any more.
func TestExcuses(t *testing.T) {
	for _, e := range excuses {
		there, used := false, false
		for _, s := range goFiles(t) {
			if s.path != e.file {
				continue
			}
			there = true
			ast.Inspect(s.file, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				used = used || ok && called(call) == e.call
				return true
			})
		}
		switch {
		case !there:
			t.Logf("%s is gone: its excuse may go too", e.file)
		case !used:
			t.Errorf("%s calls %s no more: remove the excuse", e.file, e.call)
		}
	}
}

// called gives "f" or "pkg.F".
func called(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		if x, ok := f.X.(*ast.Ident); ok {
			return x.Name + "." + f.Sel.Name
		}
	}
	return ""
}

// words have no place in a file: they are written in two parts here, so that
// this file may be looked at too.
var words = []struct {
	find *regexp.Regexp
	why  string
}{
	{regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`), "finish it, or write it into the issue tracker"},
	{regexp.MustCompile(`(^|[\s"'=(\x60])/(wo` + `rk|ho` + `me|ro` + `ot|Us` + `ers)/[a-z]`), "a path of one machine"},
}

func TestWords(t *testing.T) {
	err := walk(func(p string, b []byte) error {
		if slices.Contains([]string{"package-lock.json"}, path.Base(p)) || strings.HasSuffix(p, ".pb.go") {
			return nil
		}
		for i, line := range strings.Split(string(b), "\n") {
			for _, w := range words {
				if found := w.find.FindString(line); found != "" {
					t.Errorf("%s:%d: %q: %s", p, i+1, strings.TrimSpace(found), w.why)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestNoSkips finds tests that may decide not to run. (Skipping an action of a
// property test is something else: it chooses another.)
func TestNoSkips(t *testing.T) {
	for _, s := range goFiles(t) {
		if s.test {
			ast.Walk(skips{t, s, map[string]bool{}}, s.file)
		}
	}
}

// skips walks a file and knows which names are tests where it stands.
type skips struct {
	t     *testing.T
	s     source
	tests map[string]bool
}

// Visit implements ast.Visitor.
func (v skips) Visit(n ast.Node) ast.Visitor {
	switch n := n.(type) {
	case *ast.FuncDecl:
		return v.within(n.Type)
	case *ast.FuncLit:
		return v.within(n.Type)
	case *ast.CallExpr:
		x, method, _ := strings.Cut(called(n), ".")
		if v.tests[x] && strings.HasPrefix(method, "Skip") {
			v.t.Errorf("%s:%d: a test that does not run proves nothing", v.s.path, positions.Position(n.Pos()).Line)
		}
	}
	return v
}

func (v skips) within(f *ast.FuncType) skips {
	inner := skips{v.t, v.s, maps.Clone(v.tests)}
	for _, param := range f.Params.List {
		kind := param.Type
		if star, ok := kind.(*ast.StarExpr); ok {
			kind = star.X
		}
		sel, ok := kind.(*ast.SelectorExpr)
		for _, name := range param.Names {
			inner.tests[name.Name] = ok && strings.HasPrefix(called(&ast.CallExpr{Fun: sel}), "testing.")
		}
	}
	return inner
}

// TestExportedComments wants a comment on what a package exports.
func TestExportedComments(t *testing.T) {
	for _, s := range goFiles(t) {
		if s.test || s.generated || s.file.Name.Name == "main" {
			continue
		}
		for _, decl := range s.file.Decls {
			for _, name := range uncommented(decl) {
				t.Errorf("%s: %s is exported and has no comment", s.path, name)
			}
		}
	}
}

func uncommented(decl ast.Decl) (names []string) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && d.Doc == nil && exportedReceiver(d) {
			names = append(names, d.Name.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				if spec.Name.IsExported() && d.Doc == nil && spec.Doc == nil && spec.Comment == nil {
					names = append(names, spec.Name.Name)
				}
			case *ast.ValueSpec:
				if spec.Names[0].IsExported() && d.Doc == nil && spec.Doc == nil && spec.Comment == nil {
					names = append(names, spec.Names[0].Name)
				}
			}
		}
	}
	return names
}

// exportedReceiver says that a function is none's method, or an exported type's.
func exportedReceiver(f *ast.FuncDecl) bool {
	if f.Recv == nil || len(f.Recv.List) == 0 {
		return true
	}
	base := f.Recv.List[0].Type
	for {
		switch x := base.(type) {
		case *ast.StarExpr:
			base = x.X
		case *ast.IndexExpr:
			base = x.X
		case *ast.IndexListExpr:
			base = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return false
		}
	}
}
