package httpapi

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
)

// TestAQueueNeedsItsTopics: who may administer a queue does not read or write through it
// what it may not otherwise.
func TestAQueueNeedsItsTopics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ids, secrets := tokens(t, "admin:q", "admin:q read:shop.> publish:graves")
		r := newRig(t, func(s *setup) { s.Identify = ids })
		for _, step := range []struct {
			who  int
			body string
			want string // the scope that is missing
		}{
			{0, `{"feed": ["shop.orders"]}`, "read:shop.orders"},
			{0, `{"feed": ["*"]}`, "read:*"},
			{0, `{"dead_letter": "graves"}`, "publish:graves"},
			{0, `{"results": "graves"}`, "publish:graves"},
			{0, `{"dead_letter": "q.dead", "results": "-"}`, ""},
			{1, `{"feed": ["shop.*"], "dead_letter": "graves"}`, ""},
			{1, `{"feed": ["shop.*", "till"]}`, "read:till"},
			{0, `{"feed": ["shop.*"], "max_attempts": 3}`, ""}, // it has that already
			{0, `{"feed": []}`, ""},
			{0, `{"feed": ["shop.*"]}`, "read:shop.*"},
		} {
			res, answer := r.do("PUT", "/v1/queues/q", step.body, "Authorization", "Bearer "+secrets[step.who])
			if allowed := res.StatusCode < 300; allowed != (step.want == "") || !strings.Contains(answer, step.want) || !allowed && res.StatusCode != http.StatusForbidden {
				t.Errorf("%d %s: %d %s", step.who, step.body, res.StatusCode, answer)
			}
		}
	})
}
