package disklog_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/engine/disklog"
	"github.com/parleyhq/parley/internal/vfs"
)

// A log is opened, run, appended to and read; what was acknowledged is there
// when it is opened again.
func Example() {
	dir, err := os.MkdirTemp("", "disklog")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	orders := parley.Stream{Name: "orders/0"}
	for life := 1; life <= 2; life++ {
		log, err := disklog.Open(vfs.OS(dir), disklog.Options{LogBytes: 1 << 20})
		if err != nil {
			panic(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- log.Run(ctx) }()

		batch, err := parley.NewBatch(time.Now(), parley.Event{ID: fmt.Sprint(life), Source: "/shop", Type: "order.placed", Data: []byte("{}")})
		if err != nil {
			panic(err)
		}
		if _, err := log.Append(ctx, parley.Write{Stream: orders, Batch: batch}); err != nil {
			panic(err)
		}
		run, err := log.Read(ctx, parley.Place{Stream: orders}, 1<<20)
		if err != nil {
			panic(err)
		}
		for record, err := range run.Records() {
			if err != nil {
				panic(err)
			}
			e, err := record.Event()
			if err != nil {
				panic(err)
			}
			fmt.Println("life", life, "position", record.Position, "event", e.ID)
		}
		run.Release()
		stop()
		if err := <-done; err != nil {
			panic(err)
		}
	}
	// Output:
	// life 1 position 1 event 1
	// life 2 position 1 event 1
	// life 2 position 2 event 2
}
