package stream

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/parleyhq/parley"
)

// Info is what a group is like.
type Info struct {
	Name       string
	Protocol   string
	State      State
	Generation uint64
	Members    []MemberInfo
	Partitions []PartitionInfo
	// Lag counts the events that the group has not committed; −1 when the log
	// cannot tell.
	Lag int64
}

// MemberInfo is what a member is like.
type MemberInfo struct {
	ID       string
	Client   string
	Topics   []string
	Joined   time.Time
	Seen     time.Time // when it was last heard of
	Assigned []Place   // with the committed positions
}

// PartitionInfo is how far a group is in a partition.
type PartitionInfo struct {
	Topic     string
	Partition int
	Committed parley.Position // what to read next; 0 = from the earliest event
	At        time.Time       // when it was committed; zero = never
	End       parley.Position
	Lag       int64  // −1 when the log cannot tell
	Member    string // "" = nobody reads it now
}

// Describe tells all about the group. Errors: those of Host.Ask and of the log.
func (g *Group) Describe(ctx context.Context) (Info, error) {
	a, err := g.ask(ctx, &request{Op: "describe"})
	if err != nil {
		return Info{}, err
	}
	if a.Info == nil {
		return Info{}, parley.Errorf(parley.Internal, "the group's owner describes nothing")
	}
	info := Info{Name: g.name, Protocol: a.Info.Protocol, State: a.Info.State, Generation: a.Generation}
	of := make(map[string][]Place)
	for _, p := range a.Parts {
		row, err := g.row(ctx, p)
		if err != nil {
			return Info{}, err
		}
		if info.Partitions = append(info.Partitions, row); row.Lag < 0 {
			info.Lag = -1
		} else if info.Lag >= 0 {
			info.Lag += row.Lag
		}
		of[p.Owner] = append(of[p.Owner], Place{p.Topic, p.Index, p.At})
	}
	for _, m := range a.Info.Members {
		info.Members = append(info.Members, MemberInfo{ID: m.ID, Client: m.Client, Topics: m.Topics, Joined: time.UnixMilli(m.Joined).UTC(), Seen: time.UnixMilli(m.Seen).UTC(), Assigned: of[m.ID]})
	}
	slices.SortFunc(info.Partitions, func(a, b PartitionInfo) int {
		if a.Topic != b.Topic {
			return strings.Compare(a.Topic, b.Topic)
		}
		return a.Partition - b.Partition
	})
	return info, nil
}

func (g *Group) row(ctx context.Context, p assigned) (PartitionInfo, error) {
	row := PartitionInfo{Topic: p.Topic, Partition: p.Index, Committed: p.At, Member: p.Owner, Lag: -1}
	if p.Committed != 0 {
		row.At = time.UnixMilli(p.Committed).UTC()
	}
	part, _, there := g.all.topics.ByNumber(p.Number)
	if !there {
		return row, nil
	}
	stats, err := g.all.stats(ctx, part.Stream)
	if err != nil {
		return row, err
	}
	row.End = stats.End
	if n, known := g.all.lag(ctx, part.Stream, stats, p.At); known {
		row.Lag = n
	}
	return row, nil
}
