package grpcapi

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/parleyhq/parley"
	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
)

func TestSchemas(t *testing.T) {
	r := newRig(t, nil)
	ctx := t.Context()
	schemas := parleyv1.NewSchemasClient(r.conn)
	if _, err := r.manage.CreateTopic(ctx, &parleyv1.CreateTopicRequest{Topic: "orders"}); err != nil {
		t.Fatal(err)
	}
	put := func(text, rule string) (*parleyv1.Schema, error) {
		return schemas.PutSchema(ctx, &parleyv1.PutSchemaRequest{Topic: "orders", Schema: text, Compatibility: rule})
	}
	made, err := put(`{"type":"object","required":["id"],"properties":{"id":{"type":"integer"}}}`, "")
	if err != nil || made.GetVersion() != 1 || made.GetCompatibility() != "backward" || made.GetCreated() == nil {
		t.Fatalf("%v %v", made, err)
	}
	for what, c := range map[string]struct {
		text, rule, reason, field, says string
		code                            codes.Code
	}{
		"a broken schema":    {`{"properties":{"a":{"type":"strin"}}}`, "", "INVALID", "schema", "/properties/a/type", codes.InvalidArgument},
		"a file":             {`{"$ref":"file:///etc/passwd"}`, "", "INVALID", "schema", "/$ref", codes.InvalidArgument},
		"an unknown rule":    {`true`, "sideways", "INVALID", "compatibility", "backward", codes.InvalidArgument},
		"too much":           {`{"title":"` + strings.Repeat("x", 70_000) + `"}`, "", "TOO_LARGE", "schema", "65536", codes.ResourceExhausted},
		"what does not fit":  {`{"type":"string"}`, "", "UNPROCESSABLE", "schema", "backward of version 1: /type", codes.FailedPrecondition},
		"what is not proven": {`{"type":"object","required":["id"],"properties":{"id":{"type":"integer"}},"not":{"required":["x"]}}`, "", "UNPROCESSABLE", "schema", "none", codes.FailedPrecondition},
	} {
		_, err := put(c.text, c.rule)
		if f := taken(t, err); f.code != c.code || f.reason != c.reason || f.field != c.field || !strings.Contains(f.text, c.says) {
			t.Errorf("%s: %+v", what, f)
		}
	}
	if list, err := schemas.ListSchemaVersions(ctx, &parleyv1.ListSchemaVersionsRequest{Topic: "orders"}); err != nil || len(list.GetVersions()) != 1 || list.GetVersions()[0].GetSchema() != "" {
		t.Errorf("%v %v", list, err)
	}
	if list, err := schemas.ListSchemas(ctx, &parleyv1.ListSchemasRequest{Topic: "orders"}); err != nil || len(list.GetSchemas()) != 1 {
		t.Errorf("%v %v", list, err)
	}
	if got, err := schemas.GetSchema(ctx, &parleyv1.GetSchemaRequest{Topic: "orders", Version: 1}); err != nil || got.GetSchema() != made.GetSchema() {
		t.Errorf("%v %v", got, err)
	}
	answer, err := schemas.CheckSchema(ctx, &parleyv1.CheckSchemaRequest{Topic: "orders", Schema: `{"type":"object","required":["id","x"]}`, Compatibility: "full", Data: []byte(`{"id":1}`)})
	if err != nil || answer.GetCompatible() || len(answer.GetConflicts()) == 0 || answer.GetValid() || answer.GetFailure().GetKeyword() != "required" {
		t.Errorf("%v %v", answer, err)
	}
	answer, err = schemas.CheckSchema(ctx, &parleyv1.CheckSchemaRequest{Topic: "orders", Data: []byte(`{"id":"x"}`)})
	if err != nil || answer.Compatible != nil || answer.GetValid() || answer.GetFailure().GetPath() != "/id" {
		t.Errorf("%v %v", answer, err)
	}
	r.refusesByEveryPublish(t)
	if _, err := schemas.DeleteSchema(ctx, &parleyv1.DeleteSchemaRequest{Topic: "orders"}); err != nil {
		t.Error(err)
	}
	_, err = schemas.DeleteSchema(ctx, &parleyv1.DeleteSchemaRequest{Topic: "orders"})
	if f := taken(t, err); f.reason != "NOT_FOUND" {
		t.Errorf("%+v", f)
	}
	r.send("orders", "anything")
}

