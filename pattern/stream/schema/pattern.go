package schema

import (
	"regexp"
	"regexp/syntax"
	"strconv"
)

// Bounds of a pattern: of its text, and of the program that it becomes. RE2 takes
// time in proportion to text × program.
const (
	maxPattern = 1000
	maxProgram = 2000
)

// pattern is a regular expression with what a match costs.
type pattern struct {
	text string
	re   *regexp.Regexp
	size int
}

// compilePattern reads a pattern. The size of the program is known before it is
// made: x{1000} in x{1000} is a million steps.
func compilePattern(text string) (*pattern, string) {
	if len(text) > maxPattern {
		return nil, "is a pattern of more than " + strconv.Itoa(maxPattern) + " bytes"
	}
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, "is a pattern that RE2 does not take: " + err.Error()
	}
	size := programSize(tree)
	if size > maxProgram {
		return nil, "is a pattern whose repetitions make it larger than " + strconv.Itoa(maxProgram) + " steps"
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, "is a pattern that RE2 does not take: " + err.Error()
	}
	return &pattern{text, re, size}, ""
}

func programSize(re *syntax.Regexp) int {
	size := 1
	for _, sub := range re.Sub {
		size += programSize(sub)
		if size > maxProgram {
			return size
		}
	}
	switch re.Op {
	case syntax.OpRepeat:
		size *= max(re.Min, re.Max, 1) + 1
	case syntax.OpLiteral:
		size += len(re.Rune)
	case syntax.OpCharClass:
		size += len(re.Rune) / 8
	}
	return size
}
