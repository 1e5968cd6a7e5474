package graph_test

import (
	"os"
	"path/filepath"
	"testing"
)

// Every stage has a file with the tests of a pipe, in the form that users write.
func TestStages(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			try(t, string(text))
		})
	}
}