// refusesByEveryPublish sends an event that breaks the schema in every way.
func (r *rig) refusesByEveryPublish(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	good := &parleyv1.Event{Data: []byte(`{"id":1}`), Datacontenttype: "application/json"}
	bad := &parleyv1.Event{Data: []byte(`{"id":"x"}`), Datacontenttype: "application/json"}
	_, err := r.publish.Publish(ctx, &parleyv1.PublishRequest{Topic: "orders", Events: []*parleyv1.Event{good, bad}})
	if f := taken(t, err); f.reason != "UNPROCESSABLE" || f.field != "events[1].data" || f.meta["pointer"] != "#/id" || f.meta["keyword"] != "type" {
		t.Errorf("%+v", f)
	}
	_, err = r.publish.PublishAll(ctx, &parleyv1.PublishAllRequest{Topics: []*parleyv1.TopicEvents{{Topic: "free", Events: []*parleyv1.Event{bad}}, {Topic: "orders", Events: []*parleyv1.Event{bad}}}})
	if f := taken(t, err); f.reason != "UNPROCESSABLE" || f.meta["pointer"] != "#/id" {
		t.Errorf("%+v", f)
	}
	batch, err := parley.NewBatch(time.Now(), parley.Event{ID: "1", Source: "/s", Type: "t", Data: []byte(`{"id":1}`)}, parley.Event{ID: "2", Source: "/s", Type: "t", Data: []byte(`{"id":"x"}`)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.publish.Publish(ctx, &parleyv1.PublishRequest{Topic: "orders", RecordBatch: batch.Bytes()})
	if f := taken(t, err); f.reason != "UNPROCESSABLE" || f.field != "record_batch" || !strings.Contains(f.text, "record 1") || f.meta["pointer"] != "#/id" {
		t.Errorf("%+v", f)
	}
	stream, err := r.publish.PublishStream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&parleyv1.PublishStreamRequest{Request: 1, Publish: &parleyv1.PublishRequest{Topic: "orders", Events: []*parleyv1.Event{bad}}}); err != nil {
		t.Fatal(err)
	}
	answer, err := stream.Recv()
	if err != nil || answer.GetFailure().GetReason() != "UNPROCESSABLE" {
		t.Errorf("%v %v", answer, err)
	}
	orders, err := r.topics.Get("orders")
	if err != nil {
		t.Fatal(err)
	}
	if end, err := r.log.End(ctx, orders.Partitions[0].Stream); err != nil || end != 0 {
		t.Errorf("something was appended: %d %v", end, err)
	}
}

func TestCompactionSettings(t *testing.T) {
	r := newRig(t, nil)
	ctx := t.Context()
	yes, no := true, false
	made, err := r.manage.CreateTopic(ctx, &parleyv1.CreateTopicRequest{Topic: "users", Settings: &parleyv1.Settings{Compact: &yes, CompactLag: durationpb.New(time.Minute)}})
	if s := made.GetSettings(); err != nil || !s.GetCompact() || !s.GetUnlimitedAge() || s.GetCompactLag().AsDuration() != time.Minute || s.GetTombstoneAge().AsDuration() != 24*time.Hour {
		t.Fatalf("%v %v", made, err)
	}
	_, err = r.publish.Publish(ctx, &parleyv1.PublishRequest{Topic: "users", Events: []*parleyv1.Event{text("x")}})
	taken(t, err).want(t, codes.FailedPrecondition, "UNPROCESSABLE", "partitionkey")
	update := func(s *parleyv1.Settings) (*parleyv1.Topic, error) {
		return r.manage.UpdateTopic(ctx, &parleyv1.UpdateTopicRequest{Topic: "users", Settings: s})
	}
	_, err = update(&parleyv1.Settings{Partitions: 2})
	taken(t, err).want(t, codes.FailedPrecondition, "UNPROCESSABLE", "partitions")
	_, err = update(&parleyv1.Settings{TombstoneAge: durationpb.New(-time.Second)})
	taken(t, err).want(t, codes.InvalidArgument, "INVALID", "tombstone_age")
	got, err := update(&parleyv1.Settings{Compact: &no})
	if s := got.GetSettings(); err != nil || s.GetCompact() || s.CompactLag != nil || !s.GetUnlimitedAge() {
		t.Errorf("%v %v", got, err)
	}
	_, err = update(&parleyv1.Settings{CompactLag: durationpb.New(time.Second)})
	taken(t, err).want(t, codes.InvalidArgument, "INVALID", "compact_lag")
}
