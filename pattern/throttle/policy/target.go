package policy

import (
	"strconv"
	"strings"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
)

// Action is what a request is about to do, as far as limits tell it apart.
type Action string

// The actions. Every request is a Request; the others are those that say so.
const (
	Publish   Action = "publish"   // events, by a request or by a message on a connection
	Subscribe Action = "subscribe" // a stream of events: server-sent events, WebSocket, gRPC
	Poll      Action = "poll"
	Enqueue   Action = "enqueue" // jobs; the topic is the queue
	Work      Action = "work"    // leasing jobs, not settling them; the topic is the queue
	Consume   Action = "consume" // events by members of a group; the topic is the group
	AnyAction Action = "request"
)

// target is one entry of Definition.On.
type target struct {
	action Action
	topics string // a pattern; "" = all, and requests about no topic
}

func parseTargets(on []string) ([]target, error) {
	if len(on) > maxOn {
		return nil, parley.BadField("on", "has "+strconv.Itoa(len(on))+" entries", "write at most "+strconv.Itoa(maxOn)+"; patterns say the same shorter")
	}
	out := make([]target, 0, len(on))
	for i, text := range on {
		field := "on[" + strconv.Itoa(i) + "]"
		word, pattern, given := strings.Cut(text, ":")
		t := target{action: Action(word), topics: pattern}
		switch t.action {
		case Publish, Subscribe, Poll, Enqueue, Work, Consume, AnyAction:
		default:
			return nil, parley.BadField(field, strconv.Quote(word)+" is nothing that can be limited", "use publish, subscribe, poll, enqueue, work, consume or request, and if wanted a pattern, as in publish:orders.>")
		}
		if !given {
			out = append(out, t)
			continue
		}
		if err := topic.CheckPattern(pattern); err != nil || topic.IsEphemeral(pattern) {
			return nil, parley.BadField(field, strconv.Quote(pattern)+" is not a topic pattern", "write it like publish:orders.>; ephemeral events count as those of their topic")
		}
		out = append(out, t)
	}
	return out, nil
}

// covers says whether the target is about a request on a topic; "" is a request
// about none. What is asked for may itself be a pattern: then it is enough that
// one name matches both.
func (t target) covers(action Action, name string) bool {
	if t.action != AnyAction && t.action != action {
		return false
	}
	return t.topics == "" || name != "" && meet(t.topics, strings.TrimPrefix(name, "~"))
}

// meet says whether there is a name that matches both patterns.
func meet(a, b string) bool {
	a, ownA := strings.CutPrefix(a, "$")
	b, ownB := strings.CutPrefix(b, "$")
	if ownA != ownB {
		return false // no wildcard reaches what is the server's
	}
	for {
		one, moreA, restA := strings.Cut(a, ".")
		other, moreB, restB := strings.Cut(b, ".")
		if one == ">" || other == ">" {
			return true
		}
		if one != "*" && other != "*" && one != other || restA != restB {
			return false
		}
		if !restA {
			return true
		}
		a, b = moreA, moreB
	}
}
