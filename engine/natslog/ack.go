package natslog

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/parleyhq/parley"
)

// Error codes of JetStream that mean something to the log.
const (
	codeNotLeader     = 10009 // the cluster cannot handle the request now
	codeNoPeers       = 10005
	codeResources     = 10023
	codeNoMessage     = 10037
	codeNoStream      = 10059
	codeNameInUse     = 10058 // by a stream with other settings
	codeNotCreated    = 10049
	codeWrongLast     = 10071 // the comparison does not hold
	codeStoreFailed   = 10077 // the bound of the memory home, or a disk
	codeDuplicateBusy = 10158 // the same message id is on its way in
	codeWrongLastBusy = 10164 // … or a write to the compared subject is
	codeIncomplete    = 10176 // the batch met a change of leader
	codeDuplicate     = 10201 // a message id of the batch was met before
	codeManyBatches   = 10210 // 50 are in flight
)

// apiError is an error as JetStream answers it.
type apiError struct {
	Code    int    `json:"code"`
	ErrCode int    `json:"err_code"`
	Text    string `json:"description"`
}

func (e *apiError) Error() string { return e.Text + " (" + strconv.Itoa(e.ErrCode) + ")" }

// pubAck is the answer to a publish. It is a flat JSON object, read by hand where
// it is as expected: this runs for every append.
type pubAck struct {
	Seq       uint64    `json:"seq"`
	Duplicate bool      `json:"duplicate"`
	Error     *apiError `json:"error"`
}

var seqKey = []byte(`"seq":`)

// parseAck reads an answer to a publish.
func parseAck(b []byte) (pubAck, error) {
	if a, ok := quickAck(b); ok {
		return a, nil
	}
	var a pubAck
	if err := json.Unmarshal(b, &a); err != nil {
		return a, parley.Errorf(parley.Internal, "the server's answer to a publish is no JSON: %w", err)
	}
	if a.Error == nil && a.Seq == 0 {
		return a, parley.Errorf(parley.Internal, "the server's answer to a publish names no sequence: %.100q", b)
	}
	return a, nil
}

// quickAck reads `{"stream":"NAME","seq":N}`; a stream of ours has no character
// that JSON would escape.
func quickAck(b []byte) (a pubAck, ok bool) {
	if !bytes.HasPrefix(b, []byte(`{"stream":"`)) || b[len(b)-1] != '}' {
		return a, false
	}
	at := bytes.Index(b, seqKey)
	if at < 0 {
		return a, false
	}
	digits := bytes.TrimSpace(b[at+len(seqKey) : len(b)-1])
	if len(digits) == 0 || len(digits) > 18 {
		return a, false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return a, false
		}
		a.Seq = a.Seq*10 + uint64(c-'0')
	}
	return a, a.Seq > 0
}

// status gives the status of a message that carries one instead of a payload: 204
// end of a batch, 404 no message, 503 nobody there, …; 0 when it has none.
func status(m *nats.Msg) int {
	if len(m.Data) > 0 || m.Header == nil {
		return 0
	}
	n, err := strconv.Atoi(m.Header.Get("Status"))
	if err != nil {
		return 0
	}
	return n
}

// number reads a header that is a number.
func number(h nats.Header, name string) uint64 {
	n, err := strconv.ParseUint(h.Get(name), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// sequences reads where a message of a consumer stands: its sequence in the
// consumer and in the stream. ADR-15 gives the shape of the subject, with or
// without domain and account.
func sequences(reply string) (consumer, stream uint64, ok bool) {
	t := strings.Split(reply, ".")
	at := 5 // $JS.ACK.STREAM.CONSUMER.DELIVERED.STREAM-SEQ.CONSUMER-SEQ.TIME.PENDING
	if len(t) >= 11 {
		at = 7
	}
	if len(t) < 9 || t[0] != "$JS" || t[1] != "ACK" {
		return 0, 0, false
	}
	stream, err := strconv.ParseUint(t[at], 10, 63)
	if err != nil {
		return 0, 0, false
	}
	consumer, err = strconv.ParseUint(t[at+1], 10, 63)
	return consumer, stream, err == nil
}
