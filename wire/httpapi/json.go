package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

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
	switch {
	case errors.As(err, &mine):
		return mine
	case errors.As(err, &kind):
		return parley.BadField(kind.Field, "is a JSON "+kind.Value, "send a "+kind.Type.String())
	case strings.HasPrefix(err.Error(), "json: unknown field "):
		name := strings.Trim(strings.TrimPrefix(err.Error(), "json: unknown field "), `"`)
		return parley.BadField(name, "no such member", "see /v1/openapi.json for the members")
	}
	return parley.BadField("body", err.Error(), "send a JSON object")
}

// strictly has a value decoded that passes over what it does not know, unless it is
// told that a user wrote it.
type strictly struct {
	into interface{ UnmarshalStrict(b []byte) error }
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *strictly) UnmarshalJSON(b []byte) error { return s.into.UnmarshalStrict(b) }

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
