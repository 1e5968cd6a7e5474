package grpcapi

import (
	"context"
	"fmt"
	"testing"
	"time"

	ratelimit "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	rls "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/parleyhq/parley/engine/memlog"
	"github.com/parleyhq/parley/pattern/throttle/policy"
	"github.com/parleyhq/parley/wire/door"
	"github.com/parleyhq/parley/wire/grpcapi/envoyrls"
	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
)

func limitsOf(t testing.TB, fixed map[string]policy.Definition) *policy.Registry {
	t.Helper()
	limits, err := policy.New(memlog.New(memlog.Options{}), policy.Options{Fixed: fixed})
	if err != nil {
		t.Fatal(err)
	}
	return limits
}

func bearer(ctx context.Context, secret string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+secret)
}

func TestCheck(t *testing.T) {
	limits := limitsOf(t, map[string]policy.Definition{"otp": {Limit: "sliding-log 3/1h"}, "club": {Limit: "concurrency 1"}, "free": {Limit: "inf/s"}})
	r := newRig(t, func(o *Options) { o.Throttle = limits })
	c := parleyv1.NewThrottleClient(r.conn)
	cost := func(n int64) *int64 { return &n }
	for _, step := range []struct {
		in   *parleyv1.CheckRequest
		want string
	}{
		{&parleyv1.CheckRequest{Limit: "otp", Key: "u"}, "true 3 2 false true "},
		{&parleyv1.CheckRequest{Limit: "otp", Key: "u", Cost: cost(3)}, "false 3 2 true true limited"},
		{&parleyv1.CheckRequest{Limit: "otp", Key: "u", Cost: cost(2), Peek: true}, "true 3 2 false true "},
		{&parleyv1.CheckRequest{Limit: "otp", Key: "u", Refund: true}, "true 3 3 false false "},
		{&parleyv1.CheckRequest{Limit: "otp", Key: "u", Cost: cost(0)}, "true 3 3 false false "},
		{&parleyv1.CheckRequest{Limit: "otp", Key: "u", Cost: cost(4)}, "false 3 3 false false impossible"},
		{&parleyv1.CheckRequest{Limit: "free"}, "true 9223372036854775807 9223372036854775807 false false "},
	} {
		out, err := c.Check(t.Context(), step.in)
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprintf("%v %d %d %v %v %s", out.GetAllowed(), out.GetLimit(), out.GetRemaining(), out.GetRetryAfter() != nil, out.GetReset_() != nil, out.GetReason())
		if got != step.want {
			t.Errorf("%v: %s, want %s", step.in, got, step.want)
		}
	}
	_, err := c.Check(t.Context(), &parleyv1.CheckRequest{Limit: "none"})
	taken(t, err).want(t, codes.NotFound, "NOT_FOUND", "limit")
	_, err = c.Check(t.Context(), &parleyv1.CheckRequest{Limit: "otp", Cost: cost(-1)})
	taken(t, err).want(t, codes.InvalidArgument, "INVALID", "cost")
	_, err = c.Check(t.Context(), &parleyv1.CheckRequest{Limit: "club"})
	taken(t, err).want(t, codes.FailedPrecondition, "UNPROCESSABLE", "limit")
}

func TestChecksNeedTheirScope(t *testing.T) {
	ids, secrets := tokens(t, nil, map[string]string{"login": "throttle:login.*", "reader": "read", "any": "throttle"})
	envoy, err := envoyrls.New([]envoyrls.Config{{Domain: "login.edge"}, {Domain: "other"}}, envoyrls.Options{})
	if err != nil {
		t.Fatal(err)
	}
	limits := limitsOf(t, map[string]policy.Definition{"login.web": {Limit: "9/s"}, "other": {Limit: "9/s"}})
	r := newRig(t, func(o *Options) {
		o.Throttle, o.RateLimits, o.Identify, o.Now = limits, envoy, ids, func() time.Time { return noon }
	})
	c, e := parleyv1.NewThrottleClient(r.conn), rls.NewRateLimitServiceClient(r.conn)
	for who, may := range map[string][2]bool{"login": {true, false}, "reader": {false, false}, "any": {true, true}} {
		ctx := bearer(t.Context(), secrets[who])
		for i, name := range []string{"login.web", "other"} {
			_, err := c.Check(ctx, &parleyv1.CheckRequest{Limit: name})
			domain := name
			if i == 0 {
				domain = "login.edge"
			}
			_, errE := e.ShouldRateLimit(ctx, &rls.RateLimitRequest{Domain: domain, Descriptors: []*ratelimit.RateLimitDescriptor{{}}})
			for _, err := range []error{err, errE} {
				if (err == nil) != may[i] || err != nil && status.Code(err) != codes.PermissionDenied {
					t.Errorf("%s asks %s: %v", who, name, err)
				}
			}
		}
	}
	_, err = c.Check(t.Context(), &parleyv1.CheckRequest{Limit: "other"})
	taken(t, err).want(t, codes.Unauthenticated, "UNAUTHENTICATED", "authorization")
}

