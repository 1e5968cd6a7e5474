package server

import (
	"context"

	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/pattern/stream/schema"
)

// loadSchemas reads the schemas before any door opens, since an event that comes in
// has to be held to them, and makes their stream readable as a topic.
func loadSchemas(ctx context.Context, schemas *schema.Registry, topics *topic.Registry) error {
	if err := schemas.Load(ctx, topics); err != nil {
		return err
	}
	_, err := topics.Declare(ctx, schema.Stream)
	return err
}
