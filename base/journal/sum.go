package journal

import "hash/crc32"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sum is what the end of a snapshot says of its parts.
type sum struct {
	crc   uint32
	count uint64
	bytes uint64
}

func (s *sum) add(part []byte) {
	s.crc = crc32.Update(s.crc, castagnoli, part)
	// The length goes in too, so that parts cannot move bytes between them.
	n := uint32(len(part))
	s.crc = crc32.Update(s.crc, castagnoli, []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
	s.count++
	s.bytes += uint64(len(part))
}