func TestEnvoysRateLimitService(t *testing.T) {
	envoy, err := envoyrls.New([]envoyrls.Config{{Domain: "edge", Descriptors: []envoyrls.Descriptor{
		{Key: "path", Value: "/login", RateLimit: &envoyrls.RateLimit{Unit: "hour", RequestsPerUnit: 1}},
	}}}, envoyrls.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, func(o *Options) { o.RateLimits = envoy })
	c := rls.NewRateLimitServiceClient(r.conn)
	in := &rls.RateLimitRequest{Domain: "edge", Descriptors: []*ratelimit.RateLimitDescriptor{{Entries: []*ratelimit.RateLimitDescriptor_Entry{{Key: "path", Value: "/login"}}}}}
	for _, want := range []rls.RateLimitResponse_Code{rls.RateLimitResponse_OK, rls.RateLimitResponse_OVER_LIMIT} {
		out, err := c.ShouldRateLimit(t.Context(), in)
		if err != nil || out.GetOverallCode() != want || out.GetStatuses()[0].GetCurrentLimit().GetUnit() != rls.RateLimitResponse_RateLimit_HOUR {
			t.Errorf("%v %v, want %s", out, err, want)
		}
	}
	_, err = c.ShouldRateLimit(t.Context(), &rls.RateLimitRequest{Domain: "edge"})
	taken(t, err).want(t, codes.InvalidArgument, "INVALID", "descriptors")
	without := newRig(t, nil)
	_, err = rls.NewRateLimitServiceClient(without.conn).ShouldRateLimit(t.Context(), in)
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("%v where no domain is configured", err)
	}
}

func TestLimitsOnCallsAndMessages(t *testing.T) {
	limits := limitsOf(t, map[string]policy.Definition{
		"pace": {Limit: "sliding-log 2/1h", Key: "header:x-tenant", On: []string{"publish:orders.>"}},
		"room": {Limit: "concurrency 1", Key: "everyone", On: []string{"subscribe:orders.eu"}},
	})
	r := newRig(t, func(o *Options) { o.Admission = door.Limited(limits) })
	as := func(tenant string) context.Context {
		return metadata.AppendToOutgoingContext(t.Context(), "x-tenant", tenant)
	}
	in := &parleyv1.PublishRequest{Topic: "orders.eu", Events: []*parleyv1.Event{text("0")}}
	for range 2 {
		if _, err := r.publish.Publish(as("1"), in); err != nil {
			t.Fatal(err)
		}
	}
	_, err := r.publish.Publish(as("1"), in)
	taken(t, err).want(t, codes.ResourceExhausted, "THROTTLED", "limit")
	var wait time.Duration
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.RetryInfo); ok {
			wait = info.GetRetryDelay().AsDuration()
		}
	}
	if wait < 59*time.Minute || wait > time.Hour {
		t.Errorf("RetryInfo says %s", wait)
	}
	_, err = r.publish.PublishAll(as("1"), &parleyv1.PublishAllRequest{Topics: []*parleyv1.TopicEvents{{Topic: "free", Events: in.GetEvents()}, {Topic: "orders.us", Events: in.GetEvents()}}})
	taken(t, err).want(t, codes.ResourceExhausted, "THROTTLED", "limit")

	stream, err := r.publish.PublishStream(as("2"))
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for i := range 5 {
		if err := stream.Send(&parleyv1.PublishStreamRequest{Request: uint64(i), Publish: in}); err != nil {
			t.Fatal(err)
		}
		m, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if f := m.GetFailure(); f != nil {
			if refused++; f.GetReason() != "THROTTLED" || f.GetRetryAfter().AsDuration() < 59*time.Minute {
				t.Errorf("%v", f)
			}
		}
	}
	if refused != 3 {
		t.Errorf("%d of 5 messages were refused", refused)
	}

	ctx, cancel := context.WithCancel(t.Context())
	first := r.read(ctx, earliest("orders.>")) // which reads orders.eu too
	second, err := r.subscribe.Subscribe(t.Context(), earliest("orders.eu"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = second.Recv()
	taken(t, err).want(t, codes.Unavailable, "OVERLOADED", "limit")
	cancel()
	_ = first.end()
	for { // its place is free when the server has seen it go
		third, err := r.subscribe.Subscribe(t.Context(), earliest("orders.eu"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err = third.Recv(); err == nil {
			break
		}
		taken(t, err).want(t, codes.Unavailable, "OVERLOADED", "limit")
	}
}
