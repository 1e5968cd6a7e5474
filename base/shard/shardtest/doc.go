// Package shardtest tests machines that run on a shard.Host: several nodes in one
// process, over one log, whose ownership is moved at every step of a history.
//
//	shardtest.EveryStep(t, 2, newLog, func(t *testing.T, c *shardtest.Cluster, step func(parley.Stream)) {
//		c.Serve(moves, func(ctx context.Context, log parley.Log, own *shard.Owner) error { … })
//		for … {
//			step(moves) // here the ownership moves, in one run of many
//			answer, err := c.Ask(t.Context(), moves, request)
//		}
//		// compare with the model
//	})
//
// All of it runs in fake time (testing/synctest). The transport is as bad as a
// transport may be: it asks every node that believes itself the owner, and takes
// the first answer.
package shardtest
