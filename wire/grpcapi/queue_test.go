package grpcapi

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/queue"
	"github.com/parleyhq/parley/wire/door"
	"github.com/parleyhq/parley/wire/grpcapi/packed"
	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
	"github.com/parleyhq/parley/wire/httpapi"
)

// queues is a client of a rig's queues, most of it of the queue "q".
type queues struct {
	*rig
	parleyv1.QueuesClient
}

func newQueues(t testing.TB, change func(*Options)) *queues {
	t.Helper()
	r := newRig(t, change)
	return &queues{r, parleyv1.NewQueuesClient(r.conn)}
}

func jobsFor(data ...string) []*parleyv1.Job {
	out := make([]*parleyv1.Job, len(data))
	for i, d := range data {
		out[i] = &parleyv1.Job{Event: text(d)}
	}
	return out
}

func (q *queues) add(jobs ...*parleyv1.Job) []int64 {
	q.t.Helper()
	out, err := q.Enqueue(q.t.Context(), &parleyv1.EnqueueRequest{Queue: "q", Jobs: jobs})
	if err != nil {
		q.t.Fatal(err)
	}
	ids := make([]int64, len(out.GetJobs()))
	for i, j := range out.GetJobs() {
		ids[i] = j.GetId()
	}
	return ids
}

func (q *queues) take(n int) []*parleyv1.LeasedJob {
	q.t.Helper()
	out, err := q.Lease(q.t.Context(), &parleyv1.LeaseRequest{Queue: "q", Max: int32(n), Wait: durationpb.New(time.Minute), Worker: "w"})
	if err != nil {
		q.t.Fatal(err)
	}
	return out.GetJobs()
}

func (q *queues) stats() *parleyv1.QueueStats {
	q.t.Helper()
	out, err := q.GetQueue(q.t.Context(), &parleyv1.GetQueueRequest{Queue: "q"})
	if err != nil {
		q.t.Fatal(err)
	}
	return out.GetStats()
}

// must gives the answer of a call that has to succeed.
func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func settlement(l *parleyv1.LeasedJob, a parleyv1.SettleAction) *parleyv1.Settlement {
	return &parleyv1.Settlement{Lease: l.GetLease(), Action: a}
}

const (
	ack      = parleyv1.SettleAction_SETTLE_ACTION_ACK
	nack     = parleyv1.SettleAction_SETTLE_ACTION_NACK
	extend   = parleyv1.SettleAction_SETTLE_ACTION_EXTEND
	progress = parleyv1.SettleAction_SETTLE_ACTION_PROGRESS
	dead     = parleyv1.SettleAction_SETTLE_ACTION_DEAD
)

