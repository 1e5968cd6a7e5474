package interop

import (
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"testing"

	"github.com/parleyhq/parley/test/rig"
)

// TestCloudEvents publishes with curl in every mode of the CloudEvents HTTP
// binding (§3), and as the data alone, and looks at the events that came of it.
func TestCloudEvents(t *testing.T) {
	server := rig.Serve(t)
	for _, c := range []struct {
		name, body string
		header     []string
		want       []map[string]any // attributes that an event must have
	}{
		{
			"binary", `{"total":12}`,
			[]string{
				"Content-Type: application/json", "ce-specversion: 1.0", "ce-id: 1", "ce-source: /shop", "ce-type: order.paid",
				"ce-subject: caf%C3%A9", "ce-time: 2026-01-31T12:00:00Z", "ce-partitionkey: ada",
			},
			[]map[string]any{{
				"id": "1", "source": "/shop", "type": "order.paid", "subject": "café", "time": "2026-01-31T12:00:00Z",
				"partitionkey": "ada", "datacontenttype": "application/json", "data": map[string]any{"total": 12.0},
			}},
		},
		{
			"structured", `{"specversion":"1.0","id":"2","source":"/shop","type":"order.paid","data":"two"}`,
			[]string{"Content-Type: application/cloudevents+json"},
			[]map[string]any{{"id": "2", "source": "/shop", "type": "order.paid", "data": "two"}},
		},
		{
			"batched", `[{"specversion":"1.0","id":"3","source":"/shop","type":"a","data":[3]},{"specversion":"1.0","id":"4","source":"/shop","type":"b","data_base64":"AP8="}]`,
			[]string{"Content-Type: application/cloudevents-batch+json"},
			[]map[string]any{{"id": "3", "type": "a", "data": []any{3.0}}, {"id": "4", "type": "b", "data_base64": "AP8="}},
		},
		{
			"lines", "{\"n\":1}\n{\"n\":2}\n{\"n\":3}",
			[]string{"Content-Type: application/x-ndjson", "Parley-Type: line"},
			[]map[string]any{{"type": "line", "data": map[string]any{"n": 1.0}}, {"type": "line", "data": map[string]any{"n": 2.0}}, {"type": "line", "data": map[string]any{"n": 3.0}}},
		},
		{
			"text", "just words",
			[]string{"Content-Type: text/plain", "Parley-Type: note", "Parley-Subject: desk", "Parley-Key: ada"},
			[]map[string]any{{"type": "note", "subject": "desk", "partitionkey": "ada", "datacontenttype": "text/plain", "data": "just words"}},
		},
		{
			"form", `{"hello":"curl"}`, nil, // what curl -d says of any body
			[]map[string]any{{"source": "/topics/form", "datacontenttype": "application/json", "data": map[string]any{"hello": "curl"}}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := []string{"-sS", "--fail-with-body", "--data-binary", c.body, server.URL + "/v1/topics/" + c.name + "/events"}
			for _, h := range c.header {
				args = append(args, "-H", h)
			}
			var placed struct {
				Events []struct{ ID string }
			}
			decode(t, rig.Run(t, rig.Program(t, "curl"), args...), &placed)
			if len(placed.Events) != len(c.want) {
				t.Fatalf("the answer has %d events, want %d", len(placed.Events), len(c.want))
			}
			stored := events(t, server, c.name)
			if len(stored) != len(c.want) {
				t.Fatalf("%d events are stored, want %d", len(stored), len(c.want))
			}
			for i, want := range c.want {
				if stored[i]["id"] != placed.Events[i].ID {
					t.Errorf("event %d has the id %v, the answer says %s", i, stored[i]["id"], placed.Events[i].ID)
				}
				for name, value := range want {
					if got := stored[i][name]; !reflect.DeepEqual(got, value) {
						t.Errorf("event %d: %s is %v, want %v", i, name, got, value)
					}
				}
			}
		})
	}
}

// TestGRPCPublish publishes through the gRPC door and polls through HTTP.
func TestGRPCPublish(t *testing.T) {
	server := rig.Serve(t)
	c, err := dialReflected(server)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.conn.Close() }()
	request := map[string]any{"topic": "orders", "events": []any{map[string]any{
		"id": "7", "source": "/shop", "type": "order.paid", "datacontenttype": "application/json", "data": []byte(`{"total":12}`),
	}}}
	for _, replayed := range []bool{false, true} { // the second is a repeat of the first
		err = c.stream(t.Context(), "parley.v1.Publish", "Publish", request, func(answer []byte) (bool, error) {
			var got struct {
				Events   []struct{ ID string }
				Replayed bool
			}
			decode(t, string(answer), &got)
			if len(got.Events) != 1 || got.Events[0].ID != "7" || got.Replayed != replayed {
				t.Errorf("the answer is %s", answer)
			}
			return true, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if stored := events(t, server, "orders"); len(stored) != 1 || stored[0]["id"] != "7" {
		t.Errorf("stored is %v", stored)
	}
}

// events polls all events of a topic.
func events(t *testing.T, s *rig.Server, topic string) []map[string]any {
	t.Helper()
	res, err := http.Get(s.URL + "/v1/topics/" + topic + "/events?after=earliest")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var page struct{ Events []map[string]any }
	decode(t, string(body), &page)
	return page.Events
}

func decode(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}
