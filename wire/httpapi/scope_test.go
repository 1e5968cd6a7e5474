package httpapi

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley/wire/door"
)

// verbless are the routes that Decide is not asked for beforehand, and why.
var verbless = map[string]string{
	"publish-all": "the body names the topics: each is asked for before anything is published",
	"sse-many":    "the query names the topics: each is asked for before anything is read",
	"topic-list":  "shows only the topics that the caller may read",
	"limit-list":  "shows only the limits that the caller may check",
	"queue-list":  "shows only the queues that the caller may work for or administer",
	"queue-ack":   ofALease, "queue-nack": ofALease, "queue-extend": ofALease, "queue-progress": ofALease, "queue-dead": ofALease,
	"pipe-list":  "shows only the pipes that the caller may administer",
	"group-list": "shows only the groups that the caller may use or administer",
	"openapi":    "the description of the API is the same for everybody",
	"asyncapi":   "the description of the API is the same for everybody",
	"errors":     "the list of errors is the same for everybody",
}

const ofALease = "the lease names the queue: it is asked for before anything is read"

// tokens makes an identifier with a token for each list of scopes.
func tokens(t *testing.T, scopes ...string) (door.Identifier, []string) {
	t.Helper()
	var secrets []string
	var all []door.Token
	for i, s := range scopes {
		secret, token, err := door.MakeToken("t"+string(rune('a'+i)), strings.Fields(s), time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		secrets, all = append(secrets, secret), append(all, token)
	}
	ids, err := door.NewTokens(all, nil)
	if err != nil {
		t.Fatal(err)
	}
	return ids, secrets
}

// sample is a request to a route that is right but for what a test makes wrong.
func sample(route *door.Route) (method, path, body string, header []string) {
	path = strings.NewReplacer("{topic}", "a", "{limit}", "a", "{queue}", "a", "{group}", "a", "{partition}", "0", "{version}", "1", "{job}", "3", "{schedule}", "s", "{pipe}", "a").Replace(route.Path)
	switch route.Name {
	case "publish":
		body = "x"
	case "publish-all":
		body = `{"topics":[{"topic":"a","events":[{"data":1}]}]}`
	case "schema-put":
		body = `{"schema":{"type":"object"}}`
	case "schema-check":
		body = `{"schema":{"type":"object"}}`
	case "schema-show", "schema-delete", "schema-versions", "schema-version":
		path += "?type=t"
	case "sse-many":
		path += "?topic=a"
	case "limit-put":
		body = `{"limit":"1/s"}`
	case "limit-check":
		body = `{"key":"k"}`
	case "queue-put":
		body = `{"max_attempts":7}`
	case "queue-enqueue":
		body = "x"
	case "queue-progress":
		body = `{"progress":0.5}`
	case "schedule-put":
		body = `{"cron":"0 8 * * *"}`
	case "queue-purge":
		body = `{"states":["dead"]}`
	case "queue-cancel-many":
		body = `{"ids":["3"]}`
	case "queue-reschedule":
		body = `{"delay":"1h"}`
	case "queue-settle":
		body = `{"settlements":[{"lease":"{lease}","action":"ack"}]}`
	case "group-join":
		body = `{"topics":["a"]}`
	case "group-events":
		path += "?member={member}&generation=1"
	case "group-commit":
		body = `{"member":"{member}","generation":1,"positions":[{"topic":"a","partition":0,"position":1}]}`
	case "group-heartbeat":
		body = `{"member":"{member}","generation":1}`
	case "group-leave":
		body = `{"member":"{member}"}`
	case "group-seek":
		body = `{"to":"earliest"}`
	case "pipe-put":
		body = `{"steps": "topic a | topic b"}`
	case "pipe-tap":
		path += "?step=2"
	case "pipe-test":
		body = `{"steps": "topic a | topic b", "tests": [{"name": "x", "input": [1], "expect": {"b": [1]}}]}`
	case "topic-put":
		body = `{"max_event":1000}`
	case "websocket", "publish-batches":
		header = []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}
	}
	if route.Accept != "" {
		header = append(header, "Accept", route.Accept)
	}
	return route.Method, path, body, header
}

