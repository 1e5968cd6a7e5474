package lab

// Kinds of messages.
const (
	KindRequest   = "request"
	KindResponse  = "response"
	KindEvent     = "event"     // pushed by the server without being asked
	KindHeartbeat = "heartbeat" // and ping and pong
	KindOther     = "other"     // the opening of a stream, a close, what is not understood
)

// Publisher is the lane of what publishes.
const Publisher = "publisher"

// Message is one message as it went over the wire.
type Message struct {
	T      float64 `json:"t"` // milliseconds from the start of the run
	Lane   string  `json:"lane"`
	Conn   int     `json:"conn"`   // which connection of the lane, from 1
	Server bool    `json:"server"` // sent by the server, else by the client
	Kind   string  `json:"kind"`
	Label  string  `json:"label"`
	Bytes  int     `json:"bytes"`
	Events int     `json:"events,omitempty"` // that it carries
	Empty  bool    `json:"empty,omitempty"`  // an answer without an event
	Raw    string  `json:"raw"`              // how it begins, as text, at most 1 KiB; credentials are left out
}

// Figures are what a lane cost.
type Figures struct {
	Lane        string `json:"lane"`
	Requests    int    `json:"requests"`
	Empty       int    `json:"empty"` // answers without an event
	Connections int    `json:"connections"`
	BytesIn     int64  `json:"bytes_in"`  // from client to server
	BytesOut    int64  `json:"bytes_out"` // from server to client
	Messages    int    `json:"messages"`
	Events      int    `json:"events"`     // that reached the loop's body
	Missing     int    `json:"missing"`    // that did not, though the run was prolonged for them
	Duplicates  int    `json:"duplicates"` // that came again
	// Latency is from the call that publishes an event until it is received.
	Latency Latency `json:"latency"`
}

// Latency is in milliseconds; all zero when nothing arrived.
type Latency struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}
