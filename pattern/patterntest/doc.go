// Package patterntest holds every pattern to its rules, through every door and
// over every engine. A rule is a case, a case that fails prints its rule, and the
// table below says what runs: it is read by Run, which fails for a cell that did
// not run, for a door, an engine or a suite that the table does not know, and for
// an empty cell without a reason.
//
//	pattern     near                         http                         client                       grpc
//	pubsub      memlog disklog               memlog disklog               memlog disklog               memlog disklog
//	poll        memlog disklog               memlog disklog               memlog disklog               (a)
//	sse         (b)                          memlog disklog               memlog disklog               (a)
//	websocket   (b)                          memlog disklog               memlog disklog               (a)
//	throttle    memlog disklog               memlog disklog               (c)                          memlog disklog
//	stream      memlog+local disklog+local   memlog+local disklog+local   (d)                          (d)
//	queue       memlog+local disklog+local   memlog+local disklog+local   memlog+local disklog+local   (e)
//	pipe        memlog+local disklog+local   memlog+local disklog+local   memlog+local disklog+local   (f)
//	together    memlog disklog               memlog disklog               memlog disklog               memlog disklog
//
//	(a) a pattern of HTTP; the streams of gRPC are in the row of pubsub
//	(b) bytes on a connection; without one there is nothing but pubsub
//	(c) the client is told as http is, and then waits by itself
//	(d) the SDK's consumer joins and asks by itself, over HTTP and gRPC: client and wire/grpcapi have its tests
//	(e) wire/grpcapi and client/overgrpc have the tests of queues over gRPC
//	(f) pipes are administered over HTTP; what goes in and out of them are topics
//
// Patterns with a machine run over two nodes of a cluster of NATS servers too, in
// test/cluster: one that the doors are opened on, and another that owns the machines.
//
//	over two nodes   near                 http   client   grpc
//	stream           natslog+natshost     (n)    (n)      (n)
//	queue            natslog+natshost     (n)    (n)      (n)
//	pipe             natslog+natshost     (n)    (n)      (n)
//
//	(n) a door asks the library as near does; test/cluster speaks to the doors of two servers besides
//
// A row is the suite of a pattern, but for the last: together moves readers from
// door to door, and breaks their connections. A column is a door:
//
//	near     the library, in the process that has the log
//	http     wire/httpapi, spoken to with net/http and another WebSocket client
//	client   package client, over both doors
//	grpc     wire/grpcapi
//
// and a cell lists the engines, each with the host behind it that runs a pattern's
// machine, as memlog+local: that of one process, or natslog+natshost.
//
// # How it runs
//
// Each case has a World of its own: a log, its topics and a hub, running. The
// doors are opened on it; they, the engines and the hosts come from the test that
// calls Run, since this package names none. A case runs in a bubble of
// testing/synctest, so an hour costs nothing and "nothing comes" is certain: doors
// must use internal/memnet, engines memory.
//
// # How a pattern is added
//
// Write NAME.go with the interface that its cases need of a door, as narrow as
// they allow, and a suite. For a pattern with a machine, Matrix.Hosts makes what
// its cases find in World.Host.
//
//	var queueSuite = suite{pattern: "queue", parts: []part{
//		{needs: "WorkQueue", has: is[WorkQueue], everywhere: true, checks: queueChecks},
//	}}
//
// Add it to suites in run.go, give the doors the interface's methods in the test,
// and add the row to the table. A delivery pattern adds its name to Door.Ways
// instead, and takes deliveryChecks for nothing.
package patterntest