func TestNoRouteWithoutItsScope(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ids, secrets := tokens(t, "publish:other.> read:other.> manage:other.> admin", "publish:a read:other", "manage:a")
		r := newRig(t, func(s *setup) { s.Identify = ids })
		excused := maps.Clone(verbless)
		for i := range r.api.routes {
			route := &r.api.routes[i]
			method, path, body, header := sample(route)
			if route.Verb == "" {
				if verbless[route.Name] == "" {
					t.Errorf("%s has no verb, and no reason for that", route.Name)
				}
				delete(excused, route.Name)
				continue
			}
			ran := false
			handle := route.Handle
			route.Handle = func(c *door.Call) error { ran = true; return handle(c) }
			for j, secret := range append(secrets, "") {
				status, code := http.StatusForbidden, "forbidden"
				with := header
				if secret == "" {
					status, code = http.StatusUnauthorized, "unauthenticated"
				} else {
					with = append([]string{"Authorization", "Bearer " + secret}, header...)
				}
				if j == 0 && route.Verb == "admin" || j == 1 && route.Verb == "publish" || j == 2 && route.Verb == "manage" {
					continue // has the scope
				}
				res, answer := r.do(method, path, body, with...)
				p := parseProblem(t, res, answer)
				if res.StatusCode != status || p.Type != code || p.Field != "Authorization" || ran {
					t.Errorf("%s with token %d: %d %s, ran: %v", route.Name, j, res.StatusCode, answer, ran)
				}
				want := `Bearer realm="parley"`
				if status == http.StatusForbidden {
					want += `, error="insufficient_scope"`
				}
				if got := res.Header.Get("WWW-Authenticate"); got != want {
					t.Errorf("%s with token %d: WWW-Authenticate is %q, want %q", route.Name, j, got, want)
				}
			}
		}
		for name := range excused {
			t.Errorf("%s has a reason and is no route without verb", name)
		}
		if len(r.topics.List()) != 1 {
			t.Errorf("topics were made: %v", r.topics.List())
		}
	})
}

func TestRoutesThatNameTopicsElsewhereAskForEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ids, secrets := tokens(t, "publish:a read:a", "read:>")
		r := newRig(t, func(s *setup) { s.Identify = ids })
		bearer := []string{"Authorization", "Bearer " + secrets[0]}
		both := `{"topics":[{"topic":"a","events":[{"data":1}]},{"topic":"b","events":[{"data":1}]}]}`
		for _, c := range []struct {
			method, path, body string
			header             []string
			status             int
		}{
			{"POST", "/v1/publish", both, bearer, 403},
			{"POST", "/v1/publish", both, nil, 401},
			{"GET", "/v1/sse?topic=a&topic=b", "", bearer, 403},
			{"GET", "/v1/sse?topic=>", "", bearer, 403},
			{"GET", "/v1/sse?topic=a", "", nil, 401},
			{"GET", "/v1/topics/*/events", "", bearer, 403},
			{"GET", "/v1/topics/$topics/events", "", []string{"Authorization", "Bearer " + secrets[1]}, 403},
			{"GET", "/v1/sse?topic=$>", "", []string{"Authorization", "Bearer " + secrets[1]}, 403},
			{"POST", events + "?ephemeral=true", "x", bearer, 201},
			{"POST", "/v1/topics/~a/events", "x", bearer, 201},
			{"POST", "/v1/topics/~b/events", "x", bearer, 403},
			{"GET", events + "?access_token=" + secrets[0], "", nil, 200},
			{"HEAD", events + "?access_token=" + secrets[0], "", nil, 200},
		} {
			if res, body := r.do(c.method, c.path, c.body, c.header...); res.StatusCode != c.status {
				t.Errorf("%s %s: %d %s, want %d", c.method, c.path, res.StatusCode, body, c.status)
			}
		}
		if _, err := r.topics.Get("b"); err == nil {
			t.Error("b was published to")
		}
		r.do("POST", events, "x", bearer...)
		_, list := r.do("GET", "/v1/topics?internal=true", "", bearer...)
		_, none := r.do("GET", "/v1/topics?internal=true", "")
		if !strings.Contains(list, `"name":"a"`) || strings.Contains(list, "$") || strings.Contains(none, "name") {
			t.Errorf("lists: %s, anonymous: %s", list, none)
		}
	})
}

func TestWhoMayReadNothingIsToldSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ids, secrets := tokens(t, "publish")
		r := newRig(t, func(s *setup) { s.Identify = ids })
		for _, list := range []string{"topics", "queues", "limits", "groups"} {
			res, answer := r.do("GET", "/v1/"+list, "")
			if p := parseProblem(t, res, answer); res.StatusCode != http.StatusUnauthorized || p.Type != "unauthenticated" {
				t.Errorf("%s without a token: %d %s", list, res.StatusCode, answer)
			}
			if res, answer = r.do("GET", "/v1/"+list, "", "Authorization", "Bearer "+secrets[0]); res.StatusCode != http.StatusOK {
				t.Errorf("%s with a token that sees nothing: %d %s", list, res.StatusCode, answer)
			}
		}
	})
}
