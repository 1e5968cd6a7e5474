package throttle

import (
	"fmt"
	"time"
)

// Reason says why a call was not admitted. It is an error, so that
// errors.Is(err, throttle.Limited) works on what Wait and Acquire return.
type Reason uint8

// The reasons. Only Limited, QueueFull, TooLate and Banned are cured by
// waiting; Impossible and Closed never are.
const (
	Granted    Reason = iota // it was admitted
	Limited                  // the limit is used up for now
	Impossible               // the cost is negative or above what could ever be admitted at once
	Closed                   // the limit is zero: nothing is admitted, ever
	QueueFull                // the line is as long as it may be
	TooLate                  // the turn would come, or came, after the longest wait allowed
	Banned                   // the key is locked out
)

// String gives the reason in a word or two.
func (r Reason) String() string {
	names := [...]string{"granted", "limited", "impossible", "closed", "queue full", "too late", "banned"}
	if int(r) < len(names) {
		return names[r]
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

// Error implements error.
func (r Reason) Error() string {
	switch r {
	case Limited:
		return "throttle: limit reached"
	case Impossible:
		return "throttle: cost is more than the limit can ever admit at once; ask for less"
	case Closed:
		return "throttle: the limit is zero and admits nothing"
	case QueueFull:
		return "throttle: the waiting line is full"
	case TooLate:
		return "throttle: the wait is longer than allowed"
	case Banned:
		return "throttle: locked out after repeated refusals"
	}
	return "throttle: " + r.String()
}

// Decision is the answer to one request for units.
type Decision struct {
	// OK says that the units are taken (or, for a cost of 0, that there is no
	// objection).
	OK bool
	// Reason is Granted or why not.
	Reason Reason
	// Cost is the units asked for.
	Cost int64
	// Limit is the quota of the limit that decided.
	Limit int64
	// Remaining is the units that could still be had at once.
	Remaining int64
	// RetryAfter is how long after a refusal the same call would be admitted
	// if nobody else came first, to the nanosecond; for Concurrency and
	// Adaptive an estimate from how long work takes. It is 0 when OK, and when
	// waiting does not help (Impossible, Closed).
	RetryAfter time.Duration
	// Reset is the time until one unit more than Remaining can be had; 0 when
	// none is missing or nobody can know. Peek and TryAll fill it in, others
	// leave it 0.
	Reset time.Duration

	at     time.Duration // when it was decided
	held   bool          // the units are inside until given back
	shared bool          // taken from a shared cell: the table was full
}

// Err is nil for a decision that admits, else an [*Error].
func (d Decision) Err() error {
	if d.OK {
		return nil
	}
	return &Error{Reason: d.Reason, RetryAfter: d.RetryAfter, Remaining: d.Remaining, Limit: d.Limit, Held: d.held}
}

// Error is a refusal. errors.Is finds its [Reason].
type Error struct {
	// Name is the limit that refused, if it has one.
	Name string
	// Reason is why.
	Reason Reason
	// RetryAfter, Remaining and Limit are as in [Decision].
	RetryAfter time.Duration
	Remaining  int64
	Limit      int64
	// Held says that places inside were asked for, so that the server as a
	// whole is busy rather than the caller too eager.
	Held bool
}

// Error tells the reason, the limit's name and when to come back.
func (e *Error) Error() string {
	s := e.Reason.Error()
	if e.Name != "" {
		s += " (" + e.Name + ")"
	}
	if e.RetryAfter > 0 {
		s += "; retry in " + e.RetryAfter.Round(time.Millisecond).String()
	}
	return s
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Reason }
