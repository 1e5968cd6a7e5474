package parley

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"mime"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// The JSON event format for CloudEvents: one event is an object, a batch an
// array of them.

// IsJSON tells whether a media type holds JSON (RFC 6839 §3.1: also +json).
func IsJSON(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == "application/json" || media == "text/json" || strings.HasSuffix(media, "+json"))
}

// IsText tells whether a media type holds text that is shown as it is.
func IsText(contentType string) bool {
	media, params, err := mime.ParseMediaType(contentType)
	charset := strings.ToLower(params["charset"])
	return err == nil && strings.HasPrefix(media, "text/") && (charset == "" || charset == "utf-8" || charset == "us-ascii")
}

// AppendJSON appends the event in structured JSON. JSON data is embedded byte
// for byte; text becomes a string; all else becomes data_base64.
func (e *Event) AppendJSON(dst []byte) []byte {
	dst = append(dst, `{"specversion":"1.0","id":`...)
	dst = AppendJSONString(dst, e.ID)
	dst = appendMember(dst, "source", e.Source)
	dst = appendMember(dst, "type", e.Type)
	if e.Subject != "" {
		dst = appendMember(dst, "subject", e.Subject)
	}
	if !e.Time.IsZero() {
		dst = appendMember(dst, "time", e.Time.Format(time.RFC3339Nano))
	}
	if e.DataContentType != "" {
		dst = appendMember(dst, "datacontenttype", e.DataContentType)
	}
	if e.DataSchema != "" {
		dst = appendMember(dst, "dataschema", e.DataSchema)
	}
	if len(e.Extensions) > 0 {
		for _, name := range e.extensionNames() {
			dst = appendMember(dst, name, e.Extensions[name])
		}
	}
	return append(e.appendData(dst), '}')
}

