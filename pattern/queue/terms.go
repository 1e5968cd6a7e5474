package queue

import (
	"context"
	"encoding/json"
	"math"
	"strconv"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/journal"
)

// terms are what a job has of its own instead of the queue's settings. They are
// kept in its event, and are read when the job is leased for the first time: a
// backlog of such jobs takes no more memory than one of others.
type terms struct {
	MaxAttempts int    `json:"max_attempts,omitempty"`
	Retry       *Retry `json:"retry,omitempty"`
}

// terms gives the job's own terms, complete; nil when it has none.
func (j *Job) terms() (*terms, error) {
	if j.MaxAttempts == 0 && j.Retry == nil {
		return nil, nil //nolint:nilnil // no terms are not an error
	}
	t := &terms{MaxAttempts: j.MaxAttempts}
	if j.Retry != nil {
		r := *j.Retry
		t.Retry = &r
	}
	return t, t.complete()
}

// complete fills in the defaults, and checks.
func (t *terms) complete() error {
	if t.MaxAttempts != 0 {
		if err := checkAttempts(t.MaxAttempts); err != nil {
			return err
		}
	}
	if t.Retry == nil {
		return nil
	}
	r, err := t.Retry.defaults()
	t.Retry = &r
	return err
}

func checkAttempts(n int) error {
	if n != Unlimited && (n < 1 || n > 1_000_000) {
		return parley.BadField("max_attempts", "is "+strconv.Itoa(n), "send 1 to 1000000, or -1 for no limit")
	}
	return nil
}

func (t *terms) text() string {
	b, err := json.Marshal(t)
	if err != nil { // a NaN, which complete refuses
		return "{}"
	}
	return string(b)
}

// maxTerms bounds the text of terms, in bytes: a hundred of the longest delays,
// twice.
const maxTerms = 8 << 10

func parseTerms(text string) (*terms, error) {
	t := new(terms)
	if err := json.Unmarshal([]byte(text), t); err != nil {
		return nil, err
	}
	return t, t.complete()
}

// terms reads a job's terms.
func (d *decoder) terms() *terms {
	text := d.text(maxTerms)
	if d.bad {
		return nil
	}
	t, err := parseTerms(text)
	d.bad = err != nil
	return t
}

// know notes the terms of a job.
func (m *machine) know(id int64, t *terms) {
	e := m.live(id)
	e.rest().terms, e.unread = t, false
	m.offer(id, e)
}

// retryOf is the retry policy of a job.
func (m *machine) retryOf(e *entry) Retry {
	if t := e.terms(); t != nil && t.Retry != nil {
		return *t.Retry
	}
	return m.settings.Retry
}

func (e *entry) terms() *terms {
	if e.more == nil {
		return nil
	}
	return e.more.terms
}

func encodeTerms(id int64, t *terms) []byte {
	return appendText(appendID([]byte{moveTerms}, id), t.text())
}

// readTerms reads the terms of jobs that were just leased for the first time,
// before anybody hears of the lease. If they cannot be read or noted, the jobs are given
// back; one whose event is lost goes out without, and whoever gets it finds out.
func (o *owner) readTerms(ctx context.Context, list []granted) error {
	var fresh []granted
	for _, g := range list {
		if g.unread {
			fresh = append(fresh, g)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	own := make([]*terms, len(fresh))
	err := o.q.events(ctx, fresh, func(i int, s stored) { own[i] = s.terms })
	if err != nil {
		return o.giveBack(ctx, list, nil, err)
	}
	err = o.do(ctx, func(tx *journal.Tx, _ int64) error {
		for i, g := range fresh {
			e := o.entries[g.ID]
			if e == nil || !e.unread || own[i] == nil {
				continue
			}
			if err := tx.Lazy(encodeTerms(g.ID, own[i])); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return o.giveBack(ctx, list, nil, err)
	}
	return nil
}

// checked gives progress as it is told to the owner.
func (p *Progress) checked() (*Progress, error) {
	if p == nil {
		return &Progress{}, nil
	}
	if math.IsNaN(p.Fraction) || p.Fraction < 0 || p.Fraction > 1 {
		return nil, parley.BadField("progress", "is not a part of the whole", "send 0 to 1")
	}
	return &Progress{Fraction: p.Fraction, Note: clip(p.Note, MaxCause)}, nil
}

// Progress tells how far a worker has come, and extends the lease by the queue's
// visibility. Errors: Invalid for a fraction out of 0 to 1; as Settle.
func (q *Queue) Progress(ctx context.Context, lease string, p Progress) error {
	return q.settleOne(ctx, Settlement{Lease: lease, Action: Report, Progress: &p})
}