func TestJobsFromEnqueueToTheirEnd(t *testing.T) {
	q := newQueues(t, nil)
	ctx := t.Context()
	info := must[*parleyv1.QueueInfo](t)(q.PutQueue(ctx, &parleyv1.PutQueueRequest{Queue: "q", Settings: &parleyv1.QueueSettings{
		MaxAttempts: proto.Int32(2), Retry: &parleyv1.RetryPolicy{Kind: "fixed", Delay: durationpb.New(time.Hour)}, Visibility: durationpb.New(time.Minute),
	}}))
	if s := info.GetSettings(); s.GetMaxAttempts() != 2 || s.GetRetry().GetKind() != "fixed" || s.GetVisibility().AsDuration() != time.Minute {
		t.Fatalf("settings %v", s)
	}
	ids := q.add(append(jobsFor("a", "b", "c", "d", "e"),
		&parleyv1.Job{Event: text("late"), Delay: durationpb.New(time.Hour)},
		&parleyv1.Job{Event: text("first"), Priority: 9, Key: "k", Unique: "u", MaxAttempts: 7, Retry: &parleyv1.RetryPolicy{Kind: "list", Delays: []*durationpb.Duration{durationpb.New(time.Second)}}},
		&parleyv1.Job{Event: text("twice"), Unique: "u"})...)
	list := q.take(10)
	if len(list) != 6 || string(list[0].GetEvent().GetData()) != "first" || list[0].GetPriority() != 9 || list[0].GetKey() != "k" || list[0].GetAttempt() != 1 {
		t.Fatalf("leased %v", list)
	}
	if list[0].GetVisibility().AsDuration() != time.Minute || list[0].GetEvent().GetSource() != "/queues/q" || list[0].GetId() != ids[6] || list[0].GetEnqueued() == nil || list[0].GetUntil() == nil {
		t.Errorf("leased %v", list[0])
	}
	fraction := settlement(list[4], progress)
	fraction.Progress, fraction.Note = 0.5, "half"
	result := settlement(list[0], ack)
	result.Result = &parleyv1.JobOutput{ContentType: "text/plain", Data: []byte("done")}
	back := settlement(list[2], nack)
	back.Cause = "busy"
	over := settlement(list[3], dead)
	over.Cause = "no such address"
	out := must[*parleyv1.SettleResponse](t)(q.Settle(ctx, &parleyv1.SettleRequest{Queue: "q", Settlements: []*parleyv1.Settlement{
		result, settlement(list[1], ack), settlement(list[1], ack), back, over, fraction, settlement(list[5], extend), {Lease: "q~nonsense"},
	}}))
	if f := out.GetFailures(); len(f) != 2 || f[0].GetIndex() != 2 || f[0].GetFailure().GetReason() != "CONFLICT" || f[1].GetIndex() != 7 || f[1].GetFailure().GetReason() != "INVALID" {
		t.Fatalf("settled: %v", f)
	}
	if s := q.stats(); s.GetDone() != 2 || s.GetDead() != 1 || s.GetDelayed() != 2 || s.GetLeased() != 2 || s.GetEnqueued() != 7 {
		t.Errorf("stats %v", s)
	}
	job := must[*parleyv1.JobInfo](t)(q.GetJob(ctx, &parleyv1.GetJobRequest{Queue: "q", Id: list[4].GetId()}))
	if job.GetState() != parleyv1.JobState_JOB_STATE_LEASED || job.GetProgress().GetProgress() != 0.5 || job.GetProgress().GetNote() != "half" || len(job.GetHistory()) != 1 || job.GetHistory()[0].GetWorker() != "w" || string(job.GetEvent().GetData()) != "d" {
		t.Errorf("job %v", job)
	}
	end := must[*parleyv1.GetResultResponse](t)(q.GetResult(ctx, &parleyv1.GetResultRequest{Queue: "q", Id: ids[6], Wait: durationpb.New(time.Second)}))
	if end.GetState() != parleyv1.JobState_JOB_STATE_DONE || string(end.GetResult().GetData()) != "done" {
		t.Errorf("result %v", end)
	}
	if end = must[*parleyv1.GetResultResponse](t)(q.GetResult(ctx, &parleyv1.GetResultRequest{Queue: "q", Id: list[3].GetId()})); end.GetState() != parleyv1.JobState_JOB_STATE_DEAD || end.GetReason() != "no such address" {
		t.Errorf("result %v", end)
	}
	if end = must[*parleyv1.GetResultResponse](t)(q.GetResult(ctx, &parleyv1.GetResultRequest{Queue: "q", Id: list[4].GetId(), Wait: durationpb.New(time.Millisecond)})); end.GetState() != parleyv1.JobState_JOB_STATE_LEASED {
		t.Errorf("result %v", end)
	}
}

