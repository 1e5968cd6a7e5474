package packed

import (
	"github.com/parleyhq/parley/pattern/queue"
)

// Enqueue is an EnqueueStreamRequest.
type Enqueue struct {
	Request        uint64
	Queue          string
	IdempotencyKey string
	Jobs           []queue.Job

	events, jobs []int // sizes
	size         int   // of the EnqueueRequest
}

// Field numbers of EnqueueStreamRequest, EnqueueRequest and Job.
const (
	streamRequest = 1
	streamEnqueue = 2

	enqueueQueue = 1
	enqueueJobs  = 2
	enqueueKey   = 3

	jobEvent    = 1
	jobPriority = 4
	jobKey      = 5
	jobUnique   = 6
	jobAttempts = 8
)

// Size measures what Append appends; it comes before it. false: a job has something
// that only the generated code writes.
func (e *Enqueue) Size() (int, bool) {
	e.events, e.jobs = e.events[:0], e.jobs[:0]
	e.size = TextSize(enqueueQueue, e.Queue) + TextSize(enqueueKey, e.IdempotencyKey)
	for i := range e.Jobs {
		j := &e.Jobs[i]
		if j.Delay != 0 || !j.At.IsZero() || j.Retry != nil {
			return 0, false
		}
		event := EventSize(&j.Event)
		job := FieldSize(jobEvent, event) + NumberSize(jobPriority, int64(int32(j.Priority))) + TextSize(jobKey, j.Key) +
			TextSize(jobUnique, j.Unique) + NumberSize(jobAttempts, int64(int32(j.MaxAttempts)))
		e.events, e.jobs = append(e.events, event), append(e.jobs, job)
		e.size += FieldSize(enqueueJobs, job)
	}
	return NumberSize(streamRequest, int64(e.Request)) + FieldSize(streamEnqueue, e.size), true
}

// Append appends the message.
func (e *Enqueue) Append(dst []byte) []byte {
	dst = AppendNumber(dst, streamRequest, int64(e.Request))
	dst = AppendText(AppendHead(dst, streamEnqueue, e.size), enqueueQueue, e.Queue)
	for i := range e.Jobs {
		j := &e.Jobs[i]
		dst = AppendHead(dst, enqueueJobs, e.jobs[i])
		dst = AppendEvent(AppendHead(dst, jobEvent, e.events[i]), &j.Event)
		dst = AppendNumber(dst, jobPriority, int64(int32(j.Priority)))
		dst = AppendText(AppendText(dst, jobKey, j.Key), jobUnique, j.Unique)
		dst = AppendNumber(dst, jobAttempts, int64(int32(j.MaxAttempts)))
	}
	return AppendText(dst, enqueueKey, e.IdempotencyKey)
}

// Read reads a message, whose memory the data of the jobs is; Jobs is used again. false:
// it is for the generated code.
func (e *Enqueue) Read(b []byte) bool {
	*e = Enqueue{Jobs: e.Jobs[:0]}
	c, seen := cursor{rest: b}, false
	for tag := c.next(); tag != 0; tag = c.next() {
		switch tag {
		case numberTag(streamRequest):
			e.Request = c.n
		case textTag(streamEnqueue):
			c.bad = !e.readRequest(c.once(&seen)) || c.bad
		default:
			c.bad = true
		}
	}
	return seen && !c.bad
}

func (e *Enqueue) readRequest(b []byte) bool {
	c := cursor{rest: b}
	for tag := c.next(); tag != 0; tag = c.next() {
		switch tag {
		case textTag(enqueueQueue):
			e.Queue = c.string("")
		case textTag(enqueueKey):
			e.IdempotencyKey = c.string("")
		case textTag(enqueueJobs):
			if len(e.Jobs) >= queue.MaxEnqueue {
				return false // before it takes the memory of many more
			}
			e.Jobs = append(e.Jobs, queue.Job{})
			job := &e.Jobs[len(e.Jobs)-1]
			like := job
			if len(e.Jobs) > 1 {
				like = &e.Jobs[len(e.Jobs)-2]
			}
			c.bad = !readJob(c.text, job, like) || c.bad
		default:
			c.bad = true
		}
	}
	return !c.bad
}

// readJob reads a job; like is the one before it.
func readJob(b []byte, j, like *queue.Job) bool {
	c, seen := cursor{rest: b}, false
	for tag := c.next(); tag != 0; tag = c.next() {
		switch tag {
		case textTag(jobEvent):
			c.bad = !readEvent(c.once(&seen), &j.Event, &like.Event) || c.bad
		case numberTag(jobPriority):
			j.Priority = int(int32(c.n))
		case textTag(jobKey):
			j.Key = c.string(like.Key)
		case textTag(jobUnique):
			j.Unique = c.string(like.Unique)
		case numberTag(jobAttempts):
			j.MaxAttempts = int(int32(c.n))
		default:
			c.bad = true
		}
	}
	return !c.bad
}

// Enqueued is an EnqueueStreamResponse of a request that did not fail.
type Enqueued struct {
	Request uint64
	Jobs    []queue.Enqueued

	size int
}

// Field numbers of EnqueueStreamResponse, EnqueueResponse and Enqueued.
const (
	streamEnqueued = 2

	enqueuedJobs      = 1
	enqueuedID        = 1
	enqueuedDuplicate = 2
)

func enqueuedSize(j *queue.Enqueued) int {
	return NumberSize(enqueuedID, int64(j.ID)) + NumberSize(enqueuedDuplicate, int64(j.Duplicate))
}

// Size measures what Append appends; it comes before it.
func (e *Enqueued) Size() int {
	e.size = 0
	for i := range e.Jobs {
		e.size += FieldSize(enqueuedJobs, enqueuedSize(&e.Jobs[i]))
	}
	return NumberSize(streamRequest, int64(e.Request)) + FieldSize(streamEnqueued, e.size)
}

// Append appends the message.
func (e *Enqueued) Append(dst []byte) []byte {
	dst = AppendHead(AppendNumber(dst, streamRequest, int64(e.Request)), streamEnqueued, e.size)
	for i := range e.Jobs {
		j := &e.Jobs[i]
		dst = AppendHead(dst, enqueuedJobs, enqueuedSize(j))
		dst = AppendNumber(AppendNumber(dst, enqueuedID, int64(j.ID)), enqueuedDuplicate, int64(j.Duplicate))
	}
	return dst
}

// Read reads a message. false: it is for the generated code.
func (e *Enqueued) Read(b []byte) bool {
	*e = Enqueued{}
	c, seen := cursor{rest: b}, false
	for tag := c.next(); tag != 0; tag = c.next() {
		switch tag {
		case numberTag(streamRequest):
			e.Request = c.n
		case textTag(streamEnqueued):
			c.bad = !e.readJobs(c.once(&seen)) || c.bad
		default:
			c.bad = true
		}
	}
	return seen && !c.bad
}

func (e *Enqueued) readJobs(b []byte) bool {
	c := cursor{rest: b}
	for tag := c.next(); tag != 0; tag = c.next() {
		if tag != textTag(enqueuedJobs) {
			return false
		}
		id, duplicate, ok := numbers(c.text)
		if !ok {
			return false
		}
		e.Jobs = append(e.Jobs, queue.Enqueued{ID: queue.ID(id), Duplicate: queue.ID(duplicate)})
	}
	return !c.bad
}
