package queue

import (
	"context"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
)

// ID names a job within its queue for as long as the queue exists. It grows with
// every job, so that the older of two has the smaller one. As text, and in JSON,
// it is a decimal number in a string.
type ID int64

// String gives the id as text.
func (id ID) String() string { return strconv.FormatInt(int64(id), 10) }

// MarshalText implements encoding.TextMarshaler.
func (id ID) MarshalText() ([]byte, error) { return strconv.AppendInt(nil, int64(id), 10), nil }

// UnmarshalText implements encoding.TextUnmarshaler. Errors: as ParseID.
func (id *ID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseID(string(b))
	return err
}

// ParseID reads an id from its text. Errors: Invalid.
func ParseID(text string) (ID, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 {
		return 0, parley.BadField("job", "not the id of a job", "send an id as Enqueue answered it")
	}
	return ID(n), nil
}

// Limits of jobs and requests.
const (
	MaxPriority   = 9       // 0 is the lowest, and what a job has that asks for none
	MaxKey        = 255     // bytes of Job.Key and Job.Unique
	MaxEnqueue    = 10_000  // jobs of one Enqueue
	MaxLease      = 1000    // jobs of one Lease
	MaxSettle     = 1000    // settlements of one Settle
	MaxIDs        = 1000    // ids of one Cancel
	MaxWorker     = 128     // bytes of a worker's name; longer ones are cut
	MaxCause      = 1 << 10 // bytes of a cause or reason; longer ones are cut
	MaxJob        = 1 << 20 // bytes of a job's event, data and attributes together
	MaxWaiting    = 10_000  // Lease calls that wait at one queue
	MaxWait       = 5 * time.Minute
	MaxDelay      = 10 * 365 * 24 * time.Hour
	MaxVisibility = 24 * time.Hour
	MaxHistory    = 20 // attempts that are remembered of one job: the newest
)

// Job is work to be done. Its event carries the payload; an event without id,
// source and type gets a new id, or one of the idempotency key and its index,
// "/queues/{queue}" and "parley.job".
type Job struct {
	Event parley.Event
	// Delay is how long it rests first, At until when; at most one of them.
	Delay time.Duration
	At    time.Time
	// Priority is 0 to 9; ready jobs of a higher one are leased first.
	Priority int
	// Key puts the job into a FIFO group: jobs of one key are leased one at a
	// time, in the order in which they were enqueued. Empty: none.
	Key string
	// Unique drops the job if another one with the same value is ready, delayed or
	// leased. Empty: none.
	Unique string
	// Retry and MaxAttempts overrule those of the queue's settings for this job, with
	// the same limits and defaults; nil and 0 leave it to them.
	Retry       *Retry
	MaxAttempts int
}

// Enqueued tells what became of a job.
type Enqueued struct {
	ID ID `json:"id"`
	// Duplicate is the job that is there already, when Job.Unique dropped this one.
	Duplicate ID `json:"duplicate,omitempty"`
}

// State is where a job is in its life.
type State string

// The states. A job that is done, canceled or purged is in none: it is gone.
const (
	Ready   State = "ready"   // waits for a worker
	Delayed State = "delayed" // rests until Info.Due
	Leased  State = "leased"  // a worker has it
	Dead    State = "dead"    // given up; only Redrive and Purge change it
)

// How a job that is gone ended, as an Outcome tells it.
const (
	Done     State = "done"
	Canceled State = "canceled"
)

// Attempt is one lease of a job.
type Attempt struct {
	Number int       `json:"number"` // from 1
	Worker string    `json:"worker,omitempty"`
	Began  time.Time `json:"began"`
	Ended  time.Time `json:"ended,omitzero"` // zero while it is under way
	// Cause is how it ended: what the worker said, "lease expired" or
	// "owner changed".
	Cause string `json:"cause,omitempty"`
}

// Causes that are not a worker's.
const (
	Expired      = "lease expired" // the worker neither settled nor extended in time
	OwnerChanged = "owner changed" // the queue moved to another node, and with it all leases ended
	GoneAway     = "caller went away"
	Lost         = "the job's event cannot be read"
)

// Info is a job as Peek shows it: nothing is leased by looking.
type Info struct {
	ID       ID           `json:"id"`
	State    State        `json:"state"`
	Event    parley.Event `json:"-"` // of zero ID when it cannot be read any more
	Enqueued time.Time    `json:"enqueued"`
	Priority int          `json:"priority"`
	Key      string       `json:"key,omitempty"`
	Unique   string       `json:"unique,omitempty"`
	Due      time.Time    `json:"due,omitzero"` // Delayed: when it becomes ready; Leased: when the lease ends
	Attempts int          `json:"attempts"`     // leases since it was enqueued or redriven
	History  []Attempt    `json:"history,omitempty"`
	Died     time.Time    `json:"died,omitzero"`
	Reason   string       `json:"reason,omitempty"` // why it is dead
	// Retry and MaxAttempts are the job's own, if it has any.
	Retry       *Retry    `json:"retry,omitempty"`
	MaxAttempts int       `json:"max_attempts,omitempty"`
	Progress    *Progress `json:"progress,omitempty"` // Leased: what its worker told last
}

