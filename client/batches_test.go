package client_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
)

func recordBatch(t *testing.T, values ...string) parley.Batch {
	t.Helper()
	var b parley.Builder
	for _, v := range values {
		if err := b.AddRecord(time.Now(), nil, []byte(v)); err != nil {
			t.Fatal(err)
		}
	}
	batch, err := b.Batch()
	if err != nil {
		t.Fatal(err)
	}
	return batch
}

// Batches arrive once and in order, whatever happens to the connection.
func TestBatchesOutliveCuts(t *testing.T) { synctest.Test(t, testBatchesOutliveCuts) }

func testBatchesOutliveCuts(t *testing.T) {
	c, cut := serve(t)
	w := c.Batches("numbers", 0)
	defer w.Close()
	for i := range 10 {
		at, err := w.Publish(t.Context(), recordBatch(t, "a", "b", "c"))
		if err != nil || at != parley.Position(3*i+1) {
			t.Fatalf("batch %d: at %d, %v", i, at, err)
		}
		if i%3 == 0 {
			cut()
		}
	}
}

func TestBatchesThatAreRefused(t *testing.T) { synctest.Test(t, testBatchesThatAreRefused) }

func testBatchesThatAreRefused(t *testing.T) {
	c, _ := serve(t)
	w := c.Batches("numbers", 7)
	_, err := w.Publish(t.Context(), recordBatch(t, "x"))
	if e, ok := err.(*parley.Error); !ok || e.Code != parley.Invalid || e.Field != "partition" || e.Fix == "" {
		t.Errorf("%v", err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if _, err := w.Publish(t.Context(), recordBatch(t, "x")); parley.CodeOf(err) != parley.Unavailable {
		t.Errorf("after Close: %v", err)
	}
	bad := c.Batches("no such name", 0)
	defer bad.Close()
	if _, err := bad.Publish(t.Context(), recordBatch(t, "x")); parley.CodeOf(err) != parley.Invalid {
		t.Errorf("a bad name: %v", err)
	}
}
