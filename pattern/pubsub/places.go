package pubsub

import "github.com/parleyhq/parley"

// Places are where the subscription is in each of its stored streams: what the
// next Fetch begins with. It is for who counts what is still to come, and for who
// holds retention back.
func (s *Subscription) Places() []parley.Place {
	list := make([]parley.Place, 0, len(s.places))
	for i := range s.places {
		if p := &s.places[i]; !p.fleeting {
			list = append(list, parley.Place{Stream: p.tail.stream(), At: p.at})
		}
	}
	return list
}
