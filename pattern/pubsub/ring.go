package pubsub

import (
	"context"

	"github.com/parleyhq/parley"
)

// Spot is a place in one partition, of a reader that keeps its places itself.
type Spot struct {
	Topic     string
	Partition int
	At        parley.Position
}

// Ring has w woken, now or later, once one of the spots has an event at or above
// its place: for readers that read the log by themselves, of any number of
// partitions, and wait without a goroutine. Partitions that are not there are passed
// over. w may be woken for nothing, and until cancel, which must be called, has
// returned. Error: those of the log.
func (h *Hub) Ring(ctx context.Context, at []Spot, w Waker) (cancel func(), err error) {
	s := &Subscription{hub: h, places: make([]place, 0, len(at))}
	for _, spot := range at {
		t, err := h.topics.Get(spot.Topic)
		if err != nil || spot.Partition < 0 || spot.Partition >= len(t.Partitions) {
			continue
		}
		epoch, err := h.epochOf(ctx, t.Partitions[spot.Partition].Number, t.Partitions[spot.Partition].Stream)
		if err != nil {
			s.Close()
			return nil, err
		}
		s.places = append(s.places, place{sub: s, at: max(spot.At, first), tail: h.acquire(t, spot.Partition, epoch)})
	}
	if !s.Park(w) {
		w.Wake()
	}
	return s.Close, nil
}

// epochOf asks the engine only when nobody watches the stream yet.
func (h *Hub) epochOf(ctx context.Context, number uint64, s parley.Stream) (uint32, error) {
	h.mu.Lock()
	tl := h.tails[number]
	h.mu.Unlock()
	if tl != nil {
		return tl.epoch, nil
	}
	stats, err := h.Stats(ctx, s)
	return stats.Epoch, err
}
