package grpcapi

import (
	"errors"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/wire/door"
	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
)

// Domain is that of every google.rpc.ErrorInfo.
const Domain = "parley"

// grpcCodes maps each code once, by what a client may do about it: Unavailable is
// for trying again as it is, Aborted for reading anew, ResourceExhausted for a
// limit; the others make no sense to repeat.
var grpcCodes = map[parley.Code]codes.Code{
	parley.Internal: codes.Internal, parley.Invalid: codes.InvalidArgument, parley.Unauthenticated: codes.Unauthenticated,
	parley.Forbidden: codes.PermissionDenied, parley.NotFound: codes.NotFound, parley.Exists: codes.AlreadyExists,
	parley.Conflict: codes.Aborted, parley.KeyReused: codes.AlreadyExists, parley.Trimmed: codes.OutOfRange,
	parley.BadCursor: codes.InvalidArgument, parley.TooLarge: codes.ResourceExhausted, parley.Unsupported: codes.Unimplemented,
	parley.Unprocessable: codes.FailedPrecondition, parley.Apart: codes.FailedPrecondition, parley.Throttled: codes.ResourceExhausted,
	parley.Overloaded: codes.Unavailable, parley.Unavailable: codes.Unavailable, parley.Full: codes.ResourceExhausted,
	parley.Timeout: codes.DeadlineExceeded, parley.Canceled: codes.Canceled, parley.Unknown: codes.Unknown,
	parley.Damaged: codes.DataLoss, parley.MethodNotAllowed: codes.Unimplemented, parley.PreconditionFailed: codes.FailedPrecondition,
}

// Code is the gRPC code of a code.
func Code(c parley.Code) codes.Code {
	if g, ok := grpcCodes[c]; ok {
		return g
	}
	return codes.Internal
}

// Reason is the name of a code as google.rpc.ErrorInfo spells names: "KEY_REUSED".
func Reason(c parley.Code) string {
	return strings.ToUpper(strings.ReplaceAll(c.String(), "-", "_"))
}

// resumable is an error of a subscription, with where to go on.
type resumable struct {
	err    error
	cursor string
}

// Error implements error.
func (r *resumable) Error() string { return r.err.Error() }

// Unwrap gives the error itself.
func (r *resumable) Unwrap() error { return r.err }

// fieldNames are the names that fields have here, where they differ from those in
// HTTP.
var fieldNames = map[string]string{"Authorization": "authorization", "Idempotency-Key": "idempotency_key", "after": "from"}

// told is what a caller is told about an error. What an Internal error is about is
// for the log only.
type told struct {
	code       parley.Code
	field      string
	message    string
	retryAfter time.Duration
}

func tell(err error) told {
	t := told{code: parley.CodeOf(err)}
	t.message = t.code.Info().Title
	var e *parley.Error
	if !errors.As(err, &e) || t.code == parley.Internal {
		return t
	}
	t.field, t.retryAfter = e.Field, e.RetryAfter
	if name, ok := fieldNames[t.field]; ok {
		t.field = name
	}
	if e.Detail != "" {
		t.message = e.Detail
	}
	if e.Fix != "" {
		t.message += "; " + e.Fix
	}
	if t.retryAfter <= 0 && (e.Code == parley.Overloaded || e.Code == parley.Unavailable) {
		t.retryAfter = time.Second
	}
	t.message = strings.ToValidUTF8(t.message, "?") // a protobuf string
	return t
}

// statusOf makes the status of an error (google.rpc.Status with the details of
// google/rpc/error_details.proto).
func statusOf(err error, trace door.Trace) *status.Status {
	t := tell(err)
	info := &errdetails.ErrorInfo{Reason: Reason(t.code), Domain: Domain, Metadata: map[string]string{"type": door.ProblemType + t.code.String()}}
	details := []protoadapt.MessageV1{info}
	if door.Status(t.code) >= 500 {
		info.Metadata["trace"] = trace.String()[3:35]
	}
	if pointer, keyword := door.Pointed(err); pointer != "" {
		info.Metadata["pointer"], info.Metadata["keyword"] = pointer, keyword
	}
	var r *resumable
	if errors.As(err, &r) && r.cursor != "" {
		info.Metadata["cursor"] = r.cursor
	}
	if t.field != "" {
		details = append(details, &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: t.field, Description: t.message, Reason: info.Reason}}})
	}
	if t.retryAfter > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(t.retryAfter)})
	}
	s := status.New(Code(t.code), t.message)
	if with, err := s.WithDetails(details...); err == nil {
		return with
	}
	return s
}

// failureOf is the error of one request on a stream.
func failureOf(err error) *parleyv1.Failure {
	t := tell(err)
	f := &parleyv1.Failure{Code: int32(Code(t.code)), Reason: Reason(t.code), Message: t.message, Field: t.field}
	if t.retryAfter > 0 {
		f.RetryAfter = durationpb.New(t.retryAfter)
	}
	return f
}
