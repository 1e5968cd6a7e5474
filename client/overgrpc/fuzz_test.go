package overgrpc

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/parleyhq/parley"
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

func pushes() []*parleyv1.WorkResponse {
	at := &timestamppb.Timestamp{Seconds: 1_700_000_000, Nanos: 5}
	event := &parleyv1.Event{Id: "1", Source: "/s", Type: "t", Time: at, Extensions: map[string]string{"a": "b"}, Data: []byte("x")}
	job := &parleyv1.LeasedJob{Lease: "q~x", Id: 7, Event: event, Enqueued: at, Priority: 9, Key: "k", Attempt: 3, Until: at, Visibility: durationpb.New(90*time.Second + 5)}
	return []*parleyv1.WorkResponse{
		{},
		{Jobs: []*parleyv1.LeasedJob{job, {}, job}},
		{Settled: &parleyv1.Settled{Request: 9}},
		{Settled: &parleyv1.Settled{Failures: []*parleyv1.ItemFailure{{Index: 1}}}},
		{Jobs: []*parleyv1.LeasedJob{{Visibility: &durationpb.Duration{Seconds: 1 << 60}}}},
	}
}

// TestMostIsReadByHand: what most answers hold is not left to the generated code.
func TestMostIsReadByHand(t *testing.T) {
	var p packed.Pushed
	if !p.Read(wireOf(t, pushes()[1])) || len(p.Jobs) != 3 {
		t.Errorf("%+v", p)
	}
	if !p.Read(packed.AppendSettled(nil, 300)) || !p.Settled || p.Request != 300 {
		t.Errorf("%+v", p)
	}
	out := packed.Enqueued{Request: 5, Jobs: []queue.Enqueued{{ID: 1}, {ID: 1 << 40, Duplicate: 3}, {}}}
	size := out.Size()
	var in packed.Enqueued
	b := out.Append(nil)
	if !in.Read(b) || in.Request != 5 || !reflect.DeepEqual(in.Jobs, out.Jobs) || size != len(b) {
		t.Errorf("%+v, %d bytes of %d", in, len(b), size)
	}
}

// FuzzPushedByHand: what is read by hand is what the generated code reads.
func FuzzPushedByHand(f *testing.F) {
	for _, m := range pushes() {
		f.Add(wireOf(f, m))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var p packed.Pushed
		if !p.Read(bytes.Clone(b)) {
			return
		}
		var m parleyv1.WorkResponse
		if err := proto.Unmarshal(b, &m); err != nil {
			t.Fatalf("the generated code does not read what is read by hand: %v", err)
		}
		if want := leasesFrom(m.GetJobs()); !reflect.DeepEqual(p.Jobs, want) || p.Settled != (m.GetSettled() != nil) || p.Request != m.GetSettled().GetRequest() {
			t.Fatalf("by hand %+v, generated %+v", p, want)
		}
		if len(m.GetSettled().GetFailures()) > 0 || m.GetSettled().GetFailure() != nil {
			t.Fatalf("failures are not read by hand: %v", &m)
		}
		for i := range p.Jobs {
			sizes, size := packed.LeasedOf(&p.Jobs[i])
			var again packed.Pushed
			if text := packed.AppendLeased(nil, &p.Jobs[i], sizes); len(text) != size || !again.Read(text) || again.Jobs[0].Token != p.Jobs[i].Token || !bytes.Equal(again.Jobs[0].Event.Data, p.Jobs[i].Event.Data) || !again.Jobs[0].Until.Equal(p.Jobs[i].Until) {
				t.Fatalf("%+v is written as %q, and read as %+v", p.Jobs[i], text, again)
			}
		}
	})
}

// FuzzEnqueuedByHand is the same of the answers to Enqueue.
func FuzzEnqueuedByHand(f *testing.F) {
	for _, m := range []*parleyv1.EnqueueStreamResponse{
		{},
		{Request: 4, Result: &parleyv1.EnqueueStreamResponse_Enqueued{Enqueued: &parleyv1.EnqueueResponse{Jobs: []*parleyv1.Enqueued{{Id: 1}, {Id: -1, Duplicate: 5}}}}},
		{Result: &parleyv1.EnqueueStreamResponse_Failure{Failure: &parleyv1.Failure{Reason: "FULL"}}},
	} {
		f.Add(wireOf(f, m))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var e packed.Enqueued
		if !e.Read(b) {
			return
		}
		var m parleyv1.EnqueueStreamResponse
		if err := proto.Unmarshal(b, &m); err != nil || m.GetEnqueued() == nil {
			t.Fatalf("the generated code reads %v of what is read by hand: %v", &m, err)
		}
		want := enqueuedFrom(m.GetEnqueued())
		if e.Request != m.GetRequest() || len(want) != len(e.Jobs) || len(want) > 0 && !reflect.DeepEqual(e.Jobs, want) {
			t.Fatalf("by hand %+v, generated %+v", e, &m)
		}
	})
}

// TestNoEvent: a job whose event is absent is one with an empty event.
func TestNoEvent(t *testing.T) {
	var p packed.Pushed
	if !p.Read(wireOf(t, &parleyv1.WorkResponse{Jobs: []*parleyv1.LeasedJob{{Lease: "x"}}})) || !reflect.DeepEqual(p.Jobs[0].Event, parley.Event{}) {
		t.Errorf("%+v", p)
	}
}
