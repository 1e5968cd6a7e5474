package queue

import (
	"context"
	"sync"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/journal"
	"github.com/parleyhq/parley/base/topic"
)

// results is what the owner knows of the streams that results go to. It is used
// by many goroutines.
type results struct {
	mu      sync.Mutex // only around the map
	streams map[parley.Stream]*resultStream
}

type resultStream struct {
	together bool            // one commit can hold a result and its ack
	after    parley.Position // the newest result is at or behind it
}

// outgoing is a result on its way.
type outgoing struct {
	end   end
	write parley.Write // rides along with the ack; empty: it is published already
	place *parley.Appended
	err   error // it cannot be published
}

// prepare readies the results of a request, by settlement: those that cannot ride
// along are published now. A lease that is no good has none; it is refused later.
func (o *owner) prepare(ctx context.Context, list []settlement) map[int]*outgoing {
	var out map[int]*outgoing
	var name string
	var unnamed error
	for i := range list {
		if list[i].Result == nil {
			continue
		}
		t, err := openToken(list[i].Lease, o.queue, o.term, newSealer(&o.secret)) // o.sealer is the journal's
		if err != nil {
			continue
		}
		if out == nil {
			out = make(map[int]*outgoing)
			name, unnamed = o.resultTopic(ctx)
		}
		if out[i] = (&outgoing{err: unnamed}); unnamed == nil {
			e := list[i].Result.event(o.queue, t, time.Now())
			out[i].err = o.address(ctx, name, &e, out[i])
		}
	}
	return out
}

// resultTopic is the name of the topic that results go to.
func (o *owner) resultTopic(ctx context.Context) (name string, err error) {
	err = o.do(ctx, func(*journal.Tx, int64) error {
		name = orElse(o.settings.Results, o.queue+".results")
		return nil
	})
	if err == nil && (name == NoResults || o.q.opt.Topics == nil) {
		err = &parley.Error{Code: parley.Unprocessable, Field: "result", Detail: "the queue keeps no results", Fix: `set the queue's results, or ack without one`}
	}
	return name, err
}

// address finds the stream for a result, and publishes it when its ack cannot take
// it along.
func (o *owner) address(ctx context.Context, name string, e *parley.Event, out *outgoing) error {
	t, err := o.q.ensure(ctx, name)
	if err != nil {
		return err
	}
	p := t.Partitions[topic.PartitionOf(e, len(t.Partitions))]
	s, err := o.resultStream(ctx, p.Stream)
	if err != nil {
		return err
	}
	out.end = end{p.Number, int64(s.after)}
	if !s.together {
		placed, _, err := o.q.opt.Topics.Publish(ctx, name, []parley.Event{*e}, topic.PublishOptions{})
		if err == nil {
			out.end.at = int64(placed[0].Position)
		}
		return err
	}
	out.write.Stream = p.Stream
	out.write.Batch, err = parley.NewBatch(time.Now(), *e)
	return err
}

// resultStream finds out about a stream, once.
func (o *owner) resultStream(ctx context.Context, stream parley.Stream) (resultStream, error) {
	o.results.mu.Lock()
	known := o.results.streams[stream]
	if known != nil {
		defer o.results.mu.Unlock()
		return *known, nil
	}
	o.results.mu.Unlock()
	after, err := o.log.End(ctx, stream)
	if err != nil {
		return resultStream{}, err
	}
	// Two guards that compare with nothing say whether one commit takes both.
	_, err = o.log.Append(ctx, parley.Write{Stream: o.q.moves}, parley.Write{Stream: stream})
	if err != nil && parley.CodeOf(err) != parley.Apart {
		return resultStream{}, err
	}
	s := resultStream{together: err == nil, after: after}
	o.results.mu.Lock()
	defer o.results.mu.Unlock()
	if o.results.streams == nil || len(o.results.streams) > topic.MaxPartitions {
		o.results.streams = make(map[parley.Stream]*resultStream) // topics that come and go
	}
	o.results.streams[stream] = &s
	return s, nil
}

// send makes the ack of a job with a result, in one commit with it.
func (o *owner) send(tx *journal.Tx, out *outgoing, id int64) (err error) {
	if out.err != nil {
		return out.err
	}
	if !out.write.Batch.IsZero() {
		if out.place, err = tx.Also(out.write); err != nil {
			return err
		}
	}
	return tx.Move(encodeAckWith(id, out.end))
}

// sent remembers where results are that are durable now: the next ones are behind.
func (o *owner) sent(list map[int]*outgoing) {
	o.results.mu.Lock()
	defer o.results.mu.Unlock()
	for _, out := range list {
		if s := o.results.streams[out.write.Stream]; s != nil && out.place != nil {
			s.after = max(s.after, out.place.Base)
		}
	}
}
