package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds of JSON that is looked at.
const (
	maxNumber   = 400 // digits of a number, and its largest exponent
	dataDepth   = 128 // of an event's data
	schemaDepth = 64  // of a schema
)

// broken is JSON that cannot be looked at.
type broken struct{ path, text string }

func (b *broken) Error() string { return at(b.path) + " " + b.text }

// at writes a JSON Pointer for people.
func at(path string) string {
	if path == "" {
		return "the value"
	}
	return path
}

// decode reads one JSON value without losing digits. A member that comes twice is
// refused, since who reads the event may take the other one.
func decode(b []byte, depth int) (any, error) {
	if !utf8.Valid(b) {
		return nil, &broken{"", "is not UTF-8"}
	}
	d := decoder{json: json.NewDecoder(bytes.NewReader(b))}
	d.json.UseNumber()
	v, err := d.value("", depth)
	if err == nil {
		if _, err = d.json.Token(); errors.Is(err, io.EOF) {
			return v, nil
		}
		return nil, &broken{"", "is followed by something else"}
	}
	var mine *broken
	switch {
	case errors.As(err, &mine):
		return nil, mine
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, &broken{"", "is JSON that is cut short"}
	}
	return nil, &broken{"", "is not JSON: " + err.Error()}
}

type decoder struct{ json *json.Decoder }

func (d *decoder) value(path string, depth int) (any, error) {
	token, err := d.json.Token()
	if err != nil {
		return nil, err
	}
	switch token := token.(type) {
	case json.Number:
		return token, checkNumber(path, token)
	case json.Delim:
		if depth == 0 {
			return nil, &broken{path, "lies too deep"}
		}
		if token == '{' {
			return d.object(path, depth-1)
		}
		return d.array(path, depth-1)
	}
	return token, nil
}

func (d *decoder) object(path string, depth int) (any, error) {
	out := map[string]any{}
	for d.json.More() {
		token, err := d.json.Token()
		if err != nil {
			return nil, err
		}
		name, ok := token.(string)
		if !ok {
			return nil, &broken{path, "has a member without a name"}
		}
		below := child(path, name)
		if _, twice := out[name]; twice {
			return nil, &broken{below, "comes twice"}
		}
		if out[name], err = d.value(below, depth); err != nil {
			return nil, err
		}
	}
	_, err := d.json.Token()
	return out, err
}

func (d *decoder) array(path string, depth int) (any, error) {
	out := []any{}
	for d.json.More() {
		v, err := d.value(child(path, strconv.Itoa(len(out))), depth)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	_, err := d.json.Token()
	return out, err
}

func checkNumber(path string, n json.Number) error {
	digits, exponent, _ := strings.Cut(strings.ToLower(string(n)), "e")
	exponent = strings.TrimLeft(exponent, "+-")
	size := 0
	if exponent != "" {
		var err error
		if size, err = strconv.Atoi(exponent); err != nil {
			size = maxNumber + 1
		}
	}
	if len(digits) > maxNumber || size > maxNumber {
		return &broken{path, "is a number of more than " + strconv.Itoa(maxNumber) + " digits"}
	}
	return nil
}

// child extends a JSON Pointer (RFC 6901) by one token.
func child(path, token string) string {
	if strings.ContainsAny(token, "~/") {
		token = strings.NewReplacer("~", "~0", "/", "~1").Replace(token)
	}
	return path + "/" + token
}