// Progress is how far a worker has come with a job. It is kept in memory with the
// lease, and ends with it.
type Progress struct {
	Fraction float64   `json:"progress"`       // 0 to 1
	Note     string    `json:"note,omitempty"` // for people; cut at MaxCause
	At       time.Time `json:"at,omitzero"`    // when it was told: set by the queue
}

// Lease is a job in a worker's hands, until Until or until it is settled.
type Lease struct {
	Token    string // names the lease for Settle; safe in a URL path
	ID       ID
	Event    parley.Event
	Enqueued time.Time
	Priority int
	Key      string
	Attempt  int // from 1
	Until    time.Time
	// Visibility is how long the lease was given for: what a worker counts with,
	// whose clock may differ from the owner's.
	Visibility time.Duration

	source Source // that a Worker had it from
}

// Report tells how far the job is, and extends its lease by Visibility: for the
// Handler of a Worker, which alone has a lease that can. Errors: Invalid for a
// fraction out of 0 to 1; those of Source.Settle; Conflict when the lease is over.
func (l *Lease) Report(ctx context.Context, p Progress) error {
	if l.source == nil {
		return parley.Errorf(parley.Unsupported, "only a lease that a Worker gave to its Handler can report")
	}
	errs, err := l.source.Settle(ctx, []Settlement{{Lease: l.Token, Action: Report, Progress: &p, Extend: l.Visibility}})
	if err == nil && len(errs) > 0 {
		err = errs[0]
	}
	return err
}

// LeaseRequest asks for jobs. The zero value asks for one and does not wait.
type LeaseRequest struct {
	Max        int           // how many at most: 1 (default) to MaxLease
	Wait       time.Duration // how long to wait for the first: 0 (default) to MaxWait
	Visibility time.Duration // how long the lease lasts; 0 = the queue's, at most MaxVisibility
	Worker     string        // who asks, for people; cut at MaxWorker
}

// Action is what a Settlement does.
type Action string

// The actions.
const (
	Ack    Action = "ack"    // done: the job is gone
	Nack   Action = "nack"   // failed: ready again after Delay, or dead after too many attempts
	Extend Action = "extend" // the lease ends Extend from now
	Bury   Action = "dead"   // failed for good: dead with Cause as its reason
	// Report tells Progress, and extends the lease as Extend does.
	Report Action = "progress"
)

// Settlement settles one lease.
type Settlement struct {
	Lease  string
	Action Action
	// Delay of a Nack, 0 for at once; nil = as the queue's retry policy says.
	Delay *time.Duration
	// Extend is how long from now the lease lasts; 0 = the queue's visibility.
	Extend   time.Duration
	Cause    string    // of a Nack or Bury; cut at MaxCause
	Progress *Progress // of a Report
	Result   *Output   // of an Ack: see AckWith
}

// PeekRequest selects what Peek shows.
type PeekRequest struct {
	State State // one of the four
	After ID    // only jobs with a greater id: for paging
	Max   int   // 1 to 1000; default 100. Long histories may make it fewer: page until none come.
}

// Filter selects dead jobs. A zero field selects all.
type Filter struct {
	IDs    []ID      `json:"ids,omitempty"`    // at most MaxIDs
	Reason string    `json:"reason,omitempty"` // a part of the reason
	Worker string    `json:"worker,omitempty"` // of the last attempt
	Key    string    `json:"key,omitempty"`
	Since  time.Time `json:"since,omitzero"` // died at or after
	Until  time.Time `json:"until,omitzero"` // died before
}

// Stats are a queue's counts.
type Stats struct {
	Ready    int64 `json:"ready"` // waiting, also those that stand behind another of their key
	Delayed  int64 `json:"delayed"`
	Leased   int64 `json:"leased"`
	Dead     int64 `json:"dead"`
	Enqueued int64 `json:"enqueued"` // in the queue's life, without duplicates
	Done     int64 `json:"done"`
	Groups   int64 `json:"groups"`  // keys with live jobs
	Waiting  int   `json:"waiting"` // Lease calls that wait
	Paused   bool  `json:"paused"`
	// Oldest is when the oldest ready job was enqueued; zero when none is.
	Oldest time.Time `json:"oldest,omitzero"`
	// Feeds are in the order of Settings.Feed.
	Feeds []FeedStats `json:"feeds,omitempty"`
}
