package door

import (
	"context"
	"strings"

	"github.com/parleyhq/parley/pattern/throttle/policy"
)

// Limited is the Admission that asks named limits. Requests that change limits are
// not asked about: a limit of zero must be able to go again.
func Limited(limits *policy.Registry) Admission { return limited{limits} }

type limited struct{ limits *policy.Registry }

// Admit implements Admission.
func (l limited) Admit(ctx context.Context, r *Request) (func(), error) {
	if r.Route.Pattern == "throttle" && r.Route.Verb == "admin" {
		return func() {}, nil
	}
	return l.limits.Admit(ctx, &policy.Request{
		Action: actionOf(r), Topics: r.Topics, Route: r.Route.Name, Who: r.Who.Name,
		Remote: r.Remote, Path: r.Path, Header: r.Header, Answer: r.Answer,
	})
}

// Headers implements HeaderReader.
func (l limited) Headers() []string { return l.limits.Headers() }

// actionOf says what a request is about to do. Routes that publish are called so,
// whatever the door.
func actionOf(r *Request) policy.Action {
	if r.Verb == "publish" || strings.HasPrefix(r.Route.Name, "publish") {
		return policy.Publish
	}
	switch r.Route.Name {
	case "queue-enqueue", "queue-enqueue-stream":
		return policy.Enqueue
	case "queue-lease", "queue-work":
		return policy.Work
	case "group-events":
		return policy.Consume
	}
	switch r.Route.Pattern {
	case "poll":
		return policy.Poll
	case "sse", "websocket", "pubsub":
		return policy.Subscribe
	}
	return ""
}