func TestMendingAQueue(t *testing.T) {
	q := newQueues(t, nil)
	ctx := t.Context()
	ids := q.add(jobsFor("a", "b", "c", "d")...)
	for _, l := range q.take(1) {
		over := settlement(l, dead)
		over.Cause = "timeout"
		must[*parleyv1.SettleResponse](t)(q.Settle(ctx, &parleyv1.SettleRequest{Queue: "q", Settlements: []*parleyv1.Settlement{over}}))
	}
	page := must[*parleyv1.ListJobsResponse](t)(q.ListJobs(ctx, &parleyv1.ListJobsRequest{Queue: "q", Limit: 2}))
	if len(page.GetJobs()) != 2 || page.GetNext() != ids[2] {
		t.Errorf("a page %v", page)
	}
	page = must[*parleyv1.ListJobsResponse](t)(q.ListJobs(ctx, &parleyv1.ListJobsRequest{Queue: "q", After: page.GetNext()}))
	if len(page.GetJobs()) != 1 || page.GetNext() != 0 {
		t.Errorf("the last page %v", page)
	}
	page = must[*parleyv1.ListJobsResponse](t)(q.ListJobs(ctx, &parleyv1.ListJobsRequest{Queue: "q", State: parleyv1.JobState_JOB_STATE_DEAD}))
	if len(page.GetJobs()) != 1 || page.GetJobs()[0].GetReason() != "timeout" || page.GetJobs()[0].GetDied() == nil {
		t.Errorf("dead jobs %v", page)
	}
	canceled := must[*parleyv1.CancelJobsResponse](t)(q.CancelJobs(ctx, &parleyv1.CancelJobsRequest{Queue: "q", Ids: []int64{ids[1], ids[0], 999}}))
	if f := canceled.GetFailures(); len(f) != 2 || f[0].GetIndex() != 1 || f[0].GetFailure().GetReason() != "CONFLICT" || f[1].GetFailure().GetReason() != "NOT_FOUND" {
		t.Errorf("canceled: %v", f)
	}
	must[*parleyv1.RescheduleJobResponse](t)(q.RescheduleJob(ctx, &parleyv1.RescheduleJobRequest{Queue: "q", Id: ids[2], When: &parleyv1.RescheduleJobRequest_Delay{Delay: durationpb.New(time.Hour)}}))
	must[*parleyv1.RescheduleJobResponse](t)(q.RescheduleJob(ctx, &parleyv1.RescheduleJobRequest{Queue: "q", Id: ids[3], When: &parleyv1.RescheduleJobRequest_At{At: timestamppb.New(time.Now().Add(time.Hour))}}))
	if s := q.stats(); s.GetDelayed() != 2 || s.GetReady() != 0 {
		t.Errorf("stats %v", s)
	}
	redriven := must[*parleyv1.RedriveResponse](t)(q.Redrive(ctx, &parleyv1.RedriveRequest{Queue: "q", Reason: "time", Worker: "w", Since: timestamppb.New(time.Now().Add(-time.Hour))}))
	if redriven.GetRedriven() != 1 {
		t.Errorf("redriven %v", redriven)
	}
	must[*parleyv1.PauseQueueResponse](t)(q.PauseQueue(ctx, &parleyv1.PauseQueueRequest{Queue: "q"}))
	none := must[*parleyv1.LeaseResponse](t)(q.Lease(ctx, &parleyv1.LeaseRequest{Queue: "q"}))
	if len(none.GetJobs()) != 0 {
		t.Errorf("a paused queue gives %v", none)
	}
	must[*parleyv1.ResumeQueueResponse](t)(q.ResumeQueue(ctx, &parleyv1.ResumeQueueRequest{Queue: "q"}))
	purged := must[*parleyv1.PurgeResponse](t)(q.Purge(ctx, &parleyv1.PurgeRequest{Queue: "q", States: []parleyv1.JobState{parleyv1.JobState_JOB_STATE_READY, parleyv1.JobState_JOB_STATE_DELAYED}}))
	if purged.GetPurged() != 3 {
		t.Errorf("purged %v", purged)
	}
	must[*parleyv1.QueueInfo](t)(q.PutQueue(ctx, &parleyv1.PutQueueRequest{Queue: "other", Settings: &parleyv1.QueueSettings{Feed: &parleyv1.QueueFeed{Patterns: []string{"orders.*"}}}}))
	all := must[*parleyv1.ListQueuesResponse](t)(q.ListQueues(ctx, &parleyv1.ListQueuesRequest{Limit: 1}))
	if len(all.GetQueues()) != 1 || all.GetQueues()[0].GetName() != "other" || all.GetNext() != "other" || len(all.GetQueues()[0].GetStats().GetFeeds()) != 1 {
		t.Errorf("queues %v", all)
	}
	must[*parleyv1.DeleteQueueResponse](t)(q.DeleteQueue(ctx, &parleyv1.DeleteQueueRequest{Queue: "q"}))
	_, err := q.GetQueue(ctx, &parleyv1.GetQueueRequest{Queue: "q"})
	taken(t, err).want(t, codes.NotFound, "NOT_FOUND", "queue")
}

