package httpapi

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/parleyhq/parley/pattern/websocket"
)

const orderSchema = `{"type":"object","properties":{"id":{"type":"integer"}},"required":["id"],"additionalProperties":false}`

// TestABrokenEventIsRefusedAtEveryDoor has each way to publish over HTTP meet a
// schema; nothing of a request is stored.
func TestABrokenEventIsRefusedAtEveryDoor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.do("PUT", "/v1/topics/a", `{"partitions":3}`)
		if res, body := r.do("PUT", "/v1/topics/a/schema", `{"schema":`+orderSchema+`}`); res.StatusCode != 201 {
			t.Fatal(body)
		}
		for what, c := range map[string]struct{ path, kind, body, field, pointer, keyword string }{
			"plain":      {"/v1/topics/a/events", "application/json", `{"id":"x"}`, "data", "#/id", "type"},
			"text":       {"/v1/topics/a/events", "text/plain", `{"id":1}`, "data", "#", ""},
			"none":       {"/v1/topics/a/events", "application/json", ``, "data", "#", ""},
			"lines":      {"/v1/topics/a/events", "application/x-ndjson", "{\"id\":1}\n{\"id\":1,\"x.y/z\":2}\n", "events[1].data", "#", "additionalProperties"},
			"structured": {"/v1/topics/a/events", "application/cloudevents+json", `{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{}}`, "data", "#", "required"},
			"batched":    {"/v1/topics/a/events", "application/cloudevents-batch+json", `[{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"id":1}},{"specversion":"1.0","id":"2","source":"/s","type":"t","data":[]}]`, "events[1].data", "#", "type"},
			"ephemeral":  {"/v1/topics/a/events?ephemeral=true", "application/json", `7`, "data", "#", "type"},
			"all":        {"/v1/publish", "application/json", `{"topics":[{"topic":"b","events":[{"data":7}]},{"topic":"a","events":[{"data":{"id":1}},{"data":7}]}]}`, "topics[1].events[1].data", "#", "type"},
		} {
			res, body := r.do("POST", c.path, c.body, "Content-Type", c.kind)
			var p struct{ Type, Field, Fix, Detail, Pointer, Keyword string }
			if err := json.Unmarshal([]byte(body), &p); err != nil || res.StatusCode != http.StatusUnprocessableEntity || p.Type != "urn:parley:error:unprocessable" ||
				p.Field != c.field || p.Pointer != c.pointer || p.Keyword != c.keyword || p.Fix == "" || !strings.Contains(p.Detail, "schema of a, version 1") {
				t.Errorf("%s: %d %s", what, res.StatusCode, body)
			}
		}
		s := r.socket("?subscribe=false", "")
		s.send(websocket.Text, `{"id":"x"}`)
		if code, reason := s.closed(); code != websocket.CloseBadRequest || !strings.Contains(reason, "schema") {
			t.Errorf("a socket: %d %s", code, reason)
		}
		for _, name := range []string{"a", "b"} {
			var info struct{ Events int }
			if _, body := r.do("GET", "/v1/topics/"+name, ""); strings.HasPrefix(body, `{"name"`) && (json.Unmarshal([]byte(body), &info) != nil || info.Events != 0) {
				t.Errorf("%s", body)
			}
		}
		if res, body := r.do("POST", "/v1/topics/a/events", `{"id":1}`); res.StatusCode != 201 {
			t.Errorf("%s", body)
		}
	})
}

func TestSchemasOverHTTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.do("PUT", "/v1/topics/a", "")
		closed := `{"type":"object","properties":{"id":{"type":"integer"},"x":true},"required":["id"],"additionalProperties":false}`
		for _, c := range []struct {
			method, path, body string
			status             int
			says               string
		}{
			{"GET", "/v1/topics/a/schema", "", 404, "has no schema"},
			{"PUT", "/v1/topics/a/schema", `{"schema":` + orderSchema + `}`, 201, `"version":1,"compatibility":"backward"`},
			{"PUT", "/v1/topics/a/schema", `{"schema":` + orderSchema + `}`, 200, `"version":1`},
			{"PUT", "/v1/topics/a/schema", `{"schema":` + closed + `,"compatibility":"full"}`, 422, "forward of version 1: /additionalProperties"},
			{"PUT", "/v1/topics/a/schema", `{"schema":` + closed + `}`, 200, `"version":2`},
			{"PUT", "/v1/topics/a/schema", `{}`, 400, `"field":"schema"`},
			{"PUT", "/v1/topics/a/schema", `{"schema":true,"x":1}`, 400, `"field":"x"`},
			{"PUT", "/v1/topics/a/schema", `{"schema":{"pattern":"("}}`, 400, "/pattern"},
			{"PUT", "/v1/topics/a/schema?type=a&type=b", `{"schema":true}`, 400, `"field":"type"`},
			{"PUT", "/v1/topics/a/schema", `{"schema":true,"compatibility":"x"}`, 400, `"field":"compatibility"`},
			{"PUT", "/v1/topics/~a/schema", `{"schema":true}`, 400, `"field":"topic"`},
			{"PUT", "/v1/topics/b/schema", `{"schema":true}`, 404, "no topic b"},
			{"PUT", "/v1/topics/a/schema?type=made", `{"schema":true}`, 201, `"type":"made","version":1`},
			{"GET", "/v1/topics/a/schemas", "", 200, `"version":2`},
			{"GET", "/v1/topics/a/schema", "", 200, `"x":true`},
			{"GET", "/v1/topics/a/schema/versions", "", 200, `"version":2`},
			{"GET", "/v1/topics/a/schema/versions/1", "", 200, `"schema":` + orderSchema},
			{"GET", "/v1/topics/a/schema/versions/7", "", 404, "the newest is 2"},
			{"GET", "/v1/topics/a/schema/versions/x", "", 400, `"field":"version"`},
			{"POST", "/v1/topics/a/schema/check", `{}`, 400, "neither"},
			{"POST", "/v1/topics/a/schema/check", `{"data":{"id":1}}`, 200, `{"valid":true}`},
			{"POST", "/v1/topics/a/schema/check", `{"data":null}`, 200, `"valid":false,"failure":{"path":"","keyword":"type","schema":"/type"`},
			{"POST", "/v1/topics/a/schema/check", `{"schema":{"type":"string"}}`, 200, `{"compatible":false,"conflicts":[{"direction":"backward","version":2,"path":"/type","keyword":"type","text":`},
			{"POST", "/v1/topics/a/schema/check", `{"schema":{"type":"string"},"compatibility":"none","data":"x"}`, 200, `{"compatible":true,"valid":true}`},
			{"DELETE", "/v1/topics/a/schema", "", 204, ""},
			{"DELETE", "/v1/topics/a/schema", "", 404, "has no schema"},
			{"PUT", "/v1/topics/c", `{"compact":true}`, 201, `"max_age":"none"`},
			{"PUT", "/v1/topics/c", `{"tombstone_age":"1h"}`, 200, `"compact":true,"compact_lag":"0s","tombstone_age":"1h0m0s"`},
			{"POST", "/v1/topics/c/events", `1`, 422, `"field":"Parley-Key"`},
		} {
			res, body := r.do(c.method, c.path, c.body)
			if res.StatusCode != c.status || !strings.Contains(body, c.says) {
				t.Errorf("%s %s %s: %d %s; want %d with %s", c.method, c.path, c.body, res.StatusCode, body, c.status, c.says)
			}
		}
	})
}
