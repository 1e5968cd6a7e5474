package packed

import (
	"time"

	"github.com/parleyhq/parley/pattern/queue"
)

// Work is a WorkRequest that does not open a stream, and all of whose settlements are
// acks without a result.
type Work struct {
	Credit  int
	Request uint64
	Acks    []queue.Settlement
}

// Field numbers of WorkRequest and Settlement.
const (
	workCredit      = 2
	workRequest     = 3
	workSettlements = 4

	settlementLease = 1
)

// Size measures what Append appends. false: there is something that only the generated
// code writes.
func (w *Work) Size() (int, bool) {
	size := NumberSize(workCredit, int64(int32(w.Credit))) + NumberSize(workRequest, int64(w.Request))
	for i := range w.Acks {
		s := &w.Acks[i]
		if s.Action != queue.Ack || s.Result != nil {
			return 0, false
		}
		size += FieldSize(workSettlements, TextSize(settlementLease, s.Lease))
	}
	return size, true
}

// Append appends the message.
func (w *Work) Append(dst []byte) []byte {
	dst = AppendNumber(AppendNumber(dst, workCredit, int64(int32(w.Credit))), workRequest, int64(w.Request))
	for i := range w.Acks {
		lease := w.Acks[i].Lease
		dst = AppendText(AppendHead(dst, workSettlements, TextSize(settlementLease, lease)), settlementLease, lease)
	}
	return dst
}

// Read reads a message; it keeps nothing of b. false: it is for the generated code.
func (w *Work) Read(b []byte) bool {
	*w = Work{}
	c, all := cursor{rest: b}, ""
	for tag := c.next(); tag != 0; tag = c.next() {
		switch tag {
		case numberTag(workCredit):
			w.Credit = int(int32(c.n))
		case numberTag(workRequest):
			w.Request = c.n
		case textTag(workSettlements):
			if all == "" { // most of the message is leases: they share one text
				all = string(b)
				w.Acks = make([]queue.Settlement, 0, min(1+len(c.rest)/(len(c.text)+2), queue.MaxSettle))
			}
			if len(w.Acks) >= queue.MaxSettle {
				return false // before it takes the memory of many more
			}
			end := len(b) - len(c.rest)
			lease, ok := readLease(all[end-len(c.text):end], c.text)
			c.bad = c.bad || !ok
			w.Acks = append(w.Acks, queue.Settlement{Lease: lease, Action: queue.Ack})
		default:
			c.bad = true
		}
	}
	return !c.bad
}

// readLease reads a settlement that lies in both.
func readLease(text string, b []byte) (lease string, ok bool) {
	c := cursor{rest: b}
	for tag := c.next(); tag != 0; tag = c.next() {
		if tag != textTag(settlementLease) {
			return "", false
		}
		end := len(b) - len(c.rest)
		lease = text[end-len(c.text) : end]
		c.string("")
	}
	return lease, !c.bad
}

// Pushed is a WorkResponse: jobs, or a Settled without failures.
type Pushed struct {
	Jobs    []queue.Lease
	Settled bool
	Request uint64 // that is settled
}

// Field numbers of WorkResponse, LeasedJob and Settled.
const (
	responseJobs    = 1
	responseSettled = 2

	leasedLease      = 1
	leasedID         = 2
	leasedEvent      = 3
	leasedEnqueued   = 4
	leasedPriority   = 5
	leasedKey        = 6
	leasedAttempt    = 7
	leasedUntil      = 8
	leasedVisibility = 9

	settledRequest = 1
)

// Leased is the sizes of a job on its way to its worker.
type Leased struct{ event, all int }

// LeasedOf measures a job; size is that of a WorkResponse that has it only.
func LeasedOf(l *queue.Lease) (sizes Leased, size int) {
	sizes.event = EventSize(&l.Event)
	sizes.all = TextSize(leasedLease, l.Token) + NumberSize(leasedID, int64(l.ID)) + FieldSize(leasedEvent, sizes.event) +
		FieldSize(leasedEnqueued, TimeSize(l.Enqueued)) + NumberSize(leasedPriority, int64(l.Priority)) + TextSize(leasedKey, l.Key) +
		NumberSize(leasedAttempt, int64(l.Attempt)) + FieldSize(leasedUntil, TimeSize(l.Until)) + FieldSize(leasedVisibility, spanSize(l.Visibility))
	return sizes, FieldSize(responseJobs, sizes.all)
}

