package stream_test

import (
	"context"
	"fmt"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/engine/memlog"
	"github.com/parleyhq/parley/pattern/stream"
)

// A consumer reads what was published, commits, and leaves; who comes after it goes
// on from there.
func Example() {
	ctx, stop := context.WithCancel(context.Background())
	events := memlog.New(memlog.Options{})
	topics := topic.New(events, topic.Options{AutoCreate: true})
	if err := topics.Load(ctx); err != nil {
		fmt.Println(err)
	}
	groups, err := stream.New(events, new(shard.Local), topics, stream.Options{})
	if err != nil {
		fmt.Println(err)
	}
	done := make(chan error)
	go func() { done <- groups.Run(ctx) }()

	for _, data := range []string{"first", "second"} {
		order := parley.Event{Data: []byte(data)}
		if _, _, err := topics.Publish(ctx, "orders", []parley.Event{order}, topic.PublishOptions{}); err != nil {
			fmt.Println(err)
		}
		if err := readSome(ctx, groups); err != nil {
			fmt.Println(err)
		}
	}
	stop()
	<-done
	// Output:
	// orders/0: first
	// orders/0: second
}

// readSome is a program that reads what is there, and ends.
func readSome(ctx context.Context, groups *stream.Groups) error {
	billing, err := groups.Ensure(ctx, "billing")
	if err != nil {
		return err
	}
	c, err := stream.NewConsumer(billing, stream.ConsumerOptions{Topics: []string{"orders"}})
	if err != nil {
		return err
	}
	messages, err := c.Poll(ctx)
	if err != nil {
		return err
	}
	for _, m := range messages {
		fmt.Printf("%s/%d: %s\n", m.Topic, m.Partition, m.Event.Data)
	}
	if err := c.Commit(ctx); err != nil {
		return err
	}
	return c.Leave(ctx)
}
