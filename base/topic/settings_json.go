package topic

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
)

type member struct{ name, value string }

// members gives the settings as JSON members, in their order: the three about
// compaction come last.
func (s Settings) members() []member {
	return []member{
		{"partitions", strconv.Itoa(s.Partitions)},
		{"durability", string(parley.AppendJSONString(nil, string(s.Durability)))},
		{"max_age", strconv.Quote(formatAge(s.MaxAge))},
		{"max_bytes", strconv.FormatInt(s.MaxBytes, 10)},
		{"max_event", strconv.Itoa(s.MaxEvent)},
		{"poll_hint", strconv.Quote(s.PollHint.String())},
		{"compact", strconv.FormatBool(s.Compact)},
		{"compact_lag", strconv.Quote(s.CompactLag.String())},
		{"tombstone_age", strconv.Quote(s.TombstoneAge.String())},
	}
}

func formatAge(d time.Duration) string {
	if d == NoLimit {
		return "none"
	}
	return d.String()
}

// MarshalJSON implements json.Marshaler. What is about compaction is there in the
// settings of compacted topics only.
func (s Settings) MarshalJSON() ([]byte, error) {
	all := s.members()
	if !s.Compact {
		all = all[:len(all)-3]
	}
	return appendMembers(nil, all), nil
}

// stored is what $topics holds: every member, so that each event stands alone.
func (s Settings) stored() json.RawMessage { return appendMembers(nil, s.members()) }

func appendMembers(out []byte, all []member) []byte {
	out = append(out, '{')
	for i, m := range all {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(append(append(out, '"'), m.name...), `":`...), m.value...)
	}
	return append(out, '}')
}

// UnmarshalJSON implements json.Unmarshaler. Members that are absent or null
// keep the value that s has, so that a merge patch (RFC 7396) is one call. A
// member that is not known is refused. Errors: Invalid, naming the member.
func (s *Settings) UnmarshalJSON(b []byte) error { return s.parse(b, true) }

// parse reads settings; strict refuses unknown members, which is for users, not
// for the log of a later version.
func (s *Settings) parse(b []byte, strict bool) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(b, &members); err != nil {
		return parley.BadField("settings", err.Error(), "send a JSON object")
	}
	out := *s
	for name, raw := range members {
		if bytes.Equal(raw, []byte("null")) {
			continue
		}
		known, err := out.set(name, raw)
		if err != nil {
			return err
		}
		if !known && strict {
			return parley.BadField(name, "is no setting of a topic", "send partitions, durability, max_age, max_bytes, max_event, poll_hint, compact, compact_lag or tombstone_age")
		}
	}
	if !out.Compact && s.Compact { // what was about compaction goes with it
		out.CompactLag, out.TombstoneAge = 0, 0
	}
	*s = out
	return nil
}

func (s *Settings) set(name string, raw json.RawMessage) (known bool, err error) {
	known = true
	switch name {
	case "partitions":
		err = json.Unmarshal(raw, &s.Partitions)
	case "durability":
		err = json.Unmarshal(raw, &s.Durability)
	case "max_bytes":
		err = json.Unmarshal(raw, &s.MaxBytes)
	case "max_event":
		err = json.Unmarshal(raw, &s.MaxEvent)
	case "max_age":
		if string(raw) == `"none"` || string(raw) == `"forever"` {
			s.MaxAge = NoLimit
			return true, nil
		}
		return true, setDuration(&s.MaxAge, name, raw, `send a duration like "36h", or "none"`)
	case "compact":
		err = json.Unmarshal(raw, &s.Compact)
	case "compact_lag":
		return true, setDuration(&s.CompactLag, name, raw, `send a duration like "5m"`)
	case "tombstone_age":
		return true, setDuration(&s.TombstoneAge, name, raw, `send a duration like "24h"`)
	case "poll_hint":
		return true, setDuration(&s.PollHint, name, raw, `send a duration like "5s"`)
	default:
		known = false
	}
	if err != nil {
		want := "a whole number"
		switch name {
		case "durability":
			want = "a string"
		case "compact":
			want = "true or false"
		}
		return true, parley.BadField(name, "is not "+want, "send "+want)
	}
	return known, nil
}

// setDuration reads a Go-style duration. A negative one is refused here: −1 ns
// would be taken for NoLimit.
func setDuration(to *time.Duration, name string, raw json.RawMessage, fix string) error {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return parley.BadField(name, "is not a string", fix)
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return parley.BadField(name, strconv.Quote(text)+" is not a duration", fix)
	}
	*to = d
	return nil
}
