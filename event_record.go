package parley

import (
	"encoding/binary"
	"strconv"
	"time"
	"unicode/utf8"
)

// The Kafka protocol binding for CloudEvents, binary mode (§3.2): attributes are
// headers with the prefix ce_, the data is the value, and the partition key is
// the record's key (§3.1).

const headerPrefix = "ce_"

func appendEventFields(dst []byte, e *Event) []byte {
	if key := e.Key(); key != "" {
		dst = appendBytes(dst, key)
	} else {
		dst = binary.AppendVarint(dst, -1)
	}
	dst = appendNullable(dst, e.Data)
	var room [8]string
	names := e.extensionNames(room[:0])
	count := 4 + boolInt(e.Subject != "") + boolInt(!e.Time.IsZero()) + boolInt(e.DataContentType != "") + boolInt(e.DataSchema != "") + len(names)
	dst = binary.AppendVarint(dst, int64(count))
	dst = appendHeader(dst, "ce_specversion", "1.0")
	dst = appendHeader(dst, "ce_id", e.ID)
	dst = appendHeader(dst, "ce_source", e.Source)
	dst = appendHeader(dst, "ce_type", e.Type)
	if e.Subject != "" {
		dst = appendHeader(dst, "ce_subject", e.Subject)
	}
	if !e.Time.IsZero() {
		var text [len(time.RFC3339Nano)]byte
		dst = appendBytes(dst, "ce_time")
		dst = appendBytes(dst, e.Time.AppendFormat(text[:0], time.RFC3339Nano))
	}
	if e.DataSchema != "" {
		dst = appendHeader(dst, "ce_dataschema", e.DataSchema)
	}
	if e.DataContentType != "" {
		dst = appendHeader(dst, "content-type", e.DataContentType)
	}
	for _, name := range names {
		dst = binary.AppendVarint(dst, int64(len(headerPrefix)+len(name)))
		dst = append(append(dst, headerPrefix...), name...)
		dst = appendBytes(dst, e.Extensions[name])
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
// that know nothing of CloudEvents. What a record lacks or has wrong is filled:
// the id by its position, the source by "/", the type by "parley.record", the
// time by its append time; a header that breaks the rules of its attribute is
// left out, and stays in the record. So the event passes Check, unless Damaged
// is returned: for a structured value that is no CloudEvent. Data aliases the
// record.
func (r Record) Event() (Event, error) {
	if r.Structured() {
		e, err := ParseJSON(r.Value)
		if err != nil {
			return Event{}, Errorf(Damaged, "record at %d: %w", r.Position, err)
		}
		r.complete(&e)
		return e, nil
	}
	e := Event{Data: r.Value}
	rest := string(r.headers) // one allocation; the attributes are parts of it
	for range r.count {
		var name, value string
		name, rest = nextString(rest)
		value, rest = nextString(rest)
		if name == "content-type" {
			_ = e.setAttribute("datacontenttype", value)
		} else if len(name) > len(headerPrefix) && name[:len(headerPrefix)] == headerPrefix {
			if name = name[len(headerPrefix):]; name != "datacontenttype" {
				_ = e.setAttribute(name, value)
			}
		}
	}
	r.complete(&e)
	return e, nil
}

// Structured says that the value is a whole event. Of any other record Event never fails.
// An event in binary mode may have data of that type too: then its attributes are
// there, and count.
func (r Record) Structured() bool {
	contentType, ok := r.Header("content-type")
	if !ok || string(contentType) == "application/json" || mediaTypeOf(string(contentType)) != StructuredType {
		return false
	}
	_, binary := r.Header("ce_specversion")
	return !binary
}

// nextString takes a header's name or value off s, which cutRecord has checked;
// null is empty.
func nextString(s string) (field, rest string) {
	var u uint64
	for i, shift := 0, 0; i < len(s); i, shift = i+1, shift+7 {
		u |= uint64(s[i]&0x7f) << shift
		if s[i] < 0x80 {
			s = s[i+1:]
			break
		}
	}
	n := int64(u>>1) ^ -int64(u&1)
	if n <= 0 || n > int64(len(s)) {
		return "", s
	}
	return s[:n], s[n:]
}

// complete fills what a record knows and its headers may leave out.
func (r Record) complete(e *Event) {
	if len(r.Key) > 0 && e.Key() == "" && utf8.Valid(r.Key) {
		_ = e.setAttribute(PartitionKey, string(r.Key))
	}
	if e.Time.IsZero() {
		if t := r.Time(); checkTime(t) == nil {
			e.Time = t
		}
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