func TestSchedules(t *testing.T) {
	q := newQueues(t, nil)
	ctx := t.Context()
	put := &parleyv1.PutScheduleRequest{Queue: "q", Schedule: &parleyv1.Schedule{Name: "digest", Cron: "0 8 * * *", Zone: "Europe/Berlin", Missed: "skip", Job: &parleyv1.Job{Event: text("x"), Priority: 3}}}
	info := must[*parleyv1.ScheduleInfo](t)(q.PutSchedule(ctx, put))
	if info.GetNext() == nil || info.GetSchedule().GetMissed() != "skip" || info.GetSchedule().GetJob().GetPriority() != 3 {
		t.Errorf("put %v", info)
	}
	list := must[*parleyv1.ListSchedulesResponse](t)(q.ListSchedules(ctx, &parleyv1.ListSchedulesRequest{Queue: "q"}))
	one := must[*parleyv1.ScheduleInfo](t)(q.GetSchedule(ctx, &parleyv1.GetScheduleRequest{Queue: "q", Schedule: "digest"}))
	if len(list.GetSchedules()) != 1 || !proto.Equal(list.GetSchedules()[0], one) || !proto.Equal(one, info) {
		t.Errorf("%v, and one %v", list, one)
	}
	must[*parleyv1.DeleteScheduleResponse](t)(q.DeleteSchedule(ctx, &parleyv1.DeleteScheduleRequest{Queue: "q", Schedule: "digest"}))
	_, err := q.GetSchedule(ctx, &parleyv1.GetScheduleRequest{Queue: "q", Schedule: "digest"})
	taken(t, err).want(t, codes.NotFound, "NOT_FOUND", "schedule")
}

func TestWhoMaySeeNoQueueIsToldSo(t *testing.T) {
	ts, secret := tokens(t, nil, map[string]string{"worker": "work:q", "reader": "read"})
	q := newQueues(t, func(o *Options) { o.Identify = ts })
	_, err := q.ListQueues(t.Context(), &parleyv1.ListQueuesRequest{})
	taken(t, err).want(t, codes.Unauthenticated, "UNAUTHENTICATED", "authorization")
	for name := range secret {
		if list, err := q.ListQueues(as(t.Context(), secret[name]), &parleyv1.ListQueuesRequest{}); err != nil || len(list.GetQueues()) != 0 {
			t.Errorf("%s: %v, %v", name, list, err)
		}
	}
}

