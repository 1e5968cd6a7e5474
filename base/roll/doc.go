// Package roll keeps a list that all nodes have alike: which queues there are, which
// limits, which versions of a schema. The list is the events of one stream, each of
// which says what was added, changed or removed; every node folds them, and whoever
// changes the list appends one by compare-and-append, having folded all that others
// wrote before.
//
//	names := map[string]bool{} // what is folded, under mu
//	list := roll.New(log, roll.Options{
//		Stream: "$names", Lock: &mu, ID: topic.NewID,
//		Take: func(_ context.Context, e *parley.Event, _ parley.Position) error {
//			names[e.Subject] = e.Type == "added"
//			return nil
//		},
//	})
//	err := list.Write(ctx, func() (*parley.Event, error) { // decides on all that there is
//		mu.Lock()
//		defer mu.Unlock()
//		if names["a"] {
//			return nil, nil // nothing to do
//		}
//		return &parley.Event{Source: "/names", Type: "added", Subject: "a"}, nil
//	})
//
// It is for what changes seldom and has no owner: any node may write. What changes
// often, or hands something out, is a machine with one owner (packages journal and
// shard).
package roll
