package overgrpc

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/queue"
	"github.com/parleyhq/parley/wire/grpcapi/packed"
	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
)

// WorkOptions of a WorkStream. The zero value works.
type WorkOptions struct {
	// Ahead is how many jobs may be here that nobody has leased yet, at most 900: so
	// the next ones are there when some are settled. Their leases run; default 0.
	Ahead int
	// KeepLeases leaves jobs leased whose stream was lost, until their leases end: they
	// are settled over the next one. Otherwise they are ready again at once.
	KeepLeases bool
}

// WorkStream leases and settles jobs over one stream, on which the server pushes them as
// they come. It is a queue.Source, as Queue is, and safe for concurrent use. The stream
// is opened when it is first used, and again when it was lost; Close ends it.
//
// The data of the jobs that one Lease gives shares its memory: while some of it is kept,
// all of it is.
type WorkStream struct {
	q     *Queue
	opt   WorkOptions
	lines again[*work]

	mu     sync.Mutex
	opened *queue.LeaseRequest // as the first Lease was
}

var _ queue.Source = (*WorkStream)(nil)

// maxCredit is what a server takes.
const maxCredit = queue.MaxLease

// WorkStream makes a stream. Nothing is sent yet. Error: Invalid options.
func (q *Queue) WorkStream(o WorkOptions) (*WorkStream, error) {
	if o.Ahead < 0 || o.Ahead > 900 {
		return nil, parley.BadField("Ahead", "is not from 0 to 900", "leave it 0 for none")
	}
	return &WorkStream{q: q, opt: o, lines: again[*work]{turn: make(chan struct{}, 1)}}, nil
}

// work is one stream.
type work struct {
	*talk[*pushed]
	arrived chan struct{} // a token when there may be jobs

	mu     sync.Mutex
	ready  []parcel
	jobs   int // in ready
	credit int // jobs that may still come
	wanted int // by those who wait
}

// parcel is jobs that came together.
type parcel struct {
	list  []queue.Lease
	until time.Time // by this node's clock: then somebody else may have them
}

// pushed is a message of the server.
type pushed struct {
	byHand packed.Pushed
	other  *parleyv1.WorkResponse // nil = it was read by hand
}

func (p *pushed) read(b []byte) bool { return p.byHand.Read(b) }
func (p *pushed) message() proto.Message {
	p.other = new(parleyv1.WorkResponse)
	return p.other
}

