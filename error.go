package parley

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Code says what kind of failure an Error is. Each door maps every code once
// to its own status (HTTP status, gRPC code, Kafka error); the text form is the
// last part of a problem document's `type` and never changes.
type Code uint8

// The codes. Codes lists them with title and meaning.
const (
	Internal           Code = iota // a fault of ours; details go to the log, not to the caller
	Invalid                        // a field is malformed; Field names it
	Unauthenticated                // no identity, or one that is not accepted
	Forbidden                      // the identity lacks the scope
	NotFound                       // no such topic, queue, …
	Exists                         // the name is taken
	Conflict                       // a comparison failed: the stream or resource moved on
	KeyReused                      // an idempotency key came again with another body
	Trimmed                        // the place is below what retention still holds; Earliest is set
	BadCursor                      // a cursor that is garbage, forged or from elsewhere
	TooLarge                       // body, event or batch over its limit
	Unsupported                    // media type, codec or version that is not spoken here
	Unprocessable                  // well formed, but breaks a rule of the resource
	Apart                          // the writes of one commit lie in different homes
	Throttled                      // over a limit; RetryAfter is set
	Overloaded                     // no room now: connections, waits or work in line are at their bound
	Unavailable                    // the engine or an owner cannot be reached now
	Full                           // the disk is full: reads go on, writes are refused
	Timeout                        // not done in time
	Canceled                       // the caller went away
	Unknown                        // the outcome is not known: the write may or may not be durable
	Damaged                        // stored data fails its check and is quarantined
	MethodNotAllowed               // the resource has no such method
	PreconditionFailed             // If-Match or an expected version does not hold
	codeCount
)

// Error is the one error type of Parley. A zero field is an absent one.
type Error struct {
	Code       Code
	Field      string        // the input at fault, as its user writes it: "after", "Parley-Key", "topic"
	Detail     string        // what happened, for people
	Fix        string        // what to do about it
	RetryAfter time.Duration // when trying again makes sense
	Earliest   Position      // with Trimmed: the earliest position left
	Err        error         // the cause; never shown to a caller from outside
}

// Error implements error.
func (e *Error) Error() string {
	s := e.Code.String()
	if e.Field != "" {
		s += " (" + e.Field + ")"
	}
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Fix != "" {
		s += "; " + e.Fix
	}
	if e.Err != nil && !strings.HasSuffix(e.Detail, e.Err.Error()) {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is makes errors.Is(err, &Error{Code: c}) true for every error of code c.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && t.Field == "" && t.Detail == "" && t.Err == nil
}

// Errorf makes an Error whose detail is formatted; a %w verb sets its cause.
func Errorf(c Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: c, Detail: err.Error(), Err: errors.Unwrap(err)}
}

// BadField makes an Invalid error about one input: what is wrong with it and
// what to send instead.
func BadField(field, detail, fix string) *Error {
	return &Error{Code: Invalid, Field: field, Detail: detail, Fix: fix}
}

// CodeOf gives the code of err: that of the first *Error in its chain, Canceled
// and Timeout for the errors of a context, Internal for everything else.
func CodeOf(err error) Code {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e.Code
	case isCanceled(err):
		return Canceled
	case isTimeout(err):
		return Timeout
	}
	return Internal
}
