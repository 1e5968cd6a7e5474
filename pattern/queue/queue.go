package queue

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/pattern/pubsub"
)

// MaxName is the longest name of a queue, in bytes.
const MaxName = 200

// Options of a Queue. The zero value works.
type Options struct {
	// Topics publishes dead jobs to Settings.DeadLetter, and makes the queue's two
	// streams readable as topics. nil: dead jobs are in the queue only.
	Topics *topic.Registry
	// Hub is what Settings.Feed subscribes to. nil: no topic can feed the queue.
	Hub *pubsub.Hub
	// Logger hears of what goes wrong behind the calls. Default: nobody.
	Logger *slog.Logger
}

// Queue is one work queue. Its methods may be called from any goroutine, on any
// node: they ask the node that owns the queue. Somewhere, Run must be running.
type Queue struct {
	log   parley.Log
	host  shard.Host
	name  string
	opt   Options
	jobs  parley.Stream // the jobs' events
	moves parley.Stream // the machine's moves; also the name of the shard

	thrift thrift
	reader reader // of jobs
}

// New gives a queue. It starts nothing, and a queue needs no creation: it is
// there, empty and with default settings. name is that of a topic, without "~"
// and "$", at most MaxName bytes. Errors: Invalid, Forbidden, TooLarge.
func New(log parley.Log, host shard.Host, name string, o Options) (*Queue, error) {
	return newQueue(log, host, name, 0, o)
}

// newQueue gives the queue of a number. Its streams have the number in their
// names, so that a queue made again never sees what an older one of its name held.
func newQueue(log parley.Log, host shard.Host, name string, number uint64, o Options) (*Queue, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	suffix := ""
	if number > 0 {
		suffix = "." + strconv.FormatUint(number, 10)
	}
	jobs := parley.Stream{Name: streamPrefix + name + ".jobs" + suffix}
	return &Queue{
		log: log, host: host, name: name, opt: o, thrift: defaultThrift,
		jobs: jobs, moves: parley.Stream{Name: streamPrefix + name + ".moves" + suffix},
		reader: reader{log: log, stream: jobs},
	}, nil
}

const streamPrefix = "$queue."

// CheckName tells whether name can be that of a queue: that of a topic, without "~"
// and "$", at most MaxName bytes. Errors: Invalid, Forbidden.
func CheckName(name string) error {
	if err := topic.CheckName(name); err != nil {
		at := *err.(*parley.Error) //nolint:errorlint,forcetypeassert // as it promises
		at.Field = "queue"
		return &at
	}
	if topic.IsEphemeral(name) || len(name) > MaxName {
		return parley.BadField("queue", strconv.Quote(name)+" cannot be a queue's name", "choose one without ~, of at most 200 bytes")
	}
	return nil
}

// Name is the queue's name.
func (q *Queue) Name() string { return q.name }

// Streams are the two streams in the log that hold the queue: jobs and moves.
func (q *Queue) Streams() (jobs, moves parley.Stream) { return q.jobs, q.moves }

// Run makes this node one that may own the queue, until ctx ends. Errors: Exists
// when this node runs it already; Damaged; those of the log that do not pass.
func (q *Queue) Run(ctx context.Context) error {
	if q.opt.Topics != nil {
		for _, s := range []parley.Stream{q.jobs, q.moves} {
			if _, err := q.opt.Topics.Declare(ctx, s.Name); err != nil {
				return err
			}
		}
	}
	return q.host.Run(ctx, q.moves, func(ctx context.Context, o *shard.Owner) error { return own(ctx, q, q.log, o) })
}

// EnqueueOptions go with one Enqueue.
type EnqueueOptions struct {
	// IdempotencyKey makes the request happen once within parley.OnceWindow: a
	// repeat answers the first ids, and the key with other jobs is refused. The
	// same jobs have the same events and attributes, in the same order; a Delay
	// counts from each request. At most 255 bytes; empty is none.
	IdempotencyKey string
}

