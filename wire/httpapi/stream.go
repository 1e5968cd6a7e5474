package httpapi

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/stream"
	"github.com/parleyhq/parley/wire/door"
)

// GroupSummary is a group in a list. All but the name is absent of one that no node
// answers for now.
type GroupSummary struct {
	Name       string       `json:"name"`
	State      stream.State `json:"state,omitempty"`
	Members    int          `json:"members"`
	Generation uint64       `json:"generation"`
	Topics     []string     `json:"topics"`
	Lag        *int64       `json:"lag,omitempty"` // events that are not committed; absent when the log cannot tell
}

// GroupList is a page of groups.
type GroupList struct {
	Groups []GroupSummary `json:"groups"`
	Next   string         `json:"next,omitempty"` // for ?after= of the next page
}

// GroupInfo is all about a group.
type GroupInfo struct {
	Name     string       `json:"name"`
	Protocol string       `json:"protocol"`
	State    stream.State `json:"state"`
	// Generation grows with every rebalance, and with every seek of what is read.
	Generation uint64 `json:"generation"`
	// Leaderless says that the server shares the partitions out, not a member.
	Leaderless bool             `json:"leaderless"`
	Lag        *int64           `json:"lag,omitempty"`
	Members    []GroupMember    `json:"members"`
	Partitions []GroupPartition `json:"partitions"`
}

// GroupMember is one reader of a group.
type GroupMember struct {
	Member   string         `json:"member"`
	Client   string         `json:"client,omitempty"`
	Topics   []string       `json:"topics"`
	Assigned []stream.Place `json:"assigned"` // with the committed positions
	Joined   time.Time      `json:"joined"`
	LastSeen time.Time      `json:"last_seen"`
}

// GroupPartition is how far a group is in a partition.
type GroupPartition struct {
	Topic     string          `json:"topic"`
	Partition int             `json:"partition"`
	Committed parley.Position `json:"committed"` // the position to read next; 0 = from the earliest event
	At        time.Time       `json:"committed_at,omitzero"`
	End       parley.Position `json:"end"`
	Lag       *int64          `json:"lag,omitempty"`
	Member    string          `json:"member,omitempty"`
}

// SeekRequest moves a group: to a place in all partitions of some topics, or to
// positions.
type SeekRequest struct {
	// To is earliest, latest, @ and an RFC 3339 time, or a cursor.
	To string `json:"to,omitempty"`
	// Topics are names and patterns; without any, all that the group has places in.
	Topics []string `json:"topics,omitempty"`
	// Positions are given instead of To and Topics.
	Positions []stream.Place `json:"positions,omitempty"`
	// DryRun answers where the group would be, and changes nothing.
	DryRun bool `json:"dry_run,omitempty"`
}

// SeekAnswer tells where the group is now, or would be.
type SeekAnswer struct {
	Partitions []stream.Place `json:"partitions"`
}

func (a *API) streamRoutes() []door.Route {
	if a.opt.Groups == nil {
		return nil
	}
	return append([]door.Route{
		{
			Method: http.MethodGet, Path: "/v1/groups", Name: "group-list", Pattern: "stream", Summary: "List the consumer groups that the caller may use or administer.",
			Answer: GroupList{}, Errors: []parley.Code{parley.Invalid}, Handle: a.groupList,
			Params: []door.Param{
				{Name: "after", In: "query", Type: "string", Description: "begin after this name: `next` of the page before"},
				{Name: "limit", In: "query", Type: "integer", Default: "100", Description: "groups a page, at most 1000"},
			},
			Example: `curl http://127.0.0.1:7275/v1/groups`,
		},
		{
			Method: http.MethodGet, Path: "/v1/groups/{group}", Name: "group-show", Pattern: "stream", Summary: "Show a group: its members, and how far it is in each partition.",
			Verb: "consume", On: "group", Answer: GroupInfo{}, Errors: []parley.Code{parley.Invalid, parley.NotFound, parley.Unavailable}, Handle: a.groupShow,
			Example: `curl http://127.0.0.1:7275/v1/groups/billing`,
		},
		{
			Method: http.MethodDelete, Path: "/v1/groups/{group}", Name: "group-delete", Pattern: "stream", Summary: "Delete a group with all its places.",
			Verb: "admin", On: "group", Status: http.StatusNoContent, Handle: a.groupDelete,
			Errors:  []parley.Code{parley.Invalid, parley.NotFound, parley.Conflict, parley.Unavailable, parley.Full, parley.Unknown},
			Params:  []door.Param{{Name: "force", In: "query", Type: "boolean", Default: "false", Description: "also while it has members, who are taken out"}},
			Example: `curl -X DELETE http://127.0.0.1:7275/v1/groups/billing`,
		},
		{
			Method: http.MethodPost, Path: "/v1/groups/{group}/seek", Name: "group-seek", Pattern: "stream", Summary: "Move a group to other places; its members begin anew from there.",
			Verb: "consume", On: "group", Request: SeekRequest{}, Answer: SeekAnswer{}, Handle: a.groupSeek,
			Errors: []parley.Code{
				parley.Invalid, parley.BadCursor, parley.NotFound, parley.Trimmed, parley.Unprocessable, parley.TooLarge, parley.Unsupported, parley.Timeout,
				parley.Overloaded, parley.Unavailable, parley.Full, parley.Unknown,
			},
			Example: `curl -d '{"to": "earliest", "topics": ["orders"]}' http://127.0.0.1:7275/v1/groups/billing/seek`,
		},
	}, append(a.memberRoutes(), a.readRoute())...)
}

