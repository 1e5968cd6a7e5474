package grpcapi

import (
	"context"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/queue"
	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
)

func scheduleOf(s *queue.ScheduleInfo) *parleyv1.ScheduleInfo {
	return &parleyv1.ScheduleInfo{
		Schedule: &parleyv1.Schedule{Name: s.Name, Cron: s.Cron, Zone: s.Zone, Missed: string(s.Missed), Job: jobOf(&s.Job), Paused: s.Paused},
		Next:     timeOf(s.Next), Last: timeOf(s.Last), Updated: timeOf(s.Updated), Error: s.Error,
	}
}

// ListSchedules implements parleyv1.QueuesServer.
func (s *service) ListSchedules(ctx context.Context, in *parleyv1.ListSchedulesRequest) (*parleyv1.ListSchedulesResponse, error) {
	out := &parleyv1.ListSchedulesResponse{}
	return out, s.withQueue(ctx, "work", in.GetQueue(), func(q *queue.Queue) error {
		list, err := q.Schedules(ctx)
		for i := range list {
			out.Schedules = append(out.Schedules, scheduleOf(&list[i]))
		}
		return err
	})
}

// GetSchedule implements parleyv1.QueuesServer.
func (s *service) GetSchedule(ctx context.Context, in *parleyv1.GetScheduleRequest) (out *parleyv1.ScheduleInfo, err error) {
	err = s.withQueue(ctx, "work", in.GetQueue(), func(q *queue.Queue) error {
		info, err := q.Schedule(ctx, in.GetSchedule())
		if err != nil {
			return err
		}
		out = scheduleOf(&info)
		return nil
	})
	return out, err
}

// PutSchedule implements parleyv1.QueuesServer.
func (s *service) PutSchedule(ctx context.Context, in *parleyv1.PutScheduleRequest) (*parleyv1.ScheduleInfo, error) {
	release, err := callOf(ctx).pass(ctx, "admin", in.GetQueue())
	if err != nil {
		return nil, err
	}
	defer release()
	if in.GetSchedule() == nil {
		return nil, parley.BadField("schedule", "is absent", "send the schedule")
	}
	job, err := jobFrom(in.GetSchedule().GetJob())
	if err != nil {
		return nil, err
	}
	schedule := queue.Schedule{
		Name: in.GetSchedule().GetName(), Cron: in.GetSchedule().GetCron(), Zone: in.GetSchedule().GetZone(),
		Missed: queue.Missed(in.GetSchedule().GetMissed()), Job: job, Paused: in.GetSchedule().GetPaused(),
	}
	if _, err := schedule.Check(); err != nil { // before a queue is made for it
		return nil, err
	}
	q, err := s.api.opt.Queues.Ensure(ctx, in.GetQueue())
	if err != nil {
		return nil, err
	}
	info, _, err := q.PutSchedule(ctx, schedule)
	if err != nil {
		return nil, err
	}
	return scheduleOf(&info), nil
}

// DeleteSchedule implements parleyv1.QueuesServer.
func (s *service) DeleteSchedule(ctx context.Context, in *parleyv1.DeleteScheduleRequest) (*parleyv1.DeleteScheduleResponse, error) {
	return &parleyv1.DeleteScheduleResponse{}, s.withQueue(ctx, "admin", in.GetQueue(), func(q *queue.Queue) error {
		return q.DeleteSchedule(ctx, in.GetSchedule())
	})
}
