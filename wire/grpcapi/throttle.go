package grpcapi

import (
	"context"
	"time"

	rls "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/parleyhq/parley/pattern/throttle"
	"github.com/parleyhq/parley/pattern/throttle/policy"
	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
)

// Check implements parleyv1.ThrottleServer.
func (s *service) Check(ctx context.Context, in *parleyv1.CheckRequest) (*parleyv1.CheckResponse, error) {
	c := callOf(ctx)
	if err := c.allow("throttle", in.GetLimit()); err != nil {
		return nil, err
	}
	release, err := c.admit(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	check := policy.Check{Key: in.GetKey(), Cost: 1, Peek: in.GetPeek(), Refund: in.GetRefund()}
	if in.Cost != nil {
		check.Cost = in.GetCost()
	}
	v, err := s.api.opt.Throttle.Check(ctx, in.GetLimit(), check)
	if err != nil {
		return nil, err
	}
	out := &parleyv1.CheckResponse{Allowed: v.Allowed, Limit: v.Limit, Remaining: v.Remaining, RetryAfter: some(v.RetryAfter), Reset_: some(v.Reset)}
	if v.Reason != throttle.Granted {
		out.Reason = v.Reason.String()
	}
	return out, nil
}

// some is a duration, absent when it is 0.
func some(d time.Duration) *durationpb.Duration {
	if d <= 0 {
		return nil
	}
	return durationpb.New(d)
}

// ShouldRateLimit implements Envoy's rls.RateLimitServiceServer.
func (s *service) ShouldRateLimit(ctx context.Context, in *rls.RateLimitRequest) (*rls.RateLimitResponse, error) {
	c := callOf(ctx)
	if err := c.allow("throttle", in.GetDomain()); err != nil {
		return nil, err
	}
	release, err := c.admit(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	return s.api.opt.RateLimits.Decide(in)
}
