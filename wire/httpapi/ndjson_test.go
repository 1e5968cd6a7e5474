package httpapi

import (
	"net/http"
	"strings"
	"testing"
)

// TestNDJSONLines wants every event to keep its own bytes, also when the last
// line has no end.
func TestNDJSONLines(t *testing.T) {
	for _, want := range [][]string{{"3", "4", "5"}, {`{"a": 1}`, "\"" + strings.Repeat("long", 5000) + "\"", "[]"}, {"1\r", "2"}} {
		for _, end := range []string{"", "\n", "\n\n"} {
			events, err := ndjson(http.Header{}, []byte(strings.Join(want, "\n")+end))
			if err != nil || len(events) != len(want) {
				t.Fatalf("%d events, want %d: %v", len(events), len(want), err)
			}
			for i := range want {
				if got := string(events[i].Data); got != want[i] {
					t.Errorf("line %d of %d is %.50q, want %.50q", i+1, len(want), got, want[i])
				}
			}
		}
	}
}
