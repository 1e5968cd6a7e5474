package server

import (
	"flag"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/config.md anew")

func TestDocIsCommitted(t *testing.T) {
	const name = "../docs/config.md"
	if *update {
		if err := os.WriteFile(name, []byte(Doc()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	committed, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if string(committed) != Doc() {
		t.Errorf("%s is not what `parley config doc` prints; go test ./server -update writes it anew", name)
	}
}

// As it is, the file changes nothing; with every setting taken out of its comment
// it is still a file that can be read.
func TestInit(t *testing.T) {
	l, err := load(t, Init(), nil, nil)
	if err != nil || !reflect.DeepEqual(l.Config, Default()) {
		t.Errorf("gives %+v, %q", l.Config, problems(t, err))
	}
	all := regexp.MustCompile(`(?m)^( *)#([a-z_]+: )`).ReplaceAllString(Init(), "$1$2")
	l, err = load(t, all, nil, nil)
	if err != nil {
		t.Fatalf("%q in\n%s", problems(t, err), all)
	}
	for _, f := range Fields() {
		if l.From[f.Path] == "" {
			t.Errorf("%s is not in the file", f.Path)
		}
	}
}

func TestFieldsAreComplete(t *testing.T) {
	flags, paths := map[string]bool{}, map[string]bool{}
	for _, f := range Fields() {
		if f.Doc == "" || !strings.HasSuffix(f.Doc, ".") || f.Type == "" || f.Default == "" && f.Example == "" || f.set == nil {
			t.Errorf("%s lacks its type, its documentation, or a default or example", f.Path)
		}
		if paths[f.Path] || f.Flag != "" && flags[f.Flag] {
			t.Errorf("%s or its flag --%s is there twice", f.Path, f.Flag)
		}
		paths[f.Path], flags[f.Flag] = true, true
		var c Config
		for _, text := range []string{f.Default, f.Example} {
			if text == "" {
				continue
			}
			if err := f.setText(&c, text); err != nil {
				t.Errorf("%s cannot be %s: %v", f.Path, text, err)
			}
		}
	}
}
