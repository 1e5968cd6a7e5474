package overgrpc

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/pattern/stream"
	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
)

var _ client.GroupTransport = (*Transport)(nil)

// Membership implements client.GroupTransport: events, commits and signs of life
// of a member go over one stream, which is opened when it is first used and again
// when it was lost.
func (t *Transport) Membership(group string) client.Membership {
	return &membership{t: t, group: group, turn: make(chan struct{}, 1)}
}

type membership struct {
	t     *Transport
	group string
	turn  chan struct{} // a place for one who opens or sends

	mu   sync.Mutex // never held over a call that can wait
	line *line      // nil = there is none
}

// line is one stream, and who waits for an answer on it.
type line struct {
	stream grpc.BidiStreamingClient[parleyv1.ConsumeRequest, parleyv1.ConsumeResponse]
	end    context.CancelFunc
	done   chan struct{} // closed when nothing more comes; err says why

	mu      sync.Mutex
	next    int64
	waiting map[int64]chan *parleyv1.ConsumeResponse
	err     error
}

func (m *membership) Join(ctx context.Context, r stream.JoinRequest, from string) (stream.Joined, error) {
	in := &parleyv1.JoinGroupRequest{
		Group: m.group, Topics: r.Topics, Member: r.Member, Client: r.Client, SessionTimeout: span(r.Session), RebalanceTimeout: span(r.Rebalance),
		From: from, Wait: durationpb.New(max(r.Wait, 0)),
	}
	res, err := m.t.groups.JoinGroup(m.t.context(ctx), in)
	if err != nil {
		return stream.Joined{}, fromStatus(m.t.target, err)
	}
	return stream.Joined{Member: res.GetMember(), Generation: res.GetGeneration(), Session: res.GetSessionTimeout().AsDuration(), Rebalance: res.GetRebalance(), Assigned: places(res.GetAssigned())}, nil
}

func (m *membership) Leave(ctx context.Context, member string) error {
	_, err := m.t.groups.LeaveGroup(m.t.context(ctx), &parleyv1.LeaveGroupRequest{Group: m.group, Member: member})
	if err != nil {
		return fromStatus(m.t.target, err)
	}
	return nil
}

func (m *membership) Fetch(ctx context.Context, r stream.FetchRequest, wait time.Duration) (*stream.Fetched, error) {
	ctx, end := context.WithTimeoutCause(ctx, wait+patience, errSilent)
	defer end()
	ask := &parleyv1.Ask{Credit: int32(r.Limit), MaxBytes: int32(min(r.MaxBytes, 2<<20)), After: r.After, Wait: durationpb.New(wait), Commit: r.Commit}
	res, err := m.call(ctx, &parleyv1.ConsumeRequest{Member: r.Member, Generation: r.Generation, What: &parleyv1.ConsumeRequest_Ask{Ask: ask}})
	if err != nil {
		return nil, err
	}
	e := res.GetEvents()
	if gaps := e.GetGaps(); len(gaps) > 0 {
		g := gaps[0]
		gone := &parley.Error{Code: parley.Trimmed, Field: "after", Earliest: parley.Position(g.GetTo()), Detail: "events of " + g.GetTopic() + " are no longer kept"}
		return nil, client.Resumable(gone, e.GetResume())
	}
	f := &stream.Fetched{
		Member: r.Member, Generation: e.GetGeneration(), Rebalance: e.GetRebalance(), Changed: e.GetGeneration() != r.Generation && !e.GetRebalance(),
		Assigned: places(e.GetAssigned()), Cursor: e.GetCursor(), More: e.GetMore(), Lag: -1, Messages: make([]stream.Message, len(e.GetEvents())),
	}
	if e.Lag != nil {
		f.Lag = e.GetLag()
	}
	for i, v := range e.GetEvents() {
		f.Messages[i] = stream.Message{Topic: v.GetTopic(), Partition: int(v.GetPartition()), Position: parley.Position(v.GetPosition()), Event: fromProto(v.GetEvent())}
	}
	return f, nil
}

func (m *membership) Commit(ctx context.Context, r stream.CommitRequest) error {
	p := &parleyv1.Progress{Cursor: r.Cursor}
	for _, at := range r.Places {
		p.Places = append(p.Places, &parleyv1.Place{Topic: at.Topic, Partition: int32(at.Partition), Position: int64(at.Position)})
	}
	ctx, end := context.WithTimeoutCause(ctx, patience, errSilent)
	defer end()
	_, err := m.call(ctx, &parleyv1.ConsumeRequest{Member: r.Member, Generation: r.Generation, What: &parleyv1.ConsumeRequest_Commit{Commit: p}})
	return err
}

