package patterntest

import (
	"context"
	"iter"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
)

// Door is a way into a World. What it can beyond subscribing, the suites ask for
// by narrow interfaces: Publisher, Poller, Streamer, Dialer.
type Door interface {
	// Ways are how one subscribes through the door by a pattern ("pubsub", "poll",
	// "sse", "websocket"); none when the pattern is not behind it. The names are
	// unique within the door, and the same way may serve two patterns.
	Ways(pattern string) []Way
	// Cut breaks every connection of the door, as a network would, and for a while
	// lets none be made.
	Cut(outage time.Duration)
}

// Way is one way to subscribe.
type Way struct {
	Name string
	Subscriber
	// Many says that it takes several topics at a time.
	Many bool
	// Strict says that a cursor of another log or of a topic that was made anew
	// ends the subscription with BadCursor, where others tell a reset and go on.
	Strict bool
	// Durable says that it has no connection on which something ephemeral could
	// come: it asks now and then.
	Durable bool
}

// Subscriber is all that the delivery cases need.
type Subscriber interface {
	// Subscribe delivers until ctx ends, the loop is left, or an error is yielded.
	// An error of code Unavailable or Unknown says that the connection was lost,
	// and that the same subscription, from the last cursor, may be made again.
	Subscribe(ctx context.Context, q Query) iter.Seq2[Received, error]
}

// Query says what to receive.
type Query struct {
	Topics    []string // names and patterns
	From      string   // "earliest", "latest", "@TIME" or a cursor
	Ephemeral bool     // also what is published to ~TOPIC
}

// Received is one event, or word about the reader's place.
type Received struct {
	parley.Event
	// Cursor is the place behind the event. It may be empty where a door delivers
	// several events with one cursor, all but at the last of them, and it is empty
	// for what is not stored.
	Cursor string
	// Notice is "gap", "reset" or "ahead"; there is no event then.
	Notice string
	// Place says that there is neither event nor notice, only Cursor: the place
	// before what follows.
	Place bool
}

// Publisher publishes; key is the idempotency key, "" is none.
type Publisher interface {
	Publish(ctx context.Context, key, name string, events ...parley.Event) (Receipt, error)
	PublishAll(ctx context.Context, key string, topics ...topic.TopicEvents) (Receipt, error)
}

// Receipt answers a publish.
type Receipt struct {
	Placed   []topic.Placed // one for each event
	Replayed bool           // the request came before: these are its first places
}

// is says whether a door has an ability.
func is[T any](d Door) bool {
	_, ok := d.(T)
	return ok
}
