package topic

import (
	"testing"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/engine/memlog"
)

func TestWithdraw(t *testing.T) {
	ctx, log := t.Context(), memlog.New(memlog.Options{})
	r := newTest(t, log, Options{})
	first, err := r.Declare(ctx, "$queue.a")
	if err != nil {
		t.Fatal(err)
	}
	write := parley.Write{Stream: first.Partitions[0].Stream}
	if write.Batch, err = parley.NewBatch(first.Created, parley.Event{ID: "1", Source: "/t", Type: "t"}); err != nil {
		t.Fatal(err)
	}
	if _, err := log.Append(ctx, write); err != nil {
		t.Fatal(err)
	}
	if err := r.Withdraw(ctx, "$queue.a"); err != nil {
		t.Fatal(err)
	}
	_, err = r.Get("$queue.a")
	wantCode(t, err, parley.NotFound, "topic")
	wantCode(t, r.Withdraw(ctx, "$queue.a"), parley.NotFound, "topic")
	wantCode(t, r.Withdraw(ctx, "a"), parley.Invalid, "topic")
	if end, err := log.End(ctx, write.Stream); err != nil || end == 0 {
		t.Errorf("its stream ends at %d, %v: that was its owner's", end, err)
	}
	again, err := newTest(t, log, Options{}).Declare(ctx, "$queue.a")
	if err != nil || again.Partitions[0].Number <= first.Partitions[0].Number {
		t.Errorf("%+v, %v", again, err)
	}
}
