package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/stream"
)

// GroupSummary is a consumer group in a list. All but the name is zero of one that
// no node answers for now.
type GroupSummary struct {
	Name       string       `json:"name"`
	State      stream.State `json:"state,omitempty"`
	Members    int          `json:"members"`
	Generation uint64       `json:"generation"`
	Topics     []string     `json:"topics"`
	// Lag counts the events that the group has not committed; nil when the log
	// cannot tell.
	Lag *int64 `json:"lag,omitempty"`
}

// GroupInfo is all about a consumer group.
type GroupInfo struct {
	Name       string           `json:"name"`
	Protocol   string           `json:"protocol"`
	State      stream.State     `json:"state"`
	Generation uint64           `json:"generation"`
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
	Committed parley.Position `json:"committed"` // what to read next; 0 = from the earliest event
	At        time.Time       `json:"committed_at,omitzero"`
	End       parley.Position `json:"end"`
	Lag       *int64          `json:"lag,omitempty"`
	Member    string          `json:"member,omitempty"` // "" = nobody reads it now
}

// Group is a consumer group of the server. It is safe for concurrent use; its
// Consumers are for one goroutine each.
type Group struct {
	c    *Client
	name string
}

// Group gives a consumer group by its name. It asks the server for nothing; the
// first member makes the group.
func (c *Client) Group(name string) *Group { return &Group{c: c, name: name} }

// Groups lists the groups that the token may use or administer, by name, page by
// page.
func (c *Client) Groups(ctx context.Context) ([]GroupSummary, error) {
	all := []GroupSummary{} // in JSON a list, not null
	v := url.Values{"limit": {"1000"}}
	for {
		var page struct {
			Groups []GroupSummary `json:"groups"`
			Next   string         `json:"next"`
		}
		if _, err := c.do(ctx, request{method: http.MethodGet, url: c.url(v, "v1", "groups")}, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Groups...)
		if page.Next == "" {
			return all, nil
		}
		v.Set("after", page.Next)
	}
}

// Name is the group's name.
func (g *Group) Name() string { return g.name }

func (g *Group) url(v url.Values, parts ...string) string {
	return g.c.url(v, append([]string{"v1", "groups", g.name}, parts...)...)
}

// Info shows the group: its members, and how far it is in each partition. Errors:
// NotFound, Unavailable, ….
func (g *Group) Info(ctx context.Context) (GroupInfo, error) {
	var out GroupInfo
	_, err := g.c.do(ctx, request{method: http.MethodGet, url: g.url(nil)}, &out)
	return out, err
}

// GroupSeek says where a group goes: by To in the partitions of Topics, or to
// Positions.
type GroupSeek struct {
	// To is "earliest", "latest", "@TIME" in RFC 3339, or a cursor.
	To string `json:"to,omitempty"`
	// Topics are names and patterns; none = all that the group has places in.
	Topics []string `json:"topics,omitempty"`
	// Positions are given instead of To and Topics.
	Positions []stream.Place `json:"positions,omitempty"`
	// DryRun has Seek tell where the group would be, and change nothing.
	DryRun bool `json:"dry_run,omitempty"`
}

// Seek moves the group anywhere that retention holds, also back, and gives its
// places. Members begin anew from there, in a new generation. With Topics or
// Positions it makes a group that is not there. With DryRun it gives the places that
// the group would have: members go on, and a group that is not there is NotFound.
// Errors: Invalid, BadCursor, NotFound, Trimmed, Unprocessable for a place beyond the
// end, ….
func (g *Group) Seek(ctx context.Context, s GroupSeek) ([]stream.Place, error) {
	var out struct {
		Partitions []stream.Place `json:"partitions"`
	}
	err := g.post(ctx, s, &out, "seek")
	return out.Partitions, err
}

// Commit sets places of a group that has no members. Members commit by their
// Consumer. Errors: Conflict when it has some, and for a place behind the committed
// one; NotFound; Unprocessable for one beyond the end, ….
func (g *Group) Commit(ctx context.Context, places ...stream.Place) error {
	in := struct {
		Positions []stream.Place `json:"positions"`
	}{places}
	return g.post(ctx, in, nil, "commit")
}

// Delete deletes the group with all its places. Errors: NotFound; Conflict while
// it has members, unless force is set, which takes them out; ….
func (g *Group) Delete(ctx context.Context, force bool) error {
	v := url.Values{}
	if force {
		v.Set("force", "true")
	}
	_, err := g.c.do(ctx, request{method: http.MethodDelete, url: g.url(v)}, nil)
	return err
}

// post sends an object and reads one.
func (g *Group) post(ctx context.Context, in, out any, part string) error {
	body, err := json.Marshal(in)
	if err != nil {
		return parley.Errorf(parley.Invalid, "the request cannot be written as JSON: %w", err)
	}
	r := request{method: http.MethodPost, url: g.url(nil, part), header: http.Header{"Content-Type": {"application/json"}}, body: body}
	return g.c.within(ctx, patience, r, out)
}
