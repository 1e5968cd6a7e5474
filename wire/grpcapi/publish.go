package grpcapi

import (
	"context"
	"errors"
	"strconv"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
)

// Publish implements parleyv1.PublishServer.
func (s *service) Publish(ctx context.Context, in *parleyv1.PublishRequest) (*parleyv1.PublishResponse, error) {
	return s.publish(ctx, in)
}

// publish is one request, of a call of its own or on a stream.
func (s *service) publish(ctx context.Context, in *parleyv1.PublishRequest) (*parleyv1.PublishResponse, error) {
	c := callOf(ctx)
	release, err := c.pass(ctx, "publish", in.GetTopic())
	if err != nil {
		return nil, err
	}
	defer release()
	if len(in.GetRecordBatch()) > 0 {
		return s.publishBatch(ctx, in)
	}
	events, err := eventsOf(in.GetEvents())
	if err != nil {
		return nil, err
	}
	c.stamp(events)
	placed, replayed, err := s.api.opt.Topics.Publish(ctx, topicOf(in), events, topic.PublishOptions{IdempotencyKey: in.GetIdempotencyKey()})
	if err != nil {
		return nil, err
	}
	return placedOf(placed, replayed), nil
}

// publishBatch stores what the client has encoded.
func (s *service) publishBatch(ctx context.Context, in *parleyv1.PublishRequest) (*parleyv1.PublishResponse, error) {
	if len(in.GetEvents()) > 0 {
		return nil, parley.BadField("events", "both events and record_batch are there", "send one of them")
	}
	batch, err := parley.ParseBatch(in.GetRecordBatch())
	if err != nil {
		return nil, &parley.Error{Code: parley.Invalid, Field: "record_batch", Detail: err.Error(), Fix: "send one record batch v2 with its CRC"}
	}
	base, replayed, err := s.api.opt.Topics.PublishBatch(ctx, topicOf(in), int(in.GetPartition()), batch, topic.PublishOptions{IdempotencyKey: in.GetIdempotencyKey()})
	if err != nil {
		return nil, err
	}
	return &parleyv1.PublishResponse{BasePosition: int64(base), Replayed: replayed}, nil
}

func topicOf(in *parleyv1.PublishRequest) string {
	if name := in.GetTopic(); !in.GetEphemeral() || topic.IsEphemeral(name) {
		return name
	}
	return "~" + in.GetTopic()
}

// PublishAll implements parleyv1.PublishServer.
func (s *service) PublishAll(ctx context.Context, in *parleyv1.PublishAllRequest) (*parleyv1.PublishResponse, error) {
	c := callOf(ctx)
	batches, names := make([]topic.TopicEvents, len(in.GetTopics())), make([]string, len(in.GetTopics()))
	for i, t := range in.GetTopics() {
		names[i] = t.GetTopic()
		if err := c.allow("publish", t.GetTopic()); err != nil {
			return nil, err
		}
		events, err := eventsOf(t.GetEvents())
		if err != nil {
			return nil, inTopic(err, i)
		}
		c.stamp(events)
		batches[i] = topic.TopicEvents{Topic: t.GetTopic(), Events: events}
	}
	release, err := c.admit(ctx, names...)
	if err != nil {
		return nil, err
	}
	defer release()
	placed, replayed, err := s.api.opt.Topics.PublishAll(ctx, batches, topic.PublishOptions{IdempotencyKey: in.GetIdempotencyKey()})
	if err != nil {
		return nil, err
	}
	return placedOf(placed, replayed), nil
}

// inTopic says of which topic of the request an error is.
func inTopic(err error, i int) error {
	var e *parley.Error
	if !errors.As(err, &e) {
		return err
	}
	at := *e
	at.Field = "topics[" + strconv.Itoa(i) + "]." + e.Field
	return &at
}

// stamp gives the events the trace of their call, unless they have their own.
func (c *call) stamp(events []parley.Event) {
	if c.header("traceparent") == "" {
		return // nobody traces
	}
	for i := range events {
		c.stampOne(&events[i])
	}
}

// stampOne is stamp of one event.
func (c *call) stampOne(e *parley.Event) {
	if c.header("traceparent") != "" && e.Extensions["traceparent"] == "" {
		e.Set("traceparent", c.trace.String())
	}
}

func placedOf(placed []topic.Placed, replayed bool) *parleyv1.PublishResponse {
	out := &parleyv1.PublishResponse{Events: make([]*parleyv1.Placed, len(placed)), Replayed: replayed}
	list := make([]parleyv1.Placed, len(placed))
	for i, p := range placed {
		at := &list[i]
		at.Topic, at.Partition, at.Position, at.Id = p.Topic, int32(p.Partition), int64(p.Position), p.ID
		out.Events[i] = at
	}
	return out
}
