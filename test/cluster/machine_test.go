package cluster_test

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
)

var moves = parley.Stream{Name: "$sample.moves"}

// sample is a machine that adds. It knows every request by its id, so that one
// that is asked again gets the answer of the first time.
type sample struct {
	sum     int
	answers map[string]string // id → answer
	applied map[string]int    // id → how often its move was applied; must be 1
}

func newSample() *sample {
	return &sample{answers: map[string]string{}, applied: map[string]int{}}
}

// Apply implements journal.Machine: a move is the request "add ID N" as it came.
func (s *sample) Apply(m journal.Move) error {
	f := strings.Fields(string(m.Data))
	if len(f) != 3 || f[0] != "add" {
		return fmt.Errorf("unknown move %q", m.Data)
	}
	n, err := strconv.Atoi(f[2])
	if err != nil {
		return err
	}
	s.sum += n
	s.applied[f[1]]++
	s.answers[f[1]] = strconv.Itoa(s.sum)
	return nil
}

func (s *sample) Snapshot() iter.Seq[[]byte] {
	lines := []string{"sum|" + strconv.Itoa(s.sum)}
	for _, id := range slices.Sorted(maps.Keys(s.answers)) {
		lines = append(lines, fmt.Sprintf("id|%s|%s|%d", id, s.answers[id], s.applied[id]))
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
		case "id":
			s.answers[f[1]] = f[2]
			s.applied[f[1]], err = strconv.Atoi(f[3])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// state is all that must be the same however the ownership moved.
func (s *sample) state() string { return fmt.Sprint(s.sum, s.applied) }

// own runs the sample on a node. Besides "add ID N" it answers "state", "owner",
// and "wait N", which is held until the sum has reached N.
func own(ctx context.Context, log parley.Log, name string, o *shard.Owner) error {
	m := newSample()
	j, err := journal.Open(ctx, log, moves, m, journal.Options{Fence: o.Fence, SnapshotMoves: 7})
	if err != nil {
		return err
	}
	grown := make(chan struct{}, 1) // one waiter is enough here
	o.Handle(func(ctx context.Context, request []byte) (answer []byte, err error) {
		f := strings.Fields(string(request))
		for {
			done := true
			err = j.Do(ctx, func(tx *journal.Tx) error {
				switch f[0] {
				case "owner":
					answer = []byte(name)
				case "state":
					answer = []byte(m.state())
				case "wait":
					n, err := strconv.Atoi(f[1])
					done, answer = m.sum >= n, []byte(strconv.Itoa(m.sum))
					return err
				case "add":
					if m.applied[f[1]] == 0 {
						if err := tx.Move(request); err != nil {
							return err
						}
						select {
						case grown <- struct{}{}:
						default:
						}
					}
					answer = []byte(m.answers[f[1]])
				}
				return nil
			})
			if err != nil || done {
				return answer, err
			}
			select {
			case <-grown:
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		}
	})
	return j.Run(ctx)
}
