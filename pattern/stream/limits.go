package stream

import (
	"strconv"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
)

// Limits of groups.
const (
	MaxName       = 200  // bytes of a group's name
	MaxMembers    = 1000 // of one group
	MaxPatterns   = 100  // topics and patterns of one member
	MaxPartitions = 4096 // that one group keeps places in
	MaxClient     = 255  // bytes of what a member calls itself
	MaxFetch      = 1000 // events of one Fetch
	DefaultFetch  = 100

	DefaultSession   = 30 * time.Second
	MinSession       = 3 * time.Second
	MaxSession       = 30 * time.Minute
	DefaultRebalance = time.Minute
	MaxRebalance     = 30 * time.Minute

	DefaultMaxGroups = 1000
	maxMember        = 128 // bytes of a member's id
)

// CheckName says whether name can be that of a group: that of a topic without "~"
// and "$", of at most MaxName bytes. Error: Invalid.
func CheckName(name string) error {
	const fix = `send letters, digits, "_" and "-" in levels separated by dots, the first character a letter or a digit, at most 200 bytes`
	if topic.CheckName(name) != nil || topic.IsEphemeral(name) || len(name) > MaxName {
		return parley.BadField("group", strconv.Quote(name[:min(len(name), MaxName)])+" cannot be a group's name", fix)
	}
	return nil
}

// checkPatterns reads what a member wants. Ephemeral topics have no places to
// keep.
func checkPatterns(list []string) error {
	const fix = "name topics or patterns, such as orders.>"
	switch {
	case len(list) == 0:
		return parley.BadField("topics", "is empty", fix)
	case len(list) > MaxPatterns:
		return parley.BadField("topics", "has "+strconv.Itoa(len(list))+" members", "send at most 100; a pattern stands for many")
	}
	for i, text := range list {
		if topic.IsEphemeral(text) {
			return parley.BadField("topics["+strconv.Itoa(i)+"]", "ephemeral topics are not stored, so nobody can have a place in them", "subscribe to them, or use a stored topic")
		}
		if err := topic.CheckPattern(text); err != nil {
			return parley.BadField("topics["+strconv.Itoa(i)+"]", strconv.Quote(text[:min(len(text), topic.MaxName)])+" is neither a topic nor a pattern", fix)
		}
	}
	return nil
}

// checkTimes fills in and checks the patience of a member.
func checkTimes(session, rebalance *time.Duration) error {
	if *session == 0 {
		*session = DefaultSession
	}
	if *rebalance == 0 {
		*rebalance = DefaultRebalance
	}
	switch {
	case *session < MinSession || *session > MaxSession:
		return parley.BadField("session_timeout", "is "+session.String(), `send "3s" to "30m"`)
	case *rebalance < MinSession || *rebalance > MaxRebalance:
		return parley.BadField("rebalance_timeout", "is "+rebalance.String(), `send "3s" to "30m"`)
	}
	return nil
}

// clip makes text valid UTF-8 of at most n bytes, cut between characters.
func clip(s string, n int) string {
	for i, r := range s {
		if r == 0xFFFD || i+len(string(r)) > n {
			return s[:i]
		}
	}
	return s
}
