package grpcapi

import (
	"context"
	"errors"
	"io"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/queue"
	"github.com/parleyhq/parley/wire/grpcapi/packed"
	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
)

// Limits of a worker's stream.
const (
	maxCredit   = queue.MaxLease
	maxInHand   = 10_000  // jobs that were pushed and are not settled
	maxSettling = 64      // batches of settlements under way
	pushSize    = 1 << 20 // about the bytes of a message: beyond, the next job begins another
)

type workStream = grpc.BidiStreamingServer[parleyv1.WorkRequest, parleyv1.WorkResponse]

// working is a worker's stream. Its handler's goroutine owns the fields and sends;
// one receives; one leases; each batch of settlements under way has one.
type working struct {
	service *service
	stream  workStream
	ctx     context.Context //nolint:containedctx // of the call
	q       *queue.Queue
	lease   queue.LeaseRequest // but for Max
	release bool               // what is in hand when the stream ends

	credit   int             // jobs that may still be pushed
	hand     map[string]held // jobs that were pushed and are not settled
	unsent   []string        // jobs that were leased and could not be pushed
	asked    int             // jobs that are being leased; 0 = none
	want     chan int        // to the goroutine that leases
	leased   chan leased
	settling int
	settled  chan settledBatch
	sizes    []packed.Leased // scratch
}

// held is a lease in the client's hands.
type held struct {
	until      time.Time // about
	visibility time.Duration
}

// leased is what became of one look for jobs.
type leased struct {
	list []queue.Lease
	err  error
}

// settledBatch is what became of the settlements of one message.
type settledBatch struct {
	request uint64
	list    []queue.Settlement
	errs    []error
	err     error
}

// Work implements parleyv1.QueuesServer.
func (s *service) Work(stream workStream) error {
	ctx := stream.Context()
	c := callOf(ctx)
	live, done, err := c.live(ctx) // before the first message: one that never comes must not stay for ever
	if err != nil {
		return err
	}
	defer done()
	in, ended := make(chan *workIn), make(chan error, 1)
	go receive(receiver[workIn](workReceiver{stream}), in, ended) // ends with the call at the latest: grpc then ends RecvMsg
	var first *workIn
	select {
	case first = <-in:
	case err := <-ended:
		if errors.Is(err, io.EOF) {
			return notOpened()
		}
		return err
	case <-live.Done():
		return context.Cause(live)
	}
	if first.other.GetOpen() == nil {
		return notOpened()
	}
	release, err := c.pass(ctx, "work", first.other.GetOpen().GetQueue())
	if err != nil {
		return err
	}
	defer release()
	w, err := s.openWork(stream, first.other.GetOpen())
	if err != nil {
		return err
	}
	return w.run(live, first, in, ended)
}

func notOpened() error {
	return parley.BadField("open", "is not in the first message", "begin a stream with it")
}

func (s *service) openWork(stream workStream, open *parleyv1.WorkOpen) (*working, error) {
	r, err := leaseFrom(&parleyv1.LeaseRequest{Visibility: open.GetVisibility(), Worker: open.GetWorker()})
	if err != nil {
		return nil, err
	}
	r.Wait = queue.MaxWait
	q, err := s.api.opt.Queues.Ensure(stream.Context(), open.GetQueue())
	if err != nil {
		return nil, err
	}
	return &working{
		service: s, stream: stream, ctx: stream.Context(), q: q, lease: r, release: !open.GetKeepLeases(),
		hand: make(map[string]held), want: make(chan int, 1), leased: make(chan leased, 1), settled: make(chan settledBatch, maxSettling),
	}, nil
}

// run serves the stream until the client has said that no more comes, or the server
// leaves: what was taken is answered first. What is in hand then is given back.
func (w *working) run(live context.Context, first *workIn, in <-chan *workIn, ended <-chan error) error {
	leasing, stop := context.WithCancel(live)
	go w.leaseAll(leasing) // ends when want is closed
	err := w.stream.Send(&parleyv1.WorkResponse{})
	if err == nil {
		err = w.take(first, true)
	}
	if err == nil {
		err = w.serve(live, in, ended)
	}
	stop()
	close(w.want)
	if w.asked > 0 {
		l := <-w.leased
		w.unsent = append(w.unsent, tokensOf(l.list)...)
	}
	for w.settling > 0 {
		w.count(<-w.settled)
	}
	back := w.unsent
	if w.release {
		for token := range w.hand {
			back = append(back, token)
		}
	}
	giveBack(w.ctx, w.q, back)
	return err
}

// serve gives the error to end with; nil when the client has closed its side.
func (w *working) serve(live context.Context, in <-chan *workIn, ended <-chan error) error {
	leaving := live.Done()
	var end error
	closed := false
	for !closed || w.settling > 0 {
		if !closed {
			w.ask()
		}
		open := in
		if closed || w.settling >= maxSettling {
			open = nil
		}
		select {
		case m := <-open:
			if err := w.take(m, false); err != nil {
				return err
			}
		case l := <-w.leased:
			w.asked = 0
			if closed {
				w.unsent = append(w.unsent, tokensOf(l.list)...)
				continue
			}
			if l.err != nil {
				return l.err
			}
			w.credit -= len(l.list)
			w.ask() // while these are sent
			if err := w.push(l.list); err != nil {
				return err
			}
		case b := <-w.settled:
			w.count(b)
			if err := w.answer(&b); err != nil {
				return err
			}
		case err := <-ended:
			if !errors.Is(err, io.EOF) {
				return err
			}
			closed = true
		case <-leaving:
			leaving, closed, end = nil, true, context.Cause(live)
		}
	}
	return end
}