func (m *membership) Heartbeat(ctx context.Context, member string, generation uint64) (stream.Beat, error) {
	ctx, end := context.WithTimeoutCause(ctx, patience, errSilent)
	defer end()
	res, err := m.call(ctx, &parleyv1.ConsumeRequest{Member: member, Generation: generation, What: &parleyv1.ConsumeRequest_Beat{Beat: &parleyv1.Beat{}}})
	return stream.Beat{Generation: res.GetBeat().GetGeneration(), Rebalance: res.GetBeat().GetRebalance()}, err
}

// Close ends the stream. The next call opens another.
func (m *membership) Close() error {
	m.mu.Lock()
	l := m.line
	m.line = nil
	m.mu.Unlock()
	if l != nil {
		l.end()
		<-l.done
	}
	return nil
}

var errSilent error = &parley.Error{Code: parley.Unavailable, Detail: "the server was silent for too long"}

// call sends a request and waits for its answer.
func (m *membership) call(ctx context.Context, in *parleyv1.ConsumeRequest) (*parleyv1.ConsumeResponse, error) {
	l, answer, err := m.send(ctx, in)
	if err != nil {
		return nil, err
	}
	defer l.forget(in.GetRequest())
	select {
	case res := <-answer:
		if f := res.GetFailure(); f != nil {
			return nil, fromFailure(f)
		}
		return res, nil
	case <-l.done:
		select {
		case res := <-answer: // it came before the end
			if f := res.GetFailure(); f == nil {
				return res, nil
			}
		default:
		}
		return nil, l.err
	case <-ctx.Done():
		if context.Cause(ctx) == errSilent { //nolint:errorlint // it is that one
			l.end() // of which only our half is open, perhaps
		}
		return nil, context.Cause(ctx)
	}
}

// send sends a request over the line, which it opens if need be.
func (m *membership) send(ctx context.Context, in *parleyv1.ConsumeRequest) (*line, chan *parleyv1.ConsumeResponse, error) {
	select {
	case m.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	}
	defer func() { <-m.turn }()
	l, err := m.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	in.Group = m.group
	answer := make(chan *parleyv1.ConsumeResponse, 1)
	l.mu.Lock()
	l.next++
	in.Request = l.next
	l.waiting[l.next] = answer
	l.mu.Unlock()
	_ = l.stream.Send(in) // whoever receives is told how the stream ended
	return l, answer, nil
}

func (m *membership) open(ctx context.Context) (*line, error) {
	m.mu.Lock()
	l := m.line
	m.mu.Unlock()
	if l != nil {
		select {
		case <-l.done:
		default:
			return l, nil
		}
	}
	life, end := context.WithCancel(m.t.context(context.WithoutCancel(ctx)))
	s, err := m.t.groups.Consume(life)
	if err != nil {
		end()
		return nil, fromStatus(m.t.target, err)
	}
	l = &line{stream: s, end: end, done: make(chan struct{}), waiting: map[int64]chan *parleyv1.ConsumeResponse{}}
	go l.receive(m.t.target)
	m.mu.Lock()
	m.line = l
	m.mu.Unlock()
	return l, nil
}

// receive hands answers to who waits for them, until the stream ends.
func (l *line) receive(target string) {
	defer l.end()
	defer close(l.done)
	for {
		res, err := l.stream.Recv()
		if err != nil {
			l.err = fromStatus(target, err)
			return
		}
		l.mu.Lock()
		answer := l.waiting[res.GetRequest()]
		delete(l.waiting, res.GetRequest())
		l.mu.Unlock()
		if answer != nil {
			answer <- res // there is a place for it
		}
	}
}

func (l *line) forget(request int64) {
	l.mu.Lock()
	delete(l.waiting, request)
	l.mu.Unlock()
}

func places(list []*parleyv1.Place) []stream.Place {
	out := make([]stream.Place, len(list))
	for i, p := range list {
		out[i] = stream.Place{Topic: p.GetTopic(), Partition: int(p.GetPartition()), Position: parley.Position(p.GetPosition())}
	}
	return out
}
