package parley

import (
	"context"
	"errors"
)

// CodeInfo is what every door and the generated error page say about a code.
type CodeInfo struct {
	Code    Code
	Name    string // stable, kebab-case: the last part of a problem's `type`
	Title   string // one line for people
	Meaning string // when it happens and what to do
}

var codes = [codeCount]CodeInfo{
	{Internal, "internal", "Internal error", "A fault of the server. Its log has the details under the trace id of the answer."},
	{Invalid, "invalid", "Invalid input", "A field is malformed; `field` names it and `fix` says what to send."},
	{Unauthenticated, "unauthenticated", "Authentication required", "No token, or one that is unknown or expired. An expired token is never taken for an anonymous caller."},
	{Forbidden, "forbidden", "Not allowed", "The token lacks the scope that the answer names."},
	{NotFound, "not-found", "Not found", "No such topic, route or resource. Create it, or let publishing create it (`auto_create`)."},
	{Exists, "exists", "Already exists", "The name is taken by something with other settings."},
	{Conflict, "conflict", "Conflict", "A comparison failed because somebody else was first. Read again and decide anew."},
	{KeyReused, "key-reused", "Idempotency key reused", "The key was used with another body; both digests are in the answer. Use a new key for a new request."},
	{Trimmed, "trimmed", "Below retention", "The place asked for is no longer kept; `earliest` is a cursor at the oldest event left."},
	{BadCursor, "bad-cursor", "Bad cursor", "The cursor is garbage, was changed, or belongs to another server. Start from `earliest` or `latest`."},
	{TooLarge, "too-large", "Too large", "The body, event or batch is over its limit, which the answer names."},
	{Unsupported, "unsupported", "Unsupported", "A media type, compression codec or protocol version that is not spoken here."},
	{Unprocessable, "unprocessable", "Rule broken", "The request is well formed but breaks a rule of the resource; `detail` says which."},
	{Apart, "apart", "Apart", "The writes of one commit lie in different homes and cannot be made atomic. Commit them one by one, or move the topics together."},
	{Throttled, "throttled", "Rate limit exceeded", "Over a limit. Wait as long as `Retry-After` says."},
	{Overloaded, "overloaded", "No room", "The server is at a bound: connections, parked requests or work in line. Try again after `Retry-After`."},
	{Unavailable, "unavailable", "Unavailable", "The storage engine or the owner of a shard cannot be reached now. Try again."},
	{Full, "full", "Disk full", "No space left: reads go on, writes are refused until space is freed."},
	{Timeout, "timeout", "Timed out", "Not done in time."},
	{Canceled, "canceled", "Canceled", "The caller went away before the answer."},
	{Unknown, "unknown", "Outcome unknown", "The write may or may not be durable. Send it again with the same idempotency key."},
	{Damaged, "damaged", "Data damaged", "Stored data fails its checksum and is quarantined; `parley verify` tells what is lost."},
	{MethodNotAllowed, "method-not-allowed", "Method not allowed", "The path exists but not with this method; `Allow` lists those it has."},
	{PreconditionFailed, "precondition-failed", "Precondition failed", "If-Match or an expected version does not hold any more."},
}

// Codes lists every code in order.
func Codes() []CodeInfo { return append([]CodeInfo(nil), codes[:]...) }

// Info tells all about one code.
func (c Code) Info() CodeInfo {
	if c >= codeCount {
		c = Internal
	}
	return codes[c]
}

// String gives the code's stable name.
func (c Code) String() string { return c.Info().Name }

// CodeNamed finds a code by its stable name, as a client reads it from a
// problem document.
func CodeNamed(name string) (Code, bool) {
	for _, i := range codes {
		if i.Name == name {
			return i.Code, true
		}
	}
	return Internal, false
}

func isCanceled(err error) bool { return errors.Is(err, context.Canceled) }

func isTimeout(err error) bool {
	var t interface{ Timeout() bool } // context, net and os deadlines alike
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}
