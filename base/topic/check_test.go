package topic

import (
	"bytes"
	"testing"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/engine/memlog"
)

// onlyGood refuses events of the topic checked whose data is not "good".
func onlyGood(t *Topic) func(*parley.Event) error {
	if t.Name != "checked" {
		return nil
	}
	return func(e *parley.Event) error {
		if bytes.Equal(e.Data, []byte("good")) && e.Type != "" && e.ID != "" {
			return nil
		}
		return &parley.Error{Code: parley.Unprocessable, Field: "data", Detail: "not good", Fix: "send good"}
	}
}

// TestChecksComeBeforeAppends has every way to publish meet a bad event behind a
// good one.
func TestChecksComeBeforeAppends(t *testing.T) {
	log := memlog.New(memlog.Options{})
	r := newTest(t, log, Options{AutoCreate: true, Defaults: Settings{Partitions: 3}, Check: onlyGood})
	ctx := t.Context()
	good, bad := parley.Event{Data: []byte("good")}, parley.Event{Data: []byte("bad")}
	if _, _, err := r.Publish(ctx, "free", []parley.Event{bad}, PublishOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Publish(ctx, "~checked", []parley.Event{bad}, PublishOptions{}); err != nil {
		t.Fatal("there is no topic checked yet: ", err)
	}
	if _, err := r.Create(ctx, "checked", Settings{}); err != nil {
		t.Fatal(err)
	}
	_, _, err := r.Publish(ctx, "~checked", []parley.Event{bad}, PublishOptions{})
	wantCode(t, err, parley.Unprocessable, "data")
	_, _, err = r.Publish(ctx, "checked", []parley.Event{bad}, PublishOptions{})
	wantCode(t, err, parley.Unprocessable, "data")
	_, _, err = r.Publish(ctx, "checked", []parley.Event{good, bad}, PublishOptions{IdempotencyKey: "k"})
	wantCode(t, err, parley.Unprocessable, "events[1].data")
	_, _, err = r.PublishAll(ctx, []TopicEvents{{"free", []parley.Event{bad}}, {"checked", []parley.Event{good, bad}}, {"free", []parley.Event{bad}}}, PublishOptions{})
	wantCode(t, err, parley.Unprocessable, "events[2].data")
	batch := func(data string) parley.Batch {
		e := parley.Event{ID: "1", Source: "/s", Type: "t", Data: []byte("good")}
		last := e
		last.Data = []byte(data)
		b, err := parley.NewBatch(time.Now(), e, last)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	_, _, err = r.PublishBatch(ctx, "checked", 0, batch("bad"), PublishOptions{})
	wantCode(t, err, parley.Unprocessable, "record_batch")
	made, err := r.Get("checked")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range made.Partitions {
		if end, err := log.End(ctx, p.Stream); err != nil || end != 0 {
			t.Errorf("something was appended: %d %v", end, err)
		}
	}
	if _, _, err := r.PublishBatch(ctx, "checked", 0, batch("good"), PublishOptions{}); err != nil {
		t.Error(err)
	}
	// The key was refused, not used.
	if _, _, err := r.Publish(ctx, "checked", []parley.Event{good}, PublishOptions{IdempotencyKey: "k"}); err != nil {
		t.Error(err)
	}
}
