package archtest

import (
	"strings"
	"testing"
)

// TestImports holds product code against the table.
func TestImports(t *testing.T) {
	for _, s := range goFiles(t) {
		r := ruleOf(s.pkg)
		if r == nil {
			t.Errorf("%s: no rule is about package %s: add a row to the table, with its reason", s.path, s.pkg)
			continue
		}
		for _, imported := range imports(s) {
			if why := forbidden(s, r, imported); why != "" {
				t.Errorf("%s must not import %s: %s", s.path, imported, why)
			}
		}
	}
}

func forbidden(s source, r *rule, imported string) string {
	below, own := ourOwn(imported)
	switch {
	case s.test && own && strings.HasPrefix(below, "cmd/"):
		return "a command is tested as a program"
	case s.test && own:
		return ""
	case s.test && !standard(imported):
		return testForbidden(s.pkg, r, imported)
	case s.test:
		return ""
	case own && below == s.pkg:
		return "it is itself"
	case own && !r.kit && kit(below):
		return "a test kit has no place in a product"
	case own && !matches(r.ours, below):
		return r.why
	case own:
		return ""
	case standard(imported) && !r.kit && (imported == "testing" || strings.HasPrefix(imported, "testing/") || imported == "net/http/httptest"):
		return "product code links no test code"
	case standard(imported) && matches(r.never, imported):
		return r.why
	case !standard(imported) && !hasPrefix(r.third, imported):
		return "third-party code is allowed by name only: " + r.why
	}
	return ""
}

func testForbidden(pkg string, r *rule, imported string) string {
	if hasPrefix(r.third, imported) {
		return ""
	}
	for _, row := range testThird {
		if matches(row.pkgs, pkg) && hasPrefix(row.third, imported) {
			return ""
		}
	}
	return "third-party code of tests is allowed by name only; heavier suites live in the modules below test/"
}

func kit(pkg string) bool {
	r := ruleOf(pkg)
	return r != nil && r.kit
}

func hasPrefix(prefixes, imported string) bool {
	for p := range strings.FieldsSeq(prefixes) {
		if imported == p || strings.HasPrefix(imported, strings.TrimSuffix(p, "/")+"/") {
			return true
		}
	}
	return false
}

// The test of the test: imports that must be caught, and some that must not.
func TestForbidden(t *testing.T) {
	for _, c := range []struct {
		pkg, imported string
		test, caught  bool
	}{
		{".", "net", false, true},
		{".", "net/http", false, true},
		{".", "os", false, true},
		{".", "testing", false, true},
		{".", module + "/engine/memlog", false, true},
		{".", "github.com/twmb/franz-go/pkg/kmsg", false, true},
		{".", "github.com/twmb/franz-go/pkg/kmsg", true, false},
		{".", module + "/engine/memlog", true, false},
		{".", "encoding/json", false, false},
		{"pattern/throttle", module, false, true},
		{"pattern/pubsub", module + "/engine/memlog", false, true},
		{"pattern/pubsub", module + "/pattern/queue", false, true},
		{"pattern/pubsub", module + "/pattern/throttle", false, false},
		{"pattern/pubsub", module + "/internal/memnet", false, true},
		{"pattern/pubsub", "net", false, true},
		{"pattern/queue", module + "/pattern/pubsub", false, false},
		{"pattern/webhook", module + "/pattern/queue", false, false},
		{"pattern/sse", module + "/pattern/queue", false, true},
		{"pattern/sse", "github.com/stretchr/testify/assert", true, true},
		{"engine/disklog", "os", false, true},
		{"engine/disklog", module + "/base/topic", false, true},
		{"wire/httpapi", module + "/wire/kafkaapi", false, true},
		{"wire/httpapi", module + "/engine/disklog", false, true},
		{"wire/httpapi", "net/http/httptest", false, true},
		{"client", module + "/server", false, true},
		{"server", module + "/engine/disklog", false, false},
		{"server", module + "/engine/enginetest", false, true},
		{"server", module + "/cmd/parley", true, true},
		{"cmd/parley", module + "/engine/disklog", false, true},
		{"engine/enginetest", "testing", false, false},
	} {
		r := ruleOf(c.pkg)
		if r == nil {
			t.Errorf("no rule is about %s", c.pkg)
			continue
		}
		why := forbidden(source{pkg: c.pkg, test: c.test}, r, c.imported)
		if (why != "") != c.caught {
			t.Errorf("%s (test: %t) importing %s: %q, should be caught: %t", c.pkg, c.test, c.imported, why, c.caught)
		}
	}
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		patterns, path string
		want           bool
	}{
		{".", ".", true},
		{".", "base", false},
		{"a/*", "a/b", true},
		{"a/*", "a", false},
		{"a/*", "a/b/c", false},
		{"a/*", "ab", false},
		{"a/...", "a", true},
		{"a/...", "a/b/c", true},
		{"a/...", "ab", false},
		{"x a/b", "a/b", true},
		{"", "a", false},
		{"./...", "a/b", true},
	} {
		if got := matches(c.patterns, c.path); got != c.want {
			t.Errorf("matches(%q, %q) is %t", c.patterns, c.path, got)
		}
	}
}
