// Package pipe moves typed events from sources through stages into sinks, in one
// process. A flow is described first and run later:
//
//	lines := pipe.From(source)
//	orders := pipe.Map(lines, parse)
//	paid := pipe.Filter(orders, isPaid)
//	err := pipe.Run(ctx, pipe.Options{}, pipe.To(paid, store))
//
// The promise: an event that a source gave is taken by the sinks, left out by a
// stage that says so, or handed to the dead-letter function with its cause. It is
// never passed on as if nothing had happened, and the source is told only then.
//
//	               guarantee                                       who keeps it
//	order          as the source gave them; after Parallel and     Parallel, Merge
//	               Merge as their order says
//	loss           none: Ack says what is done, the rest comes     ledger, source
//	               again from a source that can go back
//	duplicates     possible after a run that failed or was         the sink, by its
//	               stopped: at least once                          own keys
//	errors         tried again as Retry says, then Dead, then the  Options
//	               run ends with the error
//	back-pressure  events and bytes in every queue are bounded     Limit
//	concurrency    what the flow names, and one goroutine for      Parallel, Merge,
//	               each source, queue and collector                timed Batch, Through
//	cancellation   Run returns when all its goroutines have        Run
//
// Events move in slices: a stage is a loop over a slice, its buffer is used again,
// and between two stages is a function call. A slice that a stage or a sink is
// given is valid until it returns.
//
// What it is not: it stores nothing. A source that can go back to what it was told
// is done, such as one over a log, makes a run resumable; one that cannot, such as
// a socket, does not.
//
// Package pipe/unix has the stages that a Unix shell user knows, and package
// pipe/lang the line of text in which they are written.
package pipe
