package grpcapi

import (
	"context"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/stream/schema"
	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
)

// PutSchema implements parleyv1.SchemasServer.
func (s *service) PutSchema(ctx context.Context, in *parleyv1.PutSchemaRequest) (*parleyv1.Schema, error) {
	release, err := callOf(ctx).pass(ctx, "manage", in.GetTopic())
	if err != nil {
		return nil, err
	}
	defer release()
	rule, err := ruleOf(in.GetCompatibility())
	if err != nil {
		return nil, err
	}
	v, _, err := s.api.opt.Schemas.Put(ctx, in.GetTopic(), in.GetType(), []byte(in.GetSchema()), rule)
	if err != nil {
		return nil, err
	}
	return versionOf(v), nil
}

// ruleOf reads a rule; empty is the one there is.
func ruleOf(text string) (schema.Rule, error) {
	if text == "" {
		return "", nil
	}
	return schema.ParseRule(text)
}

func versionOf(v schema.Version) *parleyv1.Schema {
	return &parleyv1.Schema{
		Topic: v.Topic, Type: v.Type, Version: int32(v.Version), Compatibility: string(v.Compatibility),
		Created: timeOf(v.Created), Schema: string(v.Schema),
	}
}

func versionsOf(list []schema.Version) []*parleyv1.Schema {
	out := make([]*parleyv1.Schema, len(list))
	for i, v := range list {
		out[i] = versionOf(v)
	}
	return out
}

// GetSchema implements parleyv1.SchemasServer.
func (s *service) GetSchema(ctx context.Context, in *parleyv1.GetSchemaRequest) (*parleyv1.Schema, error) {
	release, err := callOf(ctx).pass(ctx, "read", in.GetTopic())
	if err != nil {
		return nil, err
	}
	defer release()
	if in.GetVersion() < 0 {
		return nil, parley.BadField("version", "is below 0", "send the number of a version; 0 is the newest")
	}
	v, err := s.api.opt.Schemas.Get(in.GetTopic(), in.GetType(), int(in.GetVersion()))
	if err != nil {
		return nil, err
	}
	return versionOf(v), nil
}

// ListSchemas implements parleyv1.SchemasServer.
func (s *service) ListSchemas(ctx context.Context, in *parleyv1.ListSchemasRequest) (*parleyv1.ListSchemasResponse, error) {
	release, err := callOf(ctx).pass(ctx, "read", in.GetTopic())
	if err != nil {
		return nil, err
	}
	defer release()
	list, err := s.api.opt.Schemas.Subjects(in.GetTopic())
	if err != nil {
		return nil, err
	}
	return &parleyv1.ListSchemasResponse{Schemas: versionsOf(list)}, nil
}

// ListSchemaVersions implements parleyv1.SchemasServer.
func (s *service) ListSchemaVersions(ctx context.Context, in *parleyv1.ListSchemaVersionsRequest) (*parleyv1.ListSchemaVersionsResponse, error) {
	release, err := callOf(ctx).pass(ctx, "read", in.GetTopic())
	if err != nil {
		return nil, err
	}
	defer release()
	list, err := s.api.opt.Schemas.Versions(in.GetTopic(), in.GetType())
	if err != nil {
		return nil, err
	}
	return &parleyv1.ListSchemaVersionsResponse{Versions: versionsOf(list)}, nil
}

// CheckSchema implements parleyv1.SchemasServer.
func (s *service) CheckSchema(ctx context.Context, in *parleyv1.CheckSchemaRequest) (*parleyv1.CheckSchemaResponse, error) {
	release, err := callOf(ctx).pass(ctx, "read", in.GetTopic())
	if err != nil {
		return nil, err
	}
	defer release()
	text, data := []byte(in.GetSchema()), in.GetData()
	if len(text) == 0 && len(data) == 0 {
		return nil, parley.BadField("schema", "neither schema nor data is there", "send one of them, or both")
	}
	rule, err := ruleOf(in.GetCompatibility())
	if err != nil {
		return nil, err
	}
	out := &parleyv1.CheckSchemaResponse{}
	if len(text) > 0 {
		conflicts, err := s.api.opt.Schemas.Try(in.GetTopic(), in.GetType(), text, rule)
		if err != nil {
			return nil, err
		}
		fits := len(conflicts) == 0
		out.Compatible, out.Conflicts = &fits, conflictsOf(conflicts)
	}
	if len(data) == 0 {
		return out, nil
	}
	var f *schema.Failure
	if len(text) > 0 {
		f, err = schema.Validate(text, data)
	} else {
		f, err = s.api.opt.Schemas.TryData(in.GetTopic(), in.GetType(), data)
	}
	if err != nil {
		return nil, err
	}
	valid := f == nil
	out.Valid = &valid
	if f != nil {
		out.Failure = &parleyv1.SchemaFailure{Path: f.Path, Keyword: f.Keyword, Schema: f.Schema, Text: f.Text}
	}
	return out, nil
}

func conflictsOf(list []schema.Conflict) []*parleyv1.SchemaConflict {
	out := make([]*parleyv1.SchemaConflict, len(list))
	for i, c := range list {
		out[i] = &parleyv1.SchemaConflict{Direction: string(c.Direction), Version: int32(c.Version), Path: c.Path, Keyword: c.Keyword, Text: c.Text, Undecided: c.Undecided}
	}
	return out
}

// DeleteSchema implements parleyv1.SchemasServer.
func (s *service) DeleteSchema(ctx context.Context, in *parleyv1.DeleteSchemaRequest) (*parleyv1.DeleteSchemaResponse, error) {
	release, err := callOf(ctx).pass(ctx, "manage", in.GetTopic())
	if err != nil {
		return nil, err
	}
	defer release()
	if err := s.api.opt.Schemas.Delete(ctx, in.GetTopic(), in.GetType()); err != nil {
		return nil, err
	}
	return &parleyv1.DeleteSchemaResponse{}, nil
}
