package topic

import (
	"strconv"
	"time"

	"github.com/parleyhq/parley"
)

// Topic is what the registry knows about one topic. It is immutable: a change
// makes a new one.
type Topic struct {
	Name     string
	Settings Settings // complete
	// Partitions in the order of their index; their slice is shared and must not
	// be changed.
	Partitions []Partition
	Created    time.Time
	// Epoch tells creations apart: a topic that was deleted and made again has a
	// higher one, and other stream numbers.
	Epoch uint32

	source string // the default source of its events
}

// Partition is one stream of a topic. Its number is never used again, also not
// after the topic is gone: cursors are made of it.
type Partition struct {
	Stream parley.Stream
	Number uint64
}

// Numbers of streams. Those below FirstNumber are for the server's own streams
// that are always there; those from EphemeralNumber on belong to ephemeral
// topics: they mean something in this process only and are never in a cursor.
const (
	TopicsNumber    = 1
	FirstNumber     = 16
	EphemeralNumber = 1 << 62
)

// TopicsStream is the stream that the registry folds: its name is readable as a
// topic.
const TopicsStream = "$topics"

// streamName names the stream of a partition: "{topic}/{number}". The number
// makes it new for each creation, so that a topic made again never sees what an
// older one of that name held, whatever is left of it. An internal topic is one
// stream of exactly its name, and so is an ephemeral one, whose number other
// processes do not know. The name is cut when it is too long for the engine: the
// number alone makes the stream unique.
func streamName(topic string, number uint64) parley.Stream {
	if IsInternal(topic) || IsEphemeral(topic) {
		return parley.Stream{Name: topic}
	}
	suffix := "/" + strconv.FormatUint(number, 10)
	return parley.Stream{Name: topic[:min(len(topic), parley.MaxStreamName-len(suffix))] + suffix}
}

// newTopic makes the value of a topic whose streams have the given numbers.
func newTopic(name string, s Settings, created time.Time, epoch uint32, numbers []uint64) *Topic {
	t := &Topic{Name: name, Settings: s, Created: created, Epoch: epoch, source: "/topics/" + name}
	t.Partitions = make([]Partition, len(numbers))
	for i, n := range numbers {
		t.Partitions[i] = Partition{Stream: streamName(name, n), Number: n}
	}
	return t
}