// take takes one message of the client.
func (w *working) take(in *workIn, first bool) error {
	if in.other.GetOpen() != nil && !first {
		return parley.BadField("open", "is in a message that is not the first", "open another stream")
	}
	n := in.byHand.Credit
	if n < 0 || n > maxCredit || w.credit+n > maxCredit {
		return parley.BadField("credit", "there would be "+strconv.Itoa(w.credit+n)+" jobs of it", "give as much as jobs have come, and at most "+strconv.Itoa(maxCredit)+" in all")
	}
	w.credit += n
	if len(in.byHand.Acks) == 0 && len(in.other.GetSettlements()) == 0 {
		return nil
	}
	w.settling++
	go w.settle(in)
	return nil
}

// ask has jobs leased when there is credit.
func (w *working) ask() {
	if w.asked > 0 || w.credit == 0 {
		return
	}
	if len(w.hand) >= maxInHand {
		now := time.Now()
		for token, h := range w.hand {
			if h.until.Before(now) {
				delete(w.hand, token) // somebody else has it, or nobody
			}
		}
	}
	if w.asked = min(w.credit, jobsAtOnce, maxInHand-len(w.hand)); w.asked > 0 {
		w.want <- w.asked
	}
}

// leaseAll leases jobs as they are wanted.
func (w *working) leaseAll(ctx context.Context) {
	for n := range w.want {
		var out leased
		r := w.lease
		r.Max = n
		out.err = callOf(w.ctx).guard(func() (err error) {
			out.list, err = w.q.LeaseShared(ctx, r) // they are written into messages at once
			return err
		})
		w.leased <- out
	}
}

// push sends jobs, in as many messages as they need.
func (w *working) push(list []queue.Lease) error {
	now := time.Now()
	for len(list) > 0 {
		n, size, sizes := 0, 0, w.sizes[:0]
		for n < len(list) && size < pushSize {
			of, more := packed.LeasedOf(&list[n])
			sizes, size = append(sizes, of), size+more
			n++
		}
		w.sizes = sizes
		buf := w.service.api.buffers.Get(size)
		b := (*buf)[:0]
		for i := range list[:n] {
			b = packed.AppendLeased(b, &list[i], sizes[i])
			w.hand[list[i].Token] = held{now.Add(list[i].Visibility), list[i].Visibility}
		}
		*buf = b
		if err := w.stream.SendMsg(&encoded{mem.BufferSlice{mem.NewBuffer(buf, w.service.api.buffers)}}); err != nil {
			w.unsent = append(w.unsent, tokensOf(list[n:])...)
			return err
		}
		list = list[n:]
	}
	return nil
}

// settle settles what is in a message.
func (w *working) settle(in *workIn) {
	out := settledBatch{request: in.byHand.Request, list: in.byHand.Acks}
	out.err = callOf(w.ctx).guard(func() (err error) {
		if in.other != nil {
			if out.list, err = settlementsFrom(in.other.GetSettlements()); err != nil {
				return err
			}
		}
		out.errs, err = w.q.Settle(w.ctx, out.list)
		return err
	})
	if out.err != nil {
		w.service.api.failed(w.ctx, callOf(w.ctx), out.err)
	}
	w.settled <- out // has room for all that are under way
}

// count notes what was settled.
func (w *working) count(b settledBatch) {
	w.settling--
	for i, err := range b.errs {
		s := &b.list[i]
		h, mine := w.hand[s.Lease]
		if !mine || err != nil && parley.CodeOf(err) != parley.Conflict {
			continue
		}
		if err == nil && (s.Action == queue.Extend || s.Action == queue.Report) {
			h.until = time.Now().Add(max(s.Extend, h.visibility))
			w.hand[s.Lease] = h
			continue
		}
		delete(w.hand, s.Lease)
	}
}

// answer tells the client of it.
func (w *working) answer(b *settledBatch) error {
	if out := b.failures(); out != nil {
		return w.stream.Send(&parleyv1.WorkResponse{Settled: out})
	}
	text := packed.AppendSettled(make([]byte, 0, 16), b.request)
	return w.stream.SendMsg(&encoded{mem.BufferSlice{mem.SliceBuffer(text)}})
}

// failures is nil when there are none.
func (b *settledBatch) failures() *parleyv1.Settled {
	if b.err != nil {
		return &parleyv1.Settled{Request: b.request, Failure: failureOf(b.err)}
	}
	if list := failuresOf(b.errs); list != nil {
		return &parleyv1.Settled{Request: b.request, Failures: list}
	}
	return nil
}

// workIn is a message that comes on a worker's stream.
type workIn struct {
	byHand packed.Work           // without settlements if there is another
	other  *parleyv1.WorkRequest // nil = it was read by hand
}

// take implements handmade.
func (in *workIn) take(buf mem.Buffer) bool {
	read := in.byHand.Read(buf.ReadOnlyData())
	if read {
		buf.Free()
	}
	return read
}

// message implements handmade.
func (in *workIn) message() proto.Message {
	in.other = new(parleyv1.WorkRequest)
	return in.other
}

// workReceiver receives them.
type workReceiver struct{ workStream }

// Recv implements receiver.
func (s workReceiver) Recv() (*workIn, error) {
	in := new(workIn)
	if err := s.RecvMsg(in); err != nil {
		return nil, err
	}
	if in.other != nil {
		in.byHand = packed.Work{Credit: int(in.other.GetCredit()), Request: in.other.GetRequest()}
	}
	return in, nil
}
