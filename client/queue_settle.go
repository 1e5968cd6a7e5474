package client

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/queue"
)

// Settle settles 1 to queue.MaxSettle leases: see queue.Queue. Calls that come
// while a request is under way are gathered into the next one. It is sent again
// after a lost answer; a settlement that had been done then is answered with
// Conflict, as is one whose lease is over.
func (q *Queue) Settle(ctx context.Context, list []queue.Settlement) ([]error, error) {
	if len(list) == 0 || len(list) > queue.MaxSettle {
		return nil, parley.BadField("settlements", strconv.Itoa(len(list))+" in one request", "send 1 to 1000")
	}
	return q.settles.do(ctx, list)
}

// clip cuts a text that the server would cut.
func clip(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "")
}

// settlementJSON is a settlement as it is sent.
type settlementJSON struct {
	Lease  string       `json:"lease"`
	Action queue.Action `json:"action"`
	Delay  string       `json:"delay,omitempty"`
	Extend string       `json:"extend,omitempty"`
	Cause  string       `json:"cause,omitempty"`
	// Of the action progress.
	Progress *float64 `json:"progress,omitempty"`
	Note     string   `json:"note,omitempty"`
	// Of the action ack.
	Result *queue.Output `json:"result,omitempty"`
}

func settlementOf(s *queue.Settlement) settlementJSON {
	out := settlementJSON{Lease: s.Lease, Action: s.Action, Cause: clip(s.Cause, queue.MaxCause), Result: s.Result}
	if s.Delay != nil {
		out.Delay = s.Delay.String()
	}
	if s.Extend != 0 {
		out.Extend = s.Extend.String()
	}
	if p := s.Progress; p != nil {
		out.Progress, out.Note = &p.Fraction, clip(p.Note, queue.MaxCause)
	}
	return out
}

// problemJSON is an error of one part of a request: problem details (RFC 9457).
type problemJSON struct{ Type, Title, Detail, Field, Fix string }

func (p *problemJSON) err() error {
	if p == nil {
		return nil
	}
	code, known := codeOf(p.Type)
	if !known {
		code = parley.Internal // of a later version
	}
	e := &parley.Error{Code: code, Detail: p.Detail, Field: p.Field, Fix: p.Fix}
	if e.Detail == "" {
		e.Detail = p.Title
	}
	return e
}

// settle sends one request of settlements.
func (q *Queue) settle(ctx context.Context, list []queue.Settlement) ([]error, error) {
	in := struct {
		Settlements []settlementJSON `json:"settlements"`
	}{make([]settlementJSON, len(list))}
	for i := range list {
		in.Settlements[i] = settlementOf(&list[i])
	}
	var out struct{ Results []resultJSON }
	if err := q.post(ctx, in, &out, "settle"); err != nil {
		return nil, err
	}
	return errorsOf(out.Results, len(list))
}

// resultJSON is what became of one part of a request.
type resultJSON struct {
	Error *problemJSON `json:"error"`
}

func errorsOf(list []resultJSON, n int) ([]error, error) {
	if len(list) != n {
		return nil, parley.Errorf(parley.Internal, "the server answers %d results to %d", len(list), n)
	}
	out := make([]error, n)
	for i := range list {
		out[i] = list[i].Error.err()
	}
	return out, nil
}

// post sends an object and reads one.
func (q *Queue) post(ctx context.Context, in, out any, parts ...string) error {
	r := request{method: http.MethodPost, url: q.url(nil, parts...), header: http.Header{}}
	if in != nil {
		body, err := json.Marshal(in)
		if err != nil {
			return parley.Errorf(parley.Invalid, "the request cannot be written as JSON: %w", err)
		}
		r.body = body
		r.header.Set("Content-Type", "application/json")
	}
	return q.c.within(ctx, patience, r, out)
}
