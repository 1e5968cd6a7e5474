package topic

import (
	"context"
	"encoding/binary"
	"strconv"
	"sync"

	"github.com/parleyhq/parley"
)

// maxConflicts bounds how often a write starts over because another node was
// first; each time somebody got through.
const maxConflicts = 1000

const foldBytes = 1 << 20 // of a stream in one read

// fold is how far $publish was read.
type fold struct {
	next   parley.Position // to read on from
	newest parley.Position // base of the newest batch, or Empty
}

// TopicEvents are the events of one topic in a request to several.
type TopicEvents struct {
	Topic  string
	Events []parley.Event
}

// commits is what the registry knows of $publish.
type commits struct {
	mu     sync.Mutex // only around the fields
	window window
	fold   fold
	turn   chan struct{} // a place for one writer of $publish at a time
}

// PublishAll appends events to several topics in one commit: all of them, or
// none. The answer is in the order of the events. At most
// parley.MaxAppendWrites − 1 partitions may be touched. Events are completed as
// Publish does it.
//
// With an idempotency key a repeat within the window answers the first places,
// with replayed true, and other content under the key is refused with KeyReused.
// The key is appended to PublishStream in the same commit, so that it is known
// if and only if the events are there.
//
// Errors: as Publish, and Apart when the topics have no commit in common.
func (r *Registry) PublishAll(ctx context.Context, all []TopicEvents, o PublishOptions) (placed []Placed, replayed bool, err error) {
	count := 0
	for _, te := range all {
		count += len(te.Events)
	}
	if err := checkRequest(count, o.IdempotencyKey); err != nil {
		return nil, false, err
	}
	topics := make([]*Topic, len(all))
	for i, te := range all {
		if topics[i], err = r.ensure(ctx, te.Topic); err != nil {
			return nil, false, err
		}
	}
	q := newRequest(o.IdempotencyKey, r.opts.Now(), count)
	if o.IdempotencyKey != "" {
		q.digest = newDigester()
	}
	if err := q.encodeAll(topics, all, r.check); err != nil {
		q.free()
		return nil, false, err
	}
	if q.key == "" {
		err = r.commit(ctx, q)
	} else {
		replayed, err = r.commitOnce(ctx, q)
	}
	if err != nil {
		return nil, false, err
	}
	placed = q.placed
	q.free()
	return placed, replayed, nil
}

func (q *request) encodeAll(topics []*Topic, all []TopicEvents, checkOf func(*Topic) check) error {
	index := 0
	for i, te := range all {
		q.check = checkOf(topics[i])
		for j := range te.Events {
			if err := q.add(topics[i], &te.Events[j]); err != nil {
				return parley.AtIndex(err, index)
			}
			index++
		}
	}
	if len(q.parts) >= parley.MaxAppendWrites {
		return &parley.Error{Code: parley.TooLarge, Field: "events", Detail: "the request touches " + strconv.Itoa(len(q.parts)) + " partitions, one commit takes " + strconv.Itoa(parley.MaxAppendWrites-1), Fix: "send several requests"}
	}
	return q.seal()
}

// commit appends all parts, and further writes, at once.
func (r *Registry) commit(ctx context.Context, q *request, more ...parley.Write) error {
	writes := make([]parley.Write, 0, len(q.parts)+len(more))
	for _, p := range q.parts {
		writes = append(writes, p.write[0])
	}
	done, err := r.log.Append(ctx, append(writes, more...)...)
	if err != nil {
		return err
	}
	for i, p := range q.parts {
		q.place(p, done[i].Base)
	}
	return nil
}

