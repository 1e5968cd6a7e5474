package queue

import "slices"

// Touches are the topics and patterns that settings have a queue read and write, for
// who asks whether somebody may have it do so. Left out are those of before, since who
// changes something else need not be allowed them, and the queue's own for its dead
// jobs and results.
func (s *Settings) Touches(queue string, before *Settings) (reads, writes []string) {
	for _, pattern := range s.Feed {
		if !slices.Contains(before.Feed, pattern) {
			reads = append(reads, pattern)
		}
	}
	if to := s.DeadLetter; to != before.DeadLetter && to != "" && to != NoDeadLetter && to != queue+".dead" {
		writes = append(writes, to)
	}
	if to := s.Results; to != before.Results && to != "" && to != NoResults && to != queue+".results" {
		writes = append(writes, to)
	}
	return reads, writes
}
