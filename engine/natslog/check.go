package natslog

import (
	"fmt"

	"github.com/parleyhq/parley"
)

// checkWrites refuses what is wrong in itself, before anything is sent. largest is
// the size of a batch that the servers take.
func checkWrites(writes []parley.Write, largest int) error {
	if err := parley.CheckWrites(writes); err != nil {
		return err
	}
	for i := range writes {
		if size := writes[i].Batch.Size(); size > largest {
			return &parley.Error{
				Code: parley.TooLarge, Field: "batch", Detail: fmt.Sprintf("a batch of %d bytes", size),
				Fix: fmt.Sprintf("send at most %d bytes in one batch, or raise max_payload on the NATS servers", largest),
			}
		}
	}
	return nil
}