// Enqueue adds 1 to MaxEnqueue jobs, all or none. When it returns they are
// durable; a worker that waits has been woken, or is about to be. It does not
// need the queue's owner, except to tell the duplicates of unique jobs.
//
// Errors: Invalid and TooLarge name the job; KeyReused; those of Log.Append (after
// Unknown, ask again with the same key). If only the question for duplicates failed, the
// ids come with the error: the jobs are durable.
func (q *Queue) Enqueue(ctx context.Context, jobs []Job, o EnqueueOptions) ([]Enqueued, error) {
	switch {
	case len(jobs) == 0 || len(jobs) > MaxEnqueue:
		return nil, parley.BadField("jobs", strconv.Itoa(len(jobs))+" jobs in one request", "send 1 to 10000")
	case len(o.IdempotencyKey) > topic.MaxIdempotencyKey:
		return nil, parley.BadField("Idempotency-Key", "longer than 255 bytes", "send a shorter one")
	}
	b := builders.Get().(*parley.Builder) //nolint:forcetypeassert // nothing else is put there
	batch, unique, err := build(b, q.name, o.IdempotencyKey, jobs, time.Now())
	if err != nil {
		freeBuilder(b)
		return nil, err
	}
	w := parley.Write{Stream: q.jobs, Batch: batch}
	if o.IdempotencyKey != "" {
		sum := sha256.Sum256([]byte("parley queue\x00" + q.name + "\x00" + o.IdempotencyKey))
		w.Once = parley.Key(sum[:16])
	}
	places, err := q.log.Append(ctx, w)
	if err != nil {
		return nil, err // its commit may still be under way, and read the batch
	}
	if places[0].Repeat {
		err = q.sameJobs(ctx, jobs, batch, places[0].Base)
	}
	freeBuilder(b)
	if err != nil {
		return nil, err
	}
	out := make([]Enqueued, len(jobs))
	for i := range out {
		out[i].ID = ID(places[0].Base) + ID(i)
	}
	if !unique {
		return out, nil
	}
	return out, q.tellDuplicates(ctx, jobs, out)
}

func (q *Queue) tellDuplicates(ctx context.Context, jobs []Job, out []Enqueued) error {
	var r request
	var which []int
	for i := range jobs {
		if jobs[i].Unique != "" {
			which, r.IDs = append(which, i), append(r.IDs, int64(out[i].ID))
		}
	}
	r.Op = "outcome"
	a, err := q.ask(ctx, &r)
	if err != nil {
		return err
	}
	for k, i := range which {
		if k < len(a.IDs) {
			out[i].Duplicate = ID(a.IDs[k])
		}
	}
	return nil
}

// ask asks the owner.
func (q *Queue) ask(ctx context.Context, r *request) (answer, error) {
	in, err := r.encode()
	if err != nil {
		return answer{}, parley.Errorf(parley.Invalid, "the request cannot be encoded: %w", err)
	}
	// An owner whose log does not take its moves holds on to the caller until it
	// does.
	ctx, cancel := context.WithTimeout(ctx, r.Wait+askPatience)
	defer cancel()
	b, err := q.host.Ask(ctx, q.moves, in)
	if err != nil {
		return answer{}, err
	}
	var a answer
	if !a.decode(b) {
		return answer{}, parley.Errorf(parley.Internal, "the queue's owner answers what cannot be read")
	}
	return a, nil
}

// Lease takes jobs: those of the highest priority first, and of one priority the
// oldest. It waits for the first one as long as the request says, and then gives
// none. What it gives is leased until Lease.Until, and must be settled before.
//
// Errors: Invalid; those of Host.Ask. When the context ends, jobs that were about
// to be leased are ready again.
func (q *Queue) Lease(ctx context.Context, r LeaseRequest) ([]Lease, error) {
	return q.lease(ctx, r, false)
}

// LeaseShared is Lease for whoever passes the jobs on at once: the data of their events
// may lie in memory that they share with many others. It must not be changed, and while
// some of it is kept, all is.
func (q *Queue) LeaseShared(ctx context.Context, r LeaseRequest) ([]Lease, error) {
	return q.lease(ctx, r, true)
}

