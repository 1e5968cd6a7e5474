package grpcapi

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/parleyhq/parley/wire/door"
	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
	"github.com/parleyhq/parley/wire/httpapi"
)

// members is a client of a rig's groups, most of it of the group "g".
type members struct {
	*rig
	parleyv1.GroupsClient
}

func newMembers(t testing.TB, change func(*Options)) *members {
	t.Helper()
	r := newRig(t, change)
	return &members{r, parleyv1.NewGroupsClient(r.conn)}
}

func (m *members) join() *parleyv1.JoinGroupResponse {
	m.t.Helper()
	return must[*parleyv1.JoinGroupResponse](m.t)(m.JoinGroup(m.t.Context(), &parleyv1.JoinGroupRequest{Group: "g", Topics: []string{"a"}, Client: "me", SessionTimeout: durationpb.New(time.Minute), Wait: durationpb.New(0)}))
}

// line is a member's stream.
type line struct {
	*members
	parleyv1.Groups_ConsumeClient
	*parleyv1.JoinGroupResponse
	n int64
}

func (m *members) line(j *parleyv1.JoinGroupResponse) *line {
	m.t.Helper()
	s, err := m.Consume(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	return &line{members: m, Groups_ConsumeClient: s, JoinGroupResponse: j}
}

func (l *line) send(in *parleyv1.ConsumeRequest) {
	l.t.Helper()
	l.n++
	in.Request, in.Group, in.Member = l.n, "g", l.GetMember()
	if in.Generation == 0 {
		in.Generation = l.GetGeneration()
	}
	if err := l.Groups_ConsumeClient.Send(in); err != nil {
		l.t.Fatal(err)
	}
}

func ask(after string, wait time.Duration) *parleyv1.ConsumeRequest {
	return &parleyv1.ConsumeRequest{What: &parleyv1.ConsumeRequest_Ask{Ask: &parleyv1.Ask{After: after, Credit: 10, Wait: durationpb.New(wait)}}}
}

func beat() *parleyv1.ConsumeRequest {
	return &parleyv1.ConsumeRequest{What: &parleyv1.ConsumeRequest_Beat{Beat: &parleyv1.Beat{}}}
}

func progressTo(position int64) *parleyv1.ConsumeRequest {
	return &parleyv1.ConsumeRequest{What: &parleyv1.ConsumeRequest_Commit{Commit: &parleyv1.Progress{Places: []*parleyv1.Place{{Topic: "a", Position: position}}}}}
}

func (l *line) take() *parleyv1.ConsumeResponse {
	l.t.Helper()
	return must[*parleyv1.ConsumeResponse](l.t)(l.Recv())
}

// A member's life over one stream: events by credit, a commit and a beat while an ask
// is held, and the ask's answer when there is something.
func TestConsume(t *testing.T) {
	m := newMembers(t, nil)
	m.rig.send("a", "one", "two", "three")
	j := m.join()
	if j.GetMember() == "" || j.GetGeneration() != 1 || len(j.GetAssigned()) != 1 || j.GetSessionTimeout().AsDuration() != time.Minute {
		t.Fatal(j)
	}
	l := m.line(j)
	l.send(ask("", 0))
	first := l.take().GetEvents()
	if len(first.GetEvents()) != 3 || string(first.GetEvents()[1].GetEvent().GetData()) != "two" || first.GetEvents()[1].GetPosition() != 2 || first.GetLag() != 0 || first.Lag == nil {
		t.Fatal(first)
	}
	l.send(ask(first.GetCursor(), 50*time.Second))
	l.send(progressTo(3))
	if r := l.take(); r.GetRequest() != 3 || r.GetCommitted().GetCommitted()[0].GetPosition() != 3 {
		t.Fatal(r)
	}
	l.send(progressTo(2))
	if r := l.take(); r.GetFailure().GetReason() != "CONFLICT" || r.GetFailure().GetField() != "positions" {
		t.Fatal(r)
	}
	l.send(beat())
	if r := l.take(); r.GetBeat().GetGeneration() != 1 || r.GetBeat().GetRebalance() {
		t.Fatal(r)
	}
	m.rig.send("a", "four")
	if r := l.take(); r.GetRequest() != 2 || len(r.GetEvents().GetEvents()) != 1 || r.GetEvents().GetEvents()[0].GetPosition() != 4 {
		t.Fatal(r)
	}
	g := must[*parleyv1.Group](t)(m.GetGroup(t.Context(), &parleyv1.GetGroupRequest{Group: "g"}))
	if g.GetState() != "stable" || g.GetLag() != 2 || g.GetMembers()[0].GetClient() != "me" || g.GetPartitions()[0].GetCommitted() != 3 || g.GetPartitions()[0].GetCommittedAt() == nil {
		t.Fatal(g)
	}
	places := must[*parleyv1.SeekGroupResponse](t)(m.SeekGroup(t.Context(), &parleyv1.SeekGroupRequest{Group: "g", To: "earliest"}))
	if len(places.GetPartitions()) != 1 {
		t.Fatal(places)
	}
	l.send(ask("", 0))
	if e := l.take().GetEvents(); e.GetGeneration() != 2 || len(e.GetEvents()) != 4 || len(e.GetAssigned()) != 1 {
		t.Fatal(e)
	}
	must[*parleyv1.LeaveGroupResponse](t)(m.LeaveGroup(t.Context(), &parleyv1.LeaveGroupRequest{Group: "g", Member: j.GetMember()}))
	l.send(beat())
	if r := l.take(); r.GetFailure().GetField() != "member" {
		t.Fatal(r)
	}
	l.send(ask("", 0))
	if _, err := l.Recv(); status.Code(err) != codes.Aborted {
		t.Fatal(err)
	}
}

// The end of an ask's wait, and the client's end of the stream.
func TestConsumeWaits(t *testing.T) {
	m := newMembers(t, nil)
	m.rig.send("a", "one")
	l := m.line(m.join())
	l.send(ask("", 0))
	cursor := l.take().GetEvents().GetCursor()
	l.send(ask(cursor, 50*time.Second)) // the next one takes its place
	l.send(ask(cursor, 10*time.Millisecond))
	if r := l.take(); r.GetRequest() != 3 || len(r.GetEvents().GetEvents()) != 0 || r.GetEvents().GetCursor() == "" {
		t.Fatal(r)
	}
	if err := l.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if r, err := l.Recv(); err == nil || status.Code(err) != codes.Unknown { // io.EOF
		t.Fatal(r, err)
	}
}

// A dry run tells where a group would be: neither its places nor its members' feel it,
// and no group is made.
func TestSeekOnlyTold(t *testing.T) {
	m := newMembers(t, nil)
	m.rig.send("a", "one", "two", "three")
	l := m.line(m.join())
	l.send(progressTo(2))
	l.take()
	for _, c := range []struct {
		in   *parleyv1.SeekGroupRequest
		want int64
	}{
		{&parleyv1.SeekGroupRequest{To: "latest"}, 4},
		{&parleyv1.SeekGroupRequest{To: "earliest", Topics: []string{"a"}}, 0},
		{&parleyv1.SeekGroupRequest{Positions: []*parleyv1.Place{{Topic: "a", Position: 3}}}, 3},
	} {
		c.in.Group, c.in.DryRun = "g", true
		would := must[*parleyv1.SeekGroupResponse](t)(m.SeekGroup(t.Context(), c.in)).GetPartitions()
		if len(would) != 1 || would[0].GetTopic() != "a" || would[0].GetPosition() != c.want {
			t.Errorf("%v: %v", c.in, would)
		}
		g := must[*parleyv1.Group](t)(m.GetGroup(t.Context(), &parleyv1.GetGroupRequest{Group: "g"}))
		if g.GetGeneration() != 1 || g.GetPartitions()[0].GetCommitted() != 2 {
			t.Errorf("%v: the group is at %v", c.in, g)
		}
		c.in.Group = "none"
		if _, err := m.SeekGroup(t.Context(), c.in); status.Code(err) != codes.NotFound {
			t.Errorf("%v: %v", c.in, err)
		}
	}
	in := &parleyv1.SeekGroupRequest{Group: "g", DryRun: true, Positions: []*parleyv1.Place{{Topic: "a", Position: 99}}}
	if _, err := m.SeekGroup(t.Context(), in); status.Code(err) != codes.FailedPrecondition {
		t.Error(err)
	}
}

func TestGroupErrors(t *testing.T) {
	m := newMembers(t, nil)
	m.rig.send("a", "one")
	ctx, place := t.Context(), []*parleyv1.Place{{Topic: "a", Position: 99}}
	j := m.join()
	first := func(in *parleyv1.ConsumeRequest) error {
		s := must[parleyv1.Groups_ConsumeClient](t)(m.Consume(ctx))
		if err := s.Send(in); err != nil {
			return err
		}
		_, err := s.Recv()
		return err
	}
	err := func(_ any, err error) error { return err }
	for i, c := range []struct {
		err  error
		code codes.Code
	}{
		{err(m.GetGroup(ctx, &parleyv1.GetGroupRequest{Group: "x"})), codes.NotFound},
		{err(m.GetGroup(ctx, &parleyv1.GetGroupRequest{Group: "~"})), codes.InvalidArgument},
		{err(m.ListGroups(ctx, &parleyv1.ListGroupsRequest{Limit: -1})), codes.InvalidArgument},
		{err(m.JoinGroup(ctx, &parleyv1.JoinGroupRequest{Group: "g"})), codes.InvalidArgument},
		{err(m.JoinGroup(ctx, &parleyv1.JoinGroupRequest{Group: "g", Topics: []string{"a"}, Member: "x"})), codes.Aborted},
		{err(m.JoinGroup(ctx, &parleyv1.JoinGroupRequest{Group: "g", Topics: []string{"a"}, Wait: durationpb.New(time.Hour)})), codes.InvalidArgument},
		{err(m.CommitGroup(ctx, &parleyv1.CommitGroupRequest{Group: "g", Member: j.GetMember(), Generation: 1, Places: place})), codes.FailedPrecondition},
		{err(m.CommitGroup(ctx, &parleyv1.CommitGroupRequest{Group: "g", Member: j.GetMember(), Generation: 1, Cursor: "x"})), codes.InvalidArgument},
		{err(m.CommitGroup(ctx, &parleyv1.CommitGroupRequest{Group: "g", Member: "x", Generation: 1, Places: []*parleyv1.Place{{Topic: "a", Position: 1}}})), codes.Aborted},
		{err(m.HeartbeatGroup(ctx, &parleyv1.HeartbeatGroupRequest{Group: "g", Member: "x"})), codes.Aborted},
		{err(m.HeartbeatGroup(ctx, &parleyv1.HeartbeatGroupRequest{Group: "g", Member: j.GetMember(), Generation: 1})), codes.OK},
		{err(m.LeaveGroup(ctx, &parleyv1.LeaveGroupRequest{Group: "g", Member: "x"})), codes.Aborted},
		{err(m.SeekGroup(ctx, &parleyv1.SeekGroupRequest{Group: "g"})), codes.InvalidArgument},
		{err(m.SeekGroup(ctx, &parleyv1.SeekGroupRequest{Group: "g", To: "@never"})), codes.InvalidArgument},
		{err(m.SeekGroup(ctx, &parleyv1.SeekGroupRequest{Group: "x", To: "latest"})), codes.NotFound},
		{err(m.SeekGroup(ctx, &parleyv1.SeekGroupRequest{Group: "new", Positions: []*parleyv1.Place{{Topic: "a", Position: 1}}})), codes.OK},
		{err(m.DeleteGroup(ctx, &parleyv1.DeleteGroupRequest{Group: "g"})), codes.Aborted},
		{err(m.DeleteGroup(ctx, &parleyv1.DeleteGroupRequest{Group: "x"})), codes.NotFound},
		{first(&parleyv1.ConsumeRequest{Group: "x"}), codes.NotFound},
		{first(&parleyv1.ConsumeRequest{Group: "g"}), codes.InvalidArgument},
		{first(&parleyv1.ConsumeRequest{Group: "g", Member: j.GetMember(), What: &parleyv1.ConsumeRequest_Ask{Ask: &parleyv1.Ask{MaxBytes: 3 << 20}}}), codes.InvalidArgument},
		{first(&parleyv1.ConsumeRequest{Group: "g", Member: j.GetMember(), What: &parleyv1.ConsumeRequest_Ask{Ask: &parleyv1.Ask{Wait: durationpb.New(time.Hour)}}}), codes.InvalidArgument},
		{err(m.DeleteGroup(ctx, &parleyv1.DeleteGroupRequest{Group: "g", Force: true})), codes.OK},
	} {
		if got := status.Code(c.err); got != c.code {
			t.Errorf("%d: %v, want %v: %v", i, got, c.code, c.err)
		}
	}
	list := must[*parleyv1.ListGroupsResponse](t)(m.ListGroups(ctx, &parleyv1.ListGroupsRequest{}))
	if len(list.GetGroups()) != 1 || list.GetGroups()[0].GetName() != "new" {
		t.Error(list)
	}
}

// Groups page by name, and nobody sees or uses those that are not his.
func TestGroupScopes(t *testing.T) {
	ts, secrets := tokens(t, nil, map[string]string{"one": "consume:g1", "reader": "read:*"})
	m := newMembers(t, func(o *Options) { o.Identify = ts })
	for i := range 3 {
		if _, err := m.groups.Ensure(t.Context(), "g"+strconv.Itoa(i)); err != nil {
			t.Fatal(err)
		}
	}
	ctx := as(t.Context(), secrets["one"])
	list := must[*parleyv1.ListGroupsResponse](t)(m.ListGroups(ctx, &parleyv1.ListGroupsRequest{}))
	if len(list.GetGroups()) != 1 || list.GetGroups()[0].GetName() != "g1" {
		t.Error(list)
	}
	if _, err := m.GetGroup(ctx, &parleyv1.GetGroupRequest{Group: "g2"}); status.Code(err) != codes.PermissionDenied {
		t.Error(err)
	}
	if _, err := m.DeleteGroup(ctx, &parleyv1.DeleteGroupRequest{Group: "g1"}); status.Code(err) != codes.PermissionDenied {
		t.Error(err)
	}
	if _, err := m.JoinGroup(ctx, &parleyv1.JoinGroupRequest{Group: "g1", Topics: []string{"a"}}); status.Code(err) != codes.PermissionDenied {
		t.Error(err)
	}
	s := must[parleyv1.Groups_ConsumeClient](t)(m.Consume(as(t.Context(), secrets["reader"])))
	_ = s.Send(&parleyv1.ConsumeRequest{Group: "g1"})
	if _, err := s.Recv(); status.Code(err) != codes.PermissionDenied {
		t.Error(err)
	}
}

// Every HTTP route of groups has its RPC.
func TestGroupRoutesHaveRPCs(t *testing.T) {
	r := newRig(t, nil)
	web, err := httpapi.New(httpapi.Options{Topics: r.topics, Hub: r.hub, Lives: r.lives, Context: t.Context(), Groups: r.groups})
	if err != nil {
		t.Fatal(err)
	}
	instead := map[string]string{
		"group-events":   "group-consume",
		"partition-read": "subscribe", // its events have positions
	}
	for _, route := range web.Routes() {
		name := route.Name
		if other, ok := instead[name]; ok {
			name = other
		}
		if (route.On == "group" || instead[route.Name] != "") && !slices.ContainsFunc(Routes(), func(d door.Route) bool { return d.Name == name }) {
			t.Errorf("%s %s has no RPC", route.Method, route.Path)
		}
	}
}
