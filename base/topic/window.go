package topic

import (
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
)

// PublishStream is the stream in which requests to several topics leave their
// keys.
const PublishStream = "$publish"

// TypeCommitted is the type of the events in $publish.
const TypeCommitted = "parley.publish.committed"

// MaxCommits bounds the keys that are remembered; beyond, the oldest goes.
const MaxCommits = 1 << 16

// window is what $publish folds to: the keys of the last parley.OnceWindow, with
// what they stood for. It is pure.
type window struct {
	byKey map[parley.Key]*commit
	order []*commit // oldest first
	upTo  parley.Position
}

// commit is one request that was appended.
type commit struct {
	key    parley.Key
	digest digest
	at     time.Time
	base   parley.Position // of its event in $publish
	parts  []committed
}

// committed tells where one batch of a commit went. Its record is written in
// the same Append and cannot know the position: it says from where on to look,
// and what for.
type committed struct {
	Stream    string          `json:"stream"`
	Partition int             `json:"partition"`
	After     parley.Position `json:"after"`
	Size      int             `json:"size"`   // of the batch
	CRC       uint32          `json:"crc"`    // of the batch, as in its header
	Events    []int           `json:"events"` // indices in the request
}

type committedData struct {
	Key    string      `json:"key"`
	Digest string      `json:"digest"`
	Parts  []committed `json:"parts"`
}

// find gives the commit of a key, nil when there is none in the window.
func (w *window) find(now time.Time, key parley.Key) *commit {
	if c := w.byKey[key]; c != nil && now.Sub(c.at) < parley.OnceWindow {
		return c
	}
	return nil
}

// add takes in a commit; the newest of a key counts.
func (w *window) add(c *commit) {
	if w.byKey == nil {
		w.byKey = make(map[parley.Key]*commit)
	}
	w.byKey[c.key] = c
	w.order = append(w.order, c)
	w.drop(max(0, len(w.order)-MaxCommits))
}

// expire drops what is older than the window, and gives the position in $publish
// below which nothing is needed any more.
func (w *window) expire(now time.Time) parley.Position {
	n := 0
	for n < len(w.order) && now.Sub(w.order[n].at) >= parley.OnceWindow {
		n++
	}
	w.drop(n)
	return w.upTo
}

func (w *window) drop(n int) {
	for i, c := range w.order[:n] {
		w.upTo = c.base + 1
		if w.byKey[c.key] == c {
			delete(w.byKey, c.key)
		}
		w.order[i] = nil
	}
	w.order = w.order[n:]
}

// event makes the event that stands for a commit in $publish.
func (c *commit) event() parley.Event {
	data := committedData{Key: hex.EncodeToString(c.key[:]), Digest: hex.EncodeToString(c.digest[:]), Parts: c.parts}
	return parley.Event{ID: NewID(c.at), Source: "/publish", Type: TypeCommitted, DataContentType: "application/json", Data: mustJSON(data)}
}

// parseCommit reads the event of a commit; nil is an event of another type, of a
// later version. Error: Damaged.
func parseCommit(rec parley.Record) (*commit, error) {
	e, err := rec.Event()
	if err != nil || e.Type != TypeCommitted {
		return nil, err
	}
	c := &commit{at: rec.Time(), base: rec.Position}
	var data committedData
	err = json.Unmarshal(e.Data, &data)
	if err == nil {
		err = decodeHex(c.key[:], data.Key)
	}
	if err == nil {
		err = decodeHex(c.digest[:], data.Digest)
	}
	if err != nil {
		return nil, &parley.Error{Code: parley.Damaged, Detail: "event at " + strconv.FormatInt(int64(rec.Position), 10) + " of " + PublishStream, Err: err}
	}
	c.parts = data.Parts
	return c, nil
}

func decodeHex(to []byte, text string) error {
	if hex.DecodedLen(len(text)) != len(to) {
		return parley.Errorf(parley.Damaged, "%d hexadecimal digits, not %d", len(text), 2*len(to))
	}
	_, err := hex.Decode(to, []byte(text))
	return err
}
