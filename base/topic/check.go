package topic

import (
	"errors"
	"strconv"

	"github.com/parleyhq/parley"
)

// check is what an event has to pass before it is appended; nil is nothing.
type check func(*parley.Event) error

// check gives the check of a topic: that of the options, and for a compacted topic
// that there is a key. A tombstone there has no data that could be checked.
func (r *Registry) check(t *Topic) check {
	var own check
	if r.opts.Check != nil {
		if of := r.checked(t); of != nil {
			own = r.opts.Check(of)
		}
	}
	if !t.Settings.Compact {
		return own
	}
	return func(e *parley.Event) error {
		if e.Key() == "" {
			return &parley.Error{Code: parley.Unprocessable, Field: parley.PartitionKey, Detail: "topic " + t.Name + " is compacted by key, and the event has none", Fix: "send one, in HTTP as Parley-Key"}
		}
		if own == nil || len(e.Data) == 0 {
			return nil
		}
		return own(e)
	}
}

// checked is the topic whose check holds for the events of t: an ephemeral one has
// that of the durable one beside it, whose readers see both.
func (r *Registry) checked(t *Topic) *Topic {
	if IsEphemeral(t.Name) {
		return r.get(t.Name[1:])
	}
	return t
}

// batch checks the events of a batch that its producer encoded.
func (c check) batch(b parley.Batch) error {
	n := 0
	for rec, err := range b.Records() {
		var e parley.Event
		if err == nil {
			e, err = rec.Event()
		}
		if err != nil {
			return &parley.Error{Code: parley.Invalid, Field: "record_batch", Detail: "record " + strconv.Itoa(n) + " is no event", Fix: "encode it as record batch v2, its attributes as headers", Err: err}
		}
		if err := c(&e); err != nil {
			return inRecord(err, n)
		}
		n++
	}
	return nil
}

// inRecord says of which record of a batch an error is.
func inRecord(err error, n int) error {
	var e *parley.Error
	if !errors.As(err, &e) {
		return err
	}
	at := *e
	at.Detail = "record " + strconv.Itoa(n) + ", " + e.Field + ": " + e.Detail
	at.Field = "record_batch"
	return &at
}
