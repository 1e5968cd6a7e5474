package journal_test

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/journal"
	"github.com/parleyhq/parley/engine/memlog"
)

// names is a machine that knows which names are taken.
type names map[string]bool

func (n names) Apply(m journal.Move) error {
	n[string(m.Data)] = true
	return nil
}

func (n names) Snapshot() iter.Seq[[]byte] {
	var parts [][]byte // all at once: moves come while they are drawn
	for name := range n {
		parts = append(parts, []byte(name))
	}
	return func(yield func([]byte) bool) {
		for _, p := range parts {
			if !yield(p) {
				return
			}
		}
	}
}

func (n names) Restore(parts iter.Seq[[]byte]) error {
	clear(n)
	for p := range parts {
		n[string(p)] = true
	}
	return nil
}

func Example() {
	log, stream := memlog.New(memlog.Options{}), parley.Stream{Name: "$names.moves"}
	taken := errors.New("taken")

	// life is one run of a program; it claims a name and ends.
	life := func(name string) error {
		m := names{}
		j, err := journal.Open(context.Background(), log, stream, m, journal.Options{})
		if err != nil {
			return err
		}
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- j.Run(ctx) }()
		err = j.Do(ctx, func(tx *journal.Tx) error {
			if m[name] {
				return taken
			}
			return tx.Move([]byte(name))
		})
		stop()
		return errors.Join(err, <-done)
	}
	fmt.Println(life("ada"))
	fmt.Println(life("bob"))
	fmt.Println(life("ada")) // another life, the same memory
	// Output:
	// <nil>
	// <nil>
	// taken
}
