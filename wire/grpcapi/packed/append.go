package packed

import (
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/parleyhq/parley"
)

// AppendHead begins a field of size bytes.
func AppendHead(dst []byte, number protowire.Number, size int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(dst, number, protowire.BytesType), uint64(size))
}

// FieldSize is the size of such a field, with its head.
func FieldSize(number protowire.Number, size int) int {
	return protowire.SizeTag(number) + protowire.SizeBytes(size)
}

// Fields of proto3 without presence: the zero value is left out.

// TextSize is the size of what AppendText appends.
func TextSize(number int, text string) int {
	if text == "" {
		return 0
	}
	return FieldSize(protowire.Number(number), len(text))
}

// AppendText appends a field that is a string.
func AppendText(dst []byte, number int, text string) []byte {
	if text == "" {
		return dst
	}
	return append(AppendHead(dst, protowire.Number(number), len(text)), text...)
}

// NumberSize is the size of what AppendNumber appends.
func NumberSize(number protowire.Number, n int64) int {
	if n == 0 {
		return 0
	}
	return protowire.SizeTag(number) + protowire.SizeVarint(uint64(n))
}

// AppendNumber appends a field that is an integer, an enum or a bool.
func AppendNumber(dst []byte, number protowire.Number, n int64) []byte {
	if n == 0 {
		return dst
	}
	return protowire.AppendVarint(protowire.AppendTag(dst, number, protowire.VarintType), uint64(n))
}

// TimeSize and AppendTime are google.protobuf.Timestamp.
func TimeSize(t time.Time) int {
	return NumberSize(1, t.Unix()) + NumberSize(2, int64(t.Nanosecond()))
}

// AppendTime appends what TimeSize is the size of.
func AppendTime(dst []byte, t time.Time) []byte {
	return AppendNumber(AppendNumber(dst, 1, t.Unix()), 2, int64(t.Nanosecond()))
}

// spanSize and appendSpan are google.protobuf.Duration.
func spanSize(d time.Duration) int {
	return NumberSize(1, int64(d/time.Second)) + NumberSize(2, int64(d%time.Second))
}

func appendSpan(dst []byte, d time.Duration) []byte {
	return AppendNumber(AppendNumber(dst, 1, int64(d/time.Second)), 2, int64(d%time.Second))
}

// Field numbers of Event, but for its texts.
const (
	eventTime       = 5
	eventExtensions = 8
	eventData       = 9
)

// texts are the string fields of Event: their numbers are their index.
func texts(e *parley.Event) [8]string {
	return [8]string{1: e.ID, 2: e.Source, 3: e.Type, 4: e.Subject, 6: e.DataContentType, 7: e.DataSchema}
}

// EventSize is the size of an Event, without a head.
func EventSize(e *parley.Event) int {
	size := 0
	for number, text := range texts(e) {
		size += TextSize(number, text)
	}
	if !e.Time.IsZero() {
		size += FieldSize(eventTime, TimeSize(e.Time))
	}
	for name, value := range e.Extensions {
		if value != "" { // an absent one
			size += FieldSize(eventExtensions, TextSize(1, name)+TextSize(2, value))
		}
	}
	if e.Data != nil {
		size += FieldSize(eventData, len(e.Data))
	}
	return size
}

// AppendEvent appends what EventSize is the size of.
func AppendEvent(dst []byte, e *parley.Event) []byte {
	for number, text := range texts(e) {
		dst = AppendText(dst, number, text)
	}
	if !e.Time.IsZero() {
		dst = AppendTime(AppendHead(dst, eventTime, TimeSize(e.Time)), e.Time)
	}
	for name, value := range e.Extensions {
		if value == "" {
			continue
		}
		dst = AppendHead(dst, eventExtensions, TextSize(1, name)+TextSize(2, value))
		dst = AppendText(AppendText(dst, 1, name), 2, value)
	}
	if e.Data != nil {
		dst = append(AppendHead(dst, eventData, len(e.Data)), e.Data...)
	}
	return dst
}
