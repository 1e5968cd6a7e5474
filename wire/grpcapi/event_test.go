package grpcapi

import (
	"bytes"
	"maps"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pubsub"
	"github.com/parleyhq/parley/wire/grpcapi/packed"
	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
)

// The encoding by hand is that of the generated code.
func TestEventEncoding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringN(0, 40, 200)
		e := parley.Event{
			ID: word.Draw(t, "id"), Source: word.Draw(t, "source"), Type: word.Draw(t, "type"), Subject: word.Draw(t, "subject"),
			DataContentType: word.Draw(t, "datacontenttype"), DataSchema: word.Draw(t, "dataschema"),
			Extensions: rapid.MapOfN(word, word, 0, 5).Draw(t, "extensions"),
		}
		if rapid.Bool().Draw(t, "timed") {
			e.Time = time.Unix(rapid.Int64Range(-62135596800, 253402300799).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanos")).UTC()
		}
		if rapid.Bool().Draw(t, "has data") {
			e.Data = rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "data")
		}
		at := parley.Position(rapid.Int64Min(1).Draw(t, "position"))
		v := pubsub.View{Item: &pubsub.Item{Topic: "t"}, Event: e, Position: at}
		b := appendStored([]byte("before"), &v)
		b, ok := bytes.CutPrefix(b, []byte("before"))
		if !ok {
			t.Fatal("what was there is not")
		}
		var got parleyv1.EventBatch
		if err := proto.Unmarshal(b, &got); err != nil {
			t.Fatal(err)
		}
		want := &parleyv1.Event{
			Id: e.ID, Source: e.Source, Type: e.Type, Subject: e.Subject, Datacontenttype: e.DataContentType,
			Dataschema: e.DataSchema, Extensions: maps.Clone(e.Extensions), Data: e.Data,
		}
		maps.DeleteFunc(want.Extensions, func(_, value string) bool { return value == "" })
		if !e.Time.IsZero() {
			want.Time = timestamppb.New(e.Time)
		}
		if len(got.GetEvents()) != 1 || !proto.Equal(got.GetEvents()[0].GetEvent(), want) || got.GetEvents()[0].GetPosition() != int64(at) || got.GetEvents()[0].GetCursor() != v.Cursor() {
			t.Fatalf("got %v, want %v at %d", got.GetEvents(), want, at)
		}
	})
}

// A whole message, put together from parts, is that of the generated code.
func TestAssemble(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := &parleyv1.SubscribeResponse{Cursor: rapid.StringN(0, 30, 100).Draw(t, "cursor")}
		var notices []pubsub.Notice
		for range rapid.IntRange(0, 3).Draw(t, "notices") {
			n := pubsub.Notice{
				Kind: rapid.SampledFrom([]pubsub.NoticeKind{pubsub.Gap, pubsub.Reset, pubsub.Ahead}).Draw(t, "kind"), Topic: rapid.SampledFrom([]string{"a", "b.c"}).Draw(t, "topic"),
				Partition: rapid.IntRange(0, 1000).Draw(t, "partition"), From: parley.Position(rapid.Int64Min(0).Draw(t, "from")), To: parley.Position(rapid.Int64Min(0).Draw(t, "to")),
			}
			notices = append(notices, n)
			want.Notices = append(want.Notices, &parleyv1.Notice{Kind: parleyv1.NoticeKind(n.Kind), Topic: n.Topic, Partition: int32(n.Partition), From: int64(n.From), To: int64(n.To)})
		}
		var events []part
		for range rapid.IntRange(0, 6).Draw(t, "parts") {
			item := &pubsub.Item{Topic: rapid.SampledFrom([]string{"a", "~a", "b"}).Draw(t, "of"), Partition: rapid.IntRange(0, 2).Draw(t, "in")}
			v := pubsub.View{Item: item, Event: parley.Event{ID: rapid.StringN(0, 10, 30).Draw(t, "id")}, Position: 7}
			events = append(events, part{item: item, fleeting: item.Topic == "~a", shared: appendStored(nil, &v)})
			last := len(want.Batches) - 1
			if last < 0 || want.Batches[last].Topic != item.Topic || want.Batches[last].Partition != int32(item.Partition) {
				want.Batches = append(want.Batches, &parleyv1.EventBatch{Topic: item.Topic, Partition: int32(item.Partition), Ephemeral: item.Topic == "~a"})
				last++
			}
			cursor := ""
			if !events[len(events)-1].fleeting {
				cursor = v.Cursor()
			}
			want.Batches[last].Events = append(want.Batches[last].Events, &parleyv1.StoredEvent{Event: &parleyv1.Event{Id: v.ID}, Position: 7, Cursor: cursor})
		}
		want.Streams = rapid.Int32Range(0, 64).Draw(t, "streams")
		parts := assemble(notices, events, want.Cursor, int(want.Streams))
		var got parleyv1.SubscribeResponse
		if err := proto.Unmarshal(parts.Materialize(), &got); err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(&got, want) {
			t.Fatalf("got %v, want %v", &got, want)
		}
	})
}

// Whatever a publisher sends is refused, or is an event that comes back as it is.
func FuzzEvent(f *testing.F) {
	for _, e := range []*parleyv1.Event{
		{},
		text("x"),
		{Data: []byte{}},
		{Time: &timestamppb.Timestamp{Seconds: -1, Nanos: 5}},
		{Time: &timestamppb.Timestamp{Seconds: 1 << 60}},
		{Id: "1", Source: "/s", Type: "t", Extensions: map[string]string{"partitionkey": "k", "empty": ""}},
	} {
		b, err := proto.Marshal(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var sent parleyv1.Event
		if proto.Unmarshal(b, &sent) != nil {
			return // grpc refuses it
		}
		e, err := eventOf(&sent)
		if err != nil {
			if parley.CodeOf(err) != parley.Invalid {
				t.Fatal(err)
			}
			return
		}
		e.ID, e.Source, e.Type = "i", "/s", "t"
		if e.Check() != nil {
			return
		}
		var got parleyv1.Event
		if err := proto.Unmarshal(packed.AppendEvent(nil, &e), &got); err != nil {
			t.Fatal(err)
		}
		sent.Id, sent.Source, sent.Type = "i", "/s", "t"
		if sent.GetTime().AsTime().IsZero() {
			sent.Time = nil // the year 1 begins with what Go takes for no time
		}
		maps.DeleteFunc(sent.Extensions, func(_, value string) bool { return value == "" })
		sent.ProtoReflect().SetUnknown(nil)
		if sent.Time != nil {
			sent.Time.ProtoReflect().SetUnknown(nil)
		}
		if !proto.Equal(&got, &sent) {
			t.Fatalf("got %v, sent %v", &got, &sent)
		}
	})
}
