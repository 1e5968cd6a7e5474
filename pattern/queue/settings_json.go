package queue

import (
	"bytes"
	"encoding/json"
	"time"
)

// settingsJSON is how settings are written. Pointers tell what is absent, so
// that a merge patch (RFC 7396) is one call.
type settingsJSON struct {
	MaxAttempts *int       `json:"max_attempts"`
	Visibility  *span      `json:"visibility"`
	Retry       *retryJSON `json:"retry"`
	Concurrency *int       `json:"concurrency"`
	Rate        *string    `json:"rate"`
	DeadLetter  *string    `json:"dead_letter"`
	Results     *string    `json:"results"`
	Feed        *[]string  `json:"feed,omitempty"`
}

type retryJSON struct {
	Kind   RetryKind `json:"kind"`
	Delay  span      `json:"delay,omitzero"`
	Max    span      `json:"max,omitzero"`
	Delays []span    `json:"delays,omitempty"`
	Jitter float64   `json:"jitter,omitempty"`
}

func (r Retry) json() retryJSON {
	out := retryJSON{Kind: r.Kind, Delay: span(r.Delay), Max: span(r.Max), Jitter: r.Jitter}
	for _, d := range r.Delays {
		out.Delays = append(out.Delays, span(d))
	}
	return out
}

func (r *retryJSON) retry() Retry {
	out := Retry{Kind: r.Kind, Delay: time.Duration(r.Delay), Max: time.Duration(r.Max), Jitter: r.Jitter}
	for _, d := range r.Delays {
		out.Delays = append(out.Delays, time.Duration(d))
	}
	return out
}

// MarshalJSON implements json.Marshaler.
func (r Retry) MarshalJSON() ([]byte, error) { return json.Marshal(r.json()) }

// UnmarshalJSON implements json.Unmarshaler. A member that is not known is passed
// over: a later version wrote it. Errors: Invalid.
func (r *Retry) UnmarshalJSON(b []byte) error { return r.parse(b, false) }

func (r *Retry) parse(b []byte, strict bool) error {
	var in retryJSON
	if err := decoding(b, strict).Decode(&in); err != nil {
		return badMember("retry", "retry.", err, `send an object like {"kind": "fixed", "delay": "5s"}`)
	}
	*r = in.retry()
	return nil
}

// span is a duration as text.
type span time.Duration

func (d span) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func (d *span) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = span(v)
	return err
}

// MarshalJSON implements json.Marshaler.
func (s Settings) MarshalJSON() ([]byte, error) {
	r := s.Retry.json()
	var feed *[]string
	if len(s.Feed) > 0 {
		feed = &s.Feed
	}
	return json.Marshal(settingsJSON{
		MaxAttempts: &s.MaxAttempts, Visibility: (*span)(&s.Visibility), Retry: &r,
		Concurrency: &s.Concurrency, Rate: &s.Rate, DeadLetter: &s.DeadLetter, Results: &s.Results, Feed: feed,
	})
}

// UnmarshalJSON implements json.Unmarshaler, for what a server answers or a log
// holds. Members that are absent or null keep the value that s has; retry is replaced
// as a whole. A member that is not known is passed over: a later version wrote it.
// Errors: Invalid.
func (s *Settings) UnmarshalJSON(b []byte) error { return s.parse(b, false) }

// UnmarshalStrict is UnmarshalJSON for what a user wrote: a member that is not known
// is refused. Errors: Invalid.
func (s *Settings) UnmarshalStrict(b []byte) error { return s.parse(b, true) }

func decoding(b []byte, strict bool) *json.Decoder {
	d := json.NewDecoder(bytes.NewReader(b))
	if strict {
		d.DisallowUnknownFields()
	}
	return d
}

func (s *Settings) parse(b []byte, strict bool) error {
	var in settingsJSON
	if err := decoding(b, strict).Decode(&in); err != nil {
		return badMember("settings", "", err, `send an object like {"max_attempts": 5, "visibility": "30s"}`)
	}
	set(&s.MaxAttempts, in.MaxAttempts)
	set(&s.Visibility, (*time.Duration)(in.Visibility))
	set(&s.Concurrency, in.Concurrency)
	set(&s.Rate, in.Rate)
	set(&s.DeadLetter, in.DeadLetter)
	set(&s.Results, in.Results)
	set(&s.Feed, in.Feed)
	if in.Retry != nil {
		s.Retry = in.Retry.retry()
	}
	return nil
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}
