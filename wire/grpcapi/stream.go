package grpcapi

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/parleyhq/parley"
	groups "github.com/parleyhq/parley/pattern/stream"
	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
)

// withGroup is what a call that acts on a group that is there has in common.
func (s *service) withGroup(ctx context.Context, name string, do func(*groups.Group) error) error {
	release, err := callOf(ctx).pass(ctx, "consume", name)
	if err != nil {
		return err
	}
	defer release()
	g, err := s.api.opt.Groups.Get(ctx, name)
	if err != nil {
		return err
	}
	return do(g)
}

func placesTo(list []groups.Place) []*parleyv1.Place {
	out := make([]*parleyv1.Place, len(list))
	for i, p := range list {
		out[i] = &parleyv1.Place{Topic: p.Topic, Partition: int32(p.Partition), Position: int64(p.Position)}
	}
	return out
}

func placesFrom(list []*parleyv1.Place) []groups.Place {
	out := make([]groups.Place, len(list))
	for i, p := range list {
		out[i] = groups.Place{Topic: p.GetTopic(), Partition: int(p.GetPartition()), Position: parley.Position(p.GetPosition())}
	}
	return out
}

// lagTo is a lag, nil when the log cannot tell.
func lagTo(lag int64) *int64 {
	if lag < 0 {
		return nil
	}
	return &lag
}

