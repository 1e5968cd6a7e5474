package client

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/stream"
)

// Membership is how a Consumer reaches its group, over one transport. Its methods
// are those of stream.Group, one request each; Heartbeat and Commit may be called
// while a Fetch waits.
type Membership interface {
	// Join lets the member in; from is where the group begins in partitions that it
	// has no place in, as text. r.From counts for nothing.
	Join(ctx context.Context, r stream.JoinRequest, from string) (stream.Joined, error)
	// Fetch waits for events, or for another generation, as long as wait. After
	// events that retention took away the error is one for Resume.
	Fetch(ctx context.Context, r stream.FetchRequest, wait time.Duration) (*stream.Fetched, error)
	Commit(ctx context.Context, r stream.CommitRequest) error
	Heartbeat(ctx context.Context, member string, generation uint64) (stream.Beat, error)
	Leave(ctx context.Context, member string) error
	// Close frees what the transport holds.
	Close() error
}

// GroupTransport is a transport for Consumers that package client does not link.
type GroupTransport interface {
	// Membership is for one member of a group. It connects to nothing.
	Membership(group string) Membership
}

// trimmed is an error about a place that retention no longer has, with the cursor
// to go on from.
type trimmed struct {
	error
	cursor string
}

func (t *trimmed) Unwrap() error { return t.error }

// Resumable adds to a Trimmed error the cursor behind what is gone.
func Resumable(err error, cursor string) error { return &trimmed{err, cursor} }

// Resume gives the cursor to go on from after a Trimmed error; "" = none is known.
func Resume(err error) string {
	if t, ok := errors.AsType[*trimmed](err); ok {
		return t.cursor
	}
	return ""
}

// overHTTP is the Membership by requests of the REST API.
type overHTTP struct{ *Group }

var _ Membership = overHTTP{}

func (m overHTTP) Join(ctx context.Context, r stream.JoinRequest, from string) (stream.Joined, error) {
	in := struct {
		Topics    []string `json:"topics"`
		Member    string   `json:"member,omitempty"`
		Client    string   `json:"client,omitempty"`
		Session   string   `json:"session_timeout,omitempty"`
		Rebalance string   `json:"rebalance_timeout,omitempty"`
		From      string   `json:"from,omitempty"`
		Wait      string   `json:"wait"`
	}{Topics: r.Topics, Member: r.Member, Client: r.Client, From: from, Wait: max(r.Wait, 0).String()}
	if r.Session != 0 {
		in.Session = r.Session.String()
	}
	if r.Rebalance != 0 {
		in.Rebalance = r.Rebalance.String()
	}
	var out struct {
		Member     string
		Generation uint64
		Session    span `json:"session_timeout"`
		Rebalance  bool
		Assigned   []stream.Place
	}
	err := m.post(ctx, in, &out, "join")
	return stream.Joined{Member: out.Member, Generation: out.Generation, Session: time.Duration(out.Session), Rebalance: out.Rebalance, Assigned: out.Assigned}, err
}

// fetchedJSON is an answer with events.
type fetchedJSON struct {
	Events     []json.RawMessage
	Places     []stream.Place
	Cursor     string
	Generation uint64
	Rebalance  bool
	Assigned   []stream.Place
	More       bool
	Lag        *int64
}

func (m overHTTP) Fetch(ctx context.Context, r stream.FetchRequest, wait time.Duration) (*stream.Fetched, error) {
	v := url.Values{"member": {r.Member}, "generation": {strconv.FormatUint(r.Generation, 10)}, "wait": {wait.String()}}
	if r.After != "" {
		v.Set("after", r.After)
	}
	if r.Limit != 0 {
		v.Set("limit", strconv.Itoa(r.Limit))
	}
	if r.MaxBytes != 0 {
		v.Set("max_bytes", strconv.Itoa(r.MaxBytes))
	}
	if r.Commit {
		v.Set("commit", "true")
	}
	var in fetchedJSON
	if _, err := m.c.once(ctx, request{method: http.MethodGet, url: m.url(v, "events"), within: wait + patience}, &in); err != nil {
		return nil, err
	}
	messages, err := messagesOf(in.Events, in.Places)
	if err != nil {
		return nil, err
	}
	f := &stream.Fetched{
		Member: r.Member, Generation: in.Generation, Rebalance: in.Rebalance, Changed: in.Generation != r.Generation && !in.Rebalance,
		Messages: messages, Assigned: in.Assigned, Cursor: in.Cursor, More: in.More, Lag: -1,
	}
	if in.Lag != nil {
		f.Lag = *in.Lag
	}
	return f, nil
}

// messagesOf joins events and where they are.
func messagesOf(events []json.RawMessage, places []stream.Place) ([]stream.Message, error) {
	if len(events) != len(places) {
		return nil, parley.Errorf(parley.Internal, "the server gives %d places of %d events", len(places), len(events))
	}
	list := make([]stream.Message, len(events))
	for i, p := range places {
		e, err := eventOf(events[i])
		if err != nil {
			return nil, err
		}
		list[i] = stream.Message{Topic: p.Topic, Partition: p.Partition, Position: p.Position, Event: e}
	}
	return list, nil
}

func (m overHTTP) Commit(ctx context.Context, r stream.CommitRequest) error {
	in := struct {
		Member     string         `json:"member"`
		Generation uint64         `json:"generation"`
		Cursor     string         `json:"cursor,omitempty"`
		Positions  []stream.Place `json:"positions,omitempty"`
	}{r.Member, r.Generation, r.Cursor, r.Places}
	return m.post(ctx, in, nil, "commit")
}

func (m overHTTP) Heartbeat(ctx context.Context, member string, generation uint64) (stream.Beat, error) {
	in := struct {
		Member     string `json:"member"`
		Generation uint64 `json:"generation"`
	}{member, generation}
	var out stream.Beat
	err := m.post(ctx, in, &out, "heartbeat")
	return out, err
}

func (m overHTTP) Leave(ctx context.Context, member string) error {
	in := struct {
		Member string `json:"member"`
	}{member}
	return m.post(ctx, in, nil, "leave")
}

func (m overHTTP) Close() error { return nil }
