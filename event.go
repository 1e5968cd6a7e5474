package parley

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Event is a CloudEvents 1.0 event. ID, Source and Type are required by the
// standard; who publishes plain data leaves them empty and has them set.
type Event struct {
	ID              string
	Source          string // a URI reference
	Type            string
	Subject         string
	Time            time.Time // zero = the append time, once it is read back
	DataContentType string    // a media type; empty = unknown
	DataSchema      string    // a URI
	// Extensions are further attributes by name, in their canonical string form
	// (CloudEvents §3.1); PartitionKey is one of them. An empty value is an absent
	// extension.
	Extensions map[string]string
	// Data is the payload, byte for byte. nil differs from empty: there is none.
	Data []byte
}

// PartitionKey is the extension by which events are ordered and partitioned. It
// is the key of the event's record.
const PartitionKey = "partitionkey"

// Limits of one event, beyond those of its batch.
const (
	MaxAttributeBytes = 1 << 10 // id, source, type, subject, content type, schema
	MaxExtensions     = 64
	MaxExtensionBytes = 8 << 10 // one value

	maxExtensionName = 64
)

// Key gives the partition key.
func (e *Event) Key() string { return e.Extensions[PartitionKey] }

// Set sets an extension; the empty value removes it.
func (e *Event) Set(name, value string) {
	if value == "" {
		delete(e.Extensions, name)
		return
	}
	if e.Extensions == nil {
		e.Extensions = make(map[string]string, 2)
	}
	e.Extensions[name] = value
}

// Clone copies the event out of whatever buffer its data aliases.
func (e Event) Clone() Event {
	if e.Data != nil {
		e.Data = append(make([]byte, 0, len(e.Data)), e.Data...)
	}
	if e.Extensions != nil {
		ext := make(map[string]string, len(e.Extensions))
		maps.Copy(ext, e.Extensions)
		e.Extensions = ext
	}
	return e
}

// Check tells whether the event is a valid CloudEvent (§3.1 attributes) within
// Parley's limits. The error names the attribute and the fix.
func (e *Event) Check() error {
	for _, a := range [...]struct{ name, value string }{{"id", e.ID}, {"source", e.Source}, {"type", e.Type}} {
		if a.value == "" {
			return BadField(a.name, "a CloudEvent needs "+a.name, "set it to a non-empty string")
		}
		if err := checkAttribute(a.name, a.value); err != nil {
			return err
		}
	}
	for _, a := range [...]struct{ name, value string }{{"subject", e.Subject}, {"dataschema", e.DataSchema}, {"datacontenttype", e.DataContentType}} {
		if a.value == "" {
			continue
		}
		if err := checkAttribute(a.name, a.value); err != nil {
			return err
		}
	}
	if err := checkTime(e.Time); err != nil {
		return err
	}
	if len(e.Extensions) > MaxExtensions {
		return BadField("extensions", "more than "+strconv.Itoa(MaxExtensions)+" extension attributes", "put them into the data")
	}
	for name, value := range e.Extensions {
		if err := CheckExtensionName(name); err != nil {
			return err
		}
		if err := checkAttribute(name, value); err != nil {
			return err
		}
	}
	return nil
}

// CheckExtensionName keeps CloudEvents §3.1.1: lower-case letters and digits;
// and refuses the names of the standard attributes.
func CheckExtensionName(name string) error {
	ok := name != "" && len(name) <= maxExtensionName
	for i := range len(name) {
		c := name[i]
		ok = ok && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9')
	}
	if !ok {
		if len(name) > maxExtensionName {
			name = name[:maxExtensionName] + "…"
		}
		return BadField(strings.ToValidUTF8(name, "?"), "not an attribute name", "use 1 to 64 lower-case letters and digits (CloudEvents §3.1.1)")
	}
	if isStandard(name) || name == "data" {
		return BadField(name, "the name of a standard attribute cannot be an extension", "choose another name")
	}
	return nil
}

func isStandard(name string) bool {
	switch name {
	case "specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema":
		return true
	}
	return false
}