func TestRequestsThatQueuesRefuse(t *testing.T) {
	q := newQueues(t, nil)
	ctx := t.Context()
	id := q.add(jobsFor("x")...)[0]
	job := q.take(1)[0]
	enqueue := func(j ...*parleyv1.Job) error {
		_, err := q.Enqueue(ctx, &parleyv1.EnqueueRequest{Queue: "q", Jobs: j})
		return err
	}
	settle := func(s ...*parleyv1.Settlement) error {
		_, err := q.Settle(ctx, &parleyv1.SettleRequest{Queue: "q", Settlements: s})
		return err
	}
	lease := func(in *parleyv1.LeaseRequest) error {
		in.Queue = "q"
		_, err := q.Lease(ctx, in)
		return err
	}
	second := func(err error) error { return err }
	_, reschedule := q.RescheduleJob(ctx, &parleyv1.RescheduleJobRequest{Queue: "q", Id: id})
	_, leasedAway := q.RescheduleJob(ctx, &parleyv1.RescheduleJobRequest{Queue: "q", Id: id, When: &parleyv1.RescheduleJobRequest_Delay{Delay: durationpb.New(0)}})
	_, purge := q.Purge(ctx, &parleyv1.PurgeRequest{Queue: "q", States: []parleyv1.JobState{parleyv1.JobState_JOB_STATE_LEASED}})
	_, cancelNone := q.CancelJobs(ctx, &parleyv1.CancelJobsRequest{Queue: "q"})
	_, state := q.ListJobs(ctx, &parleyv1.ListJobsRequest{Queue: "q", State: 99})
	_, page := q.ListQueues(ctx, &parleyv1.ListQueuesRequest{Limit: 1001})
	_, unknown := q.GetResult(ctx, &parleyv1.GetResultRequest{Queue: "q", Id: 999})
	_, schedule := q.PutSchedule(ctx, &parleyv1.PutScheduleRequest{Queue: "fresh"})
	_, cron := q.PutSchedule(ctx, &parleyv1.PutScheduleRequest{Queue: "fresh", Schedule: &parleyv1.Schedule{Name: "s", Cron: "often"}})
	_, made := q.GetQueue(ctx, &parleyv1.GetQueueRequest{Queue: "fresh"})
	_, settings := q.PutQueue(ctx, &parleyv1.PutQueueRequest{Queue: "q", Settings: &parleyv1.QueueSettings{Visibility: durationpb.New(-time.Second)}})
	_, first := q.Enqueue(ctx, &parleyv1.EnqueueRequest{Queue: "q", Jobs: jobsFor("x"), IdempotencyKey: "k"})
	_, reused := q.Enqueue(ctx, &parleyv1.EnqueueRequest{Queue: "q", Jobs: jobsFor("y"), IdempotencyKey: "k"})
	_, reserved := q.Enqueue(ctx, &parleyv1.EnqueueRequest{Queue: "$queues", Jobs: jobsFor("x")})
	for name, row := range map[string]struct {
		err    error
		code   codes.Code
		reason string
		field  string
	}{
		"no jobs":         {enqueue(), codes.InvalidArgument, "INVALID", "jobs"},
		"priority":        {enqueue(jobsFor("a")[0], &parleyv1.Job{Priority: 10}), codes.InvalidArgument, "INVALID", "jobs[1].priority"},
		"delay and at":    {enqueue(&parleyv1.Job{Delay: durationpb.New(1), At: timestamppb.Now()}), codes.InvalidArgument, "INVALID", "jobs[0].at"},
		"negative delay":  {enqueue(&parleyv1.Job{Delay: durationpb.New(-1)}), codes.InvalidArgument, "INVALID", "jobs[0].delay"},
		"no time":         {enqueue(&parleyv1.Job{At: &timestamppb.Timestamp{Nanos: -1}}), codes.InvalidArgument, "INVALID", "jobs[0].at"},
		"no event's time": {enqueue(&parleyv1.Job{Event: &parleyv1.Event{Time: &timestamppb.Timestamp{Nanos: -1}}}), codes.InvalidArgument, "INVALID", "jobs[0].time"},
		"large":           {enqueue(jobsFor(strings.Repeat("x", 2<<20))...), codes.ResourceExhausted, "TOO_LARGE", "jobs[0]"},
		"retry":           {enqueue(&parleyv1.Job{Retry: &parleyv1.RetryPolicy{Delay: durationpb.New(-1)}}), codes.InvalidArgument, "INVALID", "jobs[0].retry.delay"},
		"many delays":     {enqueue(&parleyv1.Job{Retry: &parleyv1.RetryPolicy{Kind: "list", Delays: make([]*durationpb.Duration, 1001)}}), codes.InvalidArgument, "INVALID", "jobs[0].retry.delays"},
		"max":             {lease(&parleyv1.LeaseRequest{Max: 1001}), codes.InvalidArgument, "INVALID", "max"},
		"wait":            {lease(&parleyv1.LeaseRequest{Wait: durationpb.New(6 * time.Minute)}), codes.InvalidArgument, "INVALID", "wait"},
		"visibility":      {lease(&parleyv1.LeaseRequest{Visibility: durationpb.New(25 * time.Hour)}), codes.InvalidArgument, "INVALID", "visibility"},
		"no settlements":  {settle(), codes.InvalidArgument, "INVALID", "settlements"},
		"action":          {settle(settlement(job, 9)), codes.InvalidArgument, "INVALID", "settlements[0].action"},
		"cause of an ack": {settle(&parleyv1.Settlement{Lease: job.GetLease(), Cause: "x"}), codes.InvalidArgument, "INVALID", "settlements[0].cause"},
		"progress":        {settle(&parleyv1.Settlement{Lease: job.GetLease(), Action: progress, Progress: 2}), codes.InvalidArgument, "INVALID", "settlements[0].progress"},
		"extend":          {settle(&parleyv1.Settlement{Lease: job.GetLease(), Action: extend, Extend: durationpb.New(25 * time.Hour)}), codes.InvalidArgument, "INVALID", "settlements[0].extend"},
		"rest":            {settle(&parleyv1.Settlement{Lease: job.GetLease(), Action: nack, Delay: durationpb.New(-1)}), codes.InvalidArgument, "INVALID", "settlements[0].delay"},
		"reschedule":      {second(reschedule), codes.InvalidArgument, "INVALID", "at"},
		"leased":          {leasedAway, codes.Aborted, "CONFLICT", "job"},
		"purge":           {purge, codes.InvalidArgument, "INVALID", "states"},
		"cancel":          {cancelNone, codes.InvalidArgument, "INVALID", "ids"},
		"state":           {state, codes.InvalidArgument, "INVALID", "state"},
		"page":            {page, codes.InvalidArgument, "INVALID", "limit"},
		"unknown job":     {unknown, codes.NotFound, "NOT_FOUND", "job"},
		"no schedule":     {schedule, codes.InvalidArgument, "INVALID", "schedule"},
		"cron":            {cron, codes.InvalidArgument, "INVALID", "cron"},
		"made for naught": {made, codes.NotFound, "NOT_FOUND", "queue"},
		"settings":        {settings, codes.InvalidArgument, "INVALID", "visibility"},
		"another body":    {errors.Join(first, reused), codes.AlreadyExists, "KEY_REUSED", "idempotency_key"},
		"reserved":        {reserved, codes.PermissionDenied, "FORBIDDEN", ""},
	} {
		if f := taken(t, row.err); f.code != row.code || f.reason != row.reason || row.field != "" && f.field != row.field {
			t.Errorf("%s: %s %s, field %q (%s)", name, f.code, f.reason, f.field, f.text)
		}
	}
}

