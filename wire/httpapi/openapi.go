package httpapi

import (
	"encoding"
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/throttle/httpthrottle"
	"github.com/parleyhq/parley/wire/door"
)

// OpenAPI describes the routes as an OpenAPI 3.1 document.
func OpenAPI(routes []door.Route, version string) map[string]any {
	paths := map[string]any{}
	for i := range routes {
		r := &routes[i]
		item, _ := paths[r.Path].(map[string]any)
		if item == nil {
			item = map[string]any{}
			paths[r.Path] = item
		}
		method := strings.ToLower(r.Method)
		if have, ok := item[method].(map[string]any); ok {
			merge(have, r) // one operation that answers in several media types
			continue
		}
		item[method] = operation(r)
	}
	return map[string]any{
		"openapi": "3.1.0",
		"info":    map[string]any{"title": "Parley", "version": version, "license": map[string]any{"name": "Apache-2.0", "identifier": "Apache-2.0"}},
		"paths":   paths,
		"components": map[string]any{
			"schemas": map[string]any{
				"Problem": schemaOf(reflect.TypeFor[door.Problem]()), "Throttled": schemaOf(reflect.TypeFor[httpthrottle.Body]()),
			},
			"securitySchemes": map[string]any{"token": map[string]any{"type": "http", "scheme": "bearer"}},
		},
		"security": []any{map[string]any{}, map[string]any{"token": []any{}}},
	}
}

func operation(r *door.Route) map[string]any {
	status := r.Status
	if status == 0 {
		status = http.StatusOK
	}
	success := map[string]any{"description": http.StatusText(status)}
	if content := answerContent(r); len(content) > 0 {
		success["content"] = content
	}
	responses := map[string]any{strconv.Itoa(status): success}
	if r.Name == "topic-put" || r.Name == "limit-put" || r.Name == "queue-put" || r.Name == "pipe-put" || r.Name == "schedule-put" {
		responses["201"] = map[string]any{"description": "Created", "content": success["content"]}
	}
	addErrors(responses, r)
	op := map[string]any{"operationId": r.Name, "summary": r.Summary, "responses": responses, "parameters": parameters(r), "x-example": r.Example}
	if r.Verb != "" {
		scope := door.Scope{Verb: r.Verb}
		if r.On != "" {
			scope.On = "{" + r.On + "}"
		}
		op["x-scope"] = scope.String()
	}
	if r.Request != nil {
		op["requestBody"] = map[string]any{"required": r.Method == http.MethodPost, "content": map[string]any{"application/json": map[string]any{"schema": schemaOf(reflect.TypeOf(r.Request))}}}
	} else if r.Method == http.MethodPost || r.Name == "pipe-put" {
		op["requestBody"] = map[string]any{"content": map[string]any{"*/*": map[string]any{"schema": map[string]any{}}}}
	}
	return op
}

// everywhere are the errors of every operation.
var everywhere = []parley.Code{parley.Unauthenticated, parley.Forbidden, parley.Throttled}

// addErrors adds an answer for each status; codes with one status share it.
func addErrors(responses map[string]any, r *door.Route) {
	for _, code := range append(slices.Clone(everywhere), r.Errors...) {
		for _, status := range statusesOf(r, code) {
			key := strconv.Itoa(status)
			have, ok := responses[key].(map[string]any)
			if !ok {
				have = map[string]any{"description": "", "x-types": []any{}, "content": problemContent(status)}
				responses[key] = have
			}
			types := have["x-types"].([]any)
			if slices.Contains(types, any(door.ProblemType+code.String())) {
				continue
			}
			have["x-types"] = append(types, door.ProblemType+code.String())
			have["description"] = strings.TrimPrefix(have["description"].(string)+"; "+code.Info().Title, "; ")
		}
	}
}

// problemContent is the body of an answer that is an error. Limits write their own,
// as plain JSON for clients that do not ask for problem documents.
func problemContent(status int) map[string]any {
	ref := func(name string) any {
		return map[string]any{"schema": map[string]any{"$ref": "#/components/schemas/" + name}}
	}
	if status == http.StatusTooManyRequests {
		return map[string]any{"application/problem+json": ref("Throttled"), "application/json": ref("Throttled")}
	}
	return map[string]any{"application/problem+json": ref("Problem")}
}

