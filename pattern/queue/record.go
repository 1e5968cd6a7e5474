package queue

import (
	"cmp"
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
	header := func(name string) string {
		v, _ := r.Header(headerPrefix + name)
		return string(v)
	}
	if text := header(extCopyOf); text != "" {
		if id, _, ok := parseCopy(text); ok && id < at {
			g.special(intake{kind: itemCopy, run: run{at, 1, 1}, id: id})
		}
		return
	}
	prio, due := uint8(0), int64(0)
	if text := header(extPriority); text != "" {
		if p, err := strconv.ParseUint(text, 10, 8); err == nil && p <= MaxPriority {
			prio = uint8(p)
		}
	}
	if text := header(extDue); text != "" {
		if d, err := strconv.ParseInt(text, 10, 64); err == nil && d >= 0 && d <= maxMillis {
			due = d
		}
	}
	key, unique, terms := header(extKey), header(extUnique), header(extTerms) != ""
	if due == 0 && key == "" && unique == "" {
		g.plain(at, prio, terms)
		return
	}
	g.special(intake{kind: itemJob, prio: prio, terms: terms, run: run{at, 1, 1}, due: due, key: clip(key, MaxKey), unique: clip(unique, MaxKey)})
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

// fetchSize is how much one Read brings at least; jobs that follow one another
// come with one.
const fetchSize = 256 << 10

// fetch reads the jobs at the places. What is not there, or is damaged, is
// missing in the answer. Errors: those of Log.Read that may pass.
func fetch(ctx context.Context, log parley.Log, stream parley.Stream, places []int64) (map[int64]stored, error) {
	places = slices.Clone(places)
	slices.Sort(places)
	out := make(map[int64]stored, len(places))
	for current := false; len(places) > 0; {
		run, err := log.Read(ctx, parley.Place{Stream: stream, At: parley.Position(places[0])}, min(fetchSize, 4096*len(places)))
		switch code := parley.CodeOf(err); {
		case err != nil && (code == parley.Trimmed || code == parley.Damaged):
			places = places[1:]
			continue
		case err != nil:
			return nil, err
		}
		if run.Empty() && !current {
			// The owner's node may be ahead of this one. What the end says is here.
			run.Release()
			if _, err := log.End(ctx, stream); err != nil {
				return nil, err
			}
			current = true
			continue
		}
		end := int64(run.Next())
		for r, err := range run.Records() {
			if err != nil {
				continue
			}
			if int64(r.Position) > places[len(places)-1] {
				break
			}
			if _, wanted := slices.BinarySearchFunc(places, int64(r.Position), cmp.Compare[int64]); wanted {
				if s, ok := parse(r); ok {
					out[int64(r.Position)] = s
				}
			}
		}
		if run.Empty() {
			end = places[0] + 1
		}
		run.Release()
		n, _ := slices.BinarySearch(places, end)
		places = places[max(n, 1):]
	}
	return out, nil
}

// parse decodes a job; it is the caller's.
func parse(r parley.Record) (stored, bool) {
	e, err := r.Event()
	if err != nil {
		return stored{}, false
	}
	s := stored{event: e.Clone(), enqueued: r.Time()}
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