func TestWhoMayDoWhatWithQueues(t *testing.T) {
	ts, secret := tokens(t, nil, map[string]string{"adder": "enqueue:q", "worker": "work:q", "admin": "admin:q", "owner": "*"})
	q := newQueues(t, func(o *Options) { o.Identify = ts })
	ctx := t.Context()
	for _, who := range []string{"adder", "worker", "admin", "owner"} {
		c := as(ctx, secret[who])
		_, enqueue := q.Enqueue(c, &parleyv1.EnqueueRequest{Queue: "q", Jobs: jobsFor("x")})
		_, result := q.GetResult(c, &parleyv1.GetResultRequest{Queue: "q", Id: 1})
		_, lease := q.Lease(c, &parleyv1.LeaseRequest{Queue: "q"})
		_, look := q.ListJobs(c, &parleyv1.ListJobsRequest{Queue: "q"})
		_, pause := q.ResumeQueue(c, &parleyv1.ResumeQueueRequest{Queue: "q"})
		_, put := q.PutQueue(c, &parleyv1.PutQueueRequest{Queue: "q"})
		work, err := q.Work(c)
		if err == nil {
			_ = work.Send(&parleyv1.WorkRequest{Open: &parleyv1.WorkOpen{Queue: "q"}}) // Recv tells
			_, err = work.Recv()
		}
		for verb, errs := range map[string][]error{"adder": {enqueue, result}, "worker": {lease, look, err}, "admin": {pause, put}} {
			for i, err := range errs {
				if may := who == verb || who == "owner"; may != (err == nil) {
					t.Errorf("%s does %d of %s: %v", who, i, verb, err)
				} else if !may {
					taken(t, err).want(t, codes.PermissionDenied, "FORBIDDEN", "authorization")
				}
			}
		}
		if who == "admin" { // of a queue, and not of what it would read and write
			orders := "orders"
			for _, settings := range []*parleyv1.QueueSettings{{Feed: &parleyv1.QueueFeed{Patterns: []string{orders}}}, {DeadLetter: &orders}, {Results: &orders}} {
				_, err := q.PutQueue(c, &parleyv1.PutQueueRequest{Queue: "q", Settings: settings})
				taken(t, err).want(t, codes.PermissionDenied, "FORBIDDEN", "authorization")
			}
		}
		list, err := q.ListQueues(c, &parleyv1.ListQueuesRequest{})
		if err != nil || len(list.GetQueues()) == 1 != (who != "adder") {
			t.Errorf("%s sees %v, %v", who, list, err)
		}
	}
}

