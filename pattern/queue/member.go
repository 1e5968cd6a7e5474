package queue

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/parleyhq/parley"
)

// badMember is the error of JSON that could not be read: of the member at fault,
// where that is known, else of the whole. within is what comes before a member's name.
func badMember(whole, within string, err error, fix string) error {
	var mine *parley.Error
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &mine):
		return mine
	case errors.As(err, &kind):
		word, number, literal := strings.Cut(kind.Value, " ")
		detail := "is a JSON " + strings.Replace(word, "bool", "boolean", 1)
		if literal {
			detail = "is the number " + number[:min(len(number), 40)]
		}
		if name := jsonPath(kind.Field); name != "" {
			whole = within + name
		}
		return parley.BadField(whole, detail, fix)
	}
	text := strings.TrimPrefix(err.Error(), "json: ")
	if name, unknown := strings.CutPrefix(text, "unknown field "); unknown {
		return parley.BadField(within+strings.Trim(name, `"`), "there is no such member", fix)
	}
	return parley.BadField(whole, text, fix)
}

// jsonPath is a path as JSON has it: encoding/json also names the structs that are
// embedded on the way.
func jsonPath(path string) string {
	var names []string
	for name := range strings.SplitSeq(path, ".") {
		if !strings.HasSuffix(name, "JSON") {
			names = append(names, name)
		}
	}
	return strings.Join(names, ".")
}
