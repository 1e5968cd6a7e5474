package queue

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/journal"
)

// PutSchedule makes a schedule, or replaces the one of that name; created tells
// which. A new one begins now. One that is replaced goes on where it was if its
// Cron and Zone stay the same, and begins now otherwise. Each due time gives one
// job, also across crashes and moves of the queue. Errors: Invalid and TooLarge,
// naming the member; Unprocessable beyond MaxSchedules; those of Host.Ask.
func (q *Queue) PutSchedule(ctx context.Context, s Schedule) (info ScheduleInfo, created bool, err error) {
	if s, err = s.Check(); err != nil {
		return ScheduleInfo{}, false, err
	}
	text, err := s.text()
	if err != nil {
		return ScheduleInfo{}, false, err
	}
	a, err := q.ask(ctx, &request{Op: "put schedule", Schedule: s.Name, Settings: json.RawMessage(text)})
	if err != nil {
		return ScheduleInfo{}, false, err
	}
	info, err = a.schedule(s.Name)
	return info, a.N == 1, err
}

// Schedules lists the queue's schedules by name. Errors: those of Host.Ask.
func (q *Queue) Schedules(ctx context.Context) ([]ScheduleInfo, error) {
	var list []ScheduleInfo
	for after := ""; ; after = list[len(list)-1].Name {
		a, err := q.ask(ctx, &request{Op: "schedules", Worker: after})
		if err != nil {
			return nil, err
		}
		list = append(list, a.Schedules...)
		if int64(len(a.Schedules)) == a.N {
			return list, nil
		}
	}
}

// Schedule gives one schedule. Errors: NotFound; those of Host.Ask.
func (q *Queue) Schedule(ctx context.Context, name string) (ScheduleInfo, error) {
	a, err := q.ask(ctx, &request{Op: "schedules", Schedule: name})
	if err != nil {
		return ScheduleInfo{}, err
	}
	return a.schedule(name)
}

func (a *answer) schedule(name string) (ScheduleInfo, error) {
	if len(a.Schedules) != 1 {
		return ScheduleInfo{}, noSchedule(name)
	}
	return a.Schedules[0], nil
}

// DeleteSchedule ends a schedule; jobs that it made stay. Errors: NotFound; those
// of Host.Ask.
func (q *Queue) DeleteSchedule(ctx context.Context, name string) error {
	_, err := q.ask(ctx, &request{Op: "delete schedule", Schedule: name})
	return err
}

// PauseSchedule stops a schedule, or lets it go on: from then on, without the due
// times that passed. Errors: NotFound; those of Host.Ask.
func (q *Queue) PauseSchedule(ctx context.Context, name string, paused bool) error {
	_, err := q.ask(ctx, &request{Op: "pause schedule", Schedule: name, On: paused})
	return err
}

// loadZones makes the zones known that the plan needs: they are files, so this is
// not for the journal's goroutine.
func (o *owner) loadZones(names ...string) map[string]*time.Location {
	out := make(map[string]*time.Location)
	for _, name := range names {
		if out[name] != nil {
			continue
		}
		loc, err := time.LoadLocation(name)
		if err != nil {
			o.q.opt.Logger.Error("a schedule's zone is not known here", slog.String("queue", o.q.name), slog.String("zone", name), slog.Any("error", err))
			continue
		}
		out[name] = loc
	}
	return out
}

// planAll looks at all schedules, when the queue begins here.
func (o *owner) planAll() {
	var zones []string
	for _, s := range o.schedules {
		zones = append(zones, s.Zone)
	}
	o.plan.zones = o.loadZones(zones...)
	for name, s := range o.schedules {
		o.plan.look(name, s)
	}
}

func (o *owner) putSchedule(ctx context.Context, r *request) (out answer, err error) {
	var s Schedule
	if err := json.Unmarshal(r.Settings, &s); err != nil {
		return out, err
	}
	if s, _, err = s.compile(); err != nil {
		return out, err
	}
	zones := o.loadZones(s.Zone)
	if zones[s.Zone] == nil {
		return out, badZone(s.Zone)
	}
	move, err := encodePutSchedule(&s)
	if err != nil {
		return out, err
	}
	return out, o.do(ctx, func(tx *journal.Tx, _ int64) error {
		if o.schedules[s.Name] == nil {
			out.N = 1
		}
		maps.Copy(o.plan.zones, zones)
		if err := o.change(tx, s.Name, move); err != nil {
			return err
		}
		out.Schedules = []ScheduleInfo{o.showSchedule(s.Name)}
		return nil
	})
}

// change makes a move about a schedule.
func (o *owner) change(tx *journal.Tx, name string, move []byte) error {
	err := tx.Move(move)
	o.plan.look(name, o.schedules[name])
	return err
}

func (o *owner) endSchedule(ctx context.Context, r *request) (out answer, err error) {
	return out, o.do(ctx, func(tx *journal.Tx, _ int64) error {
		if o.schedules[r.Schedule] == nil {
			return noSchedule(r.Schedule)
		}
		return o.change(tx, r.Schedule, encodeEndSchedule(r.Schedule))
	})
}

func (o *owner) pauseSchedule(ctx context.Context, r *request) (out answer, err error) {
	return out, o.do(ctx, func(tx *journal.Tx, _ int64) error {
		s := o.schedules[r.Schedule]
		if s == nil {
			return noSchedule(r.Schedule)
		}
		if s.Paused == r.On {
			return nil
		}
		changed := s.Schedule
		changed.Paused = r.On
		move, err := encodePutSchedule(&changed)
		if err != nil {
			return err
		}
		return o.change(tx, r.Schedule, move)
	})
}

// listSchedules gives one, or as many as fit an answer; N is how many there are
// from the one after which the caller asks.
func (o *owner) listSchedules(ctx context.Context, r *request) (out answer, err error) {
	return out, o.do(ctx, func(*journal.Tx, int64) error {
		names := []string{r.Schedule}
		if r.Schedule == "" {
			names = slices.Sorted(maps.Keys(o.schedules))
			i, found := slices.BinarySearch(names, r.Worker)
			if found {
				i++
			}
			names = names[i:]
		}
		out.N = int64(len(names))
		size := 0
		for _, name := range names {
			if o.schedules[name] == nil || size > mostShown {
				break
			}
			out.Schedules = append(out.Schedules, o.showSchedule(name))
			size += 500 + len(o.schedules[name].Job.Event.Data)*4/3
		}
		return nil
	})
}

func (o *owner) showSchedule(name string) ScheduleInfo {
	s := o.schedules[name]
	info := ScheduleInfo{Schedule: s.Schedule, Updated: timeOf(s.updated)}
	if s.ran != 0 {
		info.Last = timeOf(s.ran)
	}
	if at := o.plan.next[name]; at != 0 {
		info.Next = timeOf(at)
	}
	if o.plan.zones[s.Zone] == nil {
		info.Error = parley.Errorf(parley.Unprocessable, "the node that owns the queue does not know the zone %s", s.Zone).Error()
	}
	return info
}
