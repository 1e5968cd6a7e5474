package grpcapi

import (
	"context"
	"errors"
	"hash/maphash"
	"io"
	"math/bits"
	"sync/atomic"

	"google.golang.org/grpc"
)

// unit is what one place of the window holds: a larger request takes several.
const unit = 64 << 10

// maxResting bounds the goroutines of a stream that wait for their next request.
const maxResting = 8

// pipeline is a stream of requests that are carried out without waiting for each
// other. Its handler's goroutine starts requests and sends answers; another one
// receives; each request under way has one.
type pipeline[In, Out any] struct {
	stream  grpc.BidiStreamingServer[In, Out]
	ctx     context.Context //nolint:containedctx // of the call
	kind    kind[In, Out]
	in      chan *In
	ended   chan error       // why nothing more comes
	work    chan request[In] // to goroutines that rest
	resting atomic.Int32
	answers chan answer[Out]
	lanes   lanes
	seed    maphash.Seed
	window  int // places in all
	used    int // places taken
}

// kind is what requests are about.
type kind[In, Out any] struct {
	size func(*In) int              // bytes, about
	keys func(*In, func(...string)) // names what requests must keep their order for: each time, of one key
	do   func(*In) *Out             // carries one out; its error is in the answer
}

type answer[Out any] struct {
	message *Out
	places  int
}

// request is one that was started.
type request[In any] struct {
	message *In
	places  int
	ahead   []<-chan struct{} // closed when those it has to stay behind are carried out
	done    chan struct{}     // to be closed when it is; nil = nobody has to stay behind it
}

// runPipeline serves a stream until the client has said that no more comes, or the
// server leaves: what was taken is answered first.
func runPipeline[In, Out any](s *service, stream grpc.BidiStreamingServer[In, Out], k kind[In, Out]) error {
	live, done, err := callOf(stream.Context()).live(stream.Context())
	if err != nil {
		return err
	}
	defer done()
	window := s.api.opt.Limits.Window
	p := &pipeline[In, Out]{
		stream: stream, ctx: stream.Context(), kind: k, window: window, seed: maphash.MakeSeed(),
		in: make(chan *In), ended: make(chan error, 1), answers: make(chan answer[Out], window),
		work: make(chan request[In]),
	}
	defer close(p.work)
	go receive(receiver[In](p.stream), p.in, p.ended) // ends with the call at the latest: grpc then ends RecvMsg
	return p.run(live)
}

// receiver is the side of a stream on which messages come.
type receiver[In any] interface {
	Recv() (*In, error)
	Context() context.Context
}

// receive hands on what comes on a stream, until it ends.
func receive[In any](stream receiver[In], in chan<- *In, ended chan<- error) {
	for {
		m, err := stream.Recv()
		if err != nil {
			ended <- err
			return
		}
		select {
		case in <- m:
		case <-stream.Context().Done():
			return
		}
	}
}

func (p *pipeline[In, Out]) run(live context.Context) error {
	in, leaving := p.in, live.Done()
	var next *In  // received, and waits for room
	var end error // what the stream ends with, once all is answered
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
func (p *pipeline[In, Out]) places(m *In) int { return min(1+p.kind.size(m)/unit, p.window) }

// start has a request carried out behind those that share a key.
func (p *pipeline[In, Out]) start(m *In) {
	r := request[In]{message: m, places: p.places(m)}
	p.used += r.places
	if mask := p.lanesOf(m); mask != 0 {
		r.done = make(chan struct{})
		r.ahead = p.lanes.join(mask, r.done)
	}
	select {
	case p.work <- r:
	default:
		go p.carryOut(r)
	}
}

// carryOut carries out one request, and others after it: the stack that it grew
// for the first one serves them too. It ends with the stream at the latest.
func (p *pipeline[In, Out]) carryOut(r request[In]) {
	for more := true; more; {
		for _, before := range r.ahead {
			<-before // they end with their context at the latest
		}
		out := p.kind.do(r.message)
		if r.done != nil {
			close(r.done)
		}
		p.answers <- answer[Out]{out, r.places} // has room for all that are under way
		if p.resting.Add(1) > maxResting {
			p.resting.Add(-1)
			return
		}
		r, more = <-p.work
		p.resting.Add(-1)
	}
}

// lanesOf gives the lanes that a request must keep to: one for each key.
func (p *pipeline[In, Out]) lanesOf(in *In) (mask uint64) {
	p.kind.keys(in, func(parts ...string) {
		var h maphash.Hash
		h.SetSeed(p.seed)
		for _, part := range parts {
			_, _ = h.WriteString(part) // a hash never fails
			_ = h.WriteByte(0)
		}
		mask |= 1 << (h.Sum64() % lanesCount)
	})
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
