package queue

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/parleyhq/parley"
)

// badMember is the error of JSON that could not be read: of the member at fault,
// where that is known, else of the whole.
func badMember(whole string, err error, fix string) error {
	var mine *parley.Error
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &mine):
		return mine
	case errors.As(err, &kind) && kind.Field != "":
		return parley.BadField(kind.Field, "is a JSON "+kind.Value, "send a "+kind.Type.String())
	}
	text := strings.TrimPrefix(err.Error(), "json: ")
	if name, unknown := strings.CutPrefix(text, "unknown field "); unknown {
		return parley.BadField(strings.Trim(name, `"`), "there is no such member", fix)
	}
	return parley.BadField(whole, text, fix)
}
