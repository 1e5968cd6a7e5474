package graph

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"

	"github.com/parleyhq/parley"
)

// What events are that were lines.
const (
	jsonType  = "application/json"
	textPlain = "text/plain"
	lineType  = "parley.pipe.line"
)

// textType is the content type of data that nothing is known of.
func textType(data []byte) string {
	switch {
	case isOne(data):
		return jsonType
	case utf8.Valid(data):
		return textPlain
	}
	return "application/octet-stream"
}

// FromLine makes an event of a line: format is auto or "" (JSON if it is, else
// text), text, or cloudevents (an event in JSON). The id is for lines without one of
// their own: give the same line the same each time.
func FromLine(format, source, id string, line []byte) (parley.Event, error) {
	e := parley.Event{}
	switch format {
	case "cloudevents":
		var err error
		if e, err = parley.ParsePartialJSON(line); err != nil {
			return e, err
		}
	case "text":
		e.Data, e.DataContentType = append([]byte{}, line...), textPlain
	default:
		e.Data, e.DataContentType = append([]byte{}, line...), textType(line)
	}
	if e.ID == "" {
		e.ID = id
	}
	if e.Source == "" {
		e.Source = source
	}
	if e.Type == "" {
		e.Type = lineType
	}
	return e, nil
}

// ToLine gives an event as a line without its end, as a sink writes it: its data, or
// with format cloudevents all of it in JSON. Line ends in data are left out of JSON,
// where they mean nothing, and kept in text.
func ToLine(format string, e *parley.Event) []byte {
	if format == "cloudevents" {
		line := e.AppendJSON(nil)
		if bytes.IndexByte(line, '\n') >= 0 {
			return e.AppendJSONBase64(line[:0])
		}
		return line
	}
	if !parley.IsJSON(e.DataContentType) {
		return e.Data
	}
	if bytes.IndexByte(e.Data, '\n') >= 0 {
		return compact(e.Data)
	}
	return e.Data
}

func compact(data []byte) []byte {
	var b bytes.Buffer
	if json.Compact(&b, data) != nil {
		return data
	}
	return b.Bytes()
}
