package grpcapi

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/parleyhq/parley/pattern/queue"
	"github.com/parleyhq/parley/wire/grpcapi/packed"
	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
)

func wireOf(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func enqueues() []*parleyv1.EnqueueStreamRequest {
	full := &parleyv1.Event{
		Id: "1", Source: "/s", Type: "t", Subject: "u", Time: &timestamppb.Timestamp{Seconds: 5, Nanos: 7}, Datacontenttype: "a/b", Dataschema: "/d",
		Extensions: map[string]string{"a": "b", "c": ""}, Data: []byte("x"),
	}
	many := &parleyv1.EnqueueRequest{Queue: "q", IdempotencyKey: "k"}
	for range 3 {
		many.Jobs = append(many.Jobs, &parleyv1.Job{Event: full, Priority: -4, Key: "k", Unique: "u", MaxAttempts: 9}, &parleyv1.Job{}, &parleyv1.Job{Event: &parleyv1.Event{Data: []byte{}}})
	}
	return []*parleyv1.EnqueueStreamRequest{
		{},
		{Request: 1 << 63, Enqueue: many},
		{Enqueue: &parleyv1.EnqueueRequest{}},
		{Enqueue: &parleyv1.EnqueueRequest{Jobs: []*parleyv1.Job{{Delay: durationpb.New(time.Second)}}}},
		{Enqueue: &parleyv1.EnqueueRequest{Jobs: []*parleyv1.Job{{Event: &parleyv1.Event{Time: &timestamppb.Timestamp{Seconds: 1 << 60}}}}}},
	}
}

// TestMostIsReadByHand: what the messages of most jobs hold is not left to the generated
// code.
func TestMostIsReadByHand(t *testing.T) {
	var e packed.Enqueue
	if !e.Read(wireOf(t, enqueues()[1])) || len(e.Jobs) != 9 {
		t.Errorf("%+v", e)
	}
	var w packed.Work
	if !w.Read(wireOf(t, &parleyv1.WorkRequest{Credit: 3, Request: 7, Settlements: []*parleyv1.Settlement{{Lease: "a"}, {Lease: "b"}}})) || len(w.Acks) != 2 {
		t.Errorf("%+v", w)
	}
	if size, ok := e.Size(); !ok || size != len(e.Append(nil)) {
		t.Errorf("a size of %d, %v", size, ok)
	}
	if size, ok := w.Size(); !ok || size != len(w.Append(nil)) {
		t.Errorf("a size of %d, %v", size, ok)
	}
}

// FuzzEnqueueByHand: what is read by hand is what the generated code reads, and what is
// written by hand is that again.
func FuzzEnqueueByHand(f *testing.F) {
	for _, m := range enqueues() {
		f.Add(wireOf(f, m))
	}
	f.Add([]byte("\x12\x02\x12\x00\x12\x02\x12\x00")) // two messages that are one
	f.Fuzz(func(t *testing.T, b []byte) {
		var in packed.Enqueue
		if !in.Read(bytes.Clone(b)) {
			return
		}
		var m parleyv1.EnqueueStreamRequest
		if err := proto.Unmarshal(b, &m); err != nil {
			t.Fatalf("the generated code does not read what is read by hand: %v", err)
		}
		same := func() {
			t.Helper()
			want, err := jobsFrom(m.GetEnqueue().GetJobs())
			if err != nil {
				t.Fatalf("read by hand, and refused: %v", err)
			}
			if in.Request != m.GetRequest() || in.Queue != m.GetEnqueue().GetQueue() || in.IdempotencyKey != m.GetEnqueue().GetIdempotencyKey() ||
				len(in.Jobs) != len(want) || len(want) > 0 && !reflect.DeepEqual(in.Jobs, want) {
				t.Fatalf("by hand %+v, generated %+v", in, &m)
			}
		}
		same()
		size, ok := in.Size()
		again := in.Append(nil)
		if !ok || size != len(again) || proto.Unmarshal(again, &m) != nil {
			t.Fatalf("written again: %q, a size of %d, %v", again, size, ok)
		}
		for i := range in.Jobs { // what is not written
			e := &in.Jobs[i].Event
			for name, value := range e.Extensions {
				if value == "" {
					delete(e.Extensions, name)
				}
			}
			if len(e.Extensions) == 0 {
				e.Extensions = nil
			}
		}
		same()
	})
}

// FuzzWorkByHand is the same of what comes on a worker's stream.
func FuzzWorkByHand(f *testing.F) {
	for _, m := range []*parleyv1.WorkRequest{
		{},
		{Credit: -1, Request: 9, Settlements: []*parleyv1.Settlement{{Lease: "q~abc"}, {}, {Lease: "x"}}},
		{Open: &parleyv1.WorkOpen{Queue: "q"}},
		{Settlements: []*parleyv1.Settlement{{Lease: "x", Action: parleyv1.SettleAction_SETTLE_ACTION_NACK}}},
	} {
		f.Add(wireOf(f, m))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var in packed.Work
		if !in.Read(b) {
			return
		}
		var m parleyv1.WorkRequest
		if err := proto.Unmarshal(b, &m); err != nil {
			t.Fatalf("the generated code does not read what is read by hand: %v", err)
		}
		same := func() {
			t.Helper()
			var want []queue.Settlement
			if n := len(m.GetSettlements()); n > 0 && n <= queue.MaxSettle {
				var err error
				if want, err = settlementsFrom(m.GetSettlements()); err != nil {
					t.Fatalf("read by hand, and refused: %v", err)
				}
			}
			if in.Credit != int(m.GetCredit()) || in.Request != m.GetRequest() || m.GetOpen() != nil || !reflect.DeepEqual(in.Acks, want) {
				t.Fatalf("by hand %+v, generated %+v", in, &m)
			}
		}
		same()
		size, ok := in.Size()
		again := in.Append(nil)
		if !ok || size != len(again) || proto.Unmarshal(again, &m) != nil {
			t.Fatalf("written again: %q, a size of %d, %v", again, size, ok)
		}
		same()
	})
}
