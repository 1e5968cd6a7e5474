package grpcapi

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/engine/memlog"
	groups "github.com/parleyhq/parley/pattern/stream"
	"github.com/parleyhq/parley/wire/door"
	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
)

// faulty is a log that takes nothing, with a code, once it is armed.
type faulty struct {
	*memlog.Log
	code atomic.Int32 // 0 = it works
}

func (f *faulty) Append(ctx context.Context, w ...parley.Write) ([]parley.Appended, error) {
	if c := f.code.Load(); c != 0 {
		return nil, &parley.Error{Code: parley.Code(c), Detail: "so the test wants it", Fix: "disarm it"}
	}
	return f.Log.Append(ctx, w...)
}

// untimed is a log that can do nothing but what every log can.
type untimed struct{ parley.Log }

// provoker is a rig in which any error of groups can be had.
type provoker struct {
	*members
	route  *door.Route
	faults *faulty
	limit  *full
	secret string // of who may read only
	member string // of group a, in its generation 1
}

func newProvoker(t *testing.T, route *door.Route, code parley.Code) *provoker {
	t.Helper()
	p := &provoker{route: route, faults: &faulty{Log: memlog.New(memlog.Options{})}, limit: new(full)}
	identify, secrets := tokens(t, []string{"*"}, map[string]string{"reader": "read:*"})
	p.secret = secrets["reader"]
	s := setup{log: p.faults, topics: topic.Options{MaxTopics: 10, Logger: slog.New(slog.DiscardHandler)}, groups: groups.Options{MaxGroups: 2}}
	if code == parley.Unsupported {
		s.log = untimed{p.faults}
	}
	s.change = func(o *Options) {
		o.Identify, o.Admission, o.Limits.Lives, o.Log = identify, p.limit, 1, slog.New(slog.DiscardHandler)
	}
	r := newRigOf(t, s)
	p.members = &members{r, parleyv1.NewGroupsClient(r.conn)}
	p.topic("a", parleyv1.Durability_DURABILITY_UNSPECIFIED)
	p.member = p.joined("a")
	return p
}

func (p *provoker) topic(name string, d parleyv1.Durability) {
	p.t.Helper()
	if _, err := p.manage.CreateTopic(p.t.Context(), &parleyv1.CreateTopicRequest{Topic: name, Settings: &parleyv1.Settings{Durability: d}}); err != nil {
		p.t.Fatal(err)
	}
}

// joined lets a member into a group, which has to work.
func (p *provoker) joined(group string) (member string) {
	p.t.Helper()
	j, err := p.JoinGroup(p.t.Context(), &parleyv1.JoinGroupRequest{Group: group, Topics: []string{"a"}, Wait: durationpb.New(0)})
	if err != nil {
		p.t.Fatal(err)
	}
	return j.GetMember()
}

// left takes the member out of group a.
func (p *provoker) left() {
	p.t.Helper()
	if _, err := p.LeaveGroup(p.t.Context(), &parleyv1.LeaveGroupRequest{Group: "a", Member: p.member}); err != nil {
		p.t.Fatal(err)
	}
}

// sample is a request of the route that works.
func (p *provoker) sample() proto.Message {
	places := []*parleyv1.Place{{Topic: "a", Position: 1}}
	switch p.route.Name {
	case "group-list":
		return &parleyv1.ListGroupsRequest{}
	case "group-show":
		return &parleyv1.GetGroupRequest{Group: "a"}
	case "group-join":
		return &parleyv1.JoinGroupRequest{Group: "a", Topics: []string{"a"}, Wait: durationpb.New(0)}
	case "group-consume":
		return &parleyv1.ConsumeRequest{Group: "a", Member: p.member, Generation: 1, What: &parleyv1.ConsumeRequest_Ask{Ask: &parleyv1.Ask{}}}
	case "group-commit":
		return &parleyv1.CommitGroupRequest{Group: "a", Member: p.member, Generation: 1, Places: places}
	case "group-heartbeat":
		return &parleyv1.HeartbeatGroupRequest{Group: "a", Member: p.member, Generation: 1}
	case "group-leave":
		return &parleyv1.LeaveGroupRequest{Group: "a", Member: p.member}
	case "group-seek":
		return &parleyv1.SeekGroupRequest{Group: "a", Positions: places}
	case "group-delete":
		return &parleyv1.DeleteGroupRequest{Group: "a"}
	}
	p.t.Fatalf("no sample of %s", p.route.Name)
	return nil
}

