// Package lab runs a seeded schedule of events through several ways of delivery at
// once, against the live server, and tells what really went over the wire.
//
// Each lane has its own listener on loopback in front of the server's API, and a
// client of the Go SDK behind it. Every byte of its connections is counted where it
// passes, HTTP heads and WebSocket frames included, TCP and IP not, and dissected into
// the messages that a sequence diagram is drawn from. All lanes read the same topic,
// which is made for the run and deleted after it.
//
// Experiments with limits go the same way: one traffic to several limits, each before a
// topic of its own, so that what is refused, delayed and let in is the server's doing.
// They take the scope admin on lab.>, too.
//
// A run with a work queue has the same seeded jobs done by one worker, by three, and by
// three of which one crashes, each crew with a queue of its own. It takes admin, enqueue
// and work on lab.>.
//
// A run with consumer groups has one topic read by several groups, one of which seeks
// back and one of which comes late, and by a subscriber that comes late. It takes admin
// and consume on lab.>, too.
//
// A run with pipes goes over no wire: it has the same seeded events go through several
// pipes of package pattern/pipe in the server's process, one after the other, in lanes,
// in batches, and past a slow stage. It takes admin on the pipe lab, which need not be.
//
// The caller's own token makes the topic, publishes and reads, so whoever may run a
// lab may do no more by it than without it: it takes manage, publish and read on
// lab.>. One run at a time, at most 30 s and 1,000 events; a machine that is late for its
// schedule gets up to 10 s more.
package lab
