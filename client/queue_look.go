package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/parleyhq/parley/pattern/queue"
)

// QueueInfo is a queue as the server shows it.
type QueueInfo struct {
	Name     string         `json:"name"`
	Settings queue.Settings `json:"settings"`
	Paused   bool           `json:"paused"`
	Stats    queue.Stats    `json:"stats"`
}

// Queues lists the queues that the token may work for or administer, by name, page
// by page. All but the name is zero of a queue that no node answers for now.
func (c *Client) Queues(ctx context.Context) ([]QueueInfo, error) {
	all := []QueueInfo{} // in JSON a list, not null
	v := url.Values{"limit": {"1000"}}
	for {
		var page struct {
			Queues []QueueInfo `json:"queues"`
			Next   string      `json:"next"`
		}
		if _, err := c.do(ctx, request{method: http.MethodGet, url: c.url(v, "v1", "queues")}, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Queues...)
		if page.Next == "" {
			return all, nil
		}
		v.Set("after", page.Next)
	}
}

// Info shows the queue: its settings and counts.
func (q *Queue) Info(ctx context.Context) (QueueInfo, error) {
	var out QueueInfo
	_, err := q.c.do(ctx, request{method: http.MethodGet, url: q.url(nil)}, &out)
	return out, err
}

// Settings gives the queue's settings, complete.
func (q *Queue) Settings(ctx context.Context) (queue.Settings, error) {
	i, err := q.Info(ctx)
	return i.Settings, err
}

// Stats counts the queue's jobs.
func (q *Queue) Stats(ctx context.Context) (queue.Stats, error) {
	i, err := q.Info(ctx)
	return i.Stats, err
}

// Configure gives the queue other settings: complete ones, zero fields mean the
// default. Errors: Invalid, naming the member.
func (q *Queue) Configure(ctx context.Context, s queue.Settings) (queue.Settings, error) {
	s, err := s.Defaults()
	if err != nil {
		return s, err
	}
	body, err := json.Marshal(s)
	if err != nil {
		return s, err
	}
	i, err := q.Change(ctx, body)
	return i.Settings, err
}

// Change changes those settings that are given: a JSON object with members of
// queue.Settings, which leaves others as they are. Errors: Invalid, naming the
// member.
func (q *Queue) Change(ctx context.Context, settings json.RawMessage) (QueueInfo, error) {
	var out QueueInfo
	_, err := q.c.do(ctx, request{method: http.MethodPut, url: q.url(nil), header: http.Header{"Content-Type": {"application/json"}}, body: settings}, &out)
	return out, err
}

// Delete deletes the queue with all its jobs.
func (q *Queue) Delete(ctx context.Context) error {
	_, err := q.c.do(ctx, request{method: http.MethodDelete, url: q.url(nil)}, nil)
	return err
}

// infoJSON is a job as it is shown.
type infoJSON struct {
	queue.Info
	Event json.RawMessage `json:"event"`
}

func (j *infoJSON) info() (queue.Info, error) {
	var err error
	j.Info.Event, err = eventOf(j.Event)
	return j.Info, err
}

// Get shows one job. Errors: NotFound when it is done, canceled or never was.
func (q *Queue) Get(ctx context.Context, id queue.ID) (queue.Info, error) {
	var out infoJSON
	if _, err := q.c.do(ctx, request{method: http.MethodGet, url: q.url(nil, "jobs", id.String())}, &out); err != nil {
		return queue.Info{}, err
	}
	return out.info()
}

// Peek shows jobs of one state, the oldest first, and leases nothing. It may give
// fewer than there are: go on after the last until none come.
func (q *Queue) Peek(ctx context.Context, r queue.PeekRequest) ([]queue.Info, error) {
	v := url.Values{"state": {string(r.State)}}
	if r.After != 0 {
		v.Set("after", r.After.String())
	}
	if r.Max != 0 {
		v.Set("limit", strconv.Itoa(r.Max))
	}
	var in struct {
		Jobs []infoJSON `json:"jobs"`
	}
	if _, err := q.c.do(ctx, request{method: http.MethodGet, url: q.url(v, "jobs")}, &in); err != nil {
		return nil, err
	}
	out := make([]queue.Info, len(in.Jobs))
	for i := range in.Jobs {
		var err error
		if out[i], err = in.Jobs[i].info(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Cancel removes 1 to queue.MaxIDs jobs that are ready, delayed or leased. The
// errors are those of each job: NotFound, Conflict for a dead one. It is sent
// again after a lost answer; a job that had been canceled then is NotFound.
func (q *Queue) Cancel(ctx context.Context, ids ...queue.ID) ([]error, error) {
	in := struct {
		IDs []queue.ID `json:"ids"`
	}{ids}
	var out struct{ Results []resultJSON }
	if err := q.post(ctx, in, &out, "cancel"); err != nil {
		return nil, err
	}
	return errorsOf(out.Results, len(ids))
}

// Reschedule makes a ready or delayed job ready at a time; one that has come is
// at once. Errors: NotFound, Conflict for a leased or dead one.
func (q *Queue) Reschedule(ctx context.Context, id queue.ID, at time.Time) error {
	in := struct {
		At time.Time `json:"at"`
	}{at}
	return q.post(ctx, in, nil, "jobs", id.String(), "reschedule")
}

// Redrive makes all dead jobs that the filter selects ready again, and gives
// their number. It is sent once: after a lost answer, look at what is dead still.
func (q *Queue) Redrive(ctx context.Context, f queue.Filter) (int64, error) {
	var out struct {
		Redriven int64 `json:"redriven"`
	}
	err := q.postOnce(ctx, f, &out, "redrive")
	return out.Redriven, err
}

// Purge removes all jobs that are in one of the states, and gives their number.
// Leased jobs cannot be purged: Invalid. It is sent once.
func (q *Queue) Purge(ctx context.Context, states ...queue.State) (int64, error) {
	in := struct {
		States []queue.State `json:"states"`
	}{states}
	var out struct {
		Purged int64 `json:"purged"`
	}
	err := q.postOnce(ctx, in, &out, "purge")
	return out.Purged, err
}

// postOnce is post without repetition: a second answer would not tell the number
// of the first.
func (q *Queue) postOnce(ctx context.Context, in, out any, part string) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	_, err = q.c.once(ctx, request{method: http.MethodPost, url: q.url(nil, part), header: http.Header{"Content-Type": {"application/json"}}, body: body}, out)
	return err
}

// Pause makes Lease give nothing, until Resume.
func (q *Queue) Pause(ctx context.Context) error { return q.post(ctx, nil, nil, "pause") }

// Resume ends a Pause: workers that wait are woken.
func (q *Queue) Resume(ctx context.Context) error { return q.post(ctx, nil, nil, "resume") }
