package httpapi

import (
	"bufio"
	"cmp"
	"context"
	"io"
	"net/http"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/wire/door"
)

// Snapshot writes a copy of everything that the server has stored, as it was at
// one commit, to w.
type Snapshot func(ctx context.Context, w io.Writer) error

func (a *API) snapshotRoutes() []door.Route {
	return []door.Route{{
		Method: http.MethodGet, Path: "/v1/snapshot", Name: "snapshot",
		Summary: "A copy of everything that is stored, as it was at one commit; `parley snapshot restore` makes a directory of it.",
		Verb:    "admin", Media: []string{"application/octet-stream"}, Handle: a.snapshot,
		Errors:  []parley.Code{parley.Unprocessable, parley.Unavailable, parley.Full},
		Example: `curl -fo parley.snapshot http://127.0.0.1:7275/v1/snapshot`,
	}}
}

// snapshot streams. What fails before the first byte is told as an error; after
// it the copy ends without its digest, and the connection without its end.
func (a *API) snapshot(c *door.Call) error {
	if a.opt.Snapshot == nil {
		return &parley.Error{Code: parley.Unprocessable, Detail: "the server keeps nothing on a disk of its own that it could copy", Fix: "run it with --data DIR; a cluster is copied with its own tools"}
	}
	h := c.W.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", `attachment; filename="parley.snapshot"`)
	h.Set("Cache-Control", "no-store")
	if c.R.Method == http.MethodHead {
		return nil
	}
	out := &steady{w: c.W, ctl: http.NewResponseController(c.W)}
	buf := bufio.NewWriterSize(out, copyBuffer)
	err := a.opt.Snapshot(c.Context(), buf)
	if err == nil {
		err = buf.Flush()
	}
	if err == nil || !out.began {
		// HTTP/2 resets a stream whose deadline passes, also while nobody writes.
		_ = out.ctl.SetWriteDeadline(time.Time{})
	}
	switch {
	case err == nil:
		return nil
	case !out.began:
		h.Del("Content-Disposition")
		return err
	}
	// A deadline that is over keeps the rest from being sent, the end included.
	_ = out.ctl.SetWriteDeadline(time.Unix(1, 0))
	if out.err != nil { // and not the copy, which has it from there
		return clientGone(out.err)
	}
	return err
}

const copyBuffer = 64 << 10

// steady gives each write of a long answer a deadline of its own, so that a peer
// that stops reading does not hold what is copied for ever.
type steady struct {
	w     io.Writer
	ctl   *http.ResponseController
	began bool
	err   error // of the first write that failed
}

func (s *steady) Write(p []byte) (int, error) {
	s.began = true
	_ = s.ctl.SetWriteDeadline(time.Now().Add(door.WriteTimeout)) // a writer without deadlines needs none
	n, err := s.w.Write(p)
	s.err = cmp.Or(s.err, err)
	return n, err
}
