package topic

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/parleyhq/parley"
)

// TestMachineScripts runs the scripts in testdata/machine: a command, "----",
// and what the machine answers. At most three topics are allowed in them.
func TestMachineScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/machine/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			m := newMachine()
			for block := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n\n") {
				command, want := cutBlock(block)
				if command == "" {
					continue
				}
				if got := runMachine(t, m, command); got != want {
					t.Errorf("%s\n got: %s\nwant: %s", command, got, want)
				}
			}
		})
	}
}

func cutBlock(block string) (command, want string) {
	var lines []string
	for line := range strings.SplitSeq(block, "\n") {
		if !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	command, want, _ = strings.Cut(strings.Join(lines, "\n"), "\n----\n")
	return command, want
}

func runMachine(t *testing.T, m *machine, command string) string {
	verb, rest, _ := strings.Cut(command, " ")
	name, body, _ := strings.Cut(rest, " ")
	var e *parley.Event
	var err error
	switch verb {
	case "create", "update":
		var s Settings
		if err := s.parse([]byte(body), true); err != nil {
			t.Fatal(err)
		}
		if s, err = s.Defaults(Settings{}); err != nil {
			t.Fatal(err)
		}
		if verb == "create" {
			e, err = m.create(name, s, 3)
		} else {
			e, err = m.update(name, s)
		}
	case "delete":
		e, err = m.remove(name)
	case "fold":
		kind := name
		name, body, _ = strings.Cut(body, " ")
		e = &parley.Event{Type: "parley.topic." + kind, Subject: name, Data: []byte(body)}
	case "number":
		n, err := strconv.ParseUint(name, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		r := &Registry{machine: m}
		if p, topic, ok := r.ByNumber(n); ok {
			return fmt.Sprintf("%s/%d", topic.Name, indexOf(topic, p))
		} else if r.Retired(n) {
			return "retired"
		}
		return "never given"
	default:
		t.Fatalf("no command %q", verb)
	}
	if err != nil {
		return err.Error()
	}
	if e == nil {
		return "nothing to do"
	}
	before := fmt.Sprint(m.next, m.epoch, len(m.topics), len(m.byNum))
	done, err := m.apply(e)
	switch {
	case err != nil:
		if after := fmt.Sprint(m.next, m.epoch, len(m.topics), len(m.byNum)); after != before {
			t.Errorf("%s: failed, and changed %s to %s", command, before, after)
		}
		return err.Error()
	case done.topic == nil:
		return "nothing to do"
	case done.removed:
		return done.topic.Name + " removed"
	}
	return describe(done.topic)
}

func indexOf(t Topic, p Partition) int {
	for i := range t.Partitions {
		if t.Partitions[i] == p {
			return i
		}
	}
	return -1
}

func describe(t *Topic) string {
	var numbers []string
	for _, p := range t.Partitions {
		numbers = append(numbers, strconv.FormatUint(p.Number, 10))
	}
	return fmt.Sprintf("%s epoch=%d numbers=%s %s", t.Name, t.Epoch, strings.Join(numbers, ","), mustJSON(t.Settings))
}
