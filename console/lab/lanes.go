package lab

import (
	"time"

	"github.com/parleyhq/parley/client"
)

// Lane is one way of delivery.
type Lane struct {
	Name    string `json:"name"`
	Title   string `json:"title"`
	Summary string `json:"summary"` // one sentence: how it works
	over    client.Transport
}

// Lanes lists all lanes, from the plainest on.
func Lanes() []Lane {
	return []Lane{
		{Name: "short", Title: "Short polling", Summary: "Asks at a pace; most answers are empty, and news waits for the next question.", over: client.ShortPoll},
		{Name: "long", Title: "Long polling", Summary: "Asks once and is answered when there is something; one request for each answer.", over: client.LongPoll},
		{Name: "sse", Title: "Server-sent events", Summary: "One request whose answer never ends; each event is a few lines of text.", over: client.SSE},
		{Name: "websocket", Title: "WebSocket", Summary: "One connection that stopped being HTTP; frames with a few bytes of head, both ways.", over: client.WebSocket},
	}
}

func laneNamed(name string) (l Lane) {
	for _, l = range Lanes() {
		if l.Name == name {
			break
		}
	}
	return l
}

// subscription is how a lane reads a topic from its beginning.
func (l Lane) subscription(topic string, every time.Duration) client.Subscription {
	return client.Subscription{Topics: []string{topic}, From: "earliest", Over: l.over, Every: every}
}
