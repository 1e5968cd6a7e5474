package door

import (
	"strings"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
)

// Scope is what an identity may do: a verb, and on what. Its text is
// "VERB:PATTERN", as in "publish:orders.>" or "read:*"; "VERB" alone is the verb
// on everything, and "*" everything.
type Scope struct {
	Verb string // one of Verbs, or "*"
	On   string // a pattern of topics, of limits for throttle, of queues for enqueue and work, of groups for consume, of any of these and of pipes for admin; "" = everything
}

// Verbs lists the verbs and what they allow.
var Verbs = map[string]string{
	"publish":  "publish events to topics",
	"read":     "read events of topics by any pattern, and their settings",
	"manage":   "create, change and delete topics",
	"enqueue":  "add jobs to queues, and get their results",
	"work":     "lease jobs of queues, settle them, and look at them",
	"consume":  "be a member of consumer groups, commit, seek, and look at them; their topics need read",
	"throttle": "check limits, and see them",
	"admin":    "see the server's own state, metrics, internal topics and configuration, and change its limits, queues, groups and pipes",
	"*":        "everything",
}

// ParseScope reads the text form.
func ParseScope(s string) (Scope, error) {
	verb, on, _ := strings.Cut(s, ":")
	if _, ok := Verbs[verb]; !ok {
		return Scope{}, parley.BadField("scope", "no such verb: "+verb, "use publish, read, manage, enqueue, work, consume, throttle, admin or *")
	}
	if on == "*" || on == ">" {
		on = ""
	}
	if on != "" {
		if _, err := topic.ParsePattern(on); err != nil {
			return Scope{}, err
		}
	}
	return Scope{Verb: verb, On: on}, nil
}

// String gives the text form.
func (s Scope) String() string {
	if s.On == "" {
		return s.Verb
	}
	return s.Verb + ":" + s.On
}

// covers says whether the scope allows an action. What is to be acted on may
// itself be a pattern: then the scope must cover all that it can match.
func (s Scope) covers(a Action) bool {
	if s.Verb != "*" && s.Verb != a.Verb {
		return false
	}
	if s.On == "" {
		// "everything" leaves out what is ours, which needs the verb admin or *
		return s.Verb == "*" || !strings.HasPrefix(a.On, "$")
	}
	if a.On == "" || a.On[0] == '$' && s.On[0] != '$' {
		return false // no wildcard reaches what is ours
	}
	return covers(strings.Split(s.On, "."), strings.Split(strings.TrimPrefix(a.On, "~"), "."))
}

// covers compares level by level: * covers any one level, > all the rest.
func covers(scope, on []string) bool {
	for i, level := range scope {
		if level == ">" {
			return len(on) > i
		}
		if i >= len(on) || on[i] == ">" || level != "*" && level != on[i] {
			return false
		}
	}
	return len(scope) == len(on)
}

// Action is what a request is about to do.
type Action struct {
	Verb string
	On   string // a topic or topic pattern; "" = nothing in particular
}
