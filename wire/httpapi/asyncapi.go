package httpapi

import (
	"net/http"
	"strings"

	"github.com/parleyhq/parley/pattern/websocket"
	"github.com/parleyhq/parley/wire/door"
)

// AsyncAPI describes the routes that stream as an AsyncAPI 3.0 document: a channel
// for each path, and what the server sends and receives there.
func AsyncAPI(routes []door.Route, version string) map[string]any {
	channels, operations := map[string]any{}, map[string]any{}
	for i := range routes {
		r := &routes[i]
		switch {
		case r.Name == "publish-batches":
			channels[r.Name] = channel(r, "ws", "batch", "placed", "refused")
			operations[r.Name] = streamOperation(r, "receive", "batch")
			operations[r.Name+"-answers"] = streamOperation(r, "send", "placed", "refused")
		case r.Pattern == "sse":
			channels[r.Name] = channel(r, "http", "event", "notice")
			operations[r.Name] = streamOperation(r, "send", "event", "notice")
		case r.Pattern == "websocket":
			channels[r.Name] = channel(r, "ws", "event", "data", "opening", "notice")
			operations[r.Name+"-events"] = streamOperation(r, "send", "event", "data", "opening", "notice")
			operations[r.Name+"-publish"] = streamOperation(r, "receive", "data")
		}
	}
	return map[string]any{
		"asyncapi": "3.0.0",
		"info":     map[string]any{"title": "Parley", "version": version, "license": map[string]any{"name": "Apache-2.0"}},
		"servers": map[string]any{
			"http": map[string]any{"host": "127.0.0.1:7275", "protocol": "http", "security": []any{map[string]any{"$ref": "#/components/securitySchemes/token"}}},
			"ws":   map[string]any{"host": "127.0.0.1:7275", "protocol": "ws", "security": []any{map[string]any{"$ref": "#/components/securitySchemes/token"}}},
		},
		"channels":   channels,
		"operations": operations,
		"components": map[string]any{
			"messages":        streamMessages(),
			"securitySchemes": map[string]any{"token": map[string]any{"type": "http", "scheme": "bearer"}},
		},
	}
}

func channel(r *door.Route, server string, messages ...string) map[string]any {
	named := map[string]any{}
	for _, m := range messages {
		named[m] = map[string]any{"$ref": "#/components/messages/" + m}
	}
	c := map[string]any{
		"address": r.Path, "title": r.Name, "summary": r.Summary,
		"servers":  []any{map[string]any{"$ref": "#/servers/" + server}},
		"messages": named,
	}
	params := map[string]any{}
	for _, name := range pathParameters(r.Path) {
		params[name] = map[string]any{"description": "a topic, or a pattern of topics to read"}
	}
	if len(params) > 0 {
		c["parameters"] = params
	}
	if server == "ws" {
		c["bindings"] = map[string]any{"ws": map[string]any{
			"method": http.MethodGet, "bindingVersion": "0.1.0",
			"query":   querySchema(r),
			"headers": map[string]any{"type": "object", "properties": map[string]any{"Sec-WebSocket-Protocol": map[string]any{"type": "string", "enum": []any{websocket.Framed}}}},
		}}
	}
	return c
}

func streamOperation(r *door.Route, action string, messages ...string) map[string]any {
	var list []any
	for _, m := range messages {
		list = append(list, map[string]any{"$ref": "#/channels/" + r.Name + "/messages/" + m})
	}
	op := map[string]any{"action": action, "channel": map[string]any{"$ref": "#/channels/" + r.Name}, "messages": list}
	if r.Pattern == "sse" {
		op["bindings"] = map[string]any{"http": map[string]any{"method": http.MethodGet, "bindingVersion": "0.3.0", "query": querySchema(r)}}
	}
	return op
}

// querySchema describes the query of a route as one object.
func querySchema(r *door.Route) map[string]any {
	properties := map[string]any{}
	for _, p := range r.Params {
		if p.In == "query" {
			schema := paramSchema(p)
			schema["description"] = p.Description
			properties[p.Name] = schema
		}
	}
	return map[string]any{"type": "object", "properties": properties}
}

func streamMessages() map[string]any {
	text, whole := map[string]any{"type": "string"}, map[string]any{"type": "integer"}
	object := func(properties map[string]any) map[string]any {
		return map[string]any{"type": "object", "properties": properties}
	}
	return map[string]any{
		"event": map[string]any{
			"summary": "A CloudEvent in JSON; on a WebSocket with " + websocket.Framed + " in a frame with its cursor.", "contentType": "application/cloudevents+json",
			"payload": object(map[string]any{"specversion": text, "id": text, "source": text, "type": text, "subject": text, "time": text, "datacontenttype": text}),
		},
		"data":    map[string]any{"summary": "The data of one event, as it was published."},
		"notice":  map[string]any{"summary": "The reader's place could not be kept: an event named gap, reset or ahead.", "contentType": "application/json", "payload": object(map[string]any{"topic": text, "partition": whole, "from": whole, "to": whole})},
		"opening": map[string]any{"summary": "The first frame of " + websocket.Framed + ": the reader's place, and in how many streams.", "contentType": "application/json", "payload": object(map[string]any{"cursor": text, "streams": whole})},
		"batch":   map[string]any{"summary": "One record batch v2, with keys=true behind the 16 bytes of its idempotency key.", "contentType": "application/octet-stream"},
		"placed":  map[string]any{"summary": "The batch is stored.", "contentType": "application/json", "payload": object(map[string]any{"position": whole, "replayed": map[string]any{"type": "boolean"}})},
		"refused": map[string]any{"summary": "The batch is not stored, and why (RFC 9457).", "contentType": "application/problem+json", "payload": object(map[string]any{"type": text, "title": text, "status": whole, "detail": text, "field": text, "fix": text, "retry_after": map[string]any{"type": "number"}})},
	}
}

// pathParameters lists the names in a path such as /v1/topics/{topic}.
func pathParameters(path string) []string {
	var names []string
	for part := range strings.SplitSeq(path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			names = append(names, strings.TrimRight(name, ".}"))
		}
	}
	return names
}
