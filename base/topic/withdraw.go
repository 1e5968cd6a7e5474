package topic

import (
	"context"

	"github.com/parleyhq/parley"
)

// Withdraw takes a Declare back: nobody reads the stream as a topic any more, and
// its number is not used again. The stream itself is its owner's. Errors: Invalid,
// NotFound, and those of the log.
func (r *Registry) Withdraw(ctx context.Context, name string) error {
	if err := checkInternal(name); err != nil {
		return err
	}
	_, err := r.write(ctx, name, func(m *machine) (*parley.Event, error) { return m.remove(name) })
	return err
}
