package grpcapi

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/queue"
	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
)

// states are the states of jobs by those of queue.
var states = map[queue.State]parleyv1.JobState{
	queue.Ready: parleyv1.JobState_JOB_STATE_READY, queue.Delayed: parleyv1.JobState_JOB_STATE_DELAYED,
	queue.Leased: parleyv1.JobState_JOB_STATE_LEASED, queue.Dead: parleyv1.JobState_JOB_STATE_DEAD,
	queue.Done: parleyv1.JobState_JOB_STATE_DONE, queue.Canceled: parleyv1.JobState_JOB_STATE_CANCELED,
}

// stateFrom reads a state; one that is not known is one that queue refuses.
func stateFrom(s parleyv1.JobState) queue.State {
	for name, state := range states {
		if state == s {
			return name
		}
	}
	return queue.State(s.String())
}

func idsOf(list []int64) []queue.ID {
	if len(list) == 0 {
		return nil
	}
	out := make([]queue.ID, len(list))
	for i, id := range list {
		out[i] = queue.ID(id)
	}
	return out
}

// timeFrom reads a time; absent is zero.
func timeFrom(field string, t *timestamppb.Timestamp) (time.Time, error) {
	if t == nil {
		return time.Time{}, nil
	}
	if t.CheckValid() != nil {
		return time.Time{}, parley.BadField(field, "is no time", "send seconds from the years 1 to 9999, and 0 to 999,999,999 nanoseconds")
	}
	return t.AsTime(), nil
}

// spanFrom reads a duration of at most so long; absent is 0.
func spanFrom(field string, in *durationpb.Duration, most time.Duration) (d time.Duration, err error) {
	if err := changeDuration(&d, field, in); err != nil {
		return 0, err
	}
	if d > most {
		return 0, parley.BadField(field, "is "+d.String(), "send at most "+most.String())
	}
	return d, nil
}

func retryOf(r *queue.Retry) *parleyv1.RetryPolicy {
	if r == nil {
		return nil
	}
	out := &parleyv1.RetryPolicy{Kind: string(r.Kind), Delay: some(r.Delay), Max: some(r.Max), Jitter: r.Jitter}
	for _, d := range r.Delays {
		out.Delays = append(out.Delays, durationpb.New(d))
	}
	return out
}

// maxDelays bounds the delays that are read of a policy; queue allows 100.
const maxDelays = 1000

func retryFrom(in *parleyv1.RetryPolicy) (r queue.Retry, err error) {
	r = queue.Retry{Kind: queue.RetryKind(in.GetKind()), Jitter: in.GetJitter()}
	if err := changeDuration(&r.Delay, "retry.delay", in.GetDelay()); err != nil {
		return r, err
	}
	if err := changeDuration(&r.Max, "retry.max", in.GetMax()); err != nil {
		return r, err
	}
	if len(in.GetDelays()) > maxDelays {
		return r, parley.BadField("retry.delays", "are more than 100", "send 1 to 100")
	}
	for _, d := range in.GetDelays() {
		var delay time.Duration
		if err := changeDuration(&delay, "retry.delays", d); err != nil {
			return r, err
		}
		r.Delays = append(r.Delays, delay)
	}
	return r, nil
}

// jobFrom reads a job. It takes the message's memory over.
func jobFrom(in *parleyv1.Job) (job queue.Job, err error) {
	job = queue.Job{Priority: int(in.GetPriority()), Key: in.GetKey(), Unique: in.GetUnique(), MaxAttempts: int(in.GetMaxAttempts())}
	if job.Event, err = eventOf(in.GetEvent()); err != nil {
		return job, err
	}
	if job.Delay, err = spanFrom("delay", in.GetDelay(), queue.MaxDelay); err != nil {
		return job, err
	}
	if job.At, err = timeFrom("at", in.GetAt()); err != nil {
		return job, err
	}
	if in.GetRetry() != nil {
		retry, err := retryFrom(in.GetRetry())
		if err != nil {
			return job, err
		}
		job.Retry = &retry
	}
	return job, nil
}

func jobOf(j *queue.Job) *parleyv1.Job {
	out := &parleyv1.Job{
		Event: messageOf(&j.Event), Delay: some(j.Delay), At: timeOf(j.At), Priority: int32(j.Priority),
		Key: j.Key, Unique: j.Unique, Retry: retryOf(j.Retry), MaxAttempts: int32(j.MaxAttempts),
	}
	return out
}

// messageOf is an event as a message, where it is not written at once.
func messageOf(e *parley.Event) *parleyv1.Event {
	return &parleyv1.Event{
		Id: e.ID, Source: e.Source, Type: e.Type, Subject: e.Subject, Time: timeOf(e.Time),
		Datacontenttype: e.DataContentType, Dataschema: e.DataSchema, Extensions: e.Extensions, Data: e.Data,
	}
}

func infoOf(j *queue.Info) *parleyv1.JobInfo {
	out := &parleyv1.JobInfo{
		Id: int64(j.ID), State: states[j.State], Enqueued: timeOf(j.Enqueued), Priority: int32(j.Priority), Key: j.Key, Unique: j.Unique,
		Due: timeOf(j.Due), Attempts: int32(j.Attempts), Died: timeOf(j.Died), Reason: j.Reason,
		Retry: retryOf(j.Retry), MaxAttempts: int32(j.MaxAttempts),
	}
	if j.Event.ID != "" {
		out.Event = messageOf(&j.Event)
	}
	for _, a := range j.History {
		out.History = append(out.History, &parleyv1.JobAttempt{Number: int32(a.Number), Worker: a.Worker, Began: timeOf(a.Began), Ended: timeOf(a.Ended), Cause: a.Cause})
	}
	if p := j.Progress; p != nil {
		out.Progress = &parleyv1.JobProgress{Progress: p.Fraction, Note: p.Note, At: timeOf(p.At)}
	}
	return out
}

// inList says of which item of a list an error is.
func inList(list string, i int, err error) error {
	var e *parley.Error
	if !errors.As(err, &e) {
		return err
	}
	at := *e
	at.Field = strings.TrimSuffix(list+"["+strconv.Itoa(i)+"]."+e.Field, ".")
	return &at
}

// inJobs takes an error of Enqueue, which names the job in words, apart.
func inJobs(err error) error {
	var e *parley.Error
	if !errors.As(err, &e) {
		return err
	}
	number, detail, found := strings.Cut(strings.TrimPrefix(e.Detail, "job "), ": ")
	i, bad := strconv.Atoi(number)
	if !found || bad != nil {
		return err
	}
	at := *e
	at.Detail = detail
	if at.Field == "jobs" { // the job as a whole
		at.Field = ""
	}
	return inList("jobs", i, &at)
}

// failuresOf are the errors of a list of results, by index.
func failuresOf(errs []error) (out []*parleyv1.ItemFailure) {
	for i, err := range errs {
		if err != nil {
			out = append(out, &parleyv1.ItemFailure{Index: int32(i), Failure: failureOf(err)})
		}
	}
	return out
}
