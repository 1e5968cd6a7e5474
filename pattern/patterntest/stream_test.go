package patterntest_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/patterntest"
	"github.com/parleyhq/parley/pattern/stream"
)

var (
	_ patterntest.Grouper = near{}
	_ patterntest.Grouper = overHTTP{}
)

func (n near) JoinGroup(ctx context.Context, group string, r stream.JoinRequest) (stream.Joined, error) {
	g, err := n.w.Groups.Ensure(ctx, group)
	if err != nil {
		return stream.Joined{}, err
	}
	return g.Join(ctx, r)
}

func (n near) FetchGroup(ctx context.Context, group string, q patterntest.GroupQuery) (patterntest.GroupPage, error) {
	g, err := n.w.Groups.Get(ctx, group)
	if err != nil {
		return patterntest.GroupPage{}, err
	}
	over := time.NewTimer(q.Wait)
	defer over.Stop()
	for ended := false; ; {
		f, err := g.Fetch(ctx, stream.FetchRequest{Member: q.Member, Generation: q.Generation, After: q.After, Limit: q.Limit})
		if err != nil {
			return patterntest.GroupPage{}, err
		}
		if len(f.Gaps) > 0 {
			return patterntest.GroupPage{}, trimmed(f.Gaps[0])
		}
		if len(f.Messages) > 0 || f.Changed || q.Wait == 0 || ended {
			page := patterntest.GroupPage{Cursor: f.Cursor, Generation: f.Generation, Rebalance: f.Rebalance}
			for _, m := range f.Messages {
				page.Events = append(page.Events, m.Event)
			}
			return page, nil
		}
		woken := make(chan struct{}, 1)
		wait, err := g.Park(ctx, f, func() {
			select {
			case woken <- struct{}{}:
			default:
			}
		})
		if err != nil {
			return patterntest.GroupPage{}, err
		}
		select {
		case <-woken:
		case <-over.C:
			ended = true
		}
		wait.Cancel()
	}
}

// trimmed is a gap as the doors tell it that answer a bad place with a failure.
func trimmed(gap stream.Gap) error {
	return &parley.Error{Code: parley.Trimmed, Field: "after", Earliest: gap.To, Detail: "events of " + gap.Topic + " are no longer kept", Fix: "seek"}
}

func (n near) CommitGroup(ctx context.Context, group string, r stream.CommitRequest) error {
	g, err := n.w.Groups.Get(ctx, group)
	if err == nil {
		_, err = g.Commit(ctx, r)
	}
	return err
}

func (n near) LeaveGroup(ctx context.Context, group, member string) error {
	g, err := n.w.Groups.Get(ctx, group)
	if err == nil {
		err = g.Leave(ctx, member)
	}
	return err
}

func (n near) SeekGroup(ctx context.Context, group, to string) error {
	from, err := stream.ParseFrom("to", to)
	if err != nil {
		return err
	}
	g, err := n.w.Groups.Get(ctx, group)
	if err == nil {
		_, err = g.Seek(ctx, stream.SeekRequest{To: from})
	}
	return err
}

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
