package httpapi

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/wire/door"
)

// body is the body of a request in a buffer that is used again: free gives it
// back once nothing points into it.
type body struct{ bytes.Buffer }

var bodies = sync.Pool{New: func() any { return new(body) }}

// keptBody is the largest buffer that is worth keeping.
const keptBody = 64 << 10

func (b *body) free() {
	if b.Cap() <= keptBody {
		b.Reset()
		bodies.Put(b)
	}
}

// read reads the body of a request as it was sent: in no coding (RFC 9110 §8.4),
// within the limits of size and time.
func (a *API) read(c *door.Call) (*body, error) {
	if err := checkCoding(c); err != nil {
		return nil, err
	}
	limit := a.opt.Limits.Body
	if c.R.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	b := bodies.Get().(*body)
	if c.R.ContentLength == 0 {
		return b, nil
	}
	if n := c.R.ContentLength; n > 0 { // what a peer declares is believed up to a bound
		b.Grow(int(min(n, keptBody-bytes.MinRead)) + bytes.MinRead)
	}
	// The request keeps its body, and the limit gets the writer of net/http itself:
	// by these net/http finds out whether to let a peer that still sends read the
	// answer before the connection is closed.
	n, err := b.ReadFrom(http.MaxBytesReader(unwrapped(c.W), c.R.Body, limit))
	if err == nil && c.R.ContentLength > n {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		b.free()
		return nil, bodyError(err)
	}
	// The deadline of the body is not one of the work that follows.
	_ = http.NewResponseController(c.W).SetReadDeadline(time.Time{})
	return b, nil
}

func checkCoding(c *door.Call) error {
	for _, coding := range c.R.Header["Content-Encoding"] {
		if !strings.EqualFold(strings.TrimSpace(coding), "identity") {
			c.W.Header().Set("Accept-Encoding", "identity") // RFC 9110 §12.5.3
			return &parley.Error{Code: parley.Unsupported, Field: "Content-Encoding", Detail: "the coding " + strconv.Quote(coding) + " is not spoken here", Fix: "send the body as it is"}
		}
	}
	return nil
}

func tooLarge(limit int64) error {
	return &parley.Error{Code: parley.TooLarge, Field: "body", Detail: "the body is over " + strconv.FormatInt(limit, 10) + " bytes", Fix: "send less at a time"}
}

func bodyError(err error) error {
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return tooLarge(over.Limit)
	case parley.CodeOf(err) == parley.Timeout:
		return &door.StatusError{Status: http.StatusRequestTimeout, Err: &parley.Error{Code: parley.Timeout, Field: "body", Detail: "the body did not arrive in time", Fix: "send it faster, or in smaller parts"}}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return parley.BadField("body", "the body ended before its declared end", "send the whole body")
	}
	return parley.BadField("body", "the body cannot be read: "+err.Error(), "check its framing, such as that of chunks")
}
