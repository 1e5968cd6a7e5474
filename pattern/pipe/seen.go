package pipe

import (
	"crypto/sha256"
	"encoding/hex"
	"hash/maphash"
	"time"
)

// Seen remembers keys, to leave out what has come before. It is a machine: time is
// told. What it holds is bounded by the number of keys and by their age; a key that
// was forgotten counts as new.
type Seen struct {
	most   int
	within time.Duration
	seed   maphash.Seed

	ring   []seenKey // grows up to most; the oldest first, from there on around
	oldest int
	used   int
	table  []uint32 // places in the ring plus one, by hash; 0 = free. At most half full
	lost   uint64
}

// SeenKey is a key and when it was first seen.
type SeenKey struct {
	Key string    `json:"key"`
	At  time.Time `json:"at"`
}

type seenKey struct {
	key  string
	hash uint64
	at   int64 // nanoseconds since 1970
}

// seenKeys is the default number of keys, and seenKeyBytes the longest that is kept
// as it is: of longer ones it is their SHA-256.
const (
	seenKeys     = 100_000
	seenMost     = 1 << 30
	seenKeyBytes = 64
)

// NewSeen makes one that holds so many keys (0 is 100,000, at most 2³⁰), each for so
// long (0 = until its room is needed). A key takes about 50 bytes and its own.
func NewSeen(most int, within time.Duration) *Seen {
	if most <= 0 {
		most = seenKeys
	}
	return &Seen{most: min(most, seenMost), within: within, seed: maphash.MakeSeed()}
}

// Add adds a key, and says whether it is new. now must not go back; if it does, the
// keys added meanwhile stay longer.
func (s *Seen) Add(now time.Time, key string) bool {
	if len(key) > seenKeyBytes {
		sum := sha256.Sum256([]byte(key))
		key = hex.EncodeToString(sum[:]) + "#" // one byte longer than what is kept as it is
	}
	return s.add(now, key)
}

func (s *Seen) add(now time.Time, key string) bool {
	at := int64(0)
	if !now.IsZero() {
		at = now.UnixNano()
	}
	for s.within > 0 && s.used > 0 && at-s.ring[s.oldest].at >= int64(s.within) {
		s.drop()
	}
	hash := maphash.String(s.seed, key)
	if s.has(hash, key) {
		return false
	}
	if s.used == s.most {
		s.drop()
		s.lost++
	}
	if s.used == len(s.ring) {
		s.grow()
	}
	place := s.place(s.used)
	s.ring[place] = seenKey{key, hash, at}
	s.used++
	s.link(place)
	return true
}

// place is that of the i-th key from the oldest in the ring.
func (s *Seen) place(i int) int {
	if i += s.oldest; i >= len(s.ring) {
		i -= len(s.ring)
	}
	return i
}

func (s *Seen) has(hash uint64, key string) bool {
	if len(s.table) == 0 {
		return false
	}
	mask := uint64(len(s.table) - 1)
	for i := hash & mask; s.table[i] != 0; i = (i + 1) & mask {
		if e := &s.ring[s.table[i]-1]; e.hash == hash && e.key == key {
			return true
		}
	}
	return false
}

// link puts a place of the ring into the table.
func (s *Seen) link(place int) {
	mask := uint64(len(s.table) - 1)
	i := s.ring[place].hash & mask
	for s.table[i] != 0 {
		i = (i + 1) & mask
	}
	s.table[i] = uint32(place + 1)
}

// drop forgets the oldest key, and closes the hole that it leaves in the table.
func (s *Seen) drop() {
	mask := uint64(len(s.table) - 1)
	i := s.ring[s.oldest].hash & mask
	for s.table[i] != uint32(s.oldest+1) {
		i = (i + 1) & mask
	}
	for next := (i + 1) & mask; s.table[next] != 0; next = (next + 1) & mask {
		home := s.ring[s.table[next]-1].hash & mask
		if (next-home)&mask >= (next-i)&mask { // it may stand in the hole
			s.table[i] = s.table[next]
			i = next
		}
	}
	s.table[i] = 0
	s.ring[s.oldest] = seenKey{}
	s.oldest = s.place(1)
	s.used--
}

// grow makes room for twice as many keys, up to the most.
func (s *Seen) grow() {
	room := min(max(2*len(s.ring), 64), s.most)
	ring := make([]seenKey, room)
	for i := range s.used {
		ring[i] = s.ring[s.place(i)]
	}
	slots := 128
	for slots < 2*room {
		slots *= 2
	}
	s.ring, s.oldest, s.table = ring, 0, make([]uint32, slots)
	for i := range s.used {
		s.link(i)
	}
}

// Len is how many keys are remembered.
func (s *Seen) Len() int { return s.used }

// Forgotten is how many keys went before their time, for want of room.
func (s *Seen) Forgotten() uint64 { return s.lost }

// State gives the keys, oldest first: all that there is to keep.
func (s *Seen) State() []SeenKey {
	all := make([]SeenKey, 0, s.used)
	for i := range s.used {
		e := &s.ring[s.place(i)]
		k := SeenKey{Key: e.key}
		if e.at != 0 {
			k.At = time.Unix(0, e.at).UTC()
		}
		all = append(all, k)
	}
	return all
}

// Restore takes what State gave in place of all that it knows.
func (s *Seen) Restore(keys []SeenKey) {
	*s = Seen{most: s.most, within: s.within, seed: s.seed}
	for _, k := range keys {
		s.add(k.At, k.Key)
	}
	s.lost = 0
}
