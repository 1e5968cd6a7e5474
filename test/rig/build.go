package rig

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// BinaryVar names the environment variable with the path of a program that is
// built already.
const BinaryVar = "PARLEY_BINARY"

var scratch = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "parley-test") })

var binary = sync.OnceValues(func() (string, error) {
	if path := os.Getenv(BinaryVar); path != "" {
		return path, nil
	}
	return build("./cmd/parley")
})

// atEnd is what Main does in the end. Only what runs once, and before Main ends,
// adds to it.
var atEnd []func()

// Main runs the tests of a package, ends what was started for all of them, and
// removes what was built.
func Main(m *testing.M) {
	code := m.Run()
	for _, do := range atEnd {
		do()
	}
	if dir, err := scratch(); err == nil {
		_ = os.RemoveAll(dir) // the system cleans up after us
	}
	os.Exit(code)
}

// Binary gives the path of the program under test.
func Binary(t testing.TB) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Build builds a command of the repository and gives its path.
func Build(t testing.TB, pkg string) string {
	t.Helper()
	path, err := build(pkg)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func build(pkg string) (string, error) {
	root, err := findRoot()
	if err != nil {
		return "", err
	}
	dir, err := scratch()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, filepath.Base(pkg))
	cmd := exec.Command("go", "build", "-o", path, ".")
	cmd.Dir = filepath.Join(root, pkg) // it may be in a module of its own
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build %s: %w\n%s", pkg, err, out)
	}
	return path, nil
}

// Root gives the folder of the repository.
func Root(t testing.TB) string {
	t.Helper()
	root, err := findRoot()
	if err != nil {
		t.Fatal(err)
	}
	return root
}

var findRoot = sync.OnceValues(func() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && bytes.HasPrefix(mod, []byte("module github.com/parleyhq/parley\n")) {
			return dir, nil
		}
		if parent := filepath.Dir(dir); parent != dir {
			dir = parent
			continue
		}
		return "", errors.New("these tests run inside the repository, which is not above the working directory")
	}
})
