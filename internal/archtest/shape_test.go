package archtest

import (
	"go/ast"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestTree holds the shape of the tree: known folders at the top, at most the
// ten patterns, no folder whose name says nothing.
func TestTree(t *testing.T) {
	for _, dir := range folders(t, ".") {
		if !slices.Contains(tops, dir) {
			t.Errorf("folder %s at the top is not part of the layout", dir)
		}
	}
	for _, dir := range folders(t, "pattern") {
		if !slices.Contains(patterns, dir) {
			t.Errorf("pattern/%s is none of the ten", dir)
		}
	}
	seen := map[string]bool{}
	for _, s := range goFiles(t) {
		if name := path.Base(s.pkg); slices.Contains(emptyNames, name) && !seen[s.pkg] {
			seen[s.pkg] = true
			t.Errorf("package %s: name it by what it is about", s.pkg)
		}
	}
}

// folders lists the folders in one that hold something; a missing one is empty.
func folders(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join("..", "..", dir))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		inside, err := os.ReadDir(filepath.Join("..", "..", dir, e.Name()))
		built := slices.Contains([]string{"bin", "dist", "parley-data", "node_modules"}, e.Name())
		if e.IsDir() && e.Name()[0] != '.' && err == nil && len(inside) > 0 && !built {
			names = append(names, e.Name())
		}
	}
	return names
}

// TestPackageComments wants each package to say what it is for.
func TestPackageComments(t *testing.T) {
	documented := map[string]bool{}
	for _, s := range goFiles(t) {
		if !s.test && !s.generated {
			documented[s.pkg] = documented[s.pkg] || s.file.Doc.Text() != ""
		}
	}
	for pkg, ok := range documented {
		if !ok {
			t.Errorf("package %s has no package comment: write doc.go", pkg)
		}
	}
}

// TestSizes reports what grows too large, and fails for what did.
func TestSizes(t *testing.T) {
	for _, s := range goFiles(t) {
		if s.generated {
			continue
		}
		judge(t, s.path, "file", "lines", s.lines, fileLines, fileLinesMax)
		for _, decl := range s.file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && !s.test {
				lines := positions.Position(f.End()).Line - positions.Position(f.Pos()).Line + 1
				judge(t, s.path, "func "+f.Name.Name, "lines", lines, funcLines, funcLinesMax)
			}
		}
		if !s.test {
			judgeTypes(t, s)
		}
	}
}

func judgeTypes(t *testing.T, s source) {
	t.Helper()
	ast.Inspect(s.file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		switch kind := spec.Type.(type) {
		case *ast.InterfaceType:
			judge(t, s.path, "interface "+spec.Name.Name, "methods", kind.Methods.NumFields(), interfaceMethods, interfaceMethods)
		case *ast.StructType:
			judge(t, s.path, "struct "+spec.Name.Name, "fields", kind.Fields.NumFields(), structFields, structFields)
		}
		return true
	})
}

func judge(t *testing.T, where, what, unit string, size, aim, limit int) {
	t.Helper()
	switch {
	case size > limit:
		t.Errorf("%s: %s has %d %s; the limit is %d", where, what, size, unit, limit)
	case size > aim:
		t.Logf("%s: %s has %d %s; the aim is %d", where, what, size, unit, aim)
	}
}

// TestFileNames keeps the names of files in one manner.
func TestFileNames(t *testing.T) {
	for _, s := range goFiles(t) {
		if name := path.Base(s.path); name != strings.ToLower(name) || strings.Contains(name, "-") {
			t.Errorf("%s: file names are lower case, with underscores", s.path)
		}
	}
}