func (e *Event) appendData(dst []byte) []byte {
	switch {
	case e.Data == nil:
		return dst
	case IsJSON(e.DataContentType) && isBareJSON(e.Data):
		dst = append(dst, `,"data":`...)
		return append(dst, e.Data...)
	case IsText(e.DataContentType) && utf8.Valid(e.Data):
		dst = append(dst, `,"data":`...)
		return AppendJSONString(dst, string(e.Data))
	}
	dst = append(dst, `,"data_base64":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, e.Data)
	return append(dst, '"')
}

// isBareJSON says that the data is a JSON value with no white space around it: a
// reader of the structured form would drop that, and data keeps its bytes.
func isBareJSON(data []byte) bool {
	return len(data) > 0 && data[0] > ' ' && data[len(data)-1] > ' ' && json.Valid(data)
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

// ParseJSON reads one event in structured JSON. Data keeps its bytes: those of
// the JSON value when the content type is JSON or absent, the decoded string for
// text, the decoded bytes of data_base64. The event is checked. Errors are
// Invalid or TooLarge and name the member.
func ParseJSON(b []byte) (Event, error) {
	members, err := jsonMembers(b)
	if err != nil {
		return Event{}, err
	}
	var e Event
	var version string
	for name, raw := range members {
		switch name {
		case "data", "data_base64":
			continue
		case "specversion":
			version, err = jsonScalar(name, raw)
		default:
			err = e.parseMember(name, raw)
		}
		if err != nil {
			return Event{}, err
		}
	}
	if version != "1.0" {
		return Event{}, BadField("specversion", "is "+strconv.Quote(version), `send "1.0"`)
	}
	if err := e.parseData(members); err != nil {
		return Event{}, err
	}
	return e, e.Check()
}

// jsonMembers reads an object; of a name that comes twice, the last counts.
func jsonMembers(b []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(b) {
		return nil, BadField("body", "not valid UTF-8", "send JSON in UTF-8 (RFC 8259 §8.1)")
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(b, &members); err != nil || members == nil {
		detail := "not a JSON object"
		if err != nil {
			detail = err.Error()
		}
		return nil, BadField("body", detail, "send one CloudEvent as a JSON object")
	}
	if len(members) > MaxExtensions+10 {
		return nil, BadField("body", "too many attributes", "put them into `data`")
	}
	return members, nil
}

// jsonScalar gives the canonical string form of an attribute (CloudEvents
// §3.1.2, JSON format §2.2).
func jsonScalar(name string, raw json.RawMessage) (string, error) {
	switch raw = bytes.TrimSpace(raw); {
	case bytes.Equal(raw, []byte("null")):
		return "", nil // JSON format §2.2: same as absent
	case len(raw) > 0 && raw[0] == '"':
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return "", BadField(name, err.Error(), "send a string")
		}
		return s, nil
	case bytes.Equal(raw, []byte("true")), bytes.Equal(raw, []byte("false")):
		return string(raw), nil
	}
	if n, err := strconv.ParseInt(string(raw), 10, 32); err == nil {
		return strconv.FormatInt(n, 10), nil
	}
	return "", BadField(name, "an attribute is a string, a boolean or a 32-bit integer", "send one of these, or put it into `data`")
}

func (e *Event) parseMember(name string, raw json.RawMessage) error {
	value, err := jsonScalar(name, raw)
	if err != nil || value == "" {
		return err
	}
	if name == "time" {
		if e.Time, err = time.Parse(time.RFC3339Nano, value); err != nil {
			return BadField("time", "not an RFC 3339 time", `send one like "2026-01-31T12:00:00Z"`)
		}
		return nil
	}
	if !isStandard(name) {
		if err := CheckExtensionName(name); err != nil {
			return err
		}
	}
	e.setAttribute(name, value)
	return nil
}

func (e *Event) parseData(members map[string]json.RawMessage) error {
	data, hasData := members["data"]
	b64, hasB64 := members["data_base64"]
	switch {
	case hasData && hasB64:
		return BadField("data", "both data and data_base64 are there", "send one of them (JSON format §3.1)")
	case hasB64:
		var s string
		if err := json.Unmarshal(b64, &s); err != nil {
			return BadField("data_base64", "not a string", "send base64 in a string")
		}
		raw, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return BadField("data_base64", err.Error(), "send standard base64 with padding (RFC 4648 §4)")
		}
		e.Data = raw
	case !hasData:
	case e.DataContentType != "" && !IsJSON(e.DataContentType) && data[0] == '"':
		var s string
		if err := json.Unmarshal(data, &s); err != nil {
			return BadField("data", err.Error(), "send a JSON string")
		}
		e.Data = []byte(s)
	default:
		if e.DataContentType == "" {
			e.DataContentType = "application/json" // JSON format §3.1
		}
		e.Data = []byte(data)
	}
	return nil
}

// ParseJSONBatch reads a JSON array of events (JSON format §4). The error of a
// bad event names its index.
func ParseJSONBatch(b []byte) ([]Event, error) {
	var raws []json.RawMessage
	if err := json.Unmarshal(b, &raws); err != nil {
		return nil, BadField("body", err.Error(), "send a JSON array of CloudEvents")
	}
	if len(raws) > MaxBatchEvents {
		return nil, &Error{Code: TooLarge, Field: "body", Detail: "more than " + strconv.Itoa(MaxBatchEvents) + " events", Fix: "send several batches"}
	}
	events := make([]Event, len(raws))
	for i, raw := range raws {
		e, err := ParseJSON(raw)
		if err != nil {
			return nil, AtIndex(err, i)
		}
		events[i] = e
	}
	return events, nil
}

// AtIndex says of which element of a list an error is: "events[3].id".
func AtIndex(err error, i int) error {
	e, ok := err.(*Error) //nolint:errorlint // only our own, unwrapped, carries a field of the element
	if !ok {
		return err
	}
	at := *e
	at.Field = "events[" + strconv.Itoa(i) + "]"
	if e.Field != "" && e.Field != "body" {
		at.Field += "." + e.Field
	}
	return &at
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
