package parley

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"unicode/utf8"
)

// ParseJSON reads one event in structured JSON. Data keeps its bytes: those of
// the JSON value when the content type is JSON or absent, the decoded string for
// text, the decoded bytes of data_base64; JSON data aliases b. A content type of
// application/json is made explicit. Of a member that comes twice the last
// counts. The event is checked. Errors are Invalid or TooLarge and name the
// member.
func ParseJSON(b []byte) (Event, error) {
	if err := checkJSON(b, '{', "one CloudEvent as a JSON object"); err != nil {
		return Event{}, err
	}
	return parseObject(b)
}

// ParsePartialJSON is ParseJSON for an event that its receiver completes:
// specversion, id, source and type may be absent, and the event is not checked.
func ParsePartialJSON(b []byte) (Event, error) {
	if err := checkJSON(b, '{', "one CloudEvent as a JSON object"); err != nil {
		return Event{}, err
	}
	d, err := parseDraft(b)
	if err == nil && d.version != "" {
		err = d.checkVersion()
	}
	return d.Event, err
}

// ParseJSONBatch reads a JSON array of events (JSON format §4). The error of a
// bad event names its index.
func ParseJSONBatch(b []byte) ([]Event, error) {
	if err := checkJSON(b, '[', "a JSON array of CloudEvents"); err != nil {
		return nil, err
	}
	events := []Event{}
	for in := enter(b); in.more(); {
		raw := in.value()
		i := len(events)
		if i == MaxBatchEvents {
			return nil, &Error{Code: TooLarge, Field: "body", Detail: "more than " + strconv.Itoa(MaxBatchEvents) + " events", Fix: "send several batches"}
		}
		if raw[0] != '{' {
			return nil, AtIndex(BadField("body", "not a JSON object", "send one CloudEvent as a JSON object"), i)
		}
		e, err := parseObject(raw)
		if err != nil {
			return nil, AtIndex(err, i)
		}
		events = append(events, e)
	}
	return events, nil
}

