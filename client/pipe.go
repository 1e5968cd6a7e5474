package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/url"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pipe/declared"
	"github.com/parleyhq/parley/pattern/sse"
)

// Pipes lists the declared pipes of the server that the caller may administer,
// without their definitions.
func (c *Client) Pipes(ctx context.Context) ([]declared.Info, error) {
	var out struct {
		Pipes []declared.Info `json:"pipes"`
	}
	_, err := c.do(ctx, request{method: http.MethodGet, url: c.url(nil, "v1", "pipes")}, &out)
	return out.Pipes, err
}

// Pipe gives a pipe with its definition. Error: NotFound.
func (c *Client) Pipe(ctx context.Context, name string) (out declared.Info, err error) {
	_, err = c.do(ctx, request{method: http.MethodGet, url: c.url(nil, "v1", "pipes", name)}, &out)
	return out, err
}

// PutPipe makes a pipe, or changes its definition while it runs; the text is YAML or
// JSON. Of the options Drain and State count. Errors: those of declared.Registry.Put.
func (c *Client) PutPipe(ctx context.Context, name string, text []byte, o declared.PutOptions) (out declared.Info, created bool, err error) {
	q := url.Values{}
	if o.Drain {
		q.Set("drain", "true")
	}
	if o.State != "" {
		q.Set("state", string(o.State))
	}
	header := http.Header{"Content-Type": {"application/yaml"}}
	res, err := c.do(ctx, request{method: http.MethodPut, url: c.url(q, "v1", "pipes", name), header: header, body: text}, &out)
	return out, err == nil && res.StatusCode == http.StatusCreated, err
}

// CheckPipe says what is wrong with a definition; nothing is stored.
func (c *Client) CheckPipe(ctx context.Context, name string, text []byte) (out declared.Report, err error) {
	_, err = c.do(ctx, request{method: http.MethodPost, url: c.url(nil, "v1", "pipes", name, "check"), body: text}, &out)
	return out, err
}

// StartPipe has a pipe run: also the end of a pause. Error: NotFound.
func (c *Client) StartPipe(ctx context.Context, name string) error {
	return c.setPipe(ctx, name, "start")
}

// PausePipe has a pipe do nothing until it is started. Error: NotFound.
func (c *Client) PausePipe(ctx context.Context, name string) error {
	return c.setPipe(ctx, name, "pause")
}

// StopPipe ends a pipe; started, it goes on where it was. Error: NotFound.
func (c *Client) StopPipe(ctx context.Context, name string) error {
	return c.setPipe(ctx, name, "stop")
}

func (c *Client) setPipe(ctx context.Context, name, verb string) error {
	_, err := c.do(ctx, request{method: http.MethodPost, url: c.url(nil, "v1", "pipes", name, verb)}, nil)
	return err
}

// DeletePipe removes a pipe with its state. Errors: NotFound, Conflict.
func (c *Client) DeletePipe(ctx context.Context, name string) error {
	_, err := c.do(ctx, request{method: http.MethodDelete, url: c.url(nil, "v1", "pipes", name)}, nil)
	return err
}

// PipeStats says what a pipe does now.
func (c *Client) PipeStats(ctx context.Context, name string) (out declared.Stats, err error) {
	_, err = c.do(ctx, request{method: http.MethodGet, url: c.url(nil, "v1", "pipes", name, "stats")}, &out)
	return out, err
}

// Tapped is what a tap shows: a record, or that some passed without being shown.
type Tapped struct {
	declared.TapRecord
	Dropped int64 // 0 = it is a record
}

// TapPipe shows what passes a step of a pipe from now on, until ctx ends; it connects
// again after a break. What is too much is counted, and holds nothing up. Errors:
// NotFound, Invalid, Unprocessable, Unavailable, Overloaded, and those of Unreachable
// that no repetition mends.
func (c *Client) TapPipe(ctx context.Context, name, step string) iter.Seq2[Tapped, error] {
	return func(yield func(Tapped, error) bool) {
		header := http.Header{}
		c.authorize(header)
		ctx, fail := context.WithCancelCause(ctx)
		defer fail(nil)
		source, err := sse.NewClient(c.url(url.Values{"step": {step}}, "v1", "pipes", name, "tap"), sse.ClientOptions{
			HTTP: c.opt.HTTP, Header: header, OnReconnect: c.reconnecting(fail), Retry: time.Second, IdleTimeout: time.Minute, MaxEvent: maxAnswer,
			Refused: func(res *http.Response) error {
				body, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20)) // what there is of it
				return problem(res, body)
			},
		})
		if err != nil {
			yield(Tapped{}, err)
			return
		}
		for m, err := range source.Events(ctx) {
			var t Tapped
			if err == nil {
				t, err = readTap(m)
			}
			if !yield(t, err) || err != nil {
				return
			}
		}
	}
}

// reconnecting tells of a break, and ends what no further connection would mend, as
// TLS on one side alone.
func (c *Client) reconnecting(fail context.CancelCauseFunc) func(error, time.Duration) {
	return func(cause error, wait time.Duration) {
		if failed := (*url.Error)(nil); errors.As(cause, &failed) { // there was no answer
			e := noStream(c.base.Host, cause)
			if cause = e; !again(e) {
				fail(e)
				return
			}
		}
		if c.opt.OnReconnect != nil {
			c.opt.OnReconnect(cause, wait)
		}
	}
}

func readTap(m sse.Message) (t Tapped, err error) {
	if m.Type == "dropped" {
		var d struct {
			Dropped int64 `json:"dropped"`
		}
		err = json.Unmarshal(m.Data, &d)
		t.Dropped = d.Dropped
	} else {
		err = json.Unmarshal(m.Data, &t.TapRecord)
	}
	if err != nil {
		err = parley.Errorf(parley.Internal, "the tap sent what cannot be read: %w", err)
	}
	return t, err
}
