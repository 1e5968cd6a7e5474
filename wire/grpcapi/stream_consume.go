package grpcapi

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"

	"github.com/parleyhq/parley"
	groups "github.com/parleyhq/parley/pattern/stream"
	"github.com/parleyhq/parley/wire/door"
	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
)

// maxAsk bounds the events of one answer, so that it stays below the 4 MiB that
// clients take by default, but for one event that is larger.
const maxAsk = 2 << 20

type consumeStream = grpc.BidiStreamingServer[parleyv1.ConsumeRequest, parleyv1.ConsumeResponse]

// consuming is a member's stream. Its handler's goroutine owns the fields and
// sends; one other receives.
type consuming struct {
	service *service
	call    *call
	stream  consumeStream
	name    string
	group   *groups.Group

	asked int64 // the number of the ask that is under way
	ask   groups.FetchRequest
	wait  *groups.Wait // not nil: an ask is held
	woken chan struct{}
	over  *time.Timer // when the ask's wait is over
}

// Consume implements parleyv1.GroupsServer.
func (s *service) Consume(in consumeStream) error {
	c := callOf(in.Context())
	live, done, err := c.live(in.Context())
	if err != nil {
		return err
	}
	defer done()
	w := &consuming{service: s, call: c, stream: in, woken: make(chan struct{}, 1), over: time.NewTimer(time.Hour)}
	defer w.drop()
	defer w.over.Stop()
	w.over.Stop()
	requests, failed := make(chan *parleyv1.ConsumeRequest), make(chan error, 1)
	go func() { failed <- receiveAsks(live, in, requests) }() // ends with the call
	return cause(live, w.run(live, requests, failed))
}

// receiveAsks hands on what the client sends.
func receiveAsks(ctx context.Context, in consumeStream, out chan<- *parleyv1.ConsumeRequest) error {
	for {
		m, err := in.Recv()
		if err != nil {
			return err
		}
		select {
		case out <- m:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (w *consuming) run(ctx context.Context, requests <-chan *parleyv1.ConsumeRequest, failed <-chan error) error {
	for {
		var err error
		select {
		case m := <-requests:
			err = w.take(ctx, m)
		case <-w.woken:
			if w.wait != nil {
				err = w.fetch(ctx, false)
			}
		case <-w.over.C:
			if w.wait != nil {
				err = w.fetch(ctx, true)
			}
		case err = <-failed:
			if errors.Is(err, io.EOF) {
				return nil // the client is done
			}
		case <-ctx.Done():
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
	}
}

// open finds the group that the first message names.
func (w *consuming) open(ctx context.Context, name string) error {
	if w.group != nil {
		if name != "" && name != w.name {
			return parley.BadField("group", "is another than in the first message", "open a stream for each group")
		}
		return nil
	}
	if err := w.call.allow("consume", name); err != nil {
		return err
	}
	g, err := w.service.api.opt.Groups.Get(ctx, name)
	w.group, w.name = g, name
	return err
}

// take does one request. What a commit or a beat meets is its answer; what an ask
// meets ends the stream.
func (w *consuming) take(ctx context.Context, m *parleyv1.ConsumeRequest) error {
	if err := w.open(ctx, m.GetGroup()); err != nil {
		return err
	}
	if err := w.call.allow("consume", w.name); err != nil { // the token may have ended
		return err
	}
	out := &parleyv1.ConsumeResponse{Request: m.GetRequest()}
	switch what := m.GetWhat().(type) {
	case *parleyv1.ConsumeRequest_Ask:
		return w.begin(ctx, m, what.Ask)
	case *parleyv1.ConsumeRequest_Commit:
		done, err := w.group.Commit(ctx, groups.CommitRequest{Member: m.GetMember(), Generation: m.GetGeneration(), Cursor: what.Commit.GetCursor(), Places: placesFrom(what.Commit.GetPlaces())})
		out.What = &parleyv1.ConsumeResponse_Committed{Committed: &parleyv1.CommitGroupResponse{Committed: placesTo(done)}}
		if err != nil {
			out.What = &parleyv1.ConsumeResponse_Failure{Failure: failureOf(err)}
		}
	case *parleyv1.ConsumeRequest_Beat:
		b, err := w.group.Heartbeat(ctx, m.GetMember(), m.GetGeneration())
		out.What = &parleyv1.ConsumeResponse_Beat{Beat: &parleyv1.HeartbeatGroupResponse{Generation: b.Generation, Rebalance: b.Rebalance}}
		if err != nil {
			out.What = &parleyv1.ConsumeResponse_Failure{Failure: failureOf(err)}
		}
	default:
		return parley.BadField("what", "is missing", "send ask, commit or beat")
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return w.stream.Send(out)
}

// begin begins an ask.
func (w *consuming) begin(ctx context.Context, m *parleyv1.ConsumeRequest, ask *parleyv1.Ask) error {
	release, err := w.call.admit(ctx, w.name)
	if err != nil {
		return err
	}
	defer release()
	wait, err := spanFrom("wait", ask.GetWait(), groups.MaxWait)
	if err != nil {
		return err
	}
	if n := ask.GetMaxBytes(); n < 0 || n > maxAsk {
		return parley.BadField("max_bytes", "is not from 0 to 2097152", "send about how much the events may have; 0 is 1 MiB")
	}
	w.asked = m.GetRequest()
	w.ask = groups.FetchRequest{
		Member: m.GetMember(), Generation: m.GetGeneration(), After: ask.GetAfter(), Limit: int(ask.GetCredit()), MaxBytes: int(ask.GetMaxBytes()), Commit: ask.GetCommit(),
		Allow: func(topic string) error {
			return door.Decide(w.call.who, door.Action{Verb: "read", On: topic}, w.service.api.opt.Now())
		},
	}
	w.over.Reset(wait)
	return w.fetch(ctx, wait == 0)
}

// drop ends the wait of an ask.
func (w *consuming) drop() {
	if w.wait != nil {
		w.wait.Cancel()
		w.wait = nil
	}
}

// fetch answers the ask, or holds it, unless this is its last chance.
func (w *consuming) fetch(ctx context.Context, last bool) error {
	w.drop()
	f, err := w.group.Fetch(ctx, w.ask)
	if err != nil {
		return err
	}
	if !last && len(f.Messages) == 0 && len(f.Gaps) == 0 && !f.Changed {
		w.wait, err = w.group.Park(ctx, f, func() {
			select {
			case w.woken <- struct{}{}:
			default:
			}
		})
		return err
	}
	w.over.Stop()
	return w.stream.Send(&parleyv1.ConsumeResponse{Request: w.asked, What: &parleyv1.ConsumeResponse_Events{Events: eventsTo(f)}})
}

func eventsTo(f *groups.Fetched) *parleyv1.GroupEvents {
	out := &parleyv1.GroupEvents{
		Cursor: f.Cursor, Generation: f.Generation, Rebalance: f.Rebalance, Assigned: placesTo(f.Assigned), More: f.More, Resume: f.Resume,
		Events: make([]*parleyv1.GroupEvent, len(f.Messages)),
	}
	if !f.Rebalance {
		out.Lag = lagTo(f.Lag)
	}
	for i := range f.Messages {
		m := &f.Messages[i]
		out.Events[i] = &parleyv1.GroupEvent{Topic: m.Topic, Partition: int32(m.Partition), Position: int64(m.Position), Event: messageOf(&m.Event)}
	}
	for _, g := range f.Gaps {
		out.Gaps = append(out.Gaps, &parleyv1.GroupGap{Topic: g.Topic, Partition: int32(g.Partition), From: int64(g.From), To: int64(g.To)})
	}
	return out
}
