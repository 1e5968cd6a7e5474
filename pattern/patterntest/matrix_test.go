package patterntest

import (
	"slices"
	"strings"
	"testing"
)

const small = `// Package x has a table:
//
//	pattern   near      far
//	a         mem disk  mem+own
//	b         (a)       disk
//
// Between them may be words.
//
//	(a) there is a reason
package x
`

func TestParseTable(t *testing.T) {
	tab, err := parseTable(small, "pattern")
	if err != nil {
		t.Fatal(err)
	}
	want := []place{{"a", "near", "mem"}, {"a", "near", "disk"}, {"a", "far", "mem+own"}, {"b", "far", "disk"}}
	if got := tab.places(); !slices.Equal(got, want) {
		t.Errorf("places %v, want %v", got, want)
	}
	for name, change := range map[string][2]string{
		"is empty for reason":  {"//\t(a) there is a reason\n", ""},
		"is nobody's":          {"(a)       disk", "mem       disk"},
		"cells for 2 doors":    {"mem disk  mem+own", "mem disk"},
		"there is no table":    {"pattern   near", "patterns  near"},
		"reason (b), which is": {"(a)       disk", "(b)       disk"},
	} {
		if _, err := parseTable(strings.Replace(small, change[0], change[1], 1), "pattern"); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("want an error with %q, got %v", name, err)
		}
	}
}

// TestWhatDiffers proves that nothing can be given and not run, or be in the table
// and not given.
func TestWhatDiffers(t *testing.T) {
	tab, err := parseTable(small, "pattern")
	if err != nil {
		t.Fatal(err)
	}
	suites, doors, engines, hosts := []string{"a", "b"}, []string{"near", "far"}, []string{"disk", "mem"}, []string{"own"}
	if wrong := tab.differs(suites, doors, engines, hosts); len(wrong) != 0 {
		t.Errorf("what fits: %v", wrong)
	}
	for _, row := range []struct {
		suites, doors, engines, hosts []string
		want                          string
	}{
		{suites[:1], doors, engines, hosts, "suite b of the table is not there"},
		{append(suites, "c"), doors, engines, hosts, "suite c is not in the table"},
		{suites, doors[:1], engines, hosts, "door far of the table is not there"},
		{suites, append(doors, "wide"), engines, hosts, "door wide is not in the table"},
		{suites, doors, engines[:1], hosts, "engine mem of the table is not there"},
		{suites, doors, append(engines, "net"), hosts, "engine net is not in the table"},
		{suites, doors, engines, nil, "host own of the table is not there"},
		{suites, doors, engines, append(hosts, "far"), "host far is not in the table"},
	} {
		if wrong := tab.differs(row.suites, row.doors, row.engines, row.hosts); !slices.Equal(wrong, []string{row.want}) {
			t.Errorf("%q, want %q", wrong, row.want)
		}
	}
}

func TestMissingAndPrinted(t *testing.T) {
	tab, err := parseTable(small, "pattern")
	if err != nil {
		t.Fatal(err)
	}
	ran := map[place]tally{{"a", "near", "mem"}: {12, 0}, {"a", "near", "disk"}: {12, 3}, {"a", "far", "mem+own"}: {1, 0}}
	if got := tab.missing(ran); !slices.Equal(got, []string{"b by far over disk"}) {
		t.Errorf("missing %q", got)
	}
	printed := tab.print(ran)
	for _, want := range []string{"mem 12  disk 12 (3 FAILED)", "disk 0", "(a) there is a reason"} {
		if !strings.Contains(printed, want) {
			t.Errorf("%q is not in\n%s", want, printed)
		}
	}
}

// TestJudge proves that the judge of schedules finds what can be wrong.
func TestJudge(t *testing.T) {
	for _, row := range []struct {
		words string
		trims bool
		kept  int
		want  string
	}{
		{"0:0 0:1 1:0 0:2 1:1", false, 0, ""},
		{"0:0 0:2 1:0 1:1", false, 0, "0:2 came, and nothing"},
		{"0:0 0:1 0:1 0:2 1:0 1:1", false, 0, "0:1 came twice"},
		{"0:0 0:1 0:2 1:0", false, 0, "read up to [3 1] of [3 2]"},
		{"0:0 [gap] 0:1", false, 0, "got [gap]"},
		{"0:0 [reset] 0:1", true, 0, "got [reset]"},
		{"0:0 [gap] 0:2 1:0 1:1", true, 2, ""},
		{"0:2 1:0 1:1", true, 2, ""},
		{"0:0 [gap] 0:2 1:0 1:1", true, 1, "0:2 came after a gap, but"},
		{"0:0 0:2 1:0 1:1", true, 2, "0:2 came, and nothing"},
	} {
		got := judge(strings.Fields(row.words), row.trims, row.kept, [2]int{3, 2})
		if got != row.want && (row.want == "" || !strings.HasPrefix(got, row.want)) {
			t.Errorf("%s: %q, want %q", row.words, got, row.want)
		}
	}
}
