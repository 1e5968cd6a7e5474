// Package door is what the doors (HTTP, gRPC, later Kafka) share: who the caller
// is and what they may do, admission, tracing, how errors are told, and how long
// lived connections are kept cheap.
//
// A long-lived connection leaves its HTTP handler and becomes a Live: no
// handler stack and no buffers of net/http, one goroutine with a shallow stack
// that waits for the peer, one node in a timing wheel for its heartbeat, and no
// writer of its own: when there is something to send, a worker of a Pool sends
// all that waits in one write.
package door
