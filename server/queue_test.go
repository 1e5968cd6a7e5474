package server

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/parleyhq/parley/pattern/queue"
)

func TestQueuesOfAFile(t *testing.T) {
	l, err := load(t, "queues:\n  auto_create: false\n  max: 7\n  settings:\n    emails: {max_attempts: 5, visibility: 1m, retry: {kind: list, delays: [1s, 1m]}}\n    empty: {}\n    bare:\n", nil, nil)
	if err != nil {
		t.Fatalf("%q", problems(t, err))
	}
	q := l.Config.Queues
	if e := q.Settings["emails"]; q.AutoCreate || q.Max != 7 || len(q.Settings) != 3 || e.MaxAttempts != 5 || e.Visibility != time.Minute || len(e.Retry.Delays) != 2 || q.Settings["bare"].MaxAttempts != 20 {
		t.Errorf("gives %+v", q)
	}
	for text, want := range map[string]string{
		"queues: {settings: [a]}":                               "parley.yaml:1 | queues.settings | is not a list of queues",
		"queues: {settings: {a: 5}}":                            "parley.yaml:1 | queues.settings.a | are no settings",
		"queues:\n  settings:\n    a: {attempts: 5}":            "parley.yaml:3 | queues.settings.a.attempts | there is no such member",
		"queues:\n  settings:\n    a: {max_attempts: -4}":       "parley.yaml:3 | queues.settings.a.max_attempts | is -4",
		"queues:\n  settings:\n    a: {max_attempts: many}":     "parley.yaml:3 | queues.settings.a.max_attempts | is a JSON string",
		"queues:\n  settings:\n    a: {rate: quick}":            "parley.yaml:3 | queues.settings.a.rate | ",
		"queues:\n  settings:\n    \"~a\": {}":                  "parley.yaml:3 | queues.settings.~a",
		"queues:\n  settings:\n    a: {}\n    b: {}\n    a: {}": "parley.yaml:5 | queues.settings.a | comes twice",
		"queues: {max: 0}":                                      "parley.yaml:1 | queues.max | ",
	} {
		_, err := load(t, text, nil, nil)
		if got := problems(t, err); len(got) != 1 || !strings.HasPrefix(got[0], want) {
			t.Errorf("%q gives\n  %s\nwant\n  %s", text, strings.Join(got, "\n  "), want)
		}
	}
}

func TestQueuesOfTheServer(t *testing.T) {
	r := start(t, func(c *Config, _ *Options) {
		c.Queues.Settings = map[string]queue.Settings{"fixed": {MaxAttempts: 3}}
		c.Queues.Max = namedQueues + 12
	})
	for n := range namedQueues + 10 {
		r.want(201, "POST", fmt.Sprintf("/v1/queues/q%03d/jobs", n), "x")
	}
	r.want(201, "PUT", "/v1/queues/more", "")
	if problem := r.want(503, "POST", "/v1/queues/toomany/jobs", "x"); !strings.Contains(problem, "queues.max") {
		t.Error(problem)
	}
	text := r.want(200, "GET", "/metrics", "")
	if got := len(regexp.MustCompile(`(?m)^parley_queue_jobs\{.*state="ready"\} 1$`).FindAllString(text, -1)); got != namedQueues-2 {
		t.Errorf("%d queues are named with their jobs, want %d", got, namedQueues-2)
	}
	for _, want := range []string{`parley_queue_jobs{queue="~other",state="ready"} 12`, "parley_queues 212", `parley_queue_jobs{queue="fixed",state="ready"} 0`} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	if list := r.want(200, "GET", "/v1/topics?internal=true&limit=1000", ""); !strings.Contains(list, `"$queues"`) || !strings.Contains(list, `"$queue.q000.jobs.`) {
		t.Error("the queues' streams are no topics")
	}
}
