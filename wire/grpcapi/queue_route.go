package grpcapi

import (
	"slices"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/wire/door"
)

func queueRoutes() []door.Route {
	const queues = "/parley.v1.Queues/"
	owner := []parley.Code{parley.NotFound, parley.Unavailable, parley.Full}
	look := append([]parley.Code{parley.Invalid}, owner...)
	change := append(slices.Clip(look), parley.Unknown)
	enqueue := append(slices.Clip(change), parley.TooLarge, parley.Overloaded, parley.KeyReused)
	return []door.Route{
		{Path: queues + "Enqueue", Name: "queue-enqueue", Pattern: "queue", Verb: "enqueue", On: "queue", Errors: enqueue, Summary: "Add jobs to a queue: all of the request, or none."},
		{Path: queues + "EnqueueStream", Name: "queue-enqueue-stream", Pattern: "queue", Verb: "enqueue", On: "queue", Errors: enqueue, Summary: "Add jobs many times over one stream."},
		{Path: queues + "Lease", Name: "queue-lease", Pattern: "queue", Verb: "work", On: "queue", Errors: append(slices.Clip(owner), parley.Invalid, parley.Unknown, parley.Overloaded), Summary: "Take jobs to work them off: each is the caller's until its lease ends."},
		{Path: queues + "Settle", Name: "queue-settle", Pattern: "queue", Verb: "work", On: "queue", Errors: change, Summary: "Settle up to 1,000 leases in one commit, with a result for each."},
		{Path: queues + "Work", Name: "queue-work", Pattern: "queue", Verb: "work", On: "queue", Errors: append(slices.Clip(change), parley.Overloaded), Summary: "Have jobs pushed as they come, and settle them, over one stream."},
		{Path: queues + "ListJobs", Name: "queue-jobs", Pattern: "queue", Verb: "work", On: "queue", Errors: look, Summary: "Look at the jobs of one state, the oldest first, without leasing them."},
		{Path: queues + "GetJob", Name: "queue-job", Pattern: "queue", Verb: "work", On: "queue", Errors: look, Summary: "Look at one job, with its attempts."},
		{Path: queues + "CancelJobs", Name: "queue-cancel-many", Pattern: "queue", Verb: "admin", On: "queue", Errors: change, Summary: "Cancel up to 1,000 jobs, with a result for each."},
		{Path: queues + "RescheduleJob", Name: "queue-reschedule", Pattern: "queue", Verb: "admin", On: "queue", Errors: append(slices.Clip(change), parley.Conflict), Summary: "Change when a job that is ready or delayed becomes ready."},
		{Path: queues + "GetResult", Name: "queue-result", Pattern: "queue", Verb: "enqueue", On: "queue", Errors: append(slices.Clip(look), parley.Overloaded), Summary: "Get the result of a job, and wait for it if wanted."},
		{Path: queues + "Redrive", Name: "queue-redrive", Pattern: "queue", Verb: "admin", On: "queue", Errors: change, Summary: "Make dead jobs ready again: all, or those that a filter selects."},
		{Path: queues + "Purge", Name: "queue-purge", Pattern: "queue", Verb: "admin", On: "queue", Errors: change, Summary: "Remove all jobs that are ready, delayed or dead."},
		{Path: queues + "PauseQueue", Name: "queue-pause", Pattern: "queue", Verb: "admin", On: "queue", Errors: change[1:], Summary: "Lease no jobs until the queue is resumed."},
		{Path: queues + "ResumeQueue", Name: "queue-resume", Pattern: "queue", Verb: "admin", On: "queue", Errors: change[1:], Summary: "End a pause: workers that wait get jobs at once."},
		{Path: queues + "ListQueues", Name: "queue-list", Pattern: "queue", Errors: []parley.Code{parley.Invalid}, Summary: "List the queues that the caller may work for or administer."},
		{Path: queues + "GetQueue", Name: "queue-show", Pattern: "queue", Verb: "work", On: "queue", Errors: owner, Summary: "Show a queue: its settings and how many jobs it has."},
		{Path: queues + "PutQueue", Name: "queue-put", Pattern: "queue", Verb: "admin", On: "queue", Errors: append(slices.Clip(change), parley.Conflict, parley.Overloaded), Summary: "Make a queue, or change its settings: what is absent stays as it is."},
		{Path: queues + "DeleteQueue", Name: "queue-delete", Pattern: "queue", Verb: "admin", On: "queue", Errors: append(slices.Clip(change), parley.Conflict), Summary: "Delete a queue with all its jobs."},
		{Path: queues + "ListSchedules", Name: "schedule-list", Pattern: "queue", Verb: "work", On: "queue", Errors: owner, Summary: "List the schedules of a queue."},
		{Path: queues + "GetSchedule", Name: "schedule-show", Pattern: "queue", Verb: "work", On: "queue", Errors: owner, Summary: "Show a schedule: when it is due next, and when it last was."},
		{Path: queues + "PutSchedule", Name: "schedule-put", Pattern: "queue", Verb: "admin", On: "queue", Errors: append(slices.Clip(change), parley.TooLarge, parley.Unprocessable, parley.Overloaded), Summary: "Make a schedule, or replace it: a job for each time that a cron expression names."},
		{Path: queues + "DeleteSchedule", Name: "schedule-delete", Pattern: "queue", Verb: "admin", On: "queue", Errors: change[1:], Summary: "End a schedule; the jobs that it made stay."},
	}
}
