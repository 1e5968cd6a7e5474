package parley

import (
	"encoding/binary"
	"mime"
	"sort"
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
	// (CloudEvents §3.1); PartitionKey is one of them.
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
		for k, v := range e.Extensions {
			ext[k] = v
		}
		e.Extensions = ext
	}
	return e
}

// Check tells whether the event is a valid CloudEvent (§3.1 attributes) within
// Parley's limits. The error names the attribute and the fix.
func (e *Event) Check() error {
	required := [...]struct{ name, value string }{{"id", e.ID}, {"source", e.Source}, {"type", e.Type}}
	for _, a := range required {
		if a.value == "" {
			return BadField(a.name, "a CloudEvent needs "+a.name, "set it to a non-empty string")
		}
		if err := checkAttribute(a.name, a.value, MaxAttributeBytes); err != nil {
			return err
		}
	}
	optional := [...]struct{ name, value string }{{"subject", e.Subject}, {"dataschema", e.DataSchema}, {"datacontenttype", e.DataContentType}}
	for _, a := range optional {
		if err := checkAttribute(a.name, a.value, MaxAttributeBytes); err != nil {
			return err
		}
	}
	if e.DataContentType != "" {
		if _, _, err := mime.ParseMediaType(e.DataContentType); err != nil {
			return BadField("datacontenttype", "not a media type: "+err.Error(), `send one like "application/json" (RFC 2046)`)
		}
	}
	if y := e.Time.Year(); !e.Time.IsZero() && (y < 1 || y > 9999) {
		return BadField("time", "the year is out of range", "send a time between the years 1 and 9999 (RFC 3339)")
	}
	if len(e.Extensions) > MaxExtensions {
		return BadField("extensions", "more than "+strconv.Itoa(MaxExtensions)+" extension attributes", "put them into the data")
	}
	for name, value := range e.Extensions {
		if err := CheckExtensionName(name); err != nil {
			return err
		}
		if err := checkAttribute(name, value, MaxExtensionBytes); err != nil {
			return err
		}
	}
	return nil
}

// CheckExtensionName keeps CloudEvents §3.1.1: lower-case letters and digits;
// and refuses the names of the standard attributes.
func CheckExtensionName(name string) error {
	ok := name != "" && len(name) <= 64
	for i := range len(name) {
		c := name[i]
		ok = ok && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9')
	}
	if !ok {
		return BadField(name, "not an attribute name", "use 1 to 64 lower-case letters and digits (CloudEvents §3.1.1)")
	}
	if isStandard(name) || name == "data" || name == "database64" {
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

func checkAttribute(name, value string, limit int) error {
	if len(value) > limit {
		return &Error{Code: TooLarge, Field: name, Detail: "longer than " + strconv.Itoa(limit) + " bytes", Fix: "shorten it, or put it into the data"}
	}
	if !utf8.ValidString(value) {
		return BadField(name, "not valid UTF-8", "send UTF-8 text")
	}
	for _, r := range value {
		if r < 0x20 || r >= 0x7f && r <= 0x9f {
			return BadField(name, "holds a control character", "remove it (CloudEvents §3.1.2)")
		}
	}
	return nil
}

// extensionNames gives the names sorted, so that an event has one encoding.
func (e *Event) extensionNames() []string {
	names := make([]string, 0, len(e.Extensions))
	for name := range e.Extensions {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// The Kafka protocol binding for CloudEvents, binary mode (§3.2): attributes are
// headers with the prefix ce_, the data is the value, and the partition key is
// the record's key (§3.1).

func appendEventFields(dst []byte, e *Event) []byte {
	if key := e.Key(); key != "" {
		dst = appendBytes(dst, key)
	} else {
		dst = binary.AppendVarint(dst, -1)
	}
	dst = appendNullable(dst, e.Data)
	count := 4 + boolInt(e.Subject != "") + boolInt(!e.Time.IsZero()) + boolInt(e.DataContentType != "") + boolInt(e.DataSchema != "") + len(e.Extensions)
	dst = binary.AppendVarint(dst, int64(count))
	dst = appendHeader(dst, "ce_specversion", "1.0")
	dst = appendHeader(dst, "ce_id", e.ID)
	dst = appendHeader(dst, "ce_source", e.Source)
	dst = appendHeader(dst, "ce_type", e.Type)
	if e.Subject != "" {
		dst = appendHeader(dst, "ce_subject", e.Subject)
	}
	if !e.Time.IsZero() {
		dst = appendHeader(dst, "ce_time", e.Time.Format(time.RFC3339Nano))
	}
	if e.DataSchema != "" {
		dst = appendHeader(dst, "ce_dataschema", e.DataSchema)
	}
	if e.DataContentType != "" {
		dst = appendHeader(dst, "content-type", e.DataContentType)
	}
	if len(e.Extensions) > 0 {
		for _, name := range e.extensionNames() {
			dst = appendBytes(dst, "ce_"+name)
			dst = appendBytes(dst, e.Extensions[name])
		}
	}
	return dst
}

func appendHeader(dst []byte, name, value string) []byte {
	return appendBytes(appendBytes(dst, name), value)
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Event decodes the record by the Kafka binding: binary mode, structured mode
// (content-type application/cloudevents+json), and plain records of producers
// that know nothing of CloudEvents. A plain record becomes an event of type
// "parley.record" whose id is its position. Data aliases the record. Errors:
// Damaged for a structured value that is no CloudEvent.
func (r Record) Event() (Event, error) {
	contentType, _ := r.Header("content-type")
	if strings.HasPrefix(string(contentType), "application/cloudevents+json") {
		e, err := ParseJSON(r.Value)
		if err != nil {
			return Event{}, Errorf(Damaged, "record at %d: %w", r.Position, err)
		}
		r.complete(&e)
		return e, nil
	}
	e := Event{Data: r.Value}
	for name, value := range r.Headers() {
		if attr, ok := strings.CutPrefix(name, "ce_"); ok {
			e.setAttribute(attr, string(value))
		} else if name == "content-type" {
			e.DataContentType = string(value)
		}
	}
	r.complete(&e)
	return e, nil
}

// complete fills what a record knows and its headers may leave out.
func (r Record) complete(e *Event) {
	if r.Key != nil && e.Key() == "" && utf8.Valid(r.Key) {
		e.Set(PartitionKey, string(r.Key))
	}
	if e.Time.IsZero() {
		e.Time = r.Time()
	}
	if e.ID == "" {
		e.ID = strconv.FormatInt(int64(r.Position), 10)
	}
	if e.Source == "" {
		e.Source = "/"
	}
	if e.Type == "" {
		e.Type = "parley.record"
	}
}

// setAttribute sets any attribute from its string form. A value that is not of
// its attribute's kind, and a name that is none, are left out: what was stored
// stays stored.
func (e *Event) setAttribute(name, value string) {
	switch name {
	case "specversion":
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
		if t, err := time.Parse(time.RFC3339Nano, value); err == nil {
			e.Time = t
		}
	default:
		if CheckExtensionName(name) == nil {
			e.Set(name, value)
		}
	}
}
