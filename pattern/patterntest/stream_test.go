package patterntest_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/parleyhq/parley/pattern/patterntest"
	"github.com/parleyhq/parley/pattern/stream"
)

var (
	_ patterntest.Grouper = near{}
	_ patterntest.Grouper = overHTTP{}
)

// groupCall posts a JSON object to a group and reads what it answers.
func (h overHTTP) groupCall(ctx context.Context, group, action string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	_, answer, err := h.call(ctx, http.MethodPost, base+"/groups/"+group+"/"+action, nil, body)
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(answer, out)
}

func (h overHTTP) JoinGroup(ctx context.Context, group string, r stream.JoinRequest) (stream.Joined, error) {
	in := map[string]any{"topics": r.Topics, "session_timeout": r.Session.String(), "wait": "0s"}
	var out struct {
		Member     string
		Generation uint64
		Rebalance  bool
		Assigned   []stream.Place
	}
	err := h.groupCall(ctx, group, "join", in, &out)
	return stream.Joined{Member: out.Member, Generation: out.Generation, Rebalance: out.Rebalance, Assigned: out.Assigned}, err
}

func (h overHTTP) FetchGroup(ctx context.Context, group string, q patterntest.GroupQuery) (patterntest.GroupPage, error) {
	values := url.Values{"member": {q.Member}, "generation": {strconv.FormatUint(q.Generation, 10)}, "wait": {q.Wait.String()}}
	if q.After != "" {
		values.Set("after", q.After)
	}
	if q.Limit > 0 {
		values.Set("limit", strconv.Itoa(q.Limit))
	}
	_, answer, err := h.call(ctx, http.MethodGet, base+"/groups/"+group+"/events?"+values.Encode(), nil, nil)
	if err != nil {
		return patterntest.GroupPage{}, err
	}
	var in struct {
		Events     []json.RawMessage
		Places     []stream.Place
		Cursor     string
		Generation uint64
		Rebalance  bool
	}
	if err := json.Unmarshal(answer, &in); err != nil || len(in.Places) != len(in.Events) {
		return patterntest.GroupPage{}, errors.Join(err, errors.New(string(answer)))
	}
	page := patterntest.GroupPage{Cursor: in.Cursor, Generation: in.Generation, Rebalance: in.Rebalance}
	page.Events, err = parseEvents(in.Events)
	return page, err
}

func (h overHTTP) CommitGroup(ctx context.Context, group string, r stream.CommitRequest) error {
	return h.groupCall(ctx, group, "commit", map[string]any{"member": r.Member, "generation": r.Generation, "cursor": r.Cursor}, nil)
}

func (h overHTTP) LeaveGroup(ctx context.Context, group, member string) error {
	return h.groupCall(ctx, group, "leave", map[string]any{"member": member}, nil)
}

func (h overHTTP) SeekGroup(ctx context.Context, group, to string) error {
	return h.groupCall(ctx, group, "seek", map[string]any{"to": to}, nil)
}
