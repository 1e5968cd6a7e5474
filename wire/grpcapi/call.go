package grpcapi

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/wire/door"
)

// call is one RPC on its way through the door.
type call struct {
	api    *API
	route  *door.Route
	who    door.Identity
	trace  door.Trace
	md     metadata.MD
	remote string
	now    time.Time // when it began
}

type callKey struct{}

// callOf finds the call of a handler. Every method of service has one: it is
// reached through enter only.
func callOf(ctx context.Context) *call { return ctx.Value(callKey{}).(*call) }

// enter is what every RPC of ours passes: trace, identity, handler; an error
// anywhere becomes a status. What the call acts on is in its message, so that
// decision and admission are the handler's.
func (a *API) enter(route *door.Route, srv any, s grpc.ServerStream, handle grpc.StreamHandler) error {
	c := a.callOf(s.Context(), route)
	err := a.identify(c)
	if err == nil {
		err = c.guard(func() error {
			return handle(srv, &stream{scoped{s, context.WithValue(s.Context(), callKey{}, c)}})
		})
	}
	if err == nil {
		a.observe(c, codes.OK)
		return nil
	}
	st := statusOf(err, c.trace)
	a.failed(s.Context(), c, err)
	a.observe(c, st.Code())
	return st.Err()
}

func (a *API) callOf(ctx context.Context, route *door.Route) *call {
	c := &call{api: a, route: route, now: a.opt.Now()}
	c.md, _ = metadata.FromIncomingContext(ctx)
	c.trace = door.TraceOf(c.header("traceparent"))
	if p, ok := peer.FromContext(ctx); ok {
		c.remote = p.Addr.String()
	}
	return c
}

// identify asks who, and refuses those who may do nothing before anything is read.
func (a *API) identify(c *call) error {
	var err error
	if c.who, err = a.opt.Identify.Identify(credential(c.header("authorization")), c.now); err != nil {
		return err
	}
	if c.route.Verb != "" && len(c.who.Scopes) == 0 {
		return c.allow(c.route.Verb, "")
	}
	return nil
}

// credential is the bearer token (RFC 6750 §2.1). Another scheme is refused as a
// token that it is not.
func credential(authorization string) string {
	if scheme, token, ok := strings.Cut(authorization, " "); ok && strings.EqualFold(scheme, "bearer") {
		return strings.TrimSpace(token)
	}
	return authorization
}

// header is the first value of a metadata key.
func (c *call) header(name string) string {
	if values := c.md.Get(name); len(values) > 0 {
		return values[0]
	}
	return ""
}

// allow asks Decide, at the present time: streams live long.
func (c *call) allow(verb, on string) error {
	return door.Decide(c.who, door.Action{Verb: verb, On: on}, c.api.opt.Now())
}

// admit asks the limits.
func (c *call) admit(ctx context.Context, topics ...string) (release func(), err error) {
	return c.api.opt.Admission.Admit(ctx, &door.Request{Route: c.route, Who: c.who, Remote: c.remote, Path: c.route.Path, Topics: topics, Header: c.md.Get})
}

// pass is allow and admit for a call that acts on one topic.
func (c *call) pass(ctx context.Context, verb, topic string) (release func(), err error) {
	if err := c.allow(verb, topic); err != nil {
		return nil, err
	}
	return c.admit(ctx, topic)
}

// guard turns a panic into an Internal error: one bad call must not end the
// process with everybody's.
func (c *call) guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			c.api.opt.Log.LogAttrs(context.WithoutCancel(c.api.life), slog.LevelError, "panic in a call", slog.String("route", c.route.Name), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			err = parley.Errorf(parley.Internal, "panic: %v", p)
		}
	}()
	return f()
}

func (a *API) failed(ctx context.Context, c *call, err error) {
	code := parley.CodeOf(err)
	level := slog.LevelDebug
	if code == parley.Internal || code == parley.Damaged || code == parley.Unknown {
		level = slog.LevelError
	}
	a.opt.Log.LogAttrs(ctx, level, "call failed", slog.String("path", c.route.Path), slog.String("code", code.String()), slog.String("trace", c.trace.String()), slog.Any("error", err))
}

func (a *API) observe(c *call, code codes.Code) {
	if a.opt.Observe != nil {
		a.opt.Observe.Call(c.route.Name, code.String(), a.opt.Now().Sub(c.now))
	}
}

// scoped is a stream with another context.
type scoped struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // what grpc asks of a wrapped stream
}

// Context implements grpc.ServerStream.
func (s *scoped) Context() context.Context { return s.ctx }

// stream is a call's messages, with errors of ours.
type stream struct{ scoped }

// RecvMsg implements grpc.ServerStream. io.EOF stays itself.
func (s *stream) RecvMsg(m any) error {
	in := incoming{into: m}
	if err := s.ServerStream.RecvMsg(&in); err != nil {
		return received(err)
	}
	if in.err != nil {
		return &parley.Error{Code: parley.Invalid, Field: "message", Detail: "the message cannot be decoded", Fix: "send it as parley/v1 defines it, with text in UTF-8", Err: in.err}
	}
	return nil
}

// SendMsg implements grpc.ServerStream.
func (s *stream) SendMsg(m any) error {
	if err := s.ServerStream.SendMsg(m); err != nil {
		return parley.Errorf(parley.Canceled, "sending: %w", err)
	}
	return nil
}

// received says why no message came. grpc has told the client already, in its own
// words: this is for the log and the metrics.
func received(err error) error {
	if errors.Is(err, io.EOF) {
		return err
	}
	switch status.Code(err) {
	case codes.ResourceExhausted:
		return parley.Errorf(parley.TooLarge, "receiving: %w", err)
	case codes.Internal: // more or fewer messages than the call has, or half of one
		return parley.Errorf(parley.Invalid, "receiving: %w", err)
	case codes.DeadlineExceeded:
		return parley.Errorf(parley.Timeout, "receiving: %w", err)
	}
	return parley.Errorf(parley.Canceled, "receiving: %w", err)
}
