package parley

import (
	"encoding/binary"
	"iter"
	"time"
)

// Record is one event inside a batch, not yet decoded further. Its slices alias
// the batch.
type Record struct {
	Position Position
	Millis   int64  // append time, in milliseconds since 1970
	Key      []byte // nil = none
	Value    []byte // nil = none: with a key, a tombstone
	headers  []byte
	count    int
	delta    int64
}

// Time is the record's append time.
func (r Record) Time() time.Time { return time.UnixMilli(r.Millis).UTC() }

// Headers walks the headers in order.
func (r Record) Headers() iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		rest := r.headers
		for range r.count {
			name, after, err := cutBytes(rest)
			if err != nil {
				return // checked by cutRecord
			}
			value, after, err := cutBytes(after)
			if err != nil || !yield(string(name), value) {
				return
			}
			rest = after
		}
	}
}

// Header finds a header; of several with the name, the first.
func (r Record) Header(name string) ([]byte, bool) {
	rest := r.headers
	for range r.count {
		k, after, _ := cutBytes(rest)
		v, after, _ := cutBytes(after)
		if string(k) == name {
			return v, true
		}
		rest = after
	}
	return nil, false
}

var errRecord = &Error{Code: Damaged, Detail: "record is cut short or its lengths do not add up"}

// cutRecord takes one record off b: length, attributes, time delta, position
// delta, key, value, headers, all lengths zigzag varints.
func cutRecord(b []byte) (Record, []byte, error) {
	size, b, err := cutVarint(b)
	if err != nil || size < 1 || size > int64(len(b)) {
		return Record{}, b, errRecord
	}
	body, rest := b[1:size], b[size:] // the attributes byte is unused
	var r Record
	if r.Millis, body, err = cutVarint(body); err != nil {
		return Record{}, b, err
	}
	if r.delta, body, err = cutVarint(body); err != nil {
		return Record{}, b, err
	}
	if r.Key, body, err = cutBytes(body); err != nil {
		return Record{}, b, err
	}
	if r.Value, body, err = cutBytes(body); err != nil {
		return Record{}, b, err
	}
	count, body, err := cutVarint(body)
	if err != nil || count < 0 || count > int64(len(body)) {
		return Record{}, b, errRecord
	}
	r.headers, r.count = body, int(count)
	for range count {
		var name []byte
		if name, body, err = cutBytes(body); err != nil || name == nil { // a name is never null
			return Record{}, b, errRecord
		}
		if _, body, err = cutBytes(body); err != nil {
			return Record{}, b, err
		}
	}
	if len(body) != 0 {
		return Record{}, b, errRecord
	}
	return r, rest, nil
}

func cutVarint(b []byte) (int64, []byte, error) {
	if len(b) > 0 && b[0] < 0x80 { // nearly always
		return int64(b[0]>>1) ^ -int64(b[0]&1), b[1:], nil
	}
	v, n := binary.Varint(b)
	if n <= 0 {
		return 0, b, errRecord
	}
	return v, b[n:], nil
}

// cutBytes reads a length and so many bytes; length −1 is nil.
func cutBytes(b []byte) (field, rest []byte, err error) {
	n, b, err := cutVarint(b)
	if err != nil || n < -1 || n > int64(len(b)) {
		return nil, b, errRecord
	}
	if n == -1 {
		return nil, b, nil
	}
	return b[:n:n], b[n:], nil
}

func appendBytes[T ~string | ~[]byte](dst []byte, field T) []byte {
	dst = binary.AppendVarint(dst, int64(len(field)))
	return append(dst, field...)
}

// appendNullable is appendBytes for a field in which nil differs from empty.
func appendNullable(dst, field []byte) []byte {
	if field == nil {
		return binary.AppendVarint(dst, -1)
	}
	return appendBytes(dst, field)
}