// checkJSON makes sure that b is JSON in UTF-8 and begins as it should: after
// it, a scanner can walk b without a check.
func checkJSON(b []byte, first byte, what string) error {
	if !utf8.Valid(b) {
		return BadField("body", "not valid UTF-8", "send JSON in UTF-8 (RFC 8259 §8.1)")
	}
	if !json.Valid(b) {
		var none json.RawMessage
		return BadField("body", "not JSON: "+json.Unmarshal(b, &none).Error(), "send "+what)
	}
	if in := (scanner{b: b}); in.peek() != first {
		return BadField("body", "JSON of another kind", "send "+what)
	}
	return nil
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

// draft is an event while its members come in, in any order.
type draft struct {
	Event
	version   string
	data, b64 []byte // JSON values
}

func parseObject(b []byte) (Event, error) {
	d, err := parseDraft(b)
	if err == nil {
		err = d.checkVersion()
	}
	if err == nil {
		err = d.Check()
	}
	if err != nil {
		return Event{}, err
	}
	return d.Event, nil
}

func parseDraft(b []byte) (d draft, err error) {
	in := enter(b)
	for n := 0; in.more(); n++ {
		if n == MaxExtensions+10 {
			return draft{}, BadField("body", "too many attributes", "put them into `data`")
		}
		name := memberName(in.value())
		if err := d.member(name, in.value()); err != nil {
			return draft{}, err
		}
	}
	return d, d.setData()
}

func (d *draft) checkVersion() error {
	if d.version == "1.0" {
		return nil
	}
	return BadField("specversion", "is "+strconv.Quote(d.version), `send "1.0"`)
}

func (d *draft) member(name string, raw []byte) error {
	switch name {
	case "data":
		d.data = raw
		return nil
	case "data_base64":
		d.b64 = raw
		if string(raw) == "null" {
			d.b64 = nil
		}
		return nil
	}
	value, err := attributeText(name, raw)
	if err != nil {
		return err
	}
	if name == "specversion" {
		d.version = value[:min(len(value), 16)]
		return nil
	}
	return d.setAttribute(name, value)
}

// attributeText gives the canonical string form of an attribute (CloudEvents
// §3.1.2, JSON format §2.2).
func attributeText(name string, raw []byte) (string, error) {
	switch {
	case raw[0] == '"':
		return text(raw), nil
	case string(raw) == "null":
		return "", nil // JSON format §2.2: the same as absent
	case isStandard(name):
		return "", BadField(name, "not a string", "send a string")
	case string(raw) == "true", string(raw) == "false":
		return string(raw), nil
	}
	if n, err := strconv.ParseInt(string(raw), 10, 32); err == nil {
		return strconv.FormatInt(n, 10), nil
	}
	if err := CheckExtensionName(name); err != nil {
		return "", err
	}
	return "", BadField(name, "an attribute is a string, a boolean or a 32-bit integer", "send one of these, or put it into `data`")
}

func (d *draft) setData() error {
	switch {
	case d.data != nil && d.b64 != nil:
		return BadField("data", "both data and data_base64 are there", "send one of them (JSON format §3.1)")
	case d.b64 != nil:
		if d.b64[0] != '"' {
			return BadField("data_base64", "not a string", "send base64 in a string")
		}
		raw, err := base64.StdEncoding.AppendDecode([]byte{}, []byte(text(d.b64)))
		if err != nil {
			return BadField("data_base64", err.Error(), "send standard base64 with padding (RFC 4648 §4)")
		}
		d.Data = raw
	case d.data == nil:
	case d.data[0] == '"' && d.DataContentType != "" && !IsJSON(d.DataContentType):
		d.Data = []byte(text(d.data))
	default:
		if d.DataContentType == "" {
			d.DataContentType = "application/json" // JSON format §3.1
		}
		d.Data = slices.Clip(d.data)
	}
	return nil
}

// memberName is text, without an allocation for the names that nearly all events
// have.
func memberName(raw []byte) string {
	for _, name := range [...]string{"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "data", "data_base64", PartitionKey, "traceparent"} {
		if len(raw) == len(name)+2 && string(raw[1:len(raw)-1]) == name {
			return name
		}
	}
	return text(raw)
}

// text decodes a JSON string that is known to be valid.
func text(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	var s string
	_ = json.Unmarshal(raw, &s) // a lone surrogate becomes U+FFFD
	return s
}

// scanner walks the elements of an array, or the names and values of an object,
// one level deep. Its input is valid JSON.
type scanner struct {
	b  []byte
	at int
}

// enter begins behind the opening bracket or brace of b.
func enter(b []byte) scanner {
	s := scanner{b: b}
	s.peek()
	s.at++
	return s
}

// peek gives the next byte that is neither white space nor between two values; 0
// at the end.
func (s *scanner) peek() byte {
	for ; s.at < len(s.b); s.at++ {
		switch c := s.b[s.at]; c {
		case ' ', '\t', '\n', '\r', ',', ':':
		default:
			return c
		}
	}
	return 0
}

// more says whether a value follows.
func (s *scanner) more() bool {
	c := s.peek()
	return c != 0 && c != ']' && c != '}'
}

// value cuts the next value, without the white space around it.
func (s *scanner) value() []byte {
	c := s.peek()
	from := s.at
	switch c {
	case '"':
		s.skipString()
	case '[', '{':
		s.skipNested()
	default:
		for s.at < len(s.b) && !isDelimiter(s.b[s.at]) {
			s.at++
		}
	}
	return s.b[from:s.at]
}

func isDelimiter(c byte) bool { return c <= ' ' || c == ',' || c == ']' || c == '}' }

func (s *scanner) skipString() {
	for s.at++; s.at < len(s.b) && s.b[s.at] != '"'; s.at++ {
		if s.b[s.at] == '\\' {
			s.at++
		}
	}
	s.at++
}

func (s *scanner) skipNested() {
	for depth := 0; s.at < len(s.b); {
		switch s.b[s.at] {
		case '"':
			s.skipString()
			continue
		case '[', '{':
			depth++
		case ']', '}':
			depth--
		}
		s.at++
		if depth == 0 {
			return
		}
	}
}
