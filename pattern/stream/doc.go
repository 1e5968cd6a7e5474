// Package stream is event streaming: consumer groups over the partitions of
// topics. A group shares partitions out among its members, each to one at a time,
// and remembers durably how far each is worked off; several groups read the same
// events independently, and a group can go back to any place that retention holds.
//
//	groups, err := stream.New(log, host, topics, stream.Options{})
//	err = groups.Load(ctx)
//	go groups.Run(ctx)
//
//	billing, err := groups.Ensure(ctx, "billing")
//	c, err := stream.NewConsumer(billing, stream.ConsumerOptions{Topics: []string{"orders.>"}})
//	for {
//		messages, err := c.Poll(ctx)
//		…
//		err = c.Commit(ctx)
//	}
//
// # What it guarantees
//
//	| what                            | how                                                      |
//	|---------------------------------|----------------------------------------------------------|
//	| every event at least once       | a partition is read on from its committed place; what    |
//	|                                 | was not committed comes again                             |
//	| order within a partition        | that of the log                                           |
//	| one member a partition          | in each generation; who is not in it commits nothing      |
//	| a commit is durable when it is  | a move in the group's stream; many at a time share one    |
//	| answered                        | append                                                    |
//	| commits never go back           | a place behind the committed one is refused; only Seek    |
//	|                                 | takes a group back, and then in a new generation          |
//	| even shares that stay           | shares differ by one at most where all want the same      |
//	|                                 | topics, and no partition moves that need not              |
//	| only what was asked for         | a member gets partitions of its own topics and patterns,  |
//	|                                 | also of topics that come later, and of those that grow    |
//	| who falls silent is replaced    | after its session timeout; who does not come back for a   |
//	|                                 | rebalance, after its rebalance timeout                    |
//	| a move of the owner costs       | members, generation and places are in the log; everybody  |
//	| nothing                         | has a session's time to be heard of by the new owner      |
//	| honesty                         | events that retention took away are told as gaps          |
//	| memory                          | at most 1,000 members and 4,096 partitions a group        |
//
// # Generations
//
// Whenever members come or go, or there is another partition to read, the group
// rebalances: each member finishes what it has, commits, and comes back by asking
// for events (Fetch, Poll) or by Join. When all are back, or late ones are given
// up, a generation begins, whose number every commit has to name. Meanwhile the
// old one's commits are taken. A member that goes on without coming back loses
// nothing but its membership: its events come again, to another.
//
// A place is the position of the event to read next. A partition that the group
// has no place in is read from where the first member that wanted it said; one that
// is created later, from its beginning.
//
// # What it is not
//
// A group does not hold retention back: events go when their topic says so. It is
// not a queue: what is behind a slow event in its partition waits for it, and one
// partition keeps one member busy. Delivery is exactly once only for who stores
// places together with effects, and seeks there.
//
// # Hash chains
//
// Link, EventDigest and Chain are for topics that are kept as evidence: each event
// carries the digest of the one before it, and a change of the past shows.
package stream