func timeTo(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func groupTo(info *groups.Info) *parleyv1.Group {
	out := &parleyv1.Group{Name: info.Name, Protocol: info.Protocol, State: string(info.State), Generation: info.Generation, Lag: lagTo(info.Lag)}
	for _, m := range info.Members {
		out.Members = append(out.Members, &parleyv1.GroupMember{Member: m.ID, Client: m.Client, Topics: m.Topics, Assigned: placesTo(m.Assigned), Joined: timeTo(m.Joined), LastSeen: timeTo(m.Seen)})
	}
	for _, p := range info.Partitions {
		out.Partitions = append(out.Partitions, &parleyv1.GroupPartition{
			Topic: p.Topic, Partition: int32(p.Partition), Committed: int64(p.Committed), CommittedAt: timeTo(p.At), End: int64(p.End), Lag: lagTo(p.Lag), Member: p.Member,
		})
	}
	return out
}

// ListGroups implements parleyv1.GroupsServer.
func (s *service) ListGroups(ctx context.Context, in *parleyv1.ListGroupsRequest) (*parleyv1.ListGroupsResponse, error) {
	c := callOf(ctx)
	release, err := c.admit(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	if c.who.Anonymous && len(c.who.Scopes) == 0 {
		return nil, c.allow("consume", "") // who may see nothing is told so, not that there is nothing
	}
	limit, err := pageOf(in.GetLimit())
	if err != nil {
		return nil, err
	}
	out := &parleyv1.ListGroupsResponse{}
	for _, name := range s.api.opt.Groups.List() {
		if name <= in.GetAfter() || c.allow("consume", name) != nil && c.allow("admin", name) != nil {
			continue
		}
		if len(out.Groups) == limit {
			out.Next = out.Groups[limit-1].GetName()
			break
		}
		row := &parleyv1.Group{Name: name} // all there is of one that cannot be reached
		if g, err := s.api.opt.Groups.Get(ctx, name); err == nil {
			if info, err := g.Describe(ctx); err == nil {
				row = groupTo(&info)
			}
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		out.Groups = append(out.Groups, row)
	}
	return out, nil
}

// GetGroup implements parleyv1.GroupsServer.
func (s *service) GetGroup(ctx context.Context, in *parleyv1.GetGroupRequest) (out *parleyv1.Group, err error) {
	err = s.withGroup(ctx, in.GetGroup(), func(g *groups.Group) error {
		info, err := g.Describe(ctx)
		out = groupTo(&info)
		return err
	})
	return out, err
}

// joinFrom reads what a member says of itself.
func joinFrom(in *parleyv1.JoinGroupRequest) (r groups.JoinRequest, err error) {
	r = groups.JoinRequest{Topics: in.GetTopics(), Member: in.GetMember(), Client: in.GetClient()}
	if r.Session, err = spanFrom("session_timeout", in.GetSessionTimeout(), groups.MaxSession); err != nil {
		return r, err
	}
	if r.Rebalance, err = spanFrom("rebalance_timeout", in.GetRebalanceTimeout(), groups.MaxRebalance); err != nil {
		return r, err
	}
	if r.Wait, err = spanFrom("wait", in.GetWait(), groups.MaxWait); err != nil {
		return r, err
	}
	if in.GetWait() != nil && r.Wait == 0 {
		r.Wait = -1
	}
	r.From, err = groups.ParseFrom("from", in.GetFrom())
	return r, err
}

// JoinGroup implements parleyv1.GroupsServer.
func (s *service) JoinGroup(ctx context.Context, in *parleyv1.JoinGroupRequest) (*parleyv1.JoinGroupResponse, error) {
	c := callOf(ctx)
	release, err := c.pass(ctx, "consume", in.GetGroup())
	if err != nil {
		return nil, err
	}
	defer release()
	r, err := joinFrom(in)
	if err != nil {
		return nil, err
	}
	for _, name := range r.Topics {
		if err := c.allow("read", name); err != nil {
			return nil, err
		}
	}
	g, err := s.api.opt.Groups.Ensure(ctx, in.GetGroup())
	if err != nil {
		return nil, err
	}
	live, done, err := c.live(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	j, err := g.Join(live, r)
	if err != nil {
		return nil, cause(live, err)
	}
	return &parleyv1.JoinGroupResponse{Member: j.Member, Generation: j.Generation, SessionTimeout: durationpb.New(j.Session), Rebalance: j.Rebalance, Assigned: placesTo(j.Assigned)}, nil
}

// CommitGroup implements parleyv1.GroupsServer.
func (s *service) CommitGroup(ctx context.Context, in *parleyv1.CommitGroupRequest) (out *parleyv1.CommitGroupResponse, err error) {
	err = s.withGroup(ctx, in.GetGroup(), func(g *groups.Group) error {
		done, err := g.Commit(ctx, groups.CommitRequest{Member: in.GetMember(), Generation: in.GetGeneration(), Cursor: in.GetCursor(), Places: placesFrom(in.GetPlaces())})
		out = &parleyv1.CommitGroupResponse{Committed: placesTo(done)}
		return err
	})
	return out, err
}

// HeartbeatGroup implements parleyv1.GroupsServer.
func (s *service) HeartbeatGroup(ctx context.Context, in *parleyv1.HeartbeatGroupRequest) (out *parleyv1.HeartbeatGroupResponse, err error) {
	err = s.withGroup(ctx, in.GetGroup(), func(g *groups.Group) error {
		b, err := g.Heartbeat(ctx, in.GetMember(), in.GetGeneration())
		out = &parleyv1.HeartbeatGroupResponse{Generation: b.Generation, Rebalance: b.Rebalance}
		return err
	})
	return out, err
}

// LeaveGroup implements parleyv1.GroupsServer.
func (s *service) LeaveGroup(ctx context.Context, in *parleyv1.LeaveGroupRequest) (*parleyv1.LeaveGroupResponse, error) {
	err := s.withGroup(ctx, in.GetGroup(), func(g *groups.Group) error { return g.Leave(ctx, in.GetMember()) })
	return &parleyv1.LeaveGroupResponse{}, err
}

// SeekGroup implements parleyv1.GroupsServer.
func (s *service) SeekGroup(ctx context.Context, in *parleyv1.SeekGroupRequest) (*parleyv1.SeekGroupResponse, error) {
	release, err := callOf(ctx).pass(ctx, "consume", in.GetGroup())
	if err != nil {
		return nil, err
	}
	defer release()
	if (in.GetTo() == "") == (len(in.GetPositions()) == 0) {
		return nil, parley.BadField("to", "there is none, and no positions; or there are both", "send to, or positions")
	}
	to, err := groups.ParseFrom("to", in.GetTo())
	if err != nil {
		return nil, err
	}
	all := s.api.opt.Groups
	g, err := all.Get(ctx, in.GetGroup())
	if err != nil && parley.CodeOf(err) == parley.NotFound && len(in.GetTopics())+len(in.GetPositions()) > 0 && !in.GetDryRun() {
		g, err = all.Ensure(ctx, in.GetGroup()) // places for members that come later
	}
	if err != nil {
		return nil, err
	}
	places, err := g.Seek(ctx, groups.SeekRequest{To: to, Topics: in.GetTopics(), Places: placesFrom(in.GetPositions()), DryRun: in.GetDryRun()})
	if err != nil {
		return nil, err
	}
	return &parleyv1.SeekGroupResponse{Partitions: placesTo(places)}, nil
}

// DeleteGroup implements parleyv1.GroupsServer.
func (s *service) DeleteGroup(ctx context.Context, in *parleyv1.DeleteGroupRequest) (*parleyv1.DeleteGroupResponse, error) {
	release, err := callOf(ctx).pass(ctx, "admin", in.GetGroup())
	if err != nil {
		return nil, err
	}
	defer release()
	return &parleyv1.DeleteGroupResponse{}, s.api.opt.Groups.Delete(ctx, in.GetGroup(), in.GetForce())
}
