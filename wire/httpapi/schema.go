package httpapi

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/stream/schema"
	"github.com/parleyhq/parley/wire/door"
)

// SchemaPut is the body that makes a version of a schema.
type SchemaPut struct {
	Schema json.RawMessage `json:"schema"`
	// Compatibility is the rule; absent keeps the one there is, or is backward.
	Compatibility string `json:"compatibility,omitempty"`
}

// SchemaList is the newest schemas of a topic, without their text.
type SchemaList struct {
	Schemas []schema.Version `json:"schemas"`
}

// SchemaVersions is all versions of a schema, oldest first, without their text.
type SchemaVersions struct {
	Versions []schema.Version `json:"versions"`
}

// SchemaCheck asks whether a schema could be the newest version, whether data is
// valid, or both: the data is then held to the schema given.
type SchemaCheck struct {
	Schema        json.RawMessage `json:"schema"`
	Compatibility string          `json:"compatibility"`
	Data          json.RawMessage `json:"data"`
}

// schemaCheck documents SchemaCheck: data is any JSON.
type schemaCheck struct {
	Schema        json.RawMessage `json:"schema,omitempty"`
	Compatibility string          `json:"compatibility,omitempty"`
	Data          any             `json:"data,omitempty"`
}

// SchemaCheckAnswer says so; what was not asked is absent.
type SchemaCheckAnswer struct {
	Compatible *bool             `json:"compatible,omitempty"`
	Conflicts  []schema.Conflict `json:"conflicts,omitempty"`
	Valid      *bool             `json:"valid,omitempty"`
	Failure    *schema.Failure   `json:"failure,omitempty"`
}

func (a *API) schemaRoutes() []door.Route {
	if a.opt.Schemas == nil {
		return nil
	}
	kind := []door.Param{{Name: "type", In: "query", Type: "string", Description: "the schema for events of this type; absent: for all events of the topic"}}
	look := []parley.Code{parley.Invalid, parley.NotFound}
	stored := []parley.Code{parley.Unavailable, parley.Full, parley.Unknown}
	return []door.Route{
		{
			Method: http.MethodGet, Path: "/v1/topics/{topic}/schemas", Name: "schema-list", Pattern: "stream", Summary: "List the schemas of a topic.",
			Verb: "read", On: "topic", Answer: SchemaList{}, Errors: look, Handle: a.schemaList,
			Example: `curl http://127.0.0.1:7275/v1/topics/orders/schemas`,
		},
		{
			Method: http.MethodGet, Path: "/v1/topics/{topic}/schema", Name: "schema-show", Pattern: "stream", Summary: "Show the newest version of a schema.",
			Verb: "read", On: "topic", Params: kind, Answer: schema.Version{}, Errors: look, Handle: a.schemaShow,
			Example: `curl http://127.0.0.1:7275/v1/topics/orders/schema`,
		},
		{
			Method: http.MethodPut, Path: "/v1/topics/{topic}/schema", Name: "schema-put", Pattern: "stream", Summary: "Put a new version of a schema, which its rule has to let through; events are held to it from then on.",
			Verb: "manage", On: "topic", Params: kind, Request: SchemaPut{}, Answer: schema.Version{}, Handle: a.schemaPut,
			Errors:  codes(bodyErrors, []parley.Code{parley.NotFound, parley.Unprocessable, parley.Overloaded}, stored),
			Example: `curl -X PUT -d '{"schema": {"type": "object", "required": ["id"]}, "compatibility": "backward"}' http://127.0.0.1:7275/v1/topics/orders/schema`,
		},
		{
			Method: http.MethodDelete, Path: "/v1/topics/{topic}/schema", Name: "schema-delete", Pattern: "stream", Summary: "Delete a schema with all its versions.",
			Verb: "manage", On: "topic", Params: kind, Status: http.StatusNoContent, Errors: codes(look, stored), Handle: a.schemaDelete,
			Example: `curl -X DELETE http://127.0.0.1:7275/v1/topics/orders/schema`,
		},
		{
			Method: http.MethodGet, Path: "/v1/topics/{topic}/schema/versions", Name: "schema-versions", Pattern: "stream", Summary: "List the versions of a schema.",
			Verb: "read", On: "topic", Params: kind, Answer: SchemaVersions{}, Errors: look, Handle: a.schemaVersions,
			Example: `curl http://127.0.0.1:7275/v1/topics/orders/schema/versions`,
		},
		{
			Method: http.MethodGet, Path: "/v1/topics/{topic}/schema/versions/{version}", Name: "schema-version", Pattern: "stream", Summary: "Show one version of a schema.",
			Verb: "read", On: "topic", Params: kind, Answer: schema.Version{}, Errors: look, Handle: a.schemaVersion,
			Example: `curl http://127.0.0.1:7275/v1/topics/orders/schema/versions/1`,
		},
		{
			Method: http.MethodPost, Path: "/v1/topics/{topic}/schema/check", Name: "schema-check", Pattern: "stream", Summary: "Ask whether a schema could be the newest version, or whether data is valid; nothing changes.",
			Verb: "read", On: "topic", Params: kind, Request: schemaCheck{}, Answer: SchemaCheckAnswer{}, Errors: codes(bodyErrors, []parley.Code{parley.NotFound}), Handle: a.schemaCheck,
			Example: `curl -d '{"data": {"id": 1}}' http://127.0.0.1:7275/v1/topics/orders/schema/check`,
		},
	}
}

