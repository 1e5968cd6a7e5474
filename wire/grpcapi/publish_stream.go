package grpcapi

import (
	"context"
	"errors"
	"hash/maphash"
	"io"
	"math/bits"
	"sync/atomic"

	"google.golang.org/grpc"

	"github.com/parleyhq/parley"
	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
)

// unit is what one place of the window holds: a larger request takes several.
const unit = 64 << 10

// maxResting bounds the goroutines of a stream that wait for their next request.
const maxResting = 8

// publishing is one publish stream. Its handler's goroutine starts requests and
// sends answers; another one receives; each request under way has one.
type publishing struct {
	service *service
	stream  grpc.BidiStreamingServer[parleyv1.PublishStreamRequest, parleyv1.PublishStreamResponse]
	ctx     context.Context //nolint:containedctx // of the call
	in      chan *parleyv1.PublishStreamRequest
	ended   chan error   // why nothing more comes
	work    chan request // to goroutines that rest
	resting atomic.Int32
	answers chan answer
	lanes   lanes
	seed    maphash.Seed
	window  int // places in all
	used    int // places taken
}

type answer struct {
	message *parleyv1.PublishStreamResponse
	places  int
}

// request is one that was started.
type request struct {
	message *parleyv1.PublishStreamRequest
	places  int
	ahead   []<-chan struct{} // closed when those it has to stay behind are published
	done    chan struct{}     // to be closed when it is; nil = nobody has to stay behind it
}

// PublishStream implements parleyv1.PublishServer.
func (s *service) PublishStream(stream grpc.BidiStreamingServer[parleyv1.PublishStreamRequest, parleyv1.PublishStreamResponse]) error {
	live, done, err := callOf(stream.Context()).live(stream.Context())
	if err != nil {
		return err
	}
	defer done()
	window := s.api.opt.Limits.Window
	p := &publishing{
		service: s, stream: stream, ctx: stream.Context(), window: window, seed: maphash.MakeSeed(),
		in: make(chan *parleyv1.PublishStreamRequest), ended: make(chan error, 1), answers: make(chan answer, window),
		work: make(chan request),
	}
	defer close(p.work)
	go p.receive() // ends with the call at the latest: grpc then ends RecvMsg
	return p.run(live)
}

func (p *publishing) receive() {
	for {
		m, err := p.stream.Recv()
		if err != nil {
			p.ended <- err
			return
		}
		select {
		case p.in <- m:
		case <-p.ctx.Done():
			return
		}
	}
}

// run takes requests while there is room and answers them, until the client has
// said that no more come, or the server leaves: what was taken is answered first.
func (p *publishing) run(live context.Context) error {
	in, leaving := p.in, live.Done()
	var next *parleyv1.PublishStreamRequest // received, and waits for room
	var end error                           // what the stream ends with, once all is answered
	closed := false
	for !closed || next != nil || p.used > 0 {
		if next != nil && (p.used == 0 || p.used+p.places(next) <= p.window) {
			p.start(next)
			next = nil
			if !closed {
				in = p.in
			}
		}
		select {
		case next = <-in:
			in = nil
		case a := <-p.answers:
			p.used -= a.places
			if err := p.stream.Send(a.message); err != nil {
				return err
			}
		case err := <-p.ended:
			if !errors.Is(err, io.EOF) {
				return err
			}
			in, closed = nil, true
		case <-leaving:
			in, leaving, closed, next, end = nil, nil, true, nil, context.Cause(live)
		}
	}
	return end
}

// places is what a request takes of the window.
func (p *publishing) places(m *parleyv1.PublishStreamRequest) int {
	size := len(m.GetPublish().GetRecordBatch())
	for _, e := range m.GetPublish().GetEvents() {
		size += len(e.GetData()) + 256 // attributes, about
	}
	return min(1+size/unit, p.window)
}

// start has a request published behind those that share a key.
func (p *publishing) start(m *parleyv1.PublishStreamRequest) {
	r := request{message: m, places: p.places(m)}
	p.used += r.places
	if mask := p.lanesOf(m.GetPublish()); mask != 0 {
		r.done = make(chan struct{})
		r.ahead = p.lanes.join(mask, r.done)
	}
	select {
	case p.work <- r:
	default:
		go p.carryOut(r)
	}
}

// carryOut publishes one request, and others after it: the stack that it grew
// for the first one serves them too. It ends with the stream at the latest.
func (p *publishing) carryOut(r request) {
	for more := true; more; {
		for _, before := range r.ahead {
			<-before // they end with their context at the latest
		}
		out := p.publish(r.message)
		if r.done != nil {
			close(r.done)
		}
		p.answers <- answer{out, r.places} // has room for all that are under way
		if p.resting.Add(1) > maxResting {
			p.resting.Add(-1)
			return
		}
		r, more = <-p.work
		p.resting.Add(-1)
	}
}

func (p *publishing) publish(m *parleyv1.PublishStreamRequest) *parleyv1.PublishStreamResponse {
	out := &parleyv1.PublishStreamResponse{Request: m.GetRequest()}
	var published *parleyv1.PublishResponse
	err := callOf(p.ctx).guard(func() (err error) {
		if m.GetPublish() == nil {
			return parley.BadField("publish", "is absent", "send what to publish")
		}
		published, err = p.service.publish(p.ctx, m.GetPublish())
		return err
	})
	if err != nil {
		p.service.api.failed(p.ctx, callOf(p.ctx), err)
		out.Result = &parleyv1.PublishStreamResponse_Failure{Failure: failureOf(err)}
		return out
	}
	out.Result = &parleyv1.PublishStreamResponse_Published{Published: published}
	return out
}

// lanesOf gives the lanes that a request must keep to: one for each partition key.
func (p *publishing) lanesOf(in *parleyv1.PublishRequest) (mask uint64) {
	for _, e := range in.GetEvents() {
		key := e.GetExtensions()[parley.PartitionKey]
		if key == "" {
			continue
		}
		var h maphash.Hash
		h.SetSeed(p.seed)
		_, _ = h.WriteString(in.GetTopic()) // a hash never fails
		_ = h.WriteByte(0)
		_, _ = h.WriteString(key)
		mask |= 1 << (h.Sum64() % lanesCount)
	}
	return mask
}

const lanesCount = 64

// lanes keep the order of requests that share a key: each waits for those that
// joined one of its lanes before. Keys that only share a lane wait needlessly,
// and not for long.
type lanes [lanesCount]<-chan struct{}

// join enters the lanes of mask until done is closed, and gives what to wait for.
func (l *lanes) join(mask uint64, done <-chan struct{}) (ahead []<-chan struct{}) {
	for ; mask != 0; mask &= mask - 1 {
		i := bits.TrailingZeros64(mask)
		if before := l[i]; before != nil {
			ahead = append(ahead, before)
		}
		l[i] = done
	}
	return ahead
}
