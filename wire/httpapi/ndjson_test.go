package httpapi

import (
	"strings"
	"testing"
)

// TestNDJSONLines wants every event to keep its own bytes, also when the last
// line has no end.
func TestNDJSONLines(t *testing.T) {
	r := newRig(t, nil)
	for _, want := range [][]string{{"3", "4", "5"}, {`{"a": 1}`, "\"" + strings.Repeat("long", 5000) + "\"", "[]"}} {
		for _, end := range []string{"", "\n", "\n\n"} {
			if res, body := r.do("POST", "/v1/topics/lines/events", strings.Join(want, "\n")+end, "Content-Type", "application/x-ndjson"); res.StatusCode != 201 {
				t.Fatalf("publish: %d %s", res.StatusCode, body)
			}
			_, body := r.do("GET", "/v1/topics/lines/events?tail=3", "")
			p := parsePage(t, body)
			if len(p.Events) != len(want) {
				t.Fatalf("%d events, want %d", len(p.Events), len(want))
			}
			for i := range want {
				if got := string(p.Events[i].Data); got != want[i] {
					t.Errorf("line %d of %d is %.50q, want %.50q", i+1, len(want), got, want[i])
				}
			}
		}
	}
}