// statusesOf are the statuses that an error of an operation has: that of its code,
// but where a standard asks for another one.
func statusesOf(r *door.Route, code parley.Code) []int {
	switch {
	case code == parley.Timeout:
		return []int{http.StatusRequestTimeout} // of the body: RFC 9110 §15.5.9
	case code == parley.Unsupported && r.Pattern == "websocket":
		return []int{http.StatusUpgradeRequired} // RFC 6455 §4.2.2
	case code == parley.KeyReused && r.Pattern == "queue":
		return []int{http.StatusUnprocessableEntity}
	case code == parley.KeyReused: // an event's id, and an Idempotency-Key
		return []int{door.Status(code), http.StatusUnprocessableEntity}
	}
	return []int{door.Status(code)}
}

func answerContent(r *door.Route) map[string]any {
	content := map[string]any{}
	if r.Answer != nil {
		content["application/json"] = map[string]any{"schema": schemaOf(reflect.TypeOf(r.Answer))}
	}
	for _, media := range r.Media {
		content[media] = map[string]any{"schema": map[string]any{"type": "string"}}
	}
	return content
}

// merge adds what a further route of the same method and path says.
func merge(op map[string]any, r *door.Route) {
	responses := op["responses"].(map[string]any)
	content := responses["200"].(map[string]any)["content"].(map[string]any)
	maps.Copy(content, answerContent(r))
	addErrors(responses, r)
	known := map[string]bool{}
	list := op["parameters"].([]any)
	for _, p := range list {
		known[p.(map[string]any)["name"].(string)] = true
	}
	for _, p := range parameters(r) {
		if !known[p.(map[string]any)["name"].(string)] {
			list = append(list, p)
		}
	}
	op["parameters"] = list
	op["summary"] = op["summary"].(string) + " " + r.Summary
}

func parameters(r *door.Route) []any {
	list := []any{}
	for _, name := range pathParameters(r.Path) {
		list = append(list, map[string]any{"name": name, "in": "path", "required": true, "schema": map[string]any{"type": "string"}})
	}
	for _, p := range r.Params {
		list = append(list, map[string]any{"name": p.Name, "in": p.In, "description": p.Description, "schema": paramSchema(p)})
	}
	return list
}

func paramSchema(p door.Param) map[string]any {
	schema := map[string]any{"type": p.Type}
	if p.Type == "duration" {
		schema = map[string]any{"type": "string", "format": "go-duration"}
	}
	if p.Default == "" {
		return schema
	}
	schema["default"] = p.Default
	switch p.Type {
	case "integer":
		schema["default"], _ = strconv.Atoi(p.Default) // the table's own
	case "boolean":
		schema["default"] = p.Default == "true"
	}
	return schema
}

// schemaOf derives a JSON schema from a Go type and its json tags.
func schemaOf(t reflect.Type) map[string]any {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case t == reflect.TypeFor[json.RawMessage]():
		return map[string]any{"type": "object"}
	case t.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return map[string]any{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem())
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint32, reflect.Uint64:
		return map[string]any{"type": "integer"}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": schemaOf(t.Elem())}
	case reflect.Struct:
		return structSchema(t)
	}
	return map[string]any{}
}

func structSchema(t reflect.Type) map[string]any {
	properties, required := map[string]any{}, []any{}
	for f := range t.Fields() {
		f := f
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" { // as encoding/json does
			inner := structSchema(f.Type)
			maps.Copy(properties, inner["properties"].(map[string]any))
			if more, ok := inner["required"].([]any); ok {
				required = append(required, more...)
			}
			continue
		}
		if name == "" || name == "-" {
			continue
		}
		properties[name] = schemaOf(f.Type)
		if !strings.Contains(options, "omit") {
			required = append(required, name)
		}
	}
	s := map[string]any{"type": "object", "properties": properties}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}
