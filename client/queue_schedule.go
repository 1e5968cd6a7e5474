package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/parleyhq/parley/pattern/queue"
)

// scheduleJSON is a schedule as it is put: its name is in the path.
type scheduleJSON struct {
	Cron   string       `json:"cron"`
	Zone   string       `json:"zone,omitempty"`
	Missed queue.Missed `json:"missed,omitempty"`
	Job    queue.Job    `json:"job"`
	Paused bool         `json:"paused,omitempty"`
}

// PutSchedule makes a schedule of the queue, or replaces it, and says which.
// Errors: Invalid and TooLarge, naming the member; Overloaded when the queue has
// queue.MaxSchedules.
func (q *Queue) PutSchedule(ctx context.Context, s queue.Schedule) (info queue.ScheduleInfo, created bool, err error) {
	if s, err = s.Check(); err != nil {
		return info, false, err
	}
	body, err := json.Marshal(scheduleJSON{s.Cron, s.Zone, s.Missed, s.Job, s.Paused})
	if err != nil {
		return info, false, err
	}
	r := request{method: http.MethodPut, url: q.url(nil, "schedules", s.Name), header: http.Header{"Content-Type": {"application/json"}}, body: body}
	res, err := q.c.do(ctx, r, &info)
	return info, err == nil && res.StatusCode == http.StatusCreated, err
}

// Schedules lists the queue's schedules by name.
func (q *Queue) Schedules(ctx context.Context) ([]queue.ScheduleInfo, error) {
	all := []queue.ScheduleInfo{} // in JSON a list, not null
	v := url.Values{}
	for {
		var page struct {
			Schedules []queue.ScheduleInfo `json:"schedules"`
			Next      string               `json:"next"`
		}
		if _, err := q.c.do(ctx, request{method: http.MethodGet, url: q.url(v, "schedules")}, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Schedules...)
		if page.Next == "" {
			return all, nil
		}
		v.Set("after", page.Next)
	}
}

// Schedule shows one schedule. Errors: NotFound.
func (q *Queue) Schedule(ctx context.Context, name string) (queue.ScheduleInfo, error) {
	var out queue.ScheduleInfo
	_, err := q.c.do(ctx, request{method: http.MethodGet, url: q.url(nil, "schedules", name)}, &out)
	return out, err
}

// DeleteSchedule deletes a schedule; jobs that it has made stay. Errors: NotFound.
func (q *Queue) DeleteSchedule(ctx context.Context, name string) error {
	_, err := q.c.do(ctx, request{method: http.MethodDelete, url: q.url(nil, "schedules", name)}, nil)
	return err
}

// PauseSchedule stops a schedule, or lets it go on with the next due time: it reads
// the schedule and puts it again. Errors: NotFound.
func (q *Queue) PauseSchedule(ctx context.Context, name string, paused bool) error {
	i, err := q.Schedule(ctx, name)
	if err != nil || i.Paused == paused {
		return err
	}
	i.Name, i.Paused = name, paused
	_, _, err = q.PutSchedule(ctx, i.Schedule)
	return err
}