func (a *API) groupList(c *door.Call) error {
	if c.Who.Anonymous && len(c.Who.Scopes) == 0 {
		return c.Allow("consume", "") // who may see nothing is told so, not that there is nothing
	}
	limit, err := countParam(c.Query, "limit", 100, 1000)
	if err != nil {
		return err
	}
	after, err := param(c.Query, "after")
	if err != nil {
		return err
	}
	out := GroupList{Groups: []GroupSummary{}}
	for _, name := range a.opt.Groups.List() {
		if name <= after || c.Allow("consume", name) != nil && c.Allow("admin", name) != nil {
			continue
		}
		if len(out.Groups) == limit {
			out.Next = out.Groups[limit-1].Name
			break
		}
		row, err := a.groupSummary(c, name)
		if err != nil {
			return err
		}
		out.Groups = append(out.Groups, row)
	}
	return answerJSON(c.W, http.StatusOK, out)
}

// groupSummary describes a group for a list, which does not fail for one that
// cannot be reached.
func (a *API) groupSummary(c *door.Call, name string) (GroupSummary, error) {
	row := GroupSummary{Name: name, Topics: []string{}}
	g, err := a.opt.Groups.Get(c.Context(), name)
	if err != nil {
		return row, nil //nolint:nilerr // deleted a moment ago
	}
	info, err := g.Describe(c.Context())
	if err != nil {
		return row, c.Context().Err()
	}
	row.State, row.Members, row.Generation, row.Lag = info.State, len(info.Members), info.Generation, counted(info.Lag)
	for _, p := range info.Partitions {
		if n := len(row.Topics); n == 0 || row.Topics[n-1] != p.Topic {
			row.Topics = append(row.Topics, p.Topic)
		}
	}
	return row, nil
}

// counted is a lag, nil when the log cannot tell.
func counted(lag int64) *int64 {
	if lag < 0 {
		return nil
	}
	return &lag
}

func (a *API) group(c *door.Call) (*stream.Group, error) {
	return a.opt.Groups.Get(c.Context(), c.R.PathValue("group"))
}

func (a *API) groupShow(c *door.Call) error {
	g, err := a.group(c)
	if err != nil {
		return err
	}
	info, err := g.Describe(c.Context())
	if err != nil {
		return err
	}
	out := GroupInfo{
		Name: info.Name, Protocol: info.Protocol, State: info.State, Generation: info.Generation, Leaderless: info.Protocol == "http",
		Lag: counted(info.Lag), Members: []GroupMember{}, Partitions: []GroupPartition{},
	}
	for _, m := range info.Members {
		out.Members = append(out.Members, GroupMember{Member: m.ID, Client: m.Client, Topics: m.Topics, Assigned: slices.Concat([]stream.Place{}, m.Assigned), Joined: m.Joined, LastSeen: m.Seen})
	}
	for _, p := range info.Partitions {
		out.Partitions = append(out.Partitions, GroupPartition{Topic: p.Topic, Partition: p.Partition, Committed: p.Committed, At: p.At, End: p.End, Lag: counted(p.Lag), Member: p.Member})
	}
	return answerJSON(c.W, http.StatusOK, out)
}

func (a *API) groupDelete(c *door.Call) error {
	force, err := boolParam(c.Query, "force")
	if err != nil {
		return err
	}
	if err := a.opt.Groups.Delete(c.Context(), c.R.PathValue("group"), force); err != nil {
		return err
	}
	c.W.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) groupSeek(c *door.Call) error {
	var in SeekRequest
	if err := a.decode(c, &in); err != nil {
		return err
	}
	if (in.To == "") == (len(in.Positions) == 0) {
		return parley.BadField("to", "there is none, and no positions; or there are both", "send to, or positions")
	}
	to, err := stream.ParseFrom("to", in.To)
	if err != nil {
		return err
	}
	name := c.R.PathValue("group")
	g, err := a.opt.Groups.Get(c.Context(), name)
	if parley.CodeOf(err) == parley.NotFound && err != nil && len(in.Topics)+len(in.Positions) > 0 && !in.DryRun {
		g, err = a.opt.Groups.Ensure(c.Context(), name) // places for members that come later
	}
	if err != nil {
		return err
	}
	places, err := g.Seek(c.Context(), stream.SeekRequest{To: to, Topics: in.Topics, Places: in.Positions, DryRun: in.DryRun})
	if err != nil {
		return err
	}
	return answerJSON(c.W, http.StatusOK, SeekAnswer{Partitions: places})
}

// decode reads a JSON body.
func (a *API) decode(c *door.Call, into any) error {
	body, err := a.read(c)
	if err != nil {
		return err
	}
	defer body.free() // the decoder copies
	if len(strings.TrimSpace(body.String())) == 0 {
		return parley.BadField("body", "is empty", "send a JSON object")
	}
	return decodeStrict(body.Bytes(), into)
}