// send sends a request of the route and gives what comes of it: the error of the
// call, or the failure of a request on its stream.
func (p *provoker) send(ctx context.Context, in proto.Message) failure {
	p.t.Helper()
	if p.route.Name != "group-consume" {
		return taken(p.t, p.conn.Invoke(ctx, p.route.Path, in, new(emptypb.Empty)))
	}
	s, err := p.Consume(ctx)
	if err != nil {
		p.t.Fatal(err)
	}
	_ = s.Send(in.(*parleyv1.ConsumeRequest)) // who is refused before it is read: Recv tells
	m, err := s.Recv()
	if f := m.GetFailure(); err == nil && f != nil {
		return failure{code: codes.Code(f.GetCode()), reason: f.GetReason(), text: f.GetMessage(), retry: f.GetRetryAfter().AsDuration() > 0}
	}
	return taken(p.t, err)
}

// sent is send of the sample.
func (p *provoker) sent() failure {
	p.t.Helper()
	return p.send(p.t.Context(), p.sample())
}

// elsewhere sends the sample for another group.
func (p *provoker) elsewhere(group string) failure {
	p.t.Helper()
	in := p.sample()
	m := in.ProtoReflect()
	m.Set(m.Descriptor().Fields().ByName("group"), protoreflect.ValueOfString(group))
	return p.send(p.t.Context(), in)
}

// at sends what names a position of topic a.
func (p *provoker) at(position int64) failure {
	p.t.Helper()
	places := []*parleyv1.Place{{Topic: "a", Position: position}}
	switch in := p.sample().(type) {
	case *parleyv1.CommitGroupRequest:
		in.Places = places
		return p.send(p.t.Context(), in)
	case *parleyv1.SeekGroupRequest:
		in.Positions = places
		return p.send(p.t.Context(), in)
	case *parleyv1.ConsumeRequest:
		in.What = progressTo(position).GetWhat()
		return p.send(p.t.Context(), in)
	default:
		p.t.Fatalf("%s names no position", p.route.Name)
		return failure{}
	}
}

// cursor sends what names a place by a text.
func (p *provoker) cursor(text string) failure {
	p.t.Helper()
	in := p.sample()
	switch in := in.(type) {
	case *parleyv1.JoinGroupRequest:
		in.Group, in.From = "b", text
	case *parleyv1.CommitGroupRequest:
		in.Places, in.Cursor = nil, text
	case *parleyv1.SeekGroupRequest:
		in.Positions, in.To = nil, text
	case *parleyv1.ConsumeRequest:
		in.GetAsk().After = text
	}
	return p.send(p.t.Context(), in)
}