// Lease takes jobs that were pushed, and waits for the first as long as the request says:
// with a wait of 0 it gives those that are here. Visibility and Worker must be the same
// each time. Errors: as Queue.Lease; Conflict: the stream was closed.
func (s *WorkStream) Lease(ctx context.Context, r queue.LeaseRequest) ([]queue.Lease, error) {
	r.Max = max(r.Max, 1)
	if err := s.same(r); err != nil {
		return nil, err
	}
	w, err := s.lines.open(ctx, s.dial)
	if err != nil {
		return nil, err
	}
	w.want(r.Max)
	defer w.want(-r.Max)
	timer := time.NewTimer(r.Wait)
	defer timer.Stop()
	for last := false; ; {
		list, credit := w.take(r.Max, s.opt.Ahead)
		if credit > 0 {
			if err := w.send(ctx, func() any { return s.message(&packed.Work{Credit: credit}) }); err != nil {
				return nil, err
			}
		}
		if len(list) > 0 || last {
			return list, nil
		}
		select {
		case <-w.arrived:
		case <-w.done:
			return nil, w.err
		case <-timer.C:
			last = true
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// same checks that a request asks what the stream was opened for.
func (s *WorkStream) same(r queue.LeaseRequest) error {
	if r.Max > maxCredit-s.opt.Ahead {
		return parley.BadField("max", "is too large beside what is pushed ahead", "lease fewer")
	}
	if r.Wait < 0 || r.Wait > queue.MaxWait {
		return parley.BadField("wait", "is "+r.Wait.String(), `send "0s" to "5m"`)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opened == nil {
		s.opened = &r
	}
	if s.opened.Visibility != r.Visibility || s.opened.Worker != r.Worker {
		return parley.BadField("visibility", "or worker is another than of the stream's first Lease", "make another stream")
	}
	return nil
}

func (s *WorkStream) dial(ctx context.Context) (*work, error) {
	open := &parleyv1.WorkOpen{Queue: s.q.name, KeepLeases: s.opt.KeepLeases}
	s.mu.Lock()
	if r := s.opened; r != nil {
		open.Visibility, open.Worker = span(r.Visibility), strings.ToValidUTF8(r.Worker, "?")
	}
	s.mu.Unlock()
	life, end := context.WithCancel(s.q.t.context(ctx))
	stream, err := s.q.t.queues.Work(life)
	if err != nil {
		end()
		return nil, fromStatus(s.q.t.target, err)
	}
	_ = stream.Send(&parleyv1.WorkRequest{Open: open}) // whoever receives is told how the stream ended
	w := &work{talk: newTalk[*pushed](stream, end), arrived: make(chan struct{}, 1)}
	go w.receive(s.q.t.target, func() error {
		p := new(pushed)
		if err := stream.RecvMsg(p); err != nil {
			return err
		}
		w.got(p)
		return nil
	})
	return w, nil
}

// got files what has come.
func (w *work) got(p *pushed) {
	if m := p.other; m != nil {
		p.byHand = packed.Pushed{Jobs: leasesFrom(m.GetJobs()), Settled: m.GetSettled() != nil, Request: m.GetSettled().GetRequest()}
	}
	if p.byHand.Settled {
		w.answer(p.byHand.Request, p)
	}
	if list := p.byHand.Jobs; len(list) > 0 {
		w.mu.Lock()
		w.ready = append(w.ready, parcel{list, time.Now().Add(list[0].Visibility)})
		w.jobs += len(list)
		w.credit -= len(list)
		w.mu.Unlock()
		w.signal()
	}
}

func (w *work) signal() {
	select {
	case w.arrived <- struct{}{}:
	default:
	}
}

// want notes that somebody waits for n jobs, or with -n that nobody does any more.
func (w *work) want(n int) {
	w.mu.Lock()
	w.wanted += n
	w.mu.Unlock()
}

// take takes up to n jobs out of those that are here, and gives the credit that is to be
// sent now. What is only ahead of what is wanted waits for the next settlements, which
// take it along, as long as half of it is left.
func (w *work) take(n, ahead int) (list []queue.Lease, credit int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	wanted := w.wanted
	for len(w.ready) > 0 && len(list) == 0 {
		first := &w.ready[0]
		some := min(n, len(first.list))
		w.jobs -= some
		if time.Now().Before(first.until) {
			list = first.list[:some:some]
			wanted -= n
		}
		if first.list = first.list[some:]; len(first.list) == 0 {
			w.ready = w.ready[1:]
		}
	}
	if len(w.ready) > 0 {
		w.signal() // for the next who waits
	}
	if w.credit+w.jobs < wanted+ahead/2 {
		credit = w.lend(wanted + ahead)
	}
	return list, credit
}

// lend makes up the credit for n jobs that are here or come.
func (w *work) lend(n int) int {
	more := max(0, min(n, maxCredit)-w.credit-w.jobs)
	w.credit += more
	return more
}

// Settle settles 1 to queue.MaxSettle leases in one commit: see queue.Queue.
func (s *WorkStream) Settle(ctx context.Context, list []queue.Settlement) ([]error, error) {
	if len(list) == 0 || len(list) > queue.MaxSettle {
		return nil, parley.BadField("settlements", strconv.Itoa(len(list))+" in one request", "send 1 to 1000")
	}
	if err := checkLeases(list); err != nil {
		return nil, err
	}
	other, err := settlementsOf(list)
	if err != nil {
		return nil, err
	}
	w, err := s.lines.open(ctx, s.dial)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	credit := w.lend(w.wanted + s.opt.Ahead)
	w.mu.Unlock()
	res, err := w.ask(ctx, func(number uint64) any {
		if other == nil {
			return s.message(&packed.Work{Credit: credit, Request: number, Acks: list})
		}
		return &parleyv1.WorkRequest{Credit: int32(credit), Request: number, Settlements: other}
	})
	if err != nil {
		return nil, err
	}
	settled := res.other.GetSettled()
	if f := settled.GetFailure(); f != nil {
		return nil, fromFailure(f)
	}
	return failures(len(list), settled.GetFailures()), nil
}

// checkLeases refuses what would end the stream, with all that is under way on it.
func checkLeases(list []queue.Settlement) error {
	for i := range list {
		if !utf8.ValidString(list[i].Lease) || list[i].Result != nil && !utf8.ValidString(list[i].Result.ContentType) {
			return parley.BadField("settlements["+strconv.Itoa(i)+"]", "its lease or content type is not UTF-8", "send a lease as it came")
		}
	}
	return nil
}

// message writes a message that has nothing but acks.
func (s *WorkStream) message(m *packed.Work) any {
	size, _ := m.Size()
	return s.q.t.codec.write(size, m.Append)
}

// Close ends the stream: jobs that are not settled are ready again, unless leases are
// kept. It gives nil.
func (s *WorkStream) Close() error {
	s.lines.close()
	return nil
}
