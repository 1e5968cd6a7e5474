package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pipe/declared"
	"github.com/parleyhq/parley/pattern/sse"
	"github.com/parleyhq/parley/wire/door"
)

// Bounds of the taps of this door.
const (
	maxTaps   = 100              // at a time
	tapWait   = 15 * time.Second // between two signs of life
	tapWrites = 20 * time.Second // a client that takes longer is gone
)

// pipeTap streams what passes a step: each record is an event of the stream, and a
// count of what is not shown one with the name dropped.
func (a *API) pipeTap(c *door.Call) error {
	step, err := param(c.Query, "step")
	if err != nil {
		return err
	}
	if step == "" {
		return parley.BadField("step", "it is missing", "name a step by its path or name, as the pipe's stats have them")
	}
	select {
	case a.taps <- struct{}{}:
		defer func() { <-a.taps }()
	default:
		return &parley.Error{Code: parley.Overloaded, Field: "step", Detail: "as many taps are open as can be", Fix: "close one"}
	}
	name, q := c.R.PathValue("pipe"), declared.TapRequest{Step: step}
	if err := a.mayTap(c, name); err != nil {
		return err
	}
	ans, err := a.opt.Pipes.Tap(c.Context(), name, q) // before anything is sent: it may be refused
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	defer context.AfterFunc(a.opt.Context, cancel)() // the server is going
	sse.SetHeader(c.W.Header(), c.R.Proto)
	c.W.WriteHeader(http.StatusOK)
	if c.R.Method == http.MethodHead {
		return nil
	}
	out := http.NewResponseController(c.W)
	for buf := []byte(sse.Heartbeat); ; {
		if err := out.SetWriteDeadline(time.Now().Add(tapWrites)); err != nil {
			return err
		}
		if _, err := c.W.Write(buf); err != nil {
			return clientGone(err)
		}
		if err := out.Flush(); err != nil {
			return clientGone(err)
		}
		q.After, q.Term, q.Parts, q.Wait = ans.Next, ans.Term, ans.Parts, tapWait
		if ans, err = a.opt.Pipes.Tap(ctx, name, q); err != nil {
			return nil // the client sees the end, and is refused with the reason when it comes back
		}
		if buf, err = appendTap(buf[:0], &ans); err != nil {
			return err
		}
	}
}

// mayTap says whether the caller may see the events of a pipe: who may read what it
// reads.
func (a *API) mayTap(c *door.Call, name string) error {
	info, err := a.opt.Pipes.Get(c.Context(), name)
	if err != nil {
		return err
	}
	touched, err := a.opt.Pipes.Touches(c.Context(), name, []byte(info.Definition), info.Origin)
	if err != nil {
		return err
	}
	return door.AllowTopics(c.Allow, touched.Reads, nil)
}

// appendTap encodes an answer; one without records is a sign of life.
func appendTap(dst []byte, ans *declared.TapAnswer) ([]byte, error) {
	if ans.Dropped > 0 {
		dst = append(dst, "event: dropped\ndata: "...)
		count, err := json.Marshal(map[string]int64{"dropped": ans.Dropped})
		if err != nil {
			return dst, err
		}
		dst = append(append(dst, count...), "\n\n"...)
	}
	for i := range ans.Records {
		record, err := json.Marshal(&ans.Records[i]) // JSON on one line
		if err != nil {
			return dst, err
		}
		dst = append(append(append(dst, "data: "...), record...), "\n\n"...)
	}
	if len(dst) == 0 {
		dst = append(dst, sse.Heartbeat...)
	}
	return dst, nil
}
