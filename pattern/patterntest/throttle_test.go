package patterntest_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/patterntest"
	"github.com/parleyhq/parley/pattern/throttle"
	"github.com/parleyhq/parley/pattern/throttle/policy"
	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
)

var (
	_ patterntest.Checker = near{}
	_ patterntest.Limited = overHTTP{}
	_ patterntest.Limited = overGRPC{}
)

func (n near) Check(ctx context.Context, name string, c policy.Check) (policy.Verdict, error) {
	return n.w.Limits.Check(ctx, name, c)
}

// reasons are those of a refusal, by the words that doors have for them.
var reasons = map[string]throttle.Reason{"": throttle.Granted, "limited": throttle.Limited, "impossible": throttle.Impossible, "closed": throttle.Closed}

// Limited implements patterntest.Limited.
func (overHTTP) Limited() {}

func (h overHTTP) Check(ctx context.Context, name string, c policy.Check) (policy.Verdict, error) {
	body, err := json.Marshal(map[string]any{"key": c.Key, "cost": c.Cost, "peek": c.Peek, "refund": c.Refund})
	if err != nil {
		return policy.Verdict{}, err
	}
	_, answer, err := h.call(ctx, http.MethodPost, base+"/limits/"+name+"/check", nil, body)
	if err != nil {
		return policy.Verdict{}, err
	}
	var in struct {
		Allowed          bool
		Limit, Remaining int64
		RetryAfter       float64 `json:"retry_after"`
		Reset            float64
		Reason           string
	}
	err = json.Unmarshal(answer, &in)
	seconds := func(n float64) time.Duration { return time.Duration(n*1000) * time.Millisecond }
	return policy.Verdict{Allowed: in.Allowed, Limit: in.Limit, Remaining: in.Remaining, RetryAfter: seconds(in.RetryAfter), Reset: seconds(in.Reset), Reason: reasons[in.Reason]}, err
}

// throttled reads the answer of a limit, whose header and body must say the same.
func throttled(res *http.Response) error {
	var body struct {
		Title, Detail, Error, Message string
		Status                        int
		RetryAfter                    int `json:"retry_after"`
	}
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	seconds, err := strconv.Atoi(res.Header.Get("Retry-After"))
	if err = errors.Join(err, json.Unmarshal(text, &body)); err != nil || body.RetryAfter != seconds || body.Status != res.StatusCode || body.Error != body.Title || body.Message != body.Detail || res.Header.Get("RateLimit") == "" || res.Header.Get("RateLimit-Policy") == "" {
		return parley.Errorf(parley.Internal, "a refusal that is none: %v %v %s", err, res.Header, text)
	}
	return &parley.Error{Code: parley.Throttled, Detail: body.Detail, RetryAfter: time.Duration(seconds) * time.Second}
}

// Limited implements patterntest.Limited.
func (overGRPC) Limited() {}

func (g overGRPC) Check(ctx context.Context, name string, c policy.Check) (policy.Verdict, error) {
	out, err := g.throttle.Check(ctx, &parleyv1.CheckRequest{Limit: name, Key: c.Key, Cost: &c.Cost, Peek: c.Peek, Refund: c.Refund})
	if err != nil {
		return policy.Verdict{}, failure(err)
	}
	return policy.Verdict{
		Allowed: out.GetAllowed(), Limit: out.GetLimit(), Remaining: out.GetRemaining(), Reason: reasons[out.GetReason()],
		RetryAfter: out.GetRetryAfter().AsDuration(), Reset: out.GetReset_().AsDuration(),
	}, nil
}

// retryAfter is what a status says of when to come back.
func retryAfter(s *status.Status) time.Duration {
	for _, detail := range s.Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			return info.GetRetryDelay().AsDuration()
		}
	}
	return 0
}