func (a *API) schemaList(c *door.Call) error {
	list, err := a.opt.Schemas.Subjects(c.R.PathValue("topic"))
	if err != nil {
		return err
	}
	return answerJSON(c.W, http.StatusOK, SchemaList{list})
}

func (a *API) schemaShow(c *door.Call) error { return a.showSchema(c, 0) }

func (a *API) schemaVersion(c *door.Call) error {
	number, err := strconv.Atoi(c.R.PathValue("version"))
	if err != nil || number < 1 {
		return parley.BadField("version", "is not the number of a version", "send 1 or more, as the list of versions has them")
	}
	return a.showSchema(c, number)
}

func (a *API) showSchema(c *door.Call, number int) error {
	kind, err := param(c.Query, "type")
	if err != nil {
		return err
	}
	v, err := a.opt.Schemas.Get(c.R.PathValue("topic"), kind, number)
	if err != nil {
		return err
	}
	return answerJSON(c.W, http.StatusOK, v)
}

func (a *API) schemaVersions(c *door.Call) error {
	kind, err := param(c.Query, "type")
	if err != nil {
		return err
	}
	list, err := a.opt.Schemas.Versions(c.R.PathValue("topic"), kind)
	if err != nil {
		return err
	}
	return answerJSON(c.W, http.StatusOK, SchemaVersions{list})
}

func (a *API) schemaPut(c *door.Call) error {
	kind, err := param(c.Query, "type")
	if err != nil {
		return err
	}
	var in SchemaPut
	if err := a.readStrict(c, &in); err != nil {
		return err
	}
	if in.Schema == nil {
		return noSchema()
	}
	rule, err := ruleOf(in.Compatibility)
	if err != nil {
		return err
	}
	v, created, err := a.opt.Schemas.Put(c.Context(), c.R.PathValue("topic"), kind, in.Schema, rule)
	if err != nil {
		return err
	}
	if created {
		return answerJSON(c.W, http.StatusCreated, v)
	}
	return answerJSON(c.W, http.StatusOK, v)
}

// readStrict reads a JSON body; what is decoded does not alias it.
func (a *API) readStrict(c *door.Call, into any) error {
	body, err := a.read(c)
	if err != nil {
		return err
	}
	defer body.free()
	return decodeStrict(body.Bytes(), into)
}

func noSchema() error {
	return parley.BadField("schema", "is missing", `send {"schema": {…}}, the schema itself inside`)
}

// ruleOf reads a rule; absent is the one there is.
func ruleOf(text string) (schema.Rule, error) {
	if text == "" {
		return "", nil
	}
	return schema.ParseRule(text)
}

func (a *API) schemaDelete(c *door.Call) error {
	kind, err := param(c.Query, "type")
	if err != nil {
		return err
	}
	if err := a.opt.Schemas.Delete(c.Context(), c.R.PathValue("topic"), kind); err != nil {
		return err
	}
	c.W.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) schemaCheck(c *door.Call) error {
	kind, err := param(c.Query, "type")
	if err != nil {
		return err
	}
	var in SchemaCheck
	if err := a.readStrict(c, &in); err != nil {
		return err
	}
	if in.Schema == nil && in.Data == nil {
		return parley.BadField("body", "neither schema nor data is there", "send one of them, or both")
	}
	rule, err := ruleOf(in.Compatibility)
	if err != nil {
		return err
	}
	var out SchemaCheckAnswer
	name := c.R.PathValue("topic")
	if in.Schema != nil {
		if out.Conflicts, err = a.opt.Schemas.Try(name, kind, in.Schema, rule); err != nil {
			return err
		}
		fits := len(out.Conflicts) == 0
		out.Compatible = &fits
	}
	if in.Data != nil {
		if in.Schema != nil {
			out.Failure, err = schema.Validate(in.Schema, in.Data)
		} else {
			out.Failure, err = a.opt.Schemas.TryData(name, kind, in.Data)
		}
		if err != nil {
			return err
		}
		valid := out.Failure == nil
		out.Valid = &valid
	}
	return answerJSON(c.W, http.StatusOK, out)
}
