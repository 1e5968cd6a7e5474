package queue

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/parleyhq/parley"
)

// jobJSON is how a job is written.
type jobJSON struct {
	Event       json.RawMessage `json:"event,omitempty"`
	Data        json.RawMessage `json:"data,omitempty"`
	Delay       span            `json:"delay,omitzero"`
	At          time.Time       `json:"at,omitzero"`
	Priority    int             `json:"priority,omitempty"`
	Key         string          `json:"key,omitempty"`
	Unique      string          `json:"unique,omitempty"`
	Retry       *Retry          `json:"retry,omitempty"`
	MaxAttempts int             `json:"max_attempts,omitempty"`
}

// MarshalJSON implements json.Marshaler. The members are event (a structured
// CloudEvent, with what is set of it), delay ("5s"), at (RFC 3339), priority, key,
// unique, retry and max_attempts; what is zero is left out.
func (j Job) MarshalJSON() ([]byte, error) {
	out := jobJSON{
		Delay: span(j.Delay), At: j.At, Priority: j.Priority, Key: j.Key, Unique: j.Unique,
		Retry: j.Retry, MaxAttempts: j.MaxAttempts,
	}
	if b := partialJSON(&j.Event); len(b) > len(noEvent) {
		out.Event = b
	}
	return json.Marshal(out)
}

const noEvent = `{"specversion":"1.0"}`

// partialJSON is the event without the attributes that are still to be filled in.
// AppendJSON writes them first, so that nothing else is taken for them.
func partialJSON(e *parley.Event) []byte {
	b := e.AppendJSON(nil)
	for _, a := range [...]struct{ name, value string }{{"id", e.ID}, {"source", e.Source}, {"type", e.Type}} {
		if a.value == "" {
			b = bytes.Replace(b, []byte(`,"`+a.name+`":""`), nil, 1)
		}
	}
	return b
}

// UnmarshalJSON implements json.Unmarshaler. Instead of event there may be data:
// any JSON value, which becomes the event's data as application/json. A member
// that is not known is passed over: a later version wrote it. Errors: Invalid and
// TooLarge, naming the member.
func (j *Job) UnmarshalJSON(b []byte) error { return j.parse(b, false) }

// UnmarshalStrict is UnmarshalJSON for what a user wrote: a member that is not known
// is refused.
func (j *Job) UnmarshalStrict(b []byte) error { return j.parse(b, true) }

func (j *Job) parse(b []byte, strict bool) error {
	in := struct {
		jobJSON
		Retry json.RawMessage `json:"retry"` // read below
	}{}
	if err := decoding(b, strict).Decode(&in); err != nil {
		return badMember("job", "job.", err, `send an object like {"data": {"to": "ann"}, "delay": "5s", "priority": 5}`)
	}
	if len(in.Event) > 0 && len(in.Data) > 0 {
		return parley.BadField("data", "is set beside event", "send one of them")
	}
	out := Job{
		Delay: time.Duration(in.Delay), At: in.At, Priority: in.Priority, Key: in.Key, Unique: in.Unique,
		MaxAttempts: in.MaxAttempts,
	}
	if len(in.Retry) > 0 && string(in.Retry) != "null" {
		out.Retry = new(Retry)
		if err := out.Retry.parse(in.Retry, strict); err != nil {
			return err
		}
	}
	switch {
	case len(in.Data) > 0:
		out.Event = parley.Event{DataContentType: "application/json", Data: bytes.Clone(in.Data)}
	case len(in.Event) > 0:
		e, err := parley.ParsePartialJSON(in.Event)
		if err != nil {
			return err
		}
		out.Event = e.Clone()
	}
	*j = out
	return nil
}