func (q *Queue) lease(ctx context.Context, r LeaseRequest, shared bool) ([]Lease, error) {
	switch {
	case r.Max < 0 || r.Max > MaxLease:
		return nil, parley.BadField("max", "is "+strconv.Itoa(r.Max), "send 1 to 1000")
	case r.Wait < 0 || r.Wait > MaxWait:
		return nil, parley.BadField("wait", "is "+r.Wait.String(), `send "0s" to "5m"`)
	case r.Visibility < 0 || r.Visibility > MaxVisibility:
		return nil, parley.BadField("visibility", "is "+r.Visibility.String(), `send "1ms" to "24h"`)
	}
	// An owner that was paused must not hold the caller for ever.
	asking, cancel := context.WithTimeout(ctx, r.Wait+askPatience)
	defer cancel()
	end := time.Now().Add(r.Wait)
	for {
		a, err := q.ask(asking, &request{
			Op: "lease", Max: max(r.Max, 1), Wait: max(0, time.Until(end)), Visibility: ceilMillis(r.Visibility), Worker: clip(r.Worker, MaxWorker),
		})
		if parley.CodeOf(err) == parley.Unknown && err != nil && time.Now().Before(end) {
			pause(asking, firstRetry)
			continue // the owner is gone, and so are leases that it may have given
		}
		if err != nil {
			return nil, err
		}
		list, err := q.read(ctx, a.Granted, shared)
		if err != nil || len(list) > 0 || len(a.Granted) == 0 {
			return list, err
		}
		// All that was leased was lost, and is dead now: there may be better.
	}
}

// askPatience is how long the owner may take, beyond the wait of a Lease.
const askPatience = 15 * time.Second

// read adds the jobs' events to what was granted. A job whose event is lost is
// buried; if the log cannot be read now, or nobody is there to take the jobs any more,
// all are given back.
func (q *Queue) read(ctx context.Context, list []granted, shared bool) ([]Lease, error) {
	if len(list) == 0 {
		return nil, nil
	}
	out := make([]Lease, len(list))
	err := q.events(ctx, list, func(i int, s stored) {
		if !shared {
			s.event.Data = bytes.Clone(s.event.Data)
		}
		out[i] = leaseOf(&list[i], &s)
	})
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	var broken []settlement
	n := 0
	for i := range list {
		switch {
		case err != nil:
			broken = append(broken, settlement{Lease: list[i].Token, Action: Nack, Delay: new(int64), Cause: GoneAway, Untried: true})
		case out[i].Token == "":
			broken = append(broken, settlement{Lease: list[i].Token, Action: Bury, Cause: Lost})
		default:
			out[n] = out[i]
			n++
		}
	}
	if len(broken) > 0 {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if _, failed := q.ask(ctx, &request{Op: "settle", Settle: broken}); failed != nil {
			q.opt.Logger.Warn("jobs that cannot be read stay leased until their lease ends", slog.String("queue", q.name), slog.Any("error", failed))
		}
	}
	return out[:n], err
}

func leaseOf(g *granted, s *stored) Lease {
	return Lease{
		Token: g.Token, ID: ID(g.ID), Event: s.event, Enqueued: s.enqueued,
		Priority: g.Priority, Key: g.Key, Attempt: g.Attempt, Until: timeOf(g.Until),
		Visibility: time.Duration(g.For) * time.Millisecond,
	}
}

// events reads what was granted, and gives each job that is there with its index. Its
// data may be shared with others. A job that was copied forward meanwhile is not where
// it was any more: the owner knows where it is.
func (q *Queue) events(ctx context.Context, list []granted, got func(i int, s stored)) error {
	which := make([]int, len(list))
	for i := range which {
		which[i] = i
	}
	for len(which) > 0 {
		byPlace := func(a, b int) int { return cmp.Compare(list[a].Place, list[b].Place) }
		if !slices.IsSortedFunc(which, byPlace) {
			slices.SortFunc(which, byPlace)
		}
		places, seen := make([]int64, len(which)), make([]bool, len(which))
		for k, i := range which {
			places[k] = list[i].Place
		}
		err := q.reader.read(ctx, places, func(k int, rec parley.Record) {
			if s, ok := parse(rec); ok {
				seen[k] = true
				got(which[k], s)
			}
		})
		if err != nil {
			return err
		}
		n := 0
		for k, i := range which {
			if !seen[k] {
				which[n] = i
				n++
			}
		}
		if which, err = q.moved(ctx, list, which[:n]); err != nil {
			return err
		}
	}
	return nil
}

