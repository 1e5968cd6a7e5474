package sharded

import (
	"context"
	"encoding/json"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/pattern/throttle"
)

// Counter is one limit, asked from anywhere. It is safe for concurrent use.
type Counter struct {
	host     shard.Host
	stream   parley.Stream
	name     string
	text     string
	revision int64
}

// New makes a counter of the limit of that name in a shard. All counters of a name
// should have one limit; where they differ, the one with the highest revision
// holds, and keys keep what they have spent. Errors: Invalid.
func New(host shard.Host, stream parley.Stream, name string, limit throttle.Limit, revision int64) (*Counter, error) {
	if _, err := throttle.Compile(limit); err != nil {
		return nil, parley.BadField("limit", err.Error(), "change the limit")
	}
	c := &Counter{host: host, stream: stream, name: name, text: limit.String(), revision: revision}
	if err := (request{Op: opLook, Name: name}).check(); err != nil {
		return nil, err
	}
	_, err := parse(c.text)
	return c, err
}

// AllowN takes n units of a key, all or none, and never waits in line. Errors:
// Invalid; Unavailable when nobody owned the shard for as long as the host is
// patient, and nothing was taken; Unknown when the units may have been taken;
// those of the context.
func (c *Counter) AllowN(ctx context.Context, key string, n int64) (throttle.Decision, error) {
	return c.ask(ctx, opTake, key, n)
}

// Look says whether n units would be had, and takes nothing. Errors as AllowN.
func (c *Counter) Look(ctx context.Context, key string, n int64) (throttle.Decision, error) {
	return c.ask(ctx, opLook, key, n)
}

// Return gives n units back that were taken a moment ago, and says what there is.
// Errors as AllowN.
func (c *Counter) Return(ctx context.Context, key string, n int64) (throttle.Decision, error) {
	return c.ask(ctx, opBack, key, n)
}

func (c *Counter) ask(ctx context.Context, op, key string, n int64) (throttle.Decision, error) {
	r := request{Op: op, Name: c.name, Limit: c.text, Revision: c.revision, Key: []byte(key), Cost: n}
	if err := r.check(); err != nil {
		return throttle.Decision{}, err
	}
	b, err := json.Marshal(r)
	if err != nil {
		return throttle.Decision{}, err
	}
	answer, err := c.host.Ask(ctx, c.stream, b)
	if err != nil {
		return throttle.Decision{}, err
	}
	var out reply
	if err := json.Unmarshal(answer, &out); err != nil {
		return throttle.Decision{}, parley.Errorf(parley.Unknown, "the owner's answer is not understood: %w", err)
	}
	return out.decision(n), nil
}
