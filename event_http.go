package parley

import (
	"strings"
	"time"
	"unicode/utf8"
)

// The HTTP protocol binding for CloudEvents (§3). Headers are maps with
// canonical names, as in net/http.

// Mode is how a message carries events.
type Mode uint8

// The modes of the binding, and Plain for a body that is just data.
const (
	Plain Mode = iota
	Binary
	Structured
	Batched
)

// String gives the mode's name.
func (m Mode) String() string { return [...]string{"plain", "binary", "structured", "batched"}[m] }

// Media types of the structured and batched modes.
const (
	StructuredType = "application/cloudevents+json"
	BatchedType    = "application/cloudevents-batch+json"
)

// ModeOf tells the mode of a message from its headers (§3). Unsupported is
// returned for event formats other than JSON.
func ModeOf(header map[string][]string) (Mode, error) {
	switch media := mediaTypeOf(headerValue(header, "Content-Type")); {
	case media == StructuredType:
		return Structured, nil
	case media == BatchedType:
		return Batched, nil
	case strings.HasPrefix(media, "application/cloudevents"):
		return Plain, &Error{Code: Unsupported, Field: "Content-Type", Detail: "event format " + media + " is not spoken here", Fix: "send " + StructuredType + " or " + BatchedType}
	case headerValue(header, "Ce-Specversion") != "":
		return Binary, nil
	}
	return Plain, nil
}

// ParseHTTP reads the events of a message in any mode. In Plain mode the one
// event has only data and content type, and is not checked: the receiver sets
// the rest. Data aliases body.
func ParseHTTP(header map[string][]string, body []byte) ([]Event, Mode, error) {
	mode, err := ModeOf(header)
	if err != nil {
		return nil, mode, err
	}
	var e Event
	switch mode {
	case Structured:
		e, err = ParseJSON(body)
	case Batched:
		events, err := ParseJSONBatch(body)
		return events, mode, err
	case Binary:
		e, err = parseBinary(header, body)
	case Plain:
		e = Event{DataContentType: headerValue(header, "Content-Type"), Data: body}
	}
	if err != nil {
		return nil, mode, err
	}
	return []Event{e}, mode, nil
}

func parseBinary(header map[string][]string, body []byte) (Event, error) {
	if v := headerValue(header, "Ce-Specversion"); v != "1.0" {
		return Event{}, BadField("ce-specversion", "is "+v, "send 1.0")
	}
	e := Event{DataContentType: headerValue(header, "Content-Type"), Data: body}
	for name, values := range header {
		attr, ok := strings.CutPrefix(name, "Ce-")
		if !ok {
			continue
		}
		attr = strings.ToLower(attr)
		if len(values) != 1 {
			return Event{}, BadField("ce-"+attr, "comes more than once", "send it once")
		}
		value, err := decodeHeaderValue(values[0])
		if err != nil {
			return Event{}, BadField("ce-"+attr, "bad percent-encoding", "encode it as UTF-8 by CloudEvents HTTP binding §3.1.3.2")
		}
		if attr == "datacontenttype" {
			return Event{}, BadField("ce-datacontenttype", "is not allowed in binary mode", "use Content-Type (HTTP binding §3.1.1)")
		}
		if err := e.setAttribute(attr, value); err != nil {
			return Event{}, err
		}
	}
	return e, e.Check()
}

// WriteHTTP sets the headers of an event in binary mode; the body is its Data.
func (e *Event) WriteHTTP(header map[string][]string) {
	set := func(name, value string) {
		if value != "" {
			header[name] = []string{encodeHeaderValue(value)}
		}
	}
	header["Ce-Specversion"] = []string{"1.0"}
	set("Ce-Id", e.ID)
	set("Ce-Source", e.Source)
	set("Ce-Type", e.Type)
	set("Ce-Subject", e.Subject)
	set("Ce-Dataschema", e.DataSchema)
	if !e.Time.IsZero() {
		set("Ce-Time", e.Time.Format(time.RFC3339Nano))
	}
	for name, value := range e.Extensions {
		if name != "" {
			set("Ce-"+strings.ToUpper(name[:1])+name[1:], value)
		}
	}
	if e.DataContentType != "" {
		header["Content-Type"] = []string{e.DataContentType}
	}
}

func headerValue(header map[string][]string, name string) string {
	if v := header[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// encodeHeaderValue percent-encodes as HTTP binding §3.1.3.2 says: space, double
// quote, percent, and all outside printable ASCII.
func encodeHeaderValue(s string) string {
	const hex = "0123456789ABCDEF"
	var out []byte
	for i := range len(s) {
		c := s[i]
		if c > 0x20 && c < 0x7f && c != '"' && c != '%' {
			out = append(out, c)
		} else {
			out = append(out, '%', hex[c>>4], hex[c&15])
		}
	}
	return string(out)
}

// decodeHeaderValue undoes it, and unquotes a quoted string (RFC 9110 §5.6.4)
// first, as the binding asks of receivers.
func decodeHeaderValue(s string) (string, error) {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		s = unquote(s[1 : len(s)-1])
	}
	if !strings.Contains(s, "%") {
		return s, nil
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			out = append(out, s[i])
			continue
		}
		if i+2 >= len(s) || unhex(s[i+1]) < 0 || unhex(s[i+2]) < 0 {
			return "", errPercent
		}
		out = append(out, byte(unhex(s[i+1])<<4|unhex(s[i+2])))
		i += 2
	}
	if !utf8.Valid(out) {
		return "", errPercent
	}
	return string(out), nil
}

var errPercent = &Error{Code: Invalid, Detail: "bad percent-encoding"}

func unquote(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var out []byte
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		out = append(out, s[i])
	}
	return string(out)
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
