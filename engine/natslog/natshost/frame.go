package natshost

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
)

// The first byte of an answer, and that of a request that ends another.
const (
	answered      = 'a' // then the answer
	failed        = 'e' // then the error as JSON
	later         = 't' // then the ticket
	cancelRequest = 'x'
)

// longest bounds how long an owner works on a request that has no deadline of its
// own to tell; the asker's coming again keeps it alive.
const longest = 24 * time.Hour

// encodeRequest puts how long the asker waits, in milliseconds, before a request;
// 0 is for ever.
func encodeRequest(ctx context.Context, request []byte) []byte {
	var left int64
	if end, ok := ctx.Deadline(); ok {
		left = max(time.Until(end).Milliseconds(), 1)
	}
	b := binary.AppendUvarint(make([]byte, 0, len(request)+binary.MaxVarintLen64), uint64(left))
	return append(b, request...)
}

func decodeRequest(b []byte) (patience time.Duration, request []byte, ok bool) {
	ms, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil, false
	}
	if ms > uint64(longest.Milliseconds()) {
		ms = 0
	}
	return time.Duration(ms) * time.Millisecond, b[n:], true
}

// wireError is an error on its way: what its reader may know of it.
type wireError struct {
	Code     string          `json:"code"`
	Field    string          `json:"field,omitempty"`
	Detail   string          `json:"detail,omitempty"`
	Fix      string          `json:"fix,omitempty"`
	Retry    int64           `json:"retry_ms,omitempty"`
	Earliest parley.Position `json:"earliest,omitempty"`
}

func encodeAnswer(answer []byte) []byte { return append([]byte{answered}, answer...) }

func encodeTicket(id uint64) []byte { return strconv.AppendUint([]byte{later}, id, 36) }

func encodeError(err error) []byte {
	w := wireError{Code: parley.CodeOf(err).String(), Detail: err.Error()}
	if e, ok := errors.AsType[*parley.Error](err); ok {
		w.Field, w.Detail, w.Fix, w.Retry, w.Earliest = e.Field, e.Detail, e.Fix, e.RetryAfter.Milliseconds(), e.Earliest
	}
	b, merr := json.Marshal(w)
	if merr != nil {
		b = []byte(`{"code":"internal"}`)
	}
	return append([]byte{failed}, b...)
}

// decodeAnswer reads an answer: a ticket, or the answer, or an error.
func decodeAnswer(b []byte) (ticket string, answer []byte, err error) {
	if len(b) == 0 {
		return "", nil, garbled("nothing")
	}
	switch b[0] {
	case answered:
		return "", b[1:], nil
	case later:
		if id, err := strconv.ParseUint(string(b[1:]), 36, 64); err == nil && id > 0 {
			return string(b[1:]), nil, nil
		}
		return "", nil, garbled("a bad ticket")
	case failed:
		var w wireError
		code, known := parley.Internal, false
		if json.Unmarshal(b[1:], &w) == nil {
			code, known = parley.CodeNamed(w.Code)
		}
		if !known {
			return "", nil, garbled("an error that cannot be read")
		}
		return "", nil, &parley.Error{Code: code, Field: w.Field, Detail: w.Detail, Fix: w.Fix, RetryAfter: time.Duration(w.Retry) * time.Millisecond, Earliest: w.Earliest}
	}
	return "", nil, garbled("something else")
}

// garbled is Unknown: the owner had the request.
func garbled(what string) error {
	return parley.Errorf(parley.Unknown, "the owner answers %s", what)
}
