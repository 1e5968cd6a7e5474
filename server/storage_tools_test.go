package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parleyhq/parley"
)

// A look at a directory that holds no data leaves it as it is.
func TestNoData(t *testing.T) {
	empty := t.TempDir()
	file := filepath.Join(empty, "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{empty, filepath.Join(empty, "missing"), file} {
		_, list := ListData(dir)
		for what, err := range map[string]error{
			"list":   list,
			"verify": VerifyData(dir, func(f Finding) { t.Errorf("a finding: %+v", f) }),
			"dump":   DumpData(dir, "orders/1", &strings.Builder{}),
		} {
			if parley.CodeOf(err) != parley.NotFound {
				t.Errorf("%s of %s: %v", what, dir, err)
			}
		}
	}
	if entries, err := os.ReadDir(empty); err != nil || len(entries) != 1 {
		t.Errorf("the directory now holds %v (%v)", entries, err)
	}
}

// What is no snapshot makes no directory, and touches none that holds something.
func TestRestoreRefuses(t *testing.T) {
	top := t.TempDir()
	missing, full := filepath.Join(top, "missing"), filepath.Join(top, "full")
	if err := os.MkdirAll(filepath.Join(full, "wal"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := RestoreData(missing, strings.NewReader("not a snapshot")); parley.CodeOf(err) != parley.Damaged {
		t.Errorf("into a missing directory: %v", err)
	}
	if entries, err := os.ReadDir(missing); err != nil || len(entries) > 0 {
		t.Errorf("it left %v (%v)", entries, err)
	}
	if err := RestoreData(full, strings.NewReader("")); parley.CodeOf(err) != parley.Exists {
		t.Errorf("into a directory with something: %v", err)
	}
	if entries, err := os.ReadDir(full); err != nil || len(entries) != 1 {
		t.Errorf("it now holds %v (%v)", entries, err)
	}
}
