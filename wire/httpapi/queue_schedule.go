package httpapi

import (
	"net/http"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/queue"
	"github.com/parleyhq/parley/wire/door"
)

// ScheduleList is all schedules of a queue.
type ScheduleList struct {
	Schedules []queue.ScheduleInfo `json:"schedules"`
}

func (a *API) scheduleRoutes() []door.Route {
	return []door.Route{
		{
			Method: http.MethodGet, Path: "/v1/queues/{queue}/schedules", Name: "schedule-list", Pattern: "queue", Summary: "List the schedules of a queue.",
			Verb: "work", On: "queue", Answer: ScheduleList{}, Errors: ownerErrors, Handle: a.scheduleList,
			Example: `curl http://127.0.0.1:7275/v1/queues/emails/schedules`,
		},
		{
			Method: http.MethodGet, Path: "/v1/queues/{queue}/schedules/{schedule}", Name: "schedule-show", Pattern: "queue", Summary: "Show a schedule: when it is due next, and when it last was.",
			Verb: "work", On: "queue", Answer: queue.ScheduleInfo{}, Errors: ownerErrors, Handle: a.scheduleShow,
			Example: `curl http://127.0.0.1:7275/v1/queues/emails/schedules/digest`,
		},
		{
			Method: http.MethodPut, Path: "/v1/queues/{queue}/schedules/{schedule}", Name: "schedule-put", Pattern: "queue", Summary: "Make a schedule, or replace it: a job for each time that a cron expression names.",
			Verb: "admin", On: "queue", Request: queue.Schedule{}, Answer: queue.ScheduleInfo{}, Handle: a.schedulePut,
			Errors:  codes(bodyErrors, ownerErrors, storeErrors, []parley.Code{parley.Unprocessable, parley.Overloaded}),
			Example: `curl -X PUT -d '{"cron": "0 8 * * 1-5", "zone": "Europe/Berlin", "job": {"data": "send the digest"}}' http://127.0.0.1:7275/v1/queues/emails/schedules/digest`,
		},
		{
			Method: http.MethodDelete, Path: "/v1/queues/{queue}/schedules/{schedule}", Name: "schedule-delete", Pattern: "queue", Summary: "End a schedule; the jobs that it made stay.",
			Verb: "admin", On: "queue", Status: http.StatusNoContent, Errors: codes(ownerErrors, storeErrors), Handle: a.scheduleDelete,
			Example: `curl -X DELETE http://127.0.0.1:7275/v1/queues/emails/schedules/digest`,
		},
	}
}

func (a *API) scheduleList(c *door.Call) error {
	q, err := a.queueOf(c)
	if err != nil {
		return err
	}
	list, err := q.Schedules(c.Context())
	if err != nil {
		return err
	}
	if list == nil {
		list = []queue.ScheduleInfo{}
	}
	return answerJSON(c.W, http.StatusOK, ScheduleList{list})
}

func (a *API) scheduleShow(c *door.Call) error {
	q, err := a.queueOf(c)
	if err != nil {
		return err
	}
	info, err := q.Schedule(c.Context(), c.R.PathValue("schedule"))
	if err != nil {
		return err
	}
	return answerJSON(c.W, http.StatusOK, info)
}

func (a *API) schedulePut(c *door.Call) error {
	var in queue.Schedule
	body := struct {
		*queue.Schedule
		Job strictly `json:"job"` // instead of that of Schedule
	}{&in, strictly{&in.Job}}
	if err := a.readJSON(c, &body); err != nil {
		return err
	}
	name := c.R.PathValue("schedule")
	if in.Name != "" && in.Name != name {
		return parley.BadField("name", "is not that of the path", "leave it out")
	}
	in.Name = name
	if _, err := in.Check(); err != nil { // before a queue is made for it
		return err
	}
	q, err := a.opt.Queues.Ensure(c.Context(), c.R.PathValue("queue"))
	if err != nil {
		return err
	}
	info, created, err := q.PutSchedule(c.Context(), in)
	if err != nil {
		return err
	}
	if created {
		return answerJSON(c.W, http.StatusCreated, info)
	}
	return answerJSON(c.W, http.StatusOK, info)
}

func (a *API) scheduleDelete(c *door.Call) error {
	q, err := a.queueOf(c)
	if err == nil {
		err = q.DeleteSchedule(c.Context(), c.R.PathValue("schedule"))
	}
	if err != nil {
		return err
	}
	c.W.WriteHeader(http.StatusNoContent)
	return nil
}
