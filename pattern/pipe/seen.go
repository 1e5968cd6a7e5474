package pipe

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// Seen remembers keys, to leave out what has come before. It is a machine: time is
// told. What it holds is bounded by the number of keys and by their age; a key that
// was forgotten counts as new.
type Seen struct {
	most   int
	within time.Duration
	keys   map[string]struct{}
	ring   []SeenKey // grows up to most
	oldest int
	lost   uint64
}

// SeenKey is a key and when it was first seen.
type SeenKey struct {
	Key string    `json:"key"`
	At  time.Time `json:"at"`
}

// seenKeys is the default number of keys, and seenKeyBytes the longest that is kept
// as it is: of longer ones it is their SHA-256.
const (
	seenKeys     = 100_000
	seenKeyBytes = 64
)

// NewSeen makes one that holds so many keys (0 is 100,000), each for so long
// (0 = until its room is needed). A key of 64 bytes takes about 200.
func NewSeen(most int, within time.Duration) *Seen {
	if most <= 0 {
		most = seenKeys
	}
	return &Seen{most: most, within: within, keys: map[string]struct{}{}}
}

// Add adds a key, and says whether it is new. now must not go back; if it does, the
// keys added meanwhile stay longer.
func (s *Seen) Add(now time.Time, key string) bool {
	if len(key) > seenKeyBytes {
		sum := sha256.Sum256([]byte(key))
		key = hex.EncodeToString(sum[:]) + "#" // one byte longer than what is kept as it is
	}
	s.expire(now)
	if _, old := s.keys[key]; old {
		return false
	}
	s.put(SeenKey{key, now})
	return true
}

func (s *Seen) put(k SeenKey) {
	switch n := len(s.keys); {
	case n == s.most:
		s.drop()
		s.lost++
		fallthrough
	case n < len(s.ring):
		s.ring[(s.oldest+len(s.keys))%len(s.ring)] = k
	default: // the ring is full: begin it at the oldest again, and let it grow
		if s.oldest > 0 {
			s.ring = append(s.ring[s.oldest:len(s.ring):len(s.ring)], s.ring[:s.oldest]...)
			s.oldest = 0
		}
		s.ring = append(s.ring, k)
	}
	s.keys[k.Key] = struct{}{}
}

// expire forgets what is too old.
func (s *Seen) expire(now time.Time) {
	for s.within > 0 && len(s.keys) > 0 && now.Sub(s.ring[s.oldest].At) >= s.within {
		s.drop()
	}
}

func (s *Seen) drop() {
	delete(s.keys, s.ring[s.oldest].Key)
	s.ring[s.oldest] = SeenKey{}
	s.oldest = (s.oldest + 1) % len(s.ring)
}

// Len is how many keys are remembered.
func (s *Seen) Len() int { return len(s.keys) }

// Forgotten is how many keys went before their time, for want of room.
func (s *Seen) Forgotten() uint64 { return s.lost }

// State gives the keys, oldest first: all that there is to keep.
func (s *Seen) State() []SeenKey {
	all := make([]SeenKey, 0, len(s.keys))
	for i := range len(s.keys) {
		all = append(all, s.ring[(s.oldest+i)%len(s.ring)])
	}
	return all
}

// Restore takes what State gave in place of all that it knows.
func (s *Seen) Restore(keys []SeenKey) {
	s.keys, s.ring, s.oldest, s.lost = make(map[string]struct{}, len(keys)), nil, 0, 0
	for _, k := range keys {
		if _, twice := s.keys[k.Key]; !twice {
			s.put(k)
		}
	}
}
