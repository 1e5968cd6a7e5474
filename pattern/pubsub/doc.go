// Package pubsub is the publish-subscribe pattern and the one subscription on
// which server-sent events, WebSocket, polling, webhooks, streams and pipes
// stand: events in order, first from the log from any cursor, then live.
//
//	hub := pubsub.NewHub(log, topics, sealer, pubsub.Options{})
//	go hub.Run(ctx)
//	sub, err := hub.Subscribe(ctx, pubsub.Request{Topics: []string{"orders.>"}, From: pubsub.Earliest()})
//	for d, err := sub.Next(ctx); err == nil; d, err = sub.Next(ctx) { … }
//
// What it promises:
//
//	order        events of one stream come in its order; streams interleave
//	completeness no event is missed and none comes twice between the stored and
//	             the live part, nor across a resume from any cursor
//	honesty      a reader whose place is gone is told so first: gap, reset, ahead
//	slow readers hold a cursor, not a queue: the server does not grow for them
//	cost         a parked subscription is a list node: no goroutine, no timer
//	sharing      an event is encoded once for each wire format, and all its
//	             subscribers get the same bytes
//
// Delivery is at least once for a reader that resumes from the last cursor it
// has worked off, and effectively once for one that stores the cursor together
// with its effects. What it is not: a work queue (every subscriber sees every
// event) and a place that remembers a reader's progress; the reader holds its
// cursor.
package pubsub
