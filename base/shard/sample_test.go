package shard_test

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/journal"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/engine/memlog"
)

var moves = parley.Stream{Name: "$sample.moves"}

func newLog() parley.Log { return memlog.New(memlog.Options{}) }

// sample is a counter with named leases. It knows every request by its id, so
// that one that is asked again gets the answer of the first time.
type sample struct {
	sum     int
	holders map[string]string // lease → id of the request that took it
	answers map[string]string // id → answer
	applied map[string]int    // id → how often a move of it was applied; must be 1
	looks   int               // counted lazily: may be lost
}

func newSample() *sample {
	return &sample{holders: map[string]string{}, answers: map[string]string{}, applied: map[string]int{}}
}

// Apply implements journal.Machine: a move is the request as it came.
func (s *sample) Apply(m journal.Move) error {
	f := strings.Fields(string(m.Data))
	if len(f) == 1 && f[0] == "look" {
		s.looks++
		return nil
	}
	if len(f) != 3 {
		return fmt.Errorf("unknown move %q", m.Data)
	}
	id := f[1]
	s.applied[id]++
	switch f[0] {
	case "add":
		n, err := strconv.Atoi(f[2])
		if err != nil {
			return err
		}
		s.sum += n
		s.answers[id] = strconv.Itoa(s.sum)
	case "take":
		if by := s.holders[f[2]]; by != "" {
			s.answers[id] = "held by " + by
			break
		}
		s.holders[f[2]] = id
		s.answers[id] = "yours"
	case "free":
		delete(s.holders, f[2])
		s.answers[id] = "free"
	default:
		return fmt.Errorf("unknown move %q", m.Data)
	}
	return nil
}

func (s *sample) Snapshot() iter.Seq[[]byte] {
	lines := []string{fmt.Sprintf("sum|%d|", s.sum), fmt.Sprintf("looks|%d|", s.looks)}
	for _, k := range slices.Sorted(maps.Keys(s.holders)) {
		lines = append(lines, "holder|"+k+"|"+s.holders[k])
	}
	for _, k := range slices.Sorted(maps.Keys(s.answers)) {
		lines = append(lines, "answer|"+k+"|"+s.answers[k], fmt.Sprintf("applied|%s|%d", k, s.applied[k]))
	}
	return func(yield func([]byte) bool) {
		for _, l := range lines {
			if !yield([]byte(l)) {
				return
			}
		}
	}
}

func (s *sample) Restore(parts iter.Seq[[]byte]) (err error) {
	*s = *newSample()
	for part := range parts {
		f := strings.Split(string(part), "|")
		switch f[0] {
		case "sum":
			s.sum, err = strconv.Atoi(f[1])
		case "looks":
			s.looks, err = strconv.Atoi(f[1])
		case "holder":
			s.holders[f[1]] = f[2]
		case "answer":
			s.answers[f[1]] = f[2]
		case "applied":
			s.applied[f[1]], err = strconv.Atoi(f[2])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// own runs the sample on a node.
func own(ctx context.Context, log parley.Log, o *shard.Owner) error {
	m := newSample()
	j, err := journal.Open(ctx, log, moves, m, journal.Options{Fence: o.Fence, SnapshotMoves: 5})
	if err != nil {
		return err
	}
	o.Handle(func(ctx context.Context, request []byte) (answer []byte, err error) {
		err = j.Do(ctx, func(tx *journal.Tx) error {
			f := strings.Fields(string(request))
			if f[0] == "state" {
				answer = []byte(m.state())
				return tx.Lazy([]byte("look"))
			}
			if m.applied[f[1]] == 0 {
				if err := tx.Move(request); err != nil {
					return err
				}
			}
			answer = []byte(m.answers[f[1]])
			return nil
		})
		return answer, err
	})
	return j.Run(ctx)
}

// state is all that must be the same however the ownership moved.
func (s *sample) state() string {
	return fmt.Sprint(s.sum, s.holders, s.applied)
}

// script is a history of requests.
func script() (requests []string) {
	for i := range 12 {
		requests = append(requests, fmt.Sprintf("add a%d %d", i, i+1))
		switch i % 3 {
		case 0:
			requests = append(requests, fmt.Sprintf("take t%d door", i))
		case 2:
			requests = append(requests, fmt.Sprintf("free f%d door", i))
		}
	}
	return requests
}