// counted is an Admission that notes what it is asked, and what is under way.
type counted struct {
	asked chan string
	open  chan int
}

func (c counted) Admit(_ context.Context, r *door.Request) (func(), error) {
	c.asked <- r.Route.Name + " " + strings.Join(r.Topics, ",")
	return func() { c.open <- -1 }, nil
}

func TestQueuesAskTheLimits(t *testing.T) {
	c := counted{make(chan string, 100), make(chan int, 100)}
	q := newQueues(t, func(o *Options) { o.Admission = c })
	q.add(jobsFor("x")...)
	w := q.open(t.Context(), &parleyv1.WorkOpen{Queue: "q"}, 1)
	w.jobs(1)
	for _, want := range []string{"queue-enqueue q", "queue-work q"} {
		if got := <-c.asked; got != want {
			t.Errorf("%q was asked, want %q", got, want)
		}
	}
	<-c.open // of the Enqueue
	select {
	case <-c.open:
		t.Error("a stream that is open is over for the limits")
	default:
	}
	w.close()
	<-c.open
}

func TestWithoutQueuesTheServiceIsNotThere(t *testing.T) {
	q := newQueues(t, func(o *Options) { o.Queues = nil })
	_, err := q.Enqueue(t.Context(), &parleyv1.EnqueueRequest{Queue: "q", Jobs: jobsFor("x")})
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("%v", err)
	}
}

// Every HTTP route of queues has its RPC, or one that does more at a time.
func TestHTTPRoutesOfQueuesHaveRPCs(t *testing.T) {
	instead := map[string]string{
		"queue-cancel": "queue-cancel-many", "queue-ack": "queue-settle", "queue-nack": "queue-settle",
		"queue-extend": "queue-settle", "queue-progress": "queue-settle", "queue-dead": "queue-settle",
	}
	r := newRig(t, nil)
	web, err := httpapi.New(httpapi.Options{Topics: r.topics, Hub: r.hub, Lives: r.lives, Context: t.Context(), Queues: r.queues})
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, route := range queueRoutes() {
		names[route.Name] = true
	}
	for _, route := range web.Routes() {
		if route.Pattern != "queue" {
			continue
		}
		if name := cmp.Or(instead[route.Name], route.Name); !names[name] {
			t.Errorf("%s %s has no RPC", route.Method, route.Path)
		}
	}
}

// What is written by hand is what the generated code writes.
func TestLeasesInTheirWireForm(t *testing.T) {
	at := time.Unix(1_700_000_000, 5).UTC()
	for _, l := range []queue.Lease{
		{},
		{Token: "q~x", ID: 7, Event: parley.Event{ID: "1", Source: "/s", Type: "t", Subject: "u", Time: at, Data: []byte("x"), Extensions: map[string]string{"a": "b"}}, Enqueued: at, Priority: 9, Key: "k", Attempt: 3, Until: at, Visibility: 90*time.Second + 5},
	} {
		sizes, size := packed.LeasedOf(&l)
		b := packed.AppendLeased(nil, &l, sizes)
		var got parleyv1.WorkResponse
		if err := proto.Unmarshal(b, &got); err != nil || len(got.GetJobs()) != 1 {
			t.Fatal(err)
		}
		want := leasedOf(&l)
		if l.Token == "" { // zero times are written there
			want = got.GetJobs()[0]
		}
		if !proto.Equal(got.GetJobs()[0], want) || len(b) != size {
			t.Errorf("%v, want %v", got.GetJobs()[0], want)
		}
	}
}
