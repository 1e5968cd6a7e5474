package parley

import (
	"encoding/base64"
	"encoding/json"
	"time"
	"unicode/utf8"
)

// The JSON event format for CloudEvents: one event is an object, a batch an
// array of them. This file writes, event_parse.go reads.

// AppendJSON appends the event in structured JSON. JSON data is embedded byte
// for byte; text becomes a string; all else becomes data_base64.
func (e *Event) AppendJSON(dst []byte) []byte {
	return append(e.appendData(e.appendAttributes(dst)), '}')
}

// AppendJSONBase64 is AppendJSON with the data always in data_base64, for a
// carrier that cannot hold every JSON text, such as one that ends lines at CR.
func (e *Event) AppendJSONBase64(dst []byte) []byte {
	return append(e.appendBase64(e.appendAttributes(dst)), '}')
}

func (e *Event) appendAttributes(dst []byte) []byte {
	dst = append(dst, `{"specversion":"1.0","id":`...)
	dst = AppendJSONString(dst, e.ID)
	dst = appendMember(dst, "source", e.Source)
	dst = appendMember(dst, "type", e.Type)
	if e.Subject != "" {
		dst = appendMember(dst, "subject", e.Subject)
	}
	if !e.Time.IsZero() {
		dst = append(dst, `,"time":"`...)
		dst = append(e.Time.AppendFormat(dst, time.RFC3339Nano), '"')
	}
	if e.DataContentType != "" {
		dst = appendMember(dst, "datacontenttype", e.DataContentType)
	}
	if e.DataSchema != "" {
		dst = appendMember(dst, "dataschema", e.DataSchema)
	}
	if len(e.Extensions) > 0 {
		var room [8]string
		for _, name := range e.extensionNames(room[:0]) {
			dst = appendMember(dst, name, e.Extensions[name])
		}
	}
	return dst
}

func (e *Event) appendData(dst []byte) []byte {
	switch {
	case e.Data == nil:
		return dst
	case IsJSON(e.DataContentType):
		if isBareJSON(e.Data) {
			dst = append(dst, `,"data":`...)
			return append(dst, e.Data...)
		}
	case IsText(e.DataContentType) && utf8.Valid(e.Data):
		dst = append(dst, `,"data":`...)
		return AppendJSONString(dst, string(e.Data))
	}
	return e.appendBase64(dst)
}

func (e *Event) appendBase64(dst []byte) []byte {
	if e.Data == nil {
		return dst
	}
	dst = append(dst, `,"data_base64":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, e.Data)
	return append(dst, '"')
}

// isBareJSON says that the data is a JSON value in UTF-8 with no white space
// around it: a reader of the structured form would drop that, and data keeps its
// bytes.
func isBareJSON(data []byte) bool {
	return len(data) > 0 && data[0] > ' ' && data[len(data)-1] > ' ' && json.Valid(data) && utf8.Valid(data)
}

func appendMember(dst []byte, name, value string) []byte {
	dst = append(append(append(dst, ',', '"'), name...), '"', ':')
	return AppendJSONString(dst, value)
}

// AppendJSONString appends a JSON string (RFC 8259 §7). Invalid UTF-8 becomes
// U+FFFD.
func AppendJSONString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c < 0x20 || c == 0x7f:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		case c < utf8.RuneSelf:
			dst = append(dst, c)
		default:
			r, size := utf8.DecodeRuneInString(s[i:])
			dst = utf8.AppendRune(dst, r)
			i += size
			continue
		}
		i++
	}
	return append(dst, '"')
}

// AppendJSONBatch appends events as a JSON array.
func AppendJSONBatch(dst []byte, events []Event) []byte {
	dst = append(dst, '[')
	for i := range events {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = events[i].AppendJSON(dst)
	}
	return append(dst, ']')
}
