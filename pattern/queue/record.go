package queue

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
)

// A job in the jobs stream is its event, with what the queue wants to know as
// extension attributes. They are the queue's: Enqueue removes those that a
// caller set, and Lease those that it finds.
const (
	extPriority = "parleypriority" // 1 to 9
	extDue      = "parleydue"      // milliseconds since 1970
	extKey      = "parleykey"
	extUnique   = "parleyunique"
	extCopyOf   = "parleycopyof" // {id}@{milliseconds when it was enqueued}
	extTerms    = "parleyterms"  // JSON, as terms

	headerPrefix = "ce_"
)

// build encodes jobs into one batch. Jobs without an id get one of the idempotency
// key, so that a retry names its jobs alike, or a new one. Errors name the job.
func build(b *parley.Builder, queue, key string, jobs []Job, now time.Time) (batch parley.Batch, unique bool, err error) {
	for i := range jobs {
		e, err := jobs[i].event(queue, now)
		if key != "" && jobs[i].Event.ID == "" {
			e.ID = topic.DerivedID("/queues/"+queue, key, i)
		}
		before := b.Size()
		if err == nil {
			err = b.Add(now, &e)
		}
		if err == nil && b.Size()-before > MaxJob+parley.BatchHeader {
			err = &parley.Error{Code: parley.TooLarge, Field: "jobs", Detail: "its event has more than 1 MiB", Fix: "store the data elsewhere, and send a reference"}
		}
		if err != nil {
			return parley.Batch{}, false, inJob(i, err)
		}
		unique = unique || jobs[i].Unique != ""
	}
	batch, err = b.Batch()
	return batch, unique, err
}

// builders are for Enqueue: their buffers would be made anew for each.
var builders = sync.Pool{New: func() any { return new(parley.Builder) }}

// keepBuffer bounds the buffers that stay in the pool.
const keepBuffer = 256 << 10

func freeBuilder(b *parley.Builder) {
	if b.Size() <= keepBuffer {
		b.Reset()
		builders.Put(b)
	}
}

func inJob(i int, err error) error {
	code := parley.CodeOf(err)
	out := &parley.Error{Code: code, Detail: "job " + strconv.Itoa(i) + ": " + err.Error(), Err: err}
	if p, ok := err.(*parley.Error); ok { //nolint:errorlint // ours, not wrapped
		out.Field, out.Detail, out.Fix = p.Field, "job "+strconv.Itoa(i)+": "+p.Detail, p.Fix
	}
	return out
}

// event is the job as it is stored.
func (j *Job) event(queue string, now time.Time) (parley.Event, error) {
	due := j.At
	switch {
	case j.Priority < 0 || j.Priority > MaxPriority:
		return parley.Event{}, parley.BadField("priority", "is "+strconv.Itoa(j.Priority), "send 0 to 9; higher goes first")
	case j.Delay < 0 || j.Delay > MaxDelay:
		return parley.Event{}, parley.BadField("delay", "is "+j.Delay.String(), "send 0 to ten years")
	case j.Delay > 0 && !j.At.IsZero():
		return parley.Event{}, parley.BadField("at", "is set beside delay", "send one of them")
	case len(j.Key) > MaxKey || len(j.Unique) > MaxKey:
		return parley.Event{}, parley.BadField("key", "key or unique has more than 255 bytes", "send a shorter one, such as a digest")
	case j.Delay > 0:
		due = now.Add(j.Delay)
	case !due.IsZero() && (due.Before(now.Add(-MaxDelay)) || due.After(now.Add(MaxDelay))):
		return parley.Event{}, parley.BadField("at", "is more than ten years away", "send a time that comes")
	}
	e := j.Event
	e.Extensions = maps.Clone(j.Event.Extensions)
	e.ID = orElse(e.ID, topic.NewID(now))
	e.Source = orElse(e.Source, "/queues/"+queue)
	e.Type = orElse(e.Type, "parley.job")
	strip(&e)
	if j.Priority > 0 {
		e.Set(extPriority, strconv.Itoa(j.Priority))
	}
	if due.After(now) {
		e.Set(extDue, strconv.FormatInt(millisOf(due), 10))
	}
	e.Set(extKey, j.Key)
	e.Set(extUnique, j.Unique)
	own, err := j.terms()
	if err == nil && own != nil {
		e.Set(extTerms, own.text())
	}
	return e, err
}

var reserved = [...]string{extPriority, extDue, extKey, extUnique, extCopyOf, extTerms}

func strip(e *parley.Event) {
	for _, name := range reserved {
		delete(e.Extensions, name)
	}
}

// gather files a record of the jobs stream as an item of an intake. What cannot
// be understood is not the queue's: nobody else writes the stream.
func (g *gatherer) gather(r parley.Record) {
	at := int64(r.Position)
	it := intake{kind: itemJob, run: run{at, 1, 1}}
	copyOf := ""
	for name, value := range r.Headers() {
		switch strings.TrimPrefix(name, headerPrefix) {
		case extCopyOf:
			copyOf = string(value)
		case extPriority:
			if p, err := strconv.ParseUint(string(value), 10, 8); err == nil && p <= MaxPriority {
				it.prio = uint8(p)
			}
		case extDue:
			if d, err := strconv.ParseInt(string(value), 10, 64); err == nil && d >= 0 && d <= maxMillis {
				it.due = d
			}
		case extKey:
			it.key = clip(string(value), MaxKey)
		case extUnique:
			it.unique = clip(string(value), MaxKey)
		case extTerms:
			it.terms = len(value) > 0
		}
	}
	switch {
	case copyOf != "":
		if id, _, ok := parseCopy(copyOf); ok && id < at {
			g.special(intake{kind: itemCopy, run: run{at, 1, 1}, id: id})
		}
	case it.due == 0 && it.key == "" && it.unique == "":
		g.plain(at, it.prio, it.terms)
	default:
		g.special(it)
	}
}

func parseCopy(text string) (id int64, enqueued time.Time, ok bool) {
	first, second, found := strings.Cut(text, "@")
	id, err := strconv.ParseInt(first, 10, 64)
	millis, err2 := strconv.ParseInt(second, 10, 64)
	ok = found && err == nil && err2 == nil && id > 0 && millis >= 0 && millis <= maxMillis
	return id, timeOf(millis), ok
}

// stored is a job as it was read.
type stored struct {
	event    parley.Event
	enqueued time.Time
	terms    *terms
}

// fetch reads the jobs at the places. What is not there, or is damaged, is
// missing in the answer. Errors: those of Log.Read that may pass.
func fetch(ctx context.Context, log parley.Log, stream parley.Stream, places []int64) (map[int64]stored, error) {
	places = slices.Clone(places)
	slices.Sort(places)
	out := make(map[int64]stored, len(places))
	r := reader{log: log, stream: stream}
	return out, r.read(ctx, slices.Compact(places), func(i int, rec parley.Record) {
		if s, ok := parse(rec); ok {
			s.event.Data = bytes.Clone(s.event.Data)
			out[places[i]] = s
		}
	})
}

// parse decodes a job. Its data is the record's.
func parse(r parley.Record) (stored, bool) {
	e, err := r.Event()
	if err != nil {
		return stored{}, false
	}
	s := stored{event: e, enqueued: r.Time()}
	if text := e.Extensions[extTerms]; text != "" {
		s.terms, _ = parseTerms(text) // checked when it was enqueued
	}
	if text := e.Extensions[extCopyOf]; text != "" {
		_, enqueued, ok := parseCopy(text)
		if !ok {
			return stored{}, false
		}
		s.enqueued = enqueued
	}
	strip(&s.event)
	return s, true
}
