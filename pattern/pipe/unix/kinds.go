package unix

// Kinds lists the stages, in the order in which they are documented.
func Kinds() []Kind {
	return []Kind{
		{Name: "cat", Operands: "[FILE]…", Summary: "reads files, or standard input", Holds: "one block", build: buildCat},
		{Name: "grep", Operands: "PATTERN [FILE]", Summary: "passes lines that match", Holds: "a few blocks", build: buildGrep, Options: []Option{
			{"E", "extended-regexp", "", "the pattern is a POSIX extended regular expression"},
			{"F", "fixed-strings", "", "the pattern is text"},
			{"G", "basic-regexp", "", "the pattern is a POSIX basic regular expression, as without -E and -F"},
			{"i", "ignore-case", "", "small and capital letters are the same"},
			{"v", "invert-match", "", "passes lines that do not match"},
			{"c", "count", "", "gives the number of lines instead"},
			{"o", "only-matching", "", "passes only what matches, each match on a line of its own"},
			{"n", "line-number", "", "puts the line's number before it"},
			{"e", "regexp", "PATTERN", "a pattern; several are alternatives"},
			{"a", "text", "", "a NUL byte does not make the input binary"},
		}},
		{Name: "sort", Operands: "[FILE]…", Summary: "orders lines by their bytes", Holds: "all lines up to -S, more in temporary files", build: buildSort, Options: []Option{
			{"r", "reverse", "", "the other way round"},
			{"n", "numeric-sort", "", "by the number at the start"},
			{"u", "unique", "", "of equal lines the first alone"},
			{"k", "key", "FIELD[.CHAR][bfnr][,FIELD[.CHAR][bfnr]]", "by a part of the line; several in their order"},
			{"t", "field-separator", "CHAR", "between fields; otherwise they begin where blanks do"},
			{"f", "ignore-case", "", "small and capital letters are the same"},
			{"b", "ignore-leading-blanks", "", "without the blanks before a key"},
			{"s", "stable", "", "lines with equal keys stay as they came"},
			{"S", "buffer-size", "SIZE", "memory before it goes to temporary files, in KiB or as 64M; 288M"},
		}},
		{Name: "uniq", Operands: "[FILE]", Summary: "makes one line of equal ones that follow each other", Holds: "one line", build: buildUniq, Options: []Option{
			{"c", "count", "", "puts before each how often it came"},
			{"d", "repeated", "", "only those that came more than once"},
			{"u", "unique", "", "only those that came once"},
		}},
		{Name: "head", Operands: "[FILE]", Summary: "passes the first lines, and ends the pipe", Holds: "one block", build: buildHead, Options: []Option{
			{"n", "lines", "NUMBER", "how many; 10. -5 is all but the last five. Also -NUMBER"},
		}},
		{Name: "tail", Operands: "[FILE]", Summary: "passes the last lines", Holds: "those lines", build: buildTail, Options: []Option{
			{"n", "lines", "NUMBER", "how many; 10. +5 is from the fifth on. Also -NUMBER"},
			{"f", "follow", "", "goes on with what is appended to FILE"},
		}},
		{Name: "wc", Operands: "[FILE]", Summary: "counts lines, words and bytes", Holds: "three numbers", build: buildWc, Options: []Option{
			{"l", "lines", "", "newlines"},
			{"w", "words", "", "words"},
			{"c", "bytes", "", "bytes"},
		}},
		{Name: "cut", Operands: "[FILE]…", Summary: "passes a part of each line", Holds: "one block", build: buildCut, Options: []Option{
			{"f", "fields", "LIST", "fields, as 1,3-5,7-"},
			{"c", "characters", "LIST", "characters, which are bytes in the C locale"},
			{"b", "bytes", "LIST", "bytes"},
			{"d", "delimiter", "CHAR", "between fields; a tab"},
			{"s", "only-delimited", "", "leaves out lines without the delimiter"},
		}},
		{Name: "tee", Operands: "[FILE]…", Summary: "writes what passes to files, too", Holds: "one block", build: buildTee, Options: []Option{
			{"a", "append", "", "appends to them"},
		}},
		{Name: "exec", Operands: "PROGRAM [ARGUMENT]…", Summary: "lets a program of the system work on the whole stream", Holds: "4 MiB before the program", build: buildExec, Options: []Option{
			{"", "timeout", "DURATION", "how long it may take; without end"},
			{"", "max-output", "SIZE", "how much it may write, in bytes or as 64M; without end"},
		}},
	}
}
