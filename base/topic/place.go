package topic

import "github.com/parleyhq/parley"

// PartitionOf gives the index of the partition, of n, that an event goes to.
// With a key it is what Kafka's default partitioner gives, so that Kafka
// producers and others place equal keys alike; without one it depends on source
// and id, so that a retry meets itself.
func PartitionOf(e *parley.Event, n int) int {
	if n <= 1 {
		return 0
	}
	if key := e.Key(); key != "" {
		return int(murmur2(key)&0x7fffffff) % n
	}
	return int(spread(e.Source, e.ID) % uint64(n))
}

// murmur2 is the 32-bit MurmurHash2 with the seed that Kafka uses.
func murmur2(key string) uint32 {
	const m = 0x5bd1e995
	h := uint32(0x9747b28c) ^ uint32(len(key))
	for ; len(key) >= 4; key = key[4:] {
		k := uint32(key[0]) | uint32(key[1])<<8 | uint32(key[2])<<16 | uint32(key[3])<<24
		k *= m
		k ^= k >> 24
		k *= m
		h = h*m ^ k
	}
	switch len(key) {
	case 3:
		h ^= uint32(key[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(key[1]) << 8
		fallthrough
	case 1:
		h = (h ^ uint32(key[0])) * m
	}
	h = (h ^ h>>13) * m
	return h ^ h>>15
}

// spread is FNV-1a over source and id, and its halves folded together. It must
// never change: retries that cross an upgrade rest on it.
func spread(source, id string) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for i := range len(source) {
		h = (h ^ uint64(source[i])) * prime
	}
	h *= prime // a zero byte between them
	for i := range len(id) {
		h = (h ^ uint64(id[i])) * prime
	}
	return h ^ h>>32
}