// checkAttribute keeps the rules of the attribute's type (CloudEvents §3.1.2).
// The value is not empty.
func checkAttribute(name, value string) error {
	limit := MaxAttributeBytes
	if !isStandard(name) {
		limit = MaxExtensionBytes
	}
	if len(value) > limit {
		return &Error{Code: TooLarge, Field: name, Detail: "longer than " + strconv.Itoa(limit) + " bytes", Fix: "shorten it, or put it into the data"}
	}
	if err := checkText(name, value); err != nil {
		return err
	}
	switch name {
	case "source":
		if !isURIReference(value) {
			return BadField(name, "not a URI reference", `percent-encode what RFC 3986 does not allow, as in "/my%20service"`)
		}
	case "dataschema":
		if !isURIReference(value) || !hasScheme(value) {
			return BadField(name, "not a URI", `send an absolute one like "https://example.com/schema.json" (RFC 3986 §4.3)`)
		}
	case "datacontenttype":
		if !isMediaType(value) {
			return BadField(name, "not a media type", `send one like "application/json" (RFC 2046)`)
		}
	}
	return nil
}

// checkText keeps the rules of a string: valid UTF-8, no control characters, no
// noncharacters of Unicode.
func checkText(name, value string) error {
	for i := 0; i < len(value); {
		if value[i]-0x20 < 0x7f-0x20 { // nearly always
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(value[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return BadField(name, "not valid UTF-8", "send UTF-8 text")
		case r <= 0x9f:
			return BadField(name, "holds a control character", "remove it (CloudEvents §3.1.2)")
		case r >= 0xfdd0 && r <= 0xfdef, r&0xfffe == 0xfffe:
			return BadField(name, "holds a noncharacter of Unicode", "remove it (CloudEvents §3.1.2)")
		}
		i += size
	}
	return nil
}

// checkTime refuses what RFC 3339 cannot write down.
func checkTime(t time.Time) error {
	if t.IsZero() {
		return nil
	}
	if y := t.Year(); y < 1 || y > 9999 {
		return BadField("time", "the year is out of range", "send a time between the years 1 and 9999 (RFC 3339)")
	}
	if _, offset := t.Zone(); offset%60 != 0 || offset <= -24*3600 || offset >= 24*3600 {
		return BadField("time", "the offset from UTC is not in whole minutes, or a day and more", "send the time in UTC (RFC 3339)")
	}
	return nil
}

// parseTime reads RFC 3339 strictly: time.Parse takes one-digit hours and
// commas too.
func parseTime(s string) (time.Time, error) {
	if len(s) >= len("2006-01-02T15:04:05Z") && s[len("2006-01-02T15")] == ':' && !strings.Contains(s, ",") {
		if t, err := time.Parse(time.RFC3339Nano, s); err == nil && checkTime(t) == nil {
			return t, nil
		}
	}
	return time.Time{}, BadField("time", "not an RFC 3339 time", "send one like 2026-01-31T12:00:00Z")
}

// setAttribute sets any attribute from its string form, after checking it. The
// empty value is an absent attribute. An attribute that fails is as it was.
func (e *Event) setAttribute(name, value string) error {
	if name == "specversion" {
		return nil
	}
	if !isStandard(name) {
		if err := CheckExtensionName(name); err != nil {
			return err
		}
	}
	if value != "" && name != "time" {
		if err := checkAttribute(name, value); err != nil {
			return err
		}
	}
	switch name {
	case "id":
		e.ID = value
	case "source":
		e.Source = value
	case "type":
		e.Type = value
	case "subject":
		e.Subject = value
	case "dataschema":
		e.DataSchema = value
	case "datacontenttype":
		e.DataContentType = value
	case "time":
		return e.setTime(value)
	default:
		if len(e.Extensions) >= MaxExtensions && e.Extensions[name] == "" {
			return BadField("extensions", "more than "+strconv.Itoa(MaxExtensions)+" extension attributes", "put them into the data")
		}
		e.Set(name, value)
	}
	return nil
}

func (e *Event) setTime(value string) error {
	if value == "" {
		e.Time = time.Time{}
		return nil
	}
	t, err := parseTime(value)
	if err == nil {
		e.Time = t
	}
	return err
}

// extensionNames appends the names sorted, so that an event has one encoding;
// an extension with an empty value is an absent one.
func (e *Event) extensionNames(names []string) []string {
	for name, value := range e.Extensions {
		if value != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
