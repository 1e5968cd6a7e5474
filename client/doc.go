// Package client is the Go SDK of a Parley server: publish, poll and subscribe,
// over every transport with the same cursor, work queues, and consumer groups.
//
//	c, err := client.New("http://127.0.0.1:7275", client.Options{})
//	_, err = c.Publish(ctx, "orders", parley.Event{Data: []byte(`{"total":12}`), DataContentType: "application/json"})
//	for got, err := range c.Subscribe(ctx, client.Subscription{Topics: []string{"orders"}, From: "earliest"}) { … }
//
//	_, err = c.Enqueue(ctx, "emails", []queue.Job{{Event: parley.Event{Data: body}}}, queue.EnqueueOptions{})
//	w, err := queue.NewWorker(c.Queue("emails"), handler, queue.WorkerOptions{Concurrency: 10})
//	err = w.Run(ctx)
//
//	billing, err := c.Group("billing").Consumer(client.ConsumerOptions{Topics: []string{"orders"}, AutoCommit: 5 * time.Second})
//	for m, err := range billing.Messages(ctx) { … }
//
// A subscription reconnects with jittered back-off and goes on from the last
// event that the loop's body has finished with, whatever the transport. A publish
// that fails without an answer is sent again under the same idempotency key, so it
// happens once. What the server refuses for now is sent again when it says, but a
// pause above MaxPause, a minute, is not sat out: the refusal is the error, whose
// RetryAfter says when to come back.
package client
