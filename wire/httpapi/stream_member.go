package httpapi

import (
	"net/http"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/stream"
	"github.com/parleyhq/parley/wire/door"
)

// JoinRequest lets a member into a group, or back in.
type JoinRequest struct {
	// Topics are names and patterns: 1 to 100.
	Topics []string `json:"topics"`
	// Member is the id of one that is in the group, or comes back for a rebalance.
	Member string `json:"member,omitempty"`
	// Client is what the member calls itself, for people.
	Client string `json:"client,omitempty"`
	// SessionTimeout is how long the member may be silent; 3s to 30m, 30s when absent.
	SessionTimeout string `json:"session_timeout,omitempty"`
	// RebalanceTimeout is how long it may take to come back; 3s to 30m, 1m when absent.
	RebalanceTimeout string `json:"rebalance_timeout,omitempty"`
	// From is where the group begins in partitions that it has no place in: earliest,
	// latest, @ and an RFC 3339 time, or a cursor. Absent: earliest.
	From string `json:"from,omitempty"`
	// Wait is how long to wait for the others to come back, at most 55s; 25s when absent.
	Wait string `json:"wait,omitempty"`
}

// JoinAnswer tells a member what is its own.
type JoinAnswer struct {
	Member         string `json:"member"`
	Generation     uint64 `json:"generation"`
	SessionTimeout string `json:"session_timeout"`
	// Rebalance says that the others are still waited for: ask for events.
	Rebalance bool           `json:"rebalance"`
	Assigned  []stream.Place `json:"assigned"`
}

// MemberRequest is a member in a generation.
type MemberRequest struct {
	Member     string `json:"member"`
	Generation uint64 `json:"generation"`
}

// HeartbeatAnswer says whether the member is to come back for a rebalance.
type HeartbeatAnswer struct {
	Generation uint64 `json:"generation"`
	Rebalance  bool   `json:"rebalance"`
}

// LeaveRequest names the member that leaves.
type LeaveRequest struct {
	Member string `json:"member"`
}

// CommitRequest says how far a member is: by the cursor of an answer, or by
// positions. Without a member the group must have none.
type CommitRequest struct {
	Member     string         `json:"member,omitempty"`
	Generation uint64         `json:"generation,omitempty"`
	Cursor     string         `json:"cursor,omitempty"`
	Positions  []stream.Place `json:"positions,omitempty"`
}

// CommitAnswer tells how far the group is.
type CommitAnswer struct {
	Committed []stream.Place `json:"committed"`
}

func (a *API) memberRoutes() []door.Route {
	route := func(name, action, summary, example string, request, answer any, handle func(*door.Call) error, errors ...parley.Code) door.Route {
		return door.Route{
			Method: http.MethodPost, Path: "/v1/groups/{group}/" + action, Name: name, Pattern: "stream", Summary: summary,
			Verb: "consume", On: "group", Request: request, Answer: answer, Handle: handle, Example: "curl -d '" + example + "' http://127.0.0.1:7275/v1/groups/billing/" + action,
			Errors: codes([]parley.Code{parley.Invalid, parley.NotFound, parley.TooLarge, parley.Unsupported, parley.Timeout, parley.Conflict, parley.Unavailable}, errors),
		}
	}
	leave := route("group-leave", "leave", "Take a member out: its partitions go to the others at once.", `{"member": "MEMBER"}`, LeaveRequest{}, nil, a.groupLeave, parley.Full, parley.Unknown)
	leave.Status = http.StatusNoContent
	return []door.Route{
		route("group-join", "join", "Let a member into a group, which it makes if need be, and share the partitions out.", `{"topics": ["orders.>"]}`,
			JoinRequest{}, JoinAnswer{}, a.groupJoin, parley.BadCursor, parley.Unprocessable, parley.Overloaded, parley.Full, parley.Unknown),
		a.eventsRoute(),
		route("group-commit", "commit", "Make durable how far a member is.", `{"member": "MEMBER", "generation": 1, "cursor": "CURSOR"}`,
			CommitRequest{}, CommitAnswer{}, a.groupCommit, parley.BadCursor, parley.Unprocessable, parley.Full, parley.Unknown),
		route("group-heartbeat", "heartbeat", "Give a sign of life while events are worked off.", `{"member": "MEMBER", "generation": 1}`,
			MemberRequest{}, HeartbeatAnswer{}, a.groupHeartbeat),
		leave,
	}
}

func (a *API) groupJoin(c *door.Call) error {
	var in JoinRequest
	if err := a.decode(c, &in); err != nil {
		return err
	}
	r := stream.JoinRequest{Topics: in.Topics, Member: in.Member, Client: in.Client}
	for _, f := range []struct {
		name, text string
		into       *time.Duration
	}{{"session_timeout", in.SessionTimeout, &r.Session}, {"rebalance_timeout", in.RebalanceTimeout, &r.Rebalance}, {"wait", in.Wait, &r.Wait}} {
		var err error
		if *f.into, err = spanOf(f.name, f.text); err != nil {
			return err
		}
	}
	switch {
	case r.Wait > stream.MaxWait:
		return parley.BadField("wait", "is "+in.Wait, "send at most "+stream.MaxWait.String())
	case r.Wait == 0 && in.Wait != "":
		r.Wait = -1
	}
	var err error
	if r.From, err = stream.ParseFrom("from", in.From); err != nil {
		return err
	}
	for _, name := range in.Topics {
		if err := c.Allow("read", name); err != nil {
			return err
		}
	}
	g, err := a.opt.Groups.Ensure(c.Context(), c.R.PathValue("group"))
	if err != nil {
		return err
	}
	ctx, end, err := a.holdLease(c)
	if err != nil {
		return err
	}
	defer end()
	j, err := g.Join(ctx, r)
	if err != nil {
		return err
	}
	if c.R.ProtoMajor > 1 { // the answer's time begins now
		_ = http.NewResponseController(c.W).SetWriteDeadline(time.Now().Add(answerTime))
	}
	return answerJSON(c.W, http.StatusOK, JoinAnswer{Member: j.Member, Generation: j.Generation, SessionTimeout: j.Session.String(), Rebalance: j.Rebalance, Assigned: j.Assigned})
}

func (a *API) groupCommit(c *door.Call) error {
	var in CommitRequest
	if err := a.decode(c, &in); err != nil {
		return err
	}
	g, err := a.group(c)
	if err != nil {
		return err
	}
	done, err := g.Commit(c.Context(), stream.CommitRequest{Member: in.Member, Generation: in.Generation, Cursor: in.Cursor, Places: in.Positions})
	if err != nil {
		return err
	}
	return answerJSON(c.W, http.StatusOK, CommitAnswer{Committed: done})
}

func (a *API) groupHeartbeat(c *door.Call) error {
	var in MemberRequest
	if err := a.decode(c, &in); err != nil {
		return err
	}
	g, err := a.group(c)
	if err != nil {
		return err
	}
	b, err := g.Heartbeat(c.Context(), in.Member, in.Generation)
	if err != nil {
		return err
	}
	return answerJSON(c.W, http.StatusOK, HeartbeatAnswer{Generation: b.Generation, Rebalance: b.Rebalance})
}

func (a *API) groupLeave(c *door.Call) error {
	var in LeaveRequest
	if err := a.decode(c, &in); err != nil {
		return err
	}
	g, err := a.group(c)
	if err != nil {
		return err
	}
	if err := g.Leave(c.Context(), in.Member); err != nil {
		return err
	}
	c.W.WriteHeader(http.StatusNoContent)
	return nil
}
