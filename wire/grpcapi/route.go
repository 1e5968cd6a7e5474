package grpcapi

import (
	"slices"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/wire/door"
)

// Routes is the table of the RPCs. Path is the full method, and Name that of the
// HTTP route which does the same, so that limits and metrics see one operation,
// whatever the door.
func Routes() []door.Route {
	publish := []parley.Code{parley.Invalid, parley.TooLarge, parley.NotFound, parley.KeyReused, parley.Unprocessable, parley.Full, parley.Unknown}
	return slices.Concat([]door.Route{
		{Path: "/parley.v1.Publish/Publish", Name: "publish", Verb: "publish", On: "topic", Errors: publish, Summary: "Publish events to a topic."},
		{Path: "/parley.v1.Publish/PublishAll", Name: "publish-all", Errors: append(slices.Clip(publish), parley.Apart), Summary: "Publish to several topics in one commit: all or none."},
		{Path: "/parley.v1.Publish/PublishStream", Name: "publish-stream", Verb: "publish", On: "topic", Errors: publish, Summary: "Publish many times over one stream."},
		{Path: "/parley.v1.Subscribe/Subscribe", Name: "subscribe", Pattern: "pubsub", Errors: []parley.Code{parley.Invalid, parley.NotFound, parley.Unprocessable, parley.BadCursor, parley.Trimmed, parley.Overloaded}, Summary: "Stream the events of topics."},
		{Path: "/parley.v1.Topics/ListTopics", Name: "topic-list", Errors: []parley.Code{parley.Invalid}, Summary: "List the topics that the caller may read."},
		{Path: "/parley.v1.Topics/GetTopic", Name: "topic-show", Verb: "read", On: "topic", Errors: []parley.Code{parley.NotFound}, Summary: "Show one topic."},
		{Path: "/parley.v1.Topics/CreateTopic", Name: "topic-create", Verb: "manage", On: "topic", Errors: []parley.Code{parley.Invalid, parley.Exists}, Summary: "Create a topic."},
		{Path: "/parley.v1.Topics/UpdateTopic", Name: "topic-put", Verb: "manage", On: "topic", Errors: []parley.Code{parley.Invalid, parley.NotFound, parley.Unprocessable}, Summary: "Change a topic's settings."},
		{Path: "/parley.v1.Topics/DeleteTopic", Name: "topic-delete", Verb: "manage", On: "topic", Errors: []parley.Code{parley.NotFound}, Summary: "Delete a topic with all its events."},
		{Path: "/parley.v1.Schemas/PutSchema", Name: "schema-put", Pattern: "stream", Verb: "manage", On: "topic", Errors: []parley.Code{parley.Invalid, parley.TooLarge, parley.NotFound, parley.Unprocessable, parley.Overloaded}, Summary: "Put a new version of a schema."},
		{Path: "/parley.v1.Schemas/GetSchema", Name: "schema-show", Pattern: "stream", Verb: "read", On: "topic", Errors: []parley.Code{parley.Invalid, parley.NotFound}, Summary: "Show a version of a schema."},
		{Path: "/parley.v1.Schemas/ListSchemas", Name: "schema-list", Pattern: "stream", Verb: "read", On: "topic", Errors: []parley.Code{parley.Invalid, parley.NotFound}, Summary: "List the schemas of a topic."},
		{Path: "/parley.v1.Schemas/ListSchemaVersions", Name: "schema-versions", Pattern: "stream", Verb: "read", On: "topic", Errors: []parley.Code{parley.Invalid, parley.NotFound}, Summary: "List the versions of a schema."},
		{Path: "/parley.v1.Schemas/CheckSchema", Name: "schema-check", Pattern: "stream", Verb: "read", On: "topic", Errors: []parley.Code{parley.Invalid, parley.TooLarge, parley.NotFound}, Summary: "Ask whether a schema fits, or data is valid."},
		{Path: "/parley.v1.Schemas/DeleteSchema", Name: "schema-delete", Pattern: "stream", Verb: "manage", On: "topic", Errors: []parley.Code{parley.Invalid, parley.NotFound}, Summary: "Delete a schema with all its versions."},
		{Path: "/parley.v1.Throttle/Check", Name: "limit-check", Pattern: "throttle", Verb: "throttle", On: "limit", Errors: []parley.Code{parley.Invalid, parley.NotFound, parley.Unprocessable}, Summary: "Ask a limit for units of a key, only look, or give units back."},
	}, queueRoutes(), streamRoutes())
}

// envoyRoute is somebody else's protocol, for which there is no route in HTTP.
var envoyRoute = door.Route{Path: "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit", Name: "ratelimit", Pattern: "throttle", Verb: "throttle", On: "domain", Errors: []parley.Code{parley.Invalid, parley.Overloaded}, Summary: "Envoy's rate limit service."}