// moved finds out which of some jobs are elsewhere by now, and notes where. A job is
// where it was only if the owner says so: an answer that leaves some out is none.
func (q *Queue) moved(ctx context.Context, list []granted, which []int) (out []int, err error) {
	if len(which) == 0 {
		return nil, nil
	}
	r := request{Op: "places"}
	for _, i := range which {
		r.IDs = append(r.IDs, list[i].ID)
	}
	a, err := q.ask(ctx, &r)
	if err != nil {
		return nil, err
	}
	if len(a.IDs) != len(which) {
		return nil, parley.Errorf(parley.Internal, "the queue's owner tells %d places of %d jobs", len(a.IDs), len(which))
	}
	for k, i := range which {
		if at := a.IDs[k]; at != 0 && at != list[i].Place {
			list[i].Place = at
			out = append(out, i)
		}
	}
	return out, nil
}

// Settle settles 1 to MaxSettle leases in one commit. The errors are those of
// each settlement, nil for one that is durable: Invalid for what is no lease of
// this queue or was forged, Conflict for a lease that is over: settled before,
// expired, of an earlier owner, or of a job that was canceled. A job is settled
// at most once. The second result is the error of the request as a whole: those
// of Host.Ask; after Unknown, settle again, and take Conflict for an answer.
func (q *Queue) Settle(ctx context.Context, list []Settlement) ([]error, error) {
	if len(list) == 0 || len(list) > MaxSettle {
		return nil, parley.BadField("settlements", strconv.Itoa(len(list))+" in one request", "send 1 to 1000")
	}
	if err := checkResults(list); err != nil {
		return nil, err
	}
	r := request{Op: "settle", Settle: make([]settlement, len(list))}
	for i, s := range list {
		if s.Extend < 0 || s.Extend > MaxVisibility {
			return nil, parley.BadField("extend", "is "+s.Extend.String(), `send "1ms" to "24h"`)
		}
		r.Settle[i] = settlement{Lease: s.Lease, Action: s.Action, Extend: ceilMillis(s.Extend), Cause: clip(s.Cause, MaxCause), Result: s.Result}
		if s.Action == Report {
			p, err := s.Progress.checked()
			if err != nil {
				return nil, err
			}
			r.Settle[i].Progress = p
		}
		if s.Delay != nil {
			if *s.Delay < 0 || *s.Delay > MaxDelay {
				return nil, parley.BadField("delay", "is "+s.Delay.String(), "send 0 to ten years")
			}
			delay := ceilMillis(*s.Delay)
			r.Settle[i].Delay = &delay
		}
	}
	a, err := q.ask(ctx, &r)
	if err != nil {
		return nil, err
	}
	return errorsOf(a.Problems, len(list)), nil
}

func errorsOf(list []*problem, n int) []error {
	out := make([]error, n)
	for i, p := range list[:min(n, len(list))] {
		out[i] = p.err()
	}
	return out
}

// settleOne is Settle of one lease.
func (q *Queue) settleOne(ctx context.Context, s Settlement) error {
	errs, err := q.Settle(ctx, []Settlement{s})
	if err != nil {
		return err
	}
	return errs[0]
}

// Ack says that a job is done. Errors: as Settle.
func (q *Queue) Ack(ctx context.Context, lease string) error {
	return q.settleOne(ctx, Settlement{Lease: lease, Action: Ack})
}

// Nack gives a job back that failed: it is tried again when the retry policy
// says, or dead. Errors: as Settle.
func (q *Queue) Nack(ctx context.Context, lease, cause string) error {
	return q.settleOne(ctx, Settlement{Lease: lease, Action: Nack, Cause: cause})
}

// NackAfter is Nack with a delay that overrules the retry policy; 0 is at once.
func (q *Queue) NackAfter(ctx context.Context, lease string, delay time.Duration, cause string) error {
	return q.settleOne(ctx, Settlement{Lease: lease, Action: Nack, Delay: &delay, Cause: cause})
}

// Extend makes a lease end d from now; 0 is the queue's visibility. Errors: as
// Settle.
func (q *Queue) Extend(ctx context.Context, lease string, d time.Duration) error {
	return q.settleOne(ctx, Settlement{Lease: lease, Action: Extend, Extend: d})
}

// Dead gives a job up for good. Errors: as Settle.
func (q *Queue) Dead(ctx context.Context, lease, reason string) error {
	return q.settleOne(ctx, Settlement{Lease: lease, Action: Bury, Cause: reason})
}
