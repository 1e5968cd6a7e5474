package queue

import (
	"context"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
)

// Limits of results.
const (
	MaxResult  = 256 << 10 // bytes of one result
	MaxResults = 512 << 10 // bytes of the results of one Settle, together
)

// ResultType is the type of the events that carry results. Their source is
// "/queues/{queue}", their subject the job's id; LetterQueue and LetterJob name
// both as attributes.
const ResultType = "parley.job.result"

// Output is what came out of a job, as an Ack carries it, and as a Worker's
// Handler may return it.
type Output struct {
	ContentType string `json:"content_type,omitempty"` // a media type; empty = unknown
	Data        []byte `json:"data"`                   // at most MaxResult
}

// Outcome is how a job ended.
type Outcome struct {
	ID    ID    `json:"id"`
	State State `json:"state"` // Done, Canceled or Dead; another one: the wait ended before the job did
	// Reason is why it is dead.
	Reason string `json:"reason,omitempty"`
	// Result is the event that holds the result. nil, of a job that is done: it had
	// none, or it is not kept any more.
	Result *parley.Event `json:"-"`
}

// AckWith is Ack with a result. It is published to the topic that Settings.Results
// names, in the same commit as the ack where one log holds both, so that neither
// is there without the other; where topic and queue live apart, before it, so that
// a result may be there, once more or alone, whose ack failed. Errors: TooLarge;
// Unprocessable when the queue keeps no results; as Settle.
func (q *Queue) AckWith(ctx context.Context, lease string, out Output) error {
	return q.settleOne(ctx, Settlement{Lease: lease, Action: Ack, Result: &out})
}

// Result tells how a job ended, and waits for that as long as it may: 0 to MaxWait.
// Of a duplicate it tells what became of the job that was there.
//
// The newest 65,536 results and cancellations of a queue are remembered. Of an older
// one, and of a job that was purged, the answer is Done without a result; the
// topic still has what its retention keeps. Errors: NotFound for an id that was
// never given; Overloaded when MaxWaiting callers wait; those of Host.Ask and
// Log.Read.
func (q *Queue) Result(ctx context.Context, id ID, wait time.Duration) (Outcome, error) {
	if wait < 0 || wait > MaxWait {
		return Outcome{}, parley.BadField("wait", "is "+wait.String(), `send "0s" to "5m"`)
	}
	asking, cancel := context.WithTimeout(ctx, wait+askPatience)
	defer cancel()
	a, err := q.ask(asking, &request{Op: "result", IDs: []int64{int64(id)}, Wait: wait})
	if err != nil {
		return Outcome{}, err
	}
	if a.Outcome == nil {
		return Outcome{}, noJob(int64(id))
	}
	out := Outcome{ID: ID(a.Outcome.Job), State: a.Outcome.State, Reason: a.Outcome.Reason}
	if a.Outcome.Number != 0 && q.opt.Topics != nil {
		out.Result, err = q.readResult(ctx, a.Outcome)
	}
	return out, err
}

// searchBytes is how much is read in search of a result: it lies at the place that
// is known or soon after.
const searchBytes = 16 << 20

// readResult reads the result of a job. nil: it is not kept any more.
func (q *Queue) readResult(ctx context.Context, o *outcome) (*parley.Event, error) {
	part, _, there := q.opt.Topics.ByNumber(o.Number)
	if !there {
		return nil, nil //nolint:nilnil // the topic was deleted
	}
	at := parley.Place{Stream: part.Stream, At: parley.Position(o.At)}
	job := strconv.FormatInt(o.Job, 10)
	for left := searchBytes; left > 0; {
		run, err := q.log.Read(ctx, at, 1<<20)
		if parley.CodeOf(err) == parley.Trimmed && at.At > 0 {
			at.At = 0 // what was known is not the place itself
			continue
		}
		if err != nil {
			return nil, err
		}
		found, size := q.findResult(run, job), len(run.Bytes())
		at.At = run.Next()
		run.Release()
		if found != nil || size == 0 {
			return found, nil
		}
		left -= size
	}
	return nil, nil //nolint:nilnil // it is not there
}

func (q *Queue) findResult(run parley.Run, job string) *parley.Event {
	for r, err := range run.Records() {
		if err != nil {
			continue
		}
		if v, _ := r.Header(headerPrefix + LetterJob); string(v) != job {
			continue
		}
		e, err := r.Event()
		if err == nil && e.Type == ResultType && e.Extensions[LetterQueue] == q.name {
			e = e.Clone()
			return &e
		}
	}
	return nil
}

// event is the result of a job as it is published.
func (out *Output) event(queue string, t token, now time.Time) parley.Event {
	id := strconv.FormatInt(t.id, 10)
	e := parley.Event{
		ID:     id + "-" + strconv.FormatUint(t.term, 10) + "-" + strconv.FormatUint(t.number, 10),
		Source: "/queues/" + queue, Type: ResultType, Subject: id, Time: now.UTC(),
		DataContentType: out.ContentType, Data: append([]byte{}, out.Data...),
	}
	e.Set(LetterQueue, queue)
	e.Set(LetterJob, id)
	return e
}

// checkResults checks the results of one Settle.
func checkResults(list []Settlement) error {
	sum := 0
	for _, s := range list {
		if s.Result == nil {
			continue
		}
		if s.Action != Ack {
			return parley.BadField("result", "only an ack has one", `send the action "ack", or leave it out`)
		}
		if len(s.Result.Data) > MaxResult {
			return &parley.Error{Code: parley.TooLarge, Field: "result", Detail: "has more than 256 KiB", Fix: "store the data elsewhere, and send a reference"}
		}
		if e := s.Result.event("q", token{}, time.Now()); e.Check() != nil {
			return e.Check()
		}
		sum += len(s.Result.Data)
	}
	if sum > MaxResults {
		return &parley.Error{Code: parley.TooLarge, Field: "result", Detail: "the results of one request have more than 512 KiB", Fix: "settle in several requests"}
	}
	return nil
}

// ensure gives a topic, and makes it when it is not there.
func (q *Queue) ensure(ctx context.Context, name string) (topic.Topic, error) {
	t, err := q.opt.Topics.Get(name)
	if parley.CodeOf(err) != parley.NotFound {
		return t, err
	}
	t, err = q.opt.Topics.Create(ctx, name, topic.Settings{})
	if parley.CodeOf(err) == parley.Exists { // another node was faster, with other defaults
		return q.opt.Topics.Get(name)
	}
	return t, err
}