// hold takes the one place that there is for what lives long.
func (p *provoker) hold() {
	p.t.Helper()
	s, err := p.Consume(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	in := p.sample().(*parleyv1.ConsumeRequest)
	in.GetAsk().Wait = durationpb.New(50 * time.Second)
	if err := s.Send(in); err != nil {
		p.t.Fatal(err)
	}
	synctest.Wait()
}

// unkept has the log take nothing. The first who is in the middle of a change does
// not know what came of it; all others are told why there is none.
func (p *provoker) unkept(code parley.Code, second bool) failure {
	p.t.Helper()
	p.rig.send("a", "x")
	if p.route.Name == "group-delete" {
		p.left()
	}
	p.faults.code.Store(int32(code))
	defer p.faults.code.Store(0)
	if second {
		_, err := p.JoinGroup(p.t.Context(), &parleyv1.JoinGroupRequest{Group: "a", Topics: []string{"a"}, Wait: durationpb.New(0)})
		taken(p.t, err)
	}
	if p.route.Name == "group-consume" {
		return p.at(2)
	}
	return p.sent()
}

// groupProvoked are the ways to have each error.
var groupProvoked = map[parley.Code]func(p *provoker) failure{
	parley.Unauthenticated: func(p *provoker) failure { return p.send(as(p.t.Context(), "parley_nonsense"), p.sample()) },
	parley.Forbidden:       func(p *provoker) failure { return p.send(as(p.t.Context(), p.secret), p.sample()) },
	parley.Throttled: func(p *provoker) failure {
		p.limit.refuse(&parley.Error{Code: parley.Throttled, Detail: "too often", RetryAfter: time.Second})
		return p.sent()
	},
	parley.Invalid: func(p *provoker) failure {
		if p.route.Name == "group-list" {
			return p.send(p.t.Context(), &parleyv1.ListGroupsRequest{Limit: -1})
		}
		return p.elsewhere("~")
	},
	parley.NotFound: func(p *provoker) failure {
		if p.route.Name == "group-join" {
			return p.send(p.t.Context(), &parleyv1.JoinGroupRequest{Group: "a", Topics: []string{"missing"}})
		}
		if p.route.Name == "group-seek" { // it would be made for positions
			return p.send(p.t.Context(), &parleyv1.SeekGroupRequest{Group: "missing", To: "earliest"})
		}
		return p.elsewhere("missing")
	},
	parley.BadCursor: func(p *provoker) failure { return p.cursor("garbage") },
	parley.Unsupported: func(p *provoker) failure {
		return p.cursor("@2026-01-01T00:00:00Z") // of an engine that cannot find a time
	},
	parley.Trimmed: func(p *provoker) failure {
		p.rig.send("a", "x", "x")
		p.rig.send("a", "x")
		t, err := p.topics.Get("a")
		if err == nil {
			err = p.faults.Trim(p.t.Context(), t.Partitions[0].Stream, 3)
		}
		if err != nil {
			p.t.Fatal(err)
		}
		return p.at(1)
	},
	parley.Unprocessable: func(p *provoker) failure {
		if p.route.Name != "group-join" {
			return p.at(99)
		}
		p.topic("brief", parleyv1.Durability_DURABILITY_MEMORY)
		return p.send(p.t.Context(), &parleyv1.JoinGroupRequest{Group: "a", Topics: []string{"brief"}})
	},
	parley.Conflict: func(p *provoker) failure {
		switch p.route.Name {
		case "group-delete":
			return p.sent() // it has a member
		case "group-join":
			return p.send(p.t.Context(), &parleyv1.JoinGroupRequest{Group: "a", Topics: []string{"a"}, Member: "x"})
		}
		p.left()
		p.joined("a")
		return p.sent()
	},
	parley.Overloaded: func(p *provoker) failure {
		if p.route.Name == "group-consume" {
			p.hold()
			return p.sent()
		}
		p.joined("second")
		return p.elsewhere("third")
	},
	parley.Unavailable: func(p *provoker) failure { // nobody owns the group
		p.abdicate()
		synctest.Wait()
		return p.sent()
	},
	parley.Unknown: func(p *provoker) failure { return p.unkept(parley.Unknown, false) },
	parley.Full:    func(p *provoker) failure { return p.unkept(parley.Full, true) },
}

// Each error that the table has for an RPC of groups comes, over a connection, and
// says when to come back if that is of use.
func TestEveryErrorOfGroupsHappens(t *testing.T) {
	for _, route := range streamRoutes() {
		all := append([]parley.Code{parley.Unauthenticated, parley.Throttled}, route.Errors...)
		if route.Verb != "" { // who may see no group has an empty list
			all = append(all, parley.Forbidden)
		}
		for _, code := range slices.Compact(slices.Sorted(slices.Values(all))) {
			t.Run(route.Name+"/"+code.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					way := groupProvoked[code]
					if way == nil {
						t.Fatal("nothing provokes it")
					}
					f := way(newProvoker(t, &route, code))
					if f.reason != Reason(code) || f.code != Code(code) {
						t.Fatalf("%s %s: %s", f.code, f.reason, f.text)
					}
					if again := code == parley.Throttled || code == parley.Overloaded || code == parley.Unavailable; f.retry != again {
						t.Errorf("says when to come back: %v", f.retry)
					}
				})
			})
		}
	}
}
