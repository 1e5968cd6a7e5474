package topic_test

import (
	"context"
	"fmt"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/engine/memlog"
)

// A request that is sent again with its key is answered with the first places.
func ExampleRegistry_Publish() {
	ctx := context.Background()
	registry := topic.New(memlog.New(memlog.Options{}), topic.Options{AutoCreate: true})
	if err := registry.Load(ctx); err != nil {
		fmt.Println(err)
		return
	}
	events := []parley.Event{{Data: []byte(`{"total":12}`), DataContentType: "application/json"}}
	for range 2 {
		placed, replayed, err := registry.Publish(ctx, "orders", events, topic.PublishOptions{IdempotencyKey: "order-1"})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(placed[0].Topic, placed[0].Partition, placed[0].Position, placed[0].ID, replayed)
	}
	// Output:
	// orders 0 1 66b51e71-7052-84b0-a501-5ce4f1b93444 false
	// orders 0 1 66b51e71-7052-84b0-a501-5ce4f1b93444 true
}

func ExamplePattern() {
	p, err := topic.ParsePattern("orders.*.>")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.Match("orders.eu.new"), p.Match("orders.eu"), p.Match("~orders.eu.new"))
	// Output: true false false
}