// commitOnce appends the parts with the key of the request, unless it is there.
func (r *Registry) commitOnce(ctx context.Context, q *request) (replayed bool, err error) {
	select {
	case r.commits.turn <- struct{}{}:
		defer func() { <-r.commits.turn }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	c := &commit{key: onceKey("all", "", q.key), digest: q.digest.sum(), at: q.now}
	for range maxConflicts {
		first, expect, err := r.findCommit(ctx, c)
		if err != nil {
			return false, err
		}
		if first != nil {
			return true, r.replay(ctx, q, c, first)
		}
		if err := r.describe(ctx, q, c); err != nil {
			return false, err
		}
		batch, err := parley.NewBatch(c.at, c.event())
		if err != nil {
			return false, err
		}
		err = r.commit(ctx, q, parley.Write{Stream: parley.Stream{Name: PublishStream}, Expect: expect, Batch: batch})
		if err == nil || parley.CodeOf(err) != parley.Conflict {
			return false, err
		}
	}
	return false, parley.Errorf(parley.Conflict, "other nodes wrote %s %d times in between", PublishStream, maxConflicts)
}

// findCommit folds what is new in $publish and looks for the key of c.
func (r *Registry) findCommit(ctx context.Context, c *commit) (first *commit, expect parley.Position, err error) {
	if err := r.foldCommits(ctx); err != nil {
		return nil, 0, err
	}
	r.commits.mu.Lock()
	defer r.commits.mu.Unlock()
	return r.commits.window.find(c.at, c.key), r.commits.fold.newest, nil
}

func (r *Registry) foldCommits(ctx context.Context) error {
	for {
		r.commits.mu.Lock()
		at := parley.Place{Stream: parley.Stream{Name: PublishStream}, At: r.commits.fold.next}
		r.commits.mu.Unlock()
		run, err := r.log.Read(ctx, at, foldBytes)
		if parley.CodeOf(err) == parley.Trimmed { // all of that is out of the window
			at.At = 0
			run, err = r.log.Read(ctx, at, foldBytes)
		}
		if err != nil {
			return err
		}
		if run.Empty() {
			return nil
		}
		err = r.commits.take(run)
		run.Release()
		if err != nil {
			return err
		}
	}
}

func (c *commits) take(run parley.Run) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for batch := range run.Batches() {
		if batch.Base() < c.fold.next {
			continue
		}
		for rec, err := range batch.Records() {
			if err != nil {
				return err
			}
			one, err := parseCommit(rec)
			if err != nil {
				return err
			}
			if one != nil {
				c.window.add(one)
			}
		}
		c.fold = fold{next: batch.Next(), newest: batch.Base()}
	}
	return nil
}

// describe notes of each part what finds it again.
func (r *Registry) describe(ctx context.Context, q *request, c *commit) error {
	c.parts = make([]committed, len(q.parts))
	for i, p := range q.parts {
		end, err := r.log.End(ctx, p.stream)
		if err != nil {
			return err
		}
		b := p.write[0].Batch
		c.parts[i] = committed{Stream: p.stream.Name, Partition: q.placed[p.events[0]].Partition, After: end, Size: b.Size(), CRC: crcOf(b), Events: p.events}
	}
	return nil
}

// crcOf reads the checksum from a batch's header: it covers neither the base
// position nor the epoch, so that it is the same before and after an append.
func crcOf(b parley.Batch) uint32 { return binary.BigEndian.Uint32(b.Bytes()[17:]) }

// replay answers a request that was committed before.
func (r *Registry) replay(ctx context.Context, q *request, c, first *commit) error {
	if c.digest != first.digest {
		return reused("Idempotency-Key", first.digest, c.digest)
	}
	for _, p := range first.parts {
		base, err := r.locate(ctx, p)
		if err != nil {
			return err
		}
		for i, index := range p.Events {
			if index < 0 || index >= len(q.placed) {
				return parley.Errorf(parley.Damaged, "the event at %d of %s names event %d of a request of %d", first.base, PublishStream, index, len(q.placed))
			}
			q.placed[index].Partition = p.Partition
			if base != 0 {
				q.placed[index].Position = base + parley.Position(i)
			}
		}
	}
	return nil
}

// locate finds the batch of a part that was committed; 0 when it was trimmed.
func (r *Registry) locate(ctx context.Context, p committed) (parley.Position, error) {
	at := parley.Place{Stream: parley.Stream{Name: p.Stream}, At: p.After}
	for {
		run, err := r.log.Read(ctx, at, foldBytes)
		if parley.CodeOf(err) == parley.Trimmed {
			at.At = 0
			run, err = r.log.Read(ctx, at, foldBytes)
		}
		if err != nil || run.Empty() {
			return 0, err
		}
		for b := range run.Batches() {
			if b.Size() == p.Size && crcOf(b) == p.CRC {
				base := b.Base()
				run.Release()
				return base, nil
			}
		}
		at.At = run.Next()
		run.Release()
	}
}

// trimCommits drops what of $publish is out of the window.
func (r *Registry) trimCommits(ctx context.Context) error {
	now := r.opts.Now()
	r.commits.mu.Lock()
	upTo := r.commits.window.expire(now)
	r.commits.mu.Unlock()
	if upTo == 0 {
		return nil
	}
	return r.log.Trim(ctx, parley.Stream{Name: PublishStream}, upTo)
}
