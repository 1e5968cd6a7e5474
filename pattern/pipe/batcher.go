package pipe

import "time"

// Batcher says when a batch is full: by its events, their bytes, or the time since
// its first event. It is a machine: time is told, nothing runs.
type Batcher[T any] struct {
	Count int           // events; 0 = not counted
	Bytes int           // bytes; 0 = not counted
	Every time.Duration // since the first event; 0 = however long it takes

	// State is what the batcher remembers: the batch that is open. It may be kept
	// and set again.
	State BatchState[T]
}

// BatchState is an open batch.
type BatchState[T any] struct {
	Events []T       `json:"events,omitempty"`
	Bytes  int       `json:"bytes,omitempty"`
	Since  time.Time `json:"since,omitzero"` // of the first event
}

// Full says that an event of so many bytes has no room in the open batch: Take it
// first.
func (b *Batcher[T]) Full(size int) bool {
	return len(b.State.Events) > 0 && b.Bytes > 0 && b.State.Bytes+size > b.Bytes
}

// Add adds an event, and says whether the batch is full now. An event that is
// larger than Bytes makes a batch of its own.
func (b *Batcher[T]) Add(now time.Time, event T, size int) (full bool) {
	s := &b.State
	if len(s.Events) == 0 {
		s.Since = now
		if s.Events == nil {
			s.Events = make([]T, 0, min(max(b.Count, 16), 4096))
		}
	}
	s.Events = append(s.Events, event)
	s.Bytes += size
	return b.Count > 0 && len(s.Events) >= b.Count || b.Bytes > 0 && s.Bytes >= b.Bytes
}

// Due gives the time at which the open batch has waited long enough; false = there
// is none, or it may wait for ever.
func (b *Batcher[T]) Due() (time.Time, bool) {
	if b.Every <= 0 || len(b.State.Events) == 0 {
		return time.Time{}, false
	}
	return b.State.Since.Add(b.Every), true
}

// Take gives the open batch, which is the caller's, and begins another.
func (b *Batcher[T]) Take() []T {
	batch := b.State.Events
	b.State = BatchState[T]{}
	return batch
}
