// Package natshost lets machines run on one of several nodes over a log in NATS
// (package natslog): it carries Asks to the owner of a shard as core NATS
// requests. Who the owner is, and when another takes over, is decided by
// base/shard and the log alone; the transport may lose, delay and repeat.
//
//	host, err := natshost.New(log, shard.Options{Name: "node-1"})
//	if err != nil {
//		return err
//	}
//	answer, err := host.Ask(ctx, moves, request)
//
// # How an Ask travels
//
// The asking node first asks who owns the shard (PREFIX.who.NAMESPACE.NAME): every
// node that believes so answers with an inbox of its own, and the first is taken
// and remembered. The request then goes to that inbox, so exactly one node gets
// it, and Unavailable is certain: nothing ran. A node that left, or was deposed,
// is forgotten and the question asked anew. Who becomes owner tells all nodes
// (PREFIX.now.NAMESPACE.NAME), so that those who wait for an owner, or for the
// answer of one that is gone, need not find out by waiting in vain.
//
// A request that takes longer than Hold is answered with a ticket, with which the
// asking node comes again and again. So a wait of minutes lives on the asking
// node; one that goes away, or dies, is noticed by the owner within Abandon, and
// an owner that dies is noticed by the asker within a try: Unknown.
//
// Requests and answers are moves and places, not bodies of events: together with
// a few bytes of ours they must fit the servers' max_payload.
package natshost
