package server

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// A group works over the running server, and its lag is a metric.
func TestGroupOfTheServer(t *testing.T) {
	r := start(t, nil)
	r.want(201, "PUT", "/v1/topics/orders", `{"partitions":2}`)
	for range 5 {
		r.want(201, "POST", "/v1/topics/orders/events", "x")
	}
	var j struct{ Member string }
	if err := json.Unmarshal([]byte(r.want(200, "POST", "/v1/groups/billing/join", `{"topics":["orders"]}`)), &j); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Events []any
		Cursor string
	}
	path := "/v1/groups/billing/events?wait=5s&generation=1&member=" + j.Member
	if err := json.Unmarshal([]byte(r.want(200, "GET", path+"&limit=3", "")), &got); err != nil || len(got.Events) != 3 {
		t.Fatalf("%d events, %v", len(got.Events), err)
	}
	r.want(200, "POST", "/v1/groups/billing/commit", fmt.Sprintf(`{"member":%q,"generation":1,"cursor":%q}`, j.Member, got.Cursor))
	text := r.want(200, "GET", "/metrics", "")
	for _, want := range []string{"parley_groups 1", `parley_group_members{group="billing"} 1`, `parley_group_lag_events{group="billing"} 2`} {
		if !strings.Contains(text, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	// Held, and woken by the hub.
	if err := json.Unmarshal([]byte(r.want(200, "GET", path+"&after="+got.Cursor, "")), &got); err != nil || len(got.Events) != 2 {
		t.Fatalf("%d events, %v", len(got.Events), err)
	}
	held := make(chan string, 1)
	go func() { held <- r.want(200, "GET", path+"&after="+got.Cursor, "") }()
	r.want(201, "POST", "/v1/topics/orders/events", "last")
	if answer := <-held; !strings.Contains(answer, `"last"`) {
		t.Errorf("held: %s", answer)
	}
	if topics := r.want(200, "GET", "/v1/topics/$groups/events?after=earliest", ""); !strings.Contains(topics, "parley.group.created") {
		t.Errorf("$groups has %s", topics)
	}
	r.want(204, "DELETE", "/v1/groups/billing?force=true", "")
}

// Names of groups are labels, so there are only so many series of them.
func TestGroupMetricsAreBounded(t *testing.T) {
	r := start(t, nil)
	r.want(201, "PUT", "/v1/topics/a", "")
	for i := range namedGroups + 5 {
		r.want(200, "POST", fmt.Sprintf("/v1/groups/g%03d/seek", i), `{"to":"latest","topics":["a"]}`)
	}
	text := r.want(200, "GET", "/metrics", "")
	if n := strings.Count(text, "\nparley_group_lag_events{"); n != namedGroups {
		t.Errorf("%d series of lag", n)
	}
	if want := fmt.Sprintf("parley_groups %d", namedGroups+5); !strings.Contains(text, want) {
		t.Errorf("/metrics lacks %s", want)
	}
}
