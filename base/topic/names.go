package topic

import (
	"strconv"
	"strings"

	"github.com/parleyhq/parley"
)

// MaxName is the longest topic name or pattern, in bytes: Kafka's limit.
const MaxName = 249

const nameFix = `send letters, digits, "_" and "-" in levels separated by dots, the first character a letter or a digit, at most 249 bytes`

// IsEphemeral tells whether a name is that of an ephemeral topic: "~…".
func IsEphemeral(name string) bool { return strings.HasPrefix(name, "~") }

// IsInternal tells whether a name is one of the server's own: "$…".
func IsInternal(name string) bool { return strings.HasPrefix(name, "$") }

// CheckName tells whether name can be that of a topic that users create and
// publish to: ~?[a-zA-Z0-9][a-zA-Z0-9_-]*(\.[a-zA-Z0-9_-]+)*, at most MaxName
// bytes. Errors: Invalid, and Forbidden for an internal name.
func CheckName(name string) error {
	if IsInternal(name) {
		return &parley.Error{Code: parley.Forbidden, Field: "topic", Detail: "names that begin with $ belong to the server; they can be read and never written", Fix: "choose a name without $"}
	}
	return checkLevels("topic", name, false)
}

// checkInternal is CheckName for the server's own names.
func checkInternal(name string) error {
	if !IsInternal(name) {
		return parley.BadField("topic", strconv.Quote(name)+" is not an internal name", "begin it with $")
	}
	return checkLevels("topic", name, false)
}

// checkLevels checks a name or, when wild, a pattern.
func checkLevels(field, text string, wild bool) error {
	switch {
	case text == "":
		return parley.BadField(field, "is empty", nameFix)
	case len(text) > MaxName:
		return parley.BadField(field, "has "+strconv.Itoa(len(text))+" bytes", nameFix)
	}
	_, rest := cutSigil(text)
	for first, more := true, true; more; first = false {
		var level string
		level, rest, more = strings.Cut(rest, ".")
		switch {
		case wild && level == "*":
		case wild && level == ">":
			if more {
				return parley.BadField(field, `has ">" before its last level`, `use "*" for one level, and ">" only as the last one`)
			}
		case level == "":
			return parley.BadField(field, "has an empty level", nameFix)
		case first && !isAlnum(level[0]):
			return parley.BadField(field, "begins with "+strconv.QuoteRune(rune(level[0])), nameFix)
		default:
			for i := range len(level) {
				if c := level[i]; !isAlnum(c) && c != '_' && c != '-' {
					return parley.BadField(field, "holds "+strconv.Quote(string(c)), levelFix(wild))
				}
			}
		}
	}
	return nil
}

func levelFix(wild bool) string {
	if wild {
		return nameFix + `; a level may also be "*", and the last one ">"`
	}
	return nameFix
}

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// cutSigil parts the mark of ephemeral and internal names from the levels; 0
// means that there is none.
func cutSigil(text string) (sigil byte, levels string) {
	if text != "" && (text[0] == '~' || text[0] == '$') {
		return text[0], text[1:]
	}
	return 0, text
}