// AppendLeased appends a job, which was measured, to a WorkResponse.
func AppendLeased(dst []byte, l *queue.Lease, sizes Leased) []byte {
	dst = AppendHead(dst, responseJobs, sizes.all)
	dst = AppendText(dst, leasedLease, l.Token)
	dst = AppendNumber(dst, leasedID, int64(l.ID))
	dst = AppendEvent(AppendHead(dst, leasedEvent, sizes.event), &l.Event)
	dst = AppendTime(AppendHead(dst, leasedEnqueued, TimeSize(l.Enqueued)), l.Enqueued)
	dst = AppendNumber(dst, leasedPriority, int64(l.Priority))
	dst = AppendText(dst, leasedKey, l.Key)
	dst = AppendNumber(dst, leasedAttempt, int64(l.Attempt))
	dst = AppendTime(AppendHead(dst, leasedUntil, TimeSize(l.Until)), l.Until)
	return appendSpan(AppendHead(dst, leasedVisibility, spanSize(l.Visibility)), l.Visibility)
}

// AppendSettled appends a Settled without failures: that of a whole WorkResponse. It has
// at most 16 bytes.
func AppendSettled(dst []byte, request uint64) []byte {
	dst = AppendHead(dst, responseSettled, NumberSize(settledRequest, int64(request)))
	return AppendNumber(dst, settledRequest, int64(request))
}

// Read reads a message, whose memory the data of the jobs is. false: it is for the
// generated code.
func (p *Pushed) Read(b []byte) bool {
	*p = Pushed{}
	c := cursor{rest: b}
	for tag := c.next(); tag != 0; tag = c.next() {
		switch tag {
		case textTag(responseJobs):
			if p.Jobs == nil {
				p.Jobs = make([]queue.Lease, 0, min(1+len(c.rest)/(len(c.text)+2), queue.MaxLease))
			}
			p.Jobs = append(p.Jobs, queue.Lease{Enqueued: time.Unix(0, 0).UTC(), Until: time.Unix(0, 0).UTC()})
			job := &p.Jobs[len(p.Jobs)-1]
			like := job
			if len(p.Jobs) > 1 {
				like = &p.Jobs[len(p.Jobs)-2]
			}
			c.bad = !readLeased(c.text, job, like) || c.bad
		case textTag(responseSettled):
			c.bad = !p.readSettled(c.once(&p.Settled)) || c.bad
		default:
			c.bad = true
		}
	}
	return !c.bad
}

func (p *Pushed) readSettled(b []byte) bool {
	c := cursor{rest: b}
	for tag := c.next(); tag != 0; tag = c.next() {
		if tag != numberTag(settledRequest) {
			return false
		}
		p.Request = c.n
	}
	return !c.bad
}

// readLeased reads a job; like is the one before it.
func readLeased(b []byte, l, like *queue.Lease) bool {
	c := cursor{rest: b}
	var seen [leasedVisibility + 1]bool
	for tag := c.next(); tag != 0; tag = c.next() {
		ok := true
		switch tag {
		case textTag(leasedLease):
			l.Token = c.string("")
		case numberTag(leasedID):
			l.ID = queue.ID(c.n)
		case textTag(leasedEvent):
			ok = readEvent(c.once(&seen[leasedEvent]), &l.Event, &like.Event)
		case textTag(leasedEnqueued):
			l.Enqueued, ok = readTime(c.once(&seen[leasedEnqueued]))
		case numberTag(leasedPriority):
			l.Priority = int(int32(c.n))
		case textTag(leasedKey):
			l.Key = c.string(like.Key)
		case numberTag(leasedAttempt):
			l.Attempt = int(int32(c.n))
		case textTag(leasedUntil):
			l.Until, ok = readTime(c.once(&seen[leasedUntil]))
		case textTag(leasedVisibility):
			l.Visibility, ok = readSpan(c.once(&seen[leasedVisibility]))
		default:
			ok = false
		}
		c.bad = c.bad || !ok
	}
	return !c.bad
}
