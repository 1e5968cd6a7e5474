package topic

import "strings"

// Pattern matches topic names level by level: "*" is exactly one level, ">" is
// one or more and can only be the last. A pattern matches ephemeral names only
// if it begins with "~" itself, and internal ones only if it begins with "$":
// ">" is every ordinary topic, "~>" every ephemeral one.
//
// A Pattern is a value that can be compared; the zero Pattern matches nothing.
type Pattern struct{ text string }

// CheckPattern tells whether ParsePattern would accept p.
func CheckPattern(p string) error { return checkLevels("topic", p, true) }

// ParsePattern reads a pattern. A name without wildcards is one too. The error
// is Invalid.
func ParsePattern(p string) (Pattern, error) {
	if err := CheckPattern(p); err != nil {
		return Pattern{}, err
	}
	return Pattern{p}, nil
}

// String gives the pattern as it was parsed.
func (p Pattern) String() string { return p.text }

// Literal tells whether the pattern has no wildcard: it matches one name.
func (p Pattern) Literal() bool {
	return strings.IndexByte(p.text, '*') < 0 && !strings.HasSuffix(p.text, ">")
}

// Match tells whether the pattern matches a topic name.
func (p Pattern) Match(name string) bool {
	mark, pattern := cutSigil(p.text)
	sigil, name := cutSigil(name)
	if p.text == "" || name == "" || mark != sigil {
		return false
	}
	for {
		want, morePattern, wants := strings.Cut(pattern, ".")
		if want == ">" {
			return true
		}
		have, moreName, has := strings.Cut(name, ".")
		if want != "*" && want != have || wants != has {
			return false
		}
		if !wants {
			return true
		}
		pattern, name = morePattern, moreName
	}
}
