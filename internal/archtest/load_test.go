package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/parleyhq/parley"

// source is one Go file of the module.
type source struct {
	path      string // below the module, with slashes
	pkg       string // its folder, "." for the root
	test      bool
	generated bool
	lines     int
	file      *ast.File
}

var load = sync.OnceValues(func() ([]source, error) {
	var sources []source
	set := token.NewFileSet()
	err := walk(func(p string, b []byte) error {
		if path.Ext(p) != ".go" || foreign(p) {
			return nil
		}
		file, err := parser.ParseFile(set, p, b, parser.ParseComments)
		if err != nil {
			return err
		}
		positions = set
		sources = append(sources, source{
			path: p, pkg: path.Dir(p), test: strings.HasSuffix(p, "_test.go"), generated: ast.IsGenerated(file),
			lines: strings.Count(string(b), "\n"), file: file,
		})
		return nil
	})
	return sources, err
})

var positions *token.FileSet

func goFiles(t *testing.T) []source {
	t.Helper()
	sources, err := load()
	if err != nil {
		t.Fatal(err)
	}
	if len(sources) < 10 {
		t.Fatalf("only %d Go files were found", len(sources))
	}
	return sources
}

// foreign says that a file belongs to another module, or to no build.
func foreign(p string) bool {
	first, _, _ := strings.Cut(p, "/")
	return first == "test" || first == "bench" || first == "sdk" || strings.HasPrefix(p, "examples/stream/sql/") || slices.Contains(strings.Split(p, "/"), "testdata")
}

// walk reads every file of the repository that people write.
func walk(visit func(p string, b []byte) error) error {
	top := filepath.Join("..", "..")
	return filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		if d.IsDir() {
			if name != top && (base[0] == '.' && base != ".github" || base == "node_modules" || base == "dist" || base == "bin" || base == "parley-data") {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() || !slices.Contains(written, filepath.Ext(base)) && base != "Makefile" {
			return nil
		}
		b, err := os.ReadFile(name)
		if err != nil {
			if os.IsNotExist(err) {
				return nil // an editor's file that came and went
			}
			return err
		}
		below, err := filepath.Rel(top, name)
		if err != nil {
			return err
		}
		return visit(filepath.ToSlash(below), b)
	})
}

var written = []string{".go", ".md", ".yaml", ".yml", ".proto", ".sh", ".ts", ".tsx", ".txt", ".txtar", ".mod"}

// matches says whether a path is one of the patterns.
func matches(patterns, p string) bool {
	for pattern := range strings.FieldsSeq(patterns) {
		prefix, below := strings.CutSuffix(pattern, "/...")
		parent, oneBelow := strings.CutSuffix(pattern, "/*")
		switch {
		case pattern == p, pattern == "./...":
			return true
		case below && (p == prefix || strings.HasPrefix(p, prefix+"/")):
			return true
		case oneBelow && path.Dir(p) == parent:
			return true
		}
	}
	return false
}

func ruleOf(pkg string) *rule {
	for i := range rules {
		if matches(rules[i].pkgs, pkg) {
			return &rules[i]
		}
	}
	return nil
}

func imports(s source) []string {
	var paths []string
	for _, spec := range s.file.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			paths = append(paths, p)
		}
	}
	return paths
}

// ourOwn gives the path below the module of an import of ours.
func ourOwn(imported string) (string, bool) {
	if imported == module {
		return ".", true
	}
	return strings.CutPrefix(imported, module+"/")
}

func standard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}
