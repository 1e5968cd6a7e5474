package parley

import (
	"encoding/binary"
	"time"
)

// Copy appends the event that a record of another batch holds, byte for byte: its key,
// value and headers go on as they are. What Record.Event fills from the place and the
// time of a record is written down, since those are others here. An event in structured
// mode is encoded anew. at is as in Add. Errors: those of Add, and of Record.Event.
func (b *Builder) Copy(at time.Time, r Record) error {
	if r.Structured() {
		e, err := r.Event()
		if err != nil {
			return err
		}
		return b.Add(at, &e)
	}
	lacks := r.lacks()
	return b.add(at.UnixMilli(), func(dst []byte) []byte {
		dst = appendNullable(appendNullable(dst, r.Key), r.Value)
		if lacks == (lacking{}) {
			return append(binary.AppendVarint(dst, int64(r.count)), r.headers...)
		}
		var none Event
		r.complete(&none)
		dst = binary.AppendVarint(dst, int64(r.count+lacks.count(&none)))
		return lacks.append(append(dst, r.headers...), &none)
	})
}

// lacking are the attributes that a record in binary mode leaves to who reads it.
type lacking struct{ id, source, kind, time bool }

// lacks finds them as Event does: of several headers the last counts that is valid.
func (r Record) lacks() lacking {
	l := lacking{true, true, true, true}
	rest := r.headers
	for range r.count {
		name, after, _ := cutBytes(rest) // checked by cutRecord
		value, after, _ := cutBytes(after)
		rest = after
		var of *bool
		switch string(name) {
		case "ce_id":
			of = &l.id
		case "ce_source":
			of = &l.source
		case "ce_type":
			of = &l.kind
		case "ce_time":
			of = &l.time
		default:
			continue
		}
		if len(value) == 0 {
			*of = true
		} else if validAttribute(string(name[len(headerPrefix):]), string(value)) {
			*of = false
		}
	}
	return l
}

func validAttribute(name, value string) bool {
	if name == "time" {
		_, err := parseTime(value)
		return err == nil
	}
	return checkAttribute(name, value) == nil
}

func (l lacking) count(e *Event) int {
	return boolInt(l.id) + boolInt(l.source) + boolInt(l.kind) + boolInt(l.time && !e.Time.IsZero())
}

func (l lacking) append(dst []byte, e *Event) []byte {
	if l.id {
		dst = appendHeader(dst, "ce_id", e.ID)
	}
	if l.source {
		dst = appendHeader(dst, "ce_source", e.Source)
	}
	if l.kind {
		dst = appendHeader(dst, "ce_type", e.Type)
	}
	if l.time && !e.Time.IsZero() {
		var text [len(time.RFC3339Nano)]byte
		dst = appendBytes(appendBytes(dst, "ce_time"), e.Time.AppendFormat(text[:0], time.RFC3339Nano))
	}
	return dst
}

// Size is about how large the record is: the bytes of its key, value and headers.
func (r Record) Size() int { return len(r.Key) + len(r.Value) + len(r.headers) }

// ContentType gives the DataContentType of the record's event, without making the event
// of a record in binary mode.
func (r Record) ContentType() string {
	known, structured := "", false
	rest := r.headers
	for range r.count {
		name, after, _ := cutBytes(rest) // checked by cutRecord
		value, after, _ := cutBytes(after)
		if rest = after; string(name) != "content-type" {
			continue
		}
		said := internedType(value)
		if said == jsonType || said == "" || checkAttribute("datacontenttype", said) == nil {
			known = said
		}
		structured = structured || said != jsonType && mediaTypeOf(said) == StructuredType
	}
	if structured && r.Structured() {
		e, _ := r.Event()
		return e.DataContentType
	}
	return known
}

const jsonType = "application/json"

// internedType is text, without an allocation for what most events have.
func internedType(value []byte) string {
	if string(value) == jsonType {
		return jsonType
	}
	return string(value)
}
