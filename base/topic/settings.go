package topic

import (
	"strconv"
	"time"

	"github.com/parleyhq/parley"
)

// Durability is what an acknowledgement of a topic promises.
type Durability string

// The durabilities. Empty means Fsync.
const (
	Fsync  Durability = "fsync"  // acknowledged and visible once it is on disk
	OS     Durability = "os"     // once the operating system has it: a power cut may take the last moments
	Memory Durability = "memory" // once the process has it: gone with the process
)

// NoLimit as MaxAge or MaxBytes keeps events for ever. In JSON it is "none" (or
// "forever") for max_age and −1 for max_bytes.
const NoLimit = -1

// Limits and defaults of Settings.
const (
	MaxPartitions   = 1024
	LargestMaxEvent = 8 << 20
	DefaultMaxEvent = 1 << 20
	DefaultMaxAge   = 7 * 24 * time.Hour
	LargestPollHint = time.Hour

	DefaultTombstoneAge = 24 * time.Hour
	LargestCompactLag   = 365 * 24 * time.Hour

	smallestMaxAge     = time.Second
	smallestMaxBytes   = 1 << 10
	ephemeralMaxAge    = time.Minute
	ephemeralMaxBytes  = 1 << 20
	ephemeralMaxStream = 1
)

// Settings are what a topic's owner may choose. A zero field means the default.
// In JSON the members are partitions, durability, max_age, max_bytes, max_event,
// poll_hint, compact, compact_lag and tombstone_age; durations are Go-style
// strings ("36h"), sizes are bytes.
type Settings struct {
	// Partitions is the number of streams: 1 to 1024, default 1. It can grow;
	// the keys are then placed anew.
	Partitions int
	// Durability is Fsync by default. It cannot change from or to Memory.
	Durability Durability
	// MaxAge is how long events are kept at least; default 7 days, NoLimit for
	// ever.
	MaxAge time.Duration
	// MaxBytes is how many encoded bytes all partitions together may keep;
	// default NoLimit. Each partition has its equal share.
	MaxBytes int64
	// MaxEvent is the largest event in bytes, data and attributes together; at
	// most 8 MiB, default 1 MiB.
	MaxEvent int
	// PollHint is how long a poller does well to wait before it asks again, and
	// how long a cache may answer for us; at most an hour, default 0: no hint.
	PollHint time.Duration
	// Compact keeps the newest event of each key, whatever its age, and drops those
	// it supersedes. Every event then needs a key, and the number of partitions
	// stays as it is. MaxAge is NoLimit where a compacted topic's creator leaves it
	// open.
	Compact bool
	// CompactLag is how long events are kept at least although newer ones of their
	// key are there; default 0. It is 0 without Compact.
	CompactLag time.Duration
	// TombstoneAge is how long an event with a key and without data is kept, so that
	// readers learn that the key is gone; at least a second, default
	// DefaultTombstoneAge. It is 0 without Compact.
	TombstoneAge time.Duration
}

// Defaults fills the zero fields of s from base, and what is then still zero
// from the product's defaults, and checks the result. Errors: Invalid, naming
// the member.
func (s Settings) Defaults(base Settings) (Settings, error) {
	if s.Compact {
		s.MaxAge = orElse(s.MaxAge, NoLimit)
		s.TombstoneAge = orElse(s.TombstoneAge, DefaultTombstoneAge)
	}
	product := Settings{Partitions: 1, Durability: Fsync, MaxAge: DefaultMaxAge, MaxBytes: NoLimit, MaxEvent: DefaultMaxEvent}
	for _, b := range [...]Settings{base, product} {
		s.Partitions = orElse(s.Partitions, b.Partitions)
		s.Durability = orElse(s.Durability, b.Durability)
		s.MaxAge = orElse(s.MaxAge, b.MaxAge)
		s.MaxBytes = orElse(s.MaxBytes, b.MaxBytes)
		s.MaxEvent = orElse(s.MaxEvent, b.MaxEvent)
		s.PollHint = orElse(s.PollHint, b.PollHint)
	}
	return s, s.check()
}

func orElse[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

func (s Settings) check() error {
	switch {
	case s.Partitions < 1 || s.Partitions > MaxPartitions:
		return parley.BadField("partitions", "is "+strconv.Itoa(s.Partitions), "send 1 to 1024")
	case s.Durability != Fsync && s.Durability != OS && s.Durability != Memory:
		return parley.BadField("durability", "is "+strconv.Quote(string(s.Durability)), `send "fsync", "os" or "memory"`)
	case s.MaxAge != NoLimit && s.MaxAge < smallestMaxAge:
		return parley.BadField("max_age", "is "+s.MaxAge.String(), `send at least "1s", or "none"`)
	case s.MaxBytes != NoLimit && s.MaxBytes < smallestMaxBytes:
		return parley.BadField("max_bytes", "is "+strconv.FormatInt(s.MaxBytes, 10), "send at least 1024, or -1 for no limit")
	case s.MaxEvent < 1 || s.MaxEvent > LargestMaxEvent:
		return parley.BadField("max_event", "is "+strconv.Itoa(s.MaxEvent), "send 1 to 8388608 bytes")
	case s.PollHint < 0 || s.PollHint > LargestPollHint:
		return parley.BadField("poll_hint", "is "+s.PollHint.String(), `send "0s" to "1h"`)
	case !s.Compact && s.CompactLag != 0:
		return parley.BadField("compact_lag", "is for compacted topics", `send "compact": true too, or leave it away`)
	case !s.Compact && s.TombstoneAge != 0:
		return parley.BadField("tombstone_age", "is for compacted topics", `send "compact": true too, or leave it away`)
	case s.CompactLag < 0 || s.CompactLag > LargestCompactLag:
		return parley.BadField("compact_lag", "is "+s.CompactLag.String(), `send "0s" to "8760h"`)
	case s.Compact && s.TombstoneAge < smallestMaxAge:
		return parley.BadField("tombstone_age", "is "+s.TombstoneAge.String(), `send at least "1s"`)
	}
	return nil
}

// ephemeral turns the settings of an ephemeral topic into what such a topic can
// be: one stream in memory, kept for moments unless said otherwise.
func (s Settings) ephemeral() (Settings, error) {
	if s.Durability != "" && s.Durability != Memory {
		return s, parley.BadField("durability", "an ephemeral topic is in memory", `send "memory", or choose a name without ~`)
	}
	if s.Partitions > ephemeralMaxStream {
		return s, parley.BadField("partitions", "an ephemeral topic has one partition", "send 1, or choose a name without ~")
	}
	if s.Compact {
		return s, parley.BadField("compact", "an ephemeral topic is not compacted", "leave it away, or choose a name without ~")
	}
	return s.Defaults(Settings{Durability: Memory, MaxAge: ephemeralMaxAge, MaxBytes: ephemeralMaxBytes})
}

// differs gives the first member in which two complete settings differ, and
// both values as they are in JSON.
func (s Settings) differs(o Settings) (member, mine, theirs string, differ bool) {
	a, b := s.members(), o.members()
	for i := range a {
		if a[i].value != b[i].value {
			return a[i].name, a[i].value, b[i].value, true
		}
	}
	return "", "", "", false
}
