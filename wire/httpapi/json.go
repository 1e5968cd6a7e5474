package httpapi

import (
	"bytes"
	"cmp"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/parleyhq/parley"
)

// decodeStrict reads a JSON body; an unknown member is an error that names it.
func decodeStrict(body []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			return nil
		}
		return parley.BadField("body", "something follows the JSON value", "send one JSON value")
	}
	var mine *parley.Error
	var kind *json.UnmarshalTypeError
	var when *time.ParseError
	switch {
	case errors.As(err, &mine):
		return mine
	case errors.As(err, &kind):
		return wrongKind(kind, reflect.TypeOf(into))
	case errors.As(err, &when), strings.HasPrefix(err.Error(), "Time.UnmarshalJSON: "):
		return parley.BadField("body", "a time in it is not one of RFC 3339", `send a string like "2026-01-02T15:04:05Z"`)
	case strings.HasPrefix(err.Error(), "json: unknown field "):
		name := strings.Trim(strings.TrimPrefix(err.Error(), "json: unknown field "), `"`)
		return parley.BadField(name, "no such member", "see /v1/openapi.json for the members")
	}
	return parley.BadField("body", err.Error(), "send a JSON object")
}

// wrongKind says in JSON's words that a value, the member that is known or else
// the body, is of another kind than it must be, or a number that does not fit.
// into is the type of the body.
func wrongKind(e *json.UnmarshalTypeError, into reflect.Type) error {
	field := cmp.Or(memberOf(into, e.Field), "body")
	word, number, literal := strings.Cut(e.Value, " ")
	wanted := jsonKind(e.Type)
	if literal && wanted == "number" {
		return parley.BadField(field, "is the number "+number[:min(len(number), 40)], "send "+numbers(e.Type))
	}
	if word == "bool" {
		word = "boolean"
	}
	return parley.BadField(field, "is a JSON "+word, "send a JSON "+wanted)
}

// memberOf is a path to a member as JSON has it: encoding/json also names the
// structs that are embedded on the way.
func memberOf(t reflect.Type, path string) string {
	var names []string
	for name := range strings.SplitSeq(path, ".") {
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Array || t.Kind() == reflect.Map {
			t = t.Elem()
		}
		embedded := false
		for i := 0; t.Kind() == reflect.Struct && i < t.NumField(); i++ {
			f := t.Field(i)
			tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if cmp.Or(tag, f.Name) == name {
				t, embedded = f.Type, f.Anonymous && tag == ""
				break
			}
		}
		if !embedded {
			names = append(names, name)
		}
	}
	return strings.Join(names, ".")
}

// jsonKind names what a Go value is in JSON.
func jsonKind(t reflect.Type) string {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return "string"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return jsonKind(t.Elem())
	case reflect.Bool:
		return "boolean"
	case reflect.String:
		return "string"
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return "string" // of base64
		}
		return "array"
	case reflect.Map, reflect.Struct:
		return "object"
	}
	return "number"
}

// numbers says which numbers a Go number can be.
func numbers(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Int64:
		return fmt.Sprintf("a whole number from %d to %d", int64(-1)<<(t.Bits()-1), uint64(1)<<(t.Bits()-1)-1)
	case t.Kind() >= reflect.Uint && t.Kind() <= reflect.Uint64:
		return fmt.Sprintf("a whole number from 0 to %d", ^uint64(0)>>(64-t.Bits()))
	}
	return "a number nearer to zero"
}

// strictly has a value decoded that passes over what it does not know, unless it is
// told that a user wrote it.
type strictly struct {
	into interface{ UnmarshalStrict(b []byte) error }
}

// UnmarshalJSON implements json.Unmarshaler. What is no object is told so in the
// words of wrongKind, under the name and with the fix of what it should have been.
func (s *strictly) UnmarshalJSON(b []byte) error {
	err := s.into.UnmarshalStrict(b)
	var known *parley.Error
	if errors.As(err, &known) && b[0] != '{' {
		at := *known
		at.Detail = "is a JSON " + kindOf(b)
		return &at
	}
	return err
}

// kindOf names the kind of a sound JSON value by its first byte.
func kindOf(b []byte) string {
	switch b[0] {
	case '{':
		return "object"
	case '[':
		return "array"
	case '"':
		return "string"
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	}
	return "number"
}

// answerJSON writes a value.
func answerJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return parley.Errorf(parley.Internal, "encoding the answer: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)+1))
	w.WriteHeader(status)
	_, err = w.Write(append(body, '\n'))
	return clientGone(err)
}

// clientGone is what a failed write of an answer means: there is nobody to tell.
func clientGone(err error) error {
	if err == nil {
		return nil
	}
	return parley.Errorf(parley.Canceled, "writing the answer: %w", err)
}
