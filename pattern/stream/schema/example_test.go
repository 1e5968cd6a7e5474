package schema_test

import (
	"context"
	"fmt"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/engine/memlog"
	"github.com/parleyhq/parley/pattern/stream/schema"
)

// A registry of schemas checks what is published to the topics of a log.
func Example() {
	ctx, log := context.Background(), memlog.New(memlog.Options{})
	schemas := schema.New(log, schema.Options{})
	topics := topic.New(log, topic.Options{Check: schemas.Check})
	if err := topics.Load(ctx); err != nil {
		panic(err)
	}
	if err := schemas.Load(ctx, topics); err != nil {
		panic(err)
	}
	_, _ = topics.Create(ctx, "orders", topic.Settings{})
	text := `{"type": "object", "properties": {"items": {"type": "array", "items": {"type": "integer"}}}}`
	if _, _, err := schemas.Put(ctx, "orders", "", []byte(text), schema.Backward); err != nil {
		panic(err)
	}
	_, _, err := topics.Publish(ctx, "orders", []parley.Event{{Data: []byte(`{"items": [1, "two"]}`)}}, topic.PublishOptions{})
	fmt.Println(err)
	// Output:
	// unprocessable (data): breaks the schema of orders, version 1: /items/1 is string, not integer (type at /properties/items/items/type); send data as the schema has it: GET /v1/topics/orders/schema
}

// Diff tells in words what is different.
func ExampleDiff() {
	changes, err := schema.Diff(
		[]byte(`{"properties": {"id": {"type": "integer"}}}`),
		[]byte(`{"properties": {"id": {"type": ["integer", "string"]}, "note": {"type": "string"}}, "required": ["note"]}`))
	if err != nil {
		panic(err)
	}
	for _, c := range changes {
		fmt.Println(c)
	}
	// Output:
	// id: type changed from integer to integer or string
	// added required field note (string)
}
