package topic

import (
	"bytes"
	"context"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
)

// BatchSkew is how far the times in a batch that its producer encoded may be from
// the server's clock: they are its events' append times, by which retention and
// reading from a time go.
const BatchSkew = 10 * time.Minute

// PublishBatch appends a batch that its producer encoded, as it is, to a partition
// that its producer chose: what costs least for both. It is checked, not decoded:
// its CRC, that each record can be read and is an event within the topic's
// max_event, and its times; it is decoded only where the topic has a check (see
// Options.Check) or is compacted. An idempotency key works as in Publish. Errors:
// Invalid, Damaged, Unsupported and Unprocessable name record_batch, TooLarge,
// NotFound, Forbidden, KeyReused, and those of Log.Append.
func (r *Registry) PublishBatch(ctx context.Context, name string, partition int, b parley.Batch, o PublishOptions) (base parley.Position, replayed bool, err error) {
	if err := checkKey(o.IdempotencyKey); err != nil {
		return 0, false, err
	}
	t, err := r.ensure(ctx, name)
	if err != nil {
		return 0, false, err
	}
	if partition < 0 || partition >= len(t.Partitions) {
		return 0, false, parley.BadField("partition", "topic "+name+" has no partition "+strconv.Itoa(partition), "send one from 0 to "+strconv.Itoa(len(t.Partitions)-1))
	}
	if err := checkBatch(b, t.Settings.MaxEvent, r.opts.Now()); err != nil {
		return 0, false, err
	}
	if check := r.check(t); check != nil {
		if err := check.batch(b); err != nil {
			return 0, false, err
		}
	}
	w := parley.Write{Stream: t.Partitions[partition].Stream, Batch: b}
	if o.IdempotencyKey != "" {
		w.Once = onceKey("key", w.Stream.Name, o.IdempotencyKey)
	}
	done, err := r.log.Append(ctx, w)
	if err != nil {
		return 0, false, err
	}
	if done[0].Repeat {
		if err := r.sameBatch(ctx, w, done[0].Base); err != nil {
			return 0, false, err
		}
	}
	return done[0].Base, done[0].Repeat, nil
}

// sameBatch tells whether what is stored at base is the write's batch, byte for
// byte but for its position. When it was trimmed or compacted meanwhile there is
// nothing left to compare.
func (r *Registry) sameBatch(ctx context.Context, w parley.Write, base parley.Position) error {
	run, err := r.log.Read(ctx, parley.Place{Stream: w.Stream, At: base}, 1)
	if err != nil {
		if parley.CodeOf(err) == parley.Trimmed {
			return nil
		}
		return err
	}
	defer run.Release()
	const afterEpoch = 16 // the engine sets what is before
	for stored := range run.Batches() {
		if stored.Base() == base && stored.Len() == stored.Span() && !bytes.Equal(stored.Bytes()[afterEpoch:], w.Batch.Bytes()[afterEpoch:]) {
			return &parley.Error{Code: parley.KeyReused, Field: "Idempotency-Key", Detail: "the key was first used for another batch", Fix: "use a new key for new content, or send the first batch again"}
		}
		break
	}
	return nil
}

func checkBatch(b parley.Batch, maxEvent int, now time.Time) error {
	bad := func(detail, fix string) error { return parley.BadField("record_batch", detail, fix) }
	if b.IsZero() || b.Len() == 0 || b.Len() != b.Span() {
		return bad("the batch holds no event, or not every position", "send all records that it counts")
	}
	if id, _, _ := b.Producer(); id != -1 {
		return bad("the batch has a producer id", "send −1: repeats are recognised by the idempotency key")
	}
	if first, last := b.FirstTime(), b.MaxTime(); first.Before(now.Add(-BatchSkew)) || last.After(now.Add(BatchSkew)) {
		return bad("its records' times are more than "+BatchSkew.String()+" from the server's clock", "set them to the time of sending; an event's own time is its ce_time")
	}
	for rec, err := range b.Records() {
		if err != nil {
			return &parley.Error{Code: parley.CodeOf(err), Field: "record_batch", Detail: "a record cannot be read", Fix: "encode it as record batch v2", Err: err}
		}
		if size := len(rec.Key) + len(rec.Value); size > maxEvent {
			return &parley.Error{Code: parley.TooLarge, Field: "record_batch", Detail: "a record has " + strconv.Itoa(size) + " bytes, the topic takes " + strconv.Itoa(maxEvent), Fix: "send less, or raise max_event of the topic"}
		}
	}
	return nil
}
