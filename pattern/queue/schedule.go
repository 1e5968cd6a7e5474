package queue

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
)

// Limits of schedules.
const (
	MaxSchedules    = 1000        // of one queue
	MaxScheduleName = 128         // bytes
	MaxSchedule     = 48 << 10    // bytes of a schedule's JSON, the job's event with it
	MaxMissed       = 100         // runs that MissedAll makes up for: the newest
	ScheduleGrace   = time.Minute // a run that is at most so late is not missed
)

// ScheduleName is the attribute of the event of a job that a schedule made which
// names the schedule. The event's other attributes are those of the schedule's
// job; its id is "{schedule}-{due, as 20260301T120000Z}", its time is when it was
// due, and its source, unless the schedule's job has one,
// "/queues/{queue}/schedules/{schedule}".
const ScheduleName = "parleyschedule"

// Missed is what becomes of runs that nobody made in time, because no node owned
// the queue.
type Missed string

// The policies. Empty means MissedOnce.
const (
	MissedSkip Missed = "skip" // nothing
	MissedOnce Missed = "once" // one run for all: the newest
	MissedAll  Missed = "all"  // each is made up for, up to the newest MaxMissed
)

// Schedule enqueues a job again and again.
type Schedule struct {
	Name string `json:"name"` // as a topic's, of at most MaxScheduleName bytes, without ~ and $
	Cron string `json:"cron"` // see ParseCron and Cron.Next
	// Zone is an IANA name like "Europe/Berlin", whose clocks Cron is about. Default
	// "UTC".
	Zone   string `json:"zone"`
	Missed Missed `json:"missed"`
	// Job is enqueued at each run; its Delay counts from when the run is due, and At
	// must be zero. With Unique, a run is dropped while the one before is not done.
	Job    Job  `json:"job"`
	Paused bool `json:"paused,omitempty"` // due times that pass meanwhile are not missed: they are not
}

// ScheduleInfo is a schedule as the queue has it.
type ScheduleInfo struct {
	Schedule
	Next    time.Time `json:"next,omitzero"`   // when it is due next; zero while it is paused
	Last    time.Time `json:"last,omitzero"`   // the newest due time of which there was a job
	Updated time.Time `json:"updated"`         // when it was last put or paused
	Error   string    `json:"error,omitempty"` // why it does not run
}

// Check fills in the defaults of s, and checks it. Errors: Invalid and TooLarge,
// naming the member.
func (s Schedule) Check() (Schedule, error) {
	s, _, err := s.compile()
	if err == nil {
		if _, err = time.LoadLocation(s.Zone); err != nil {
			err = badZone(s.Zone)
		}
	}
	return s, err
}

func badZone(name string) error {
	return parley.BadField("zone", strconv.Quote(name)+" is not known", `send an IANA name like "Europe/Berlin", or "UTC"`)
}

// compile is Check without the zone, which may be known to some nodes only.
func (s Schedule) compile() (Schedule, Cron, error) {
	s.Zone, s.Missed = orElse(s.Zone, "UTC"), orElse(s.Missed, MissedOnce)
	if err := topic.CheckName(s.Name); err != nil || topic.IsEphemeral(s.Name) || len(s.Name) > MaxScheduleName {
		return s, Cron{}, parley.BadField("name", strconv.Quote(s.Name)+" cannot be a schedule's name", "send 1 to 128 letters, digits, -, _ and dots between them")
	}
	cron, err := ParseCron(s.Cron)
	if err != nil {
		return s, Cron{}, err
	}
	switch {
	case s.Missed != MissedSkip && s.Missed != MissedOnce && s.Missed != MissedAll:
		return s, Cron{}, parley.BadField("missed", "is "+strconv.Quote(string(s.Missed)), `send "skip", "once" or "all"`)
	case len(s.Zone) > MaxScheduleName || s.Zone == "Local":
		return s, Cron{}, badZone(s.Zone)
	case !s.Job.At.IsZero():
		return s, Cron{}, parley.BadField("job.at", "a job that comes again has no time of its own", "leave it out, or send a delay")
	}
	if _, err := s.event("q", time.UnixMilli(0)); err != nil {
		return s, Cron{}, err
	}
	return s, cron, nil
}

// event is the job of one run as it is stored.
func (s *Schedule) event(queue string, due time.Time) (parley.Event, error) {
	j := s.Job
	j.Event.ID = s.Name + "-" + due.UTC().Format("20060102T150405Z")
	j.Event.Source = orElse(j.Event.Source, "/queues/"+queue+"/schedules/"+s.Name)
	j.Event.Time = due.UTC()
	e, err := j.event(queue, due)
	if err != nil {
		return e, err
	}
	e.Set(ScheduleName, s.Name)
	return e, e.Check()
}

// schedule is a Schedule in the machine. Times are milliseconds.
type schedule struct {
	Schedule
	cron    Cron
	updated int64
	ran     int64 // the newest due time of which there is a job; 0 = none
	done    int64 // all up to here is done with
}

// text is the schedule as it is kept.
func (s *Schedule) text() (string, error) {
	b, err := json.Marshal(s)
	if err == nil && len(b) > MaxSchedule {
		err = &parley.Error{Code: parley.TooLarge, Field: "job", Detail: "the schedule has more than 48 KiB", Fix: "store the job's data elsewhere, and send a reference"}
	}
	return string(b), err
}

func encodePutSchedule(s *Schedule) ([]byte, error) {
	text, err := s.text()
	return appendText([]byte{movePutSchedule}, text), err
}

func encodeEndSchedule(name string) []byte { return appendText([]byte{moveEndSchedule}, name) }

func encodeRan(name string, ran, done int64) []byte {
	return appendID(appendID(appendText([]byte{moveRan}, name), ran), done)
}

// decodeSchedules decodes the moves of schedules.
func (m *machine) decodeSchedules(kind byte, d *decoder) func(now int64) {
	switch kind {
	case movePutSchedule:
		s := d.schedule()
		if d.bad || d.err != nil {
			return func(int64) {}
		}
		if m.schedules[s.Name] == nil && len(m.schedules) >= MaxSchedules {
			d.err = &parley.Error{Code: parley.Unprocessable, Field: "name", Detail: "the queue has 1000 schedules", Fix: "delete some first"}
		}
		return func(now int64) { m.putSchedule(s, now) }
	case moveEndSchedule:
		name := d.scheduleName(m)
		return func(int64) { delete(m.schedules, name) }
	case moveRan:
		name, ran, done := d.scheduleName(m), d.time(), d.time()
		if s := m.schedules[name]; s != nil && (done < s.done || ran > done || s.Paused) {
			d.bad = true
		}
		return func(int64) {
			s := m.schedules[name]
			s.done = done
			s.ran = max(s.ran, ran)
		}
	}
	return nil
}

func (d *decoder) schedule() *schedule {
	text := d.text(MaxSchedule)
	s := new(schedule)
	if d.bad {
		return s
	}
	if err := json.Unmarshal([]byte(text), &s.Schedule); err != nil {
		d.bad = true
		return s
	}
	s.Schedule, s.cron, d.err = s.compile()
	return s
}

func (d *decoder) scheduleName(m *machine) string {
	name := d.text(MaxScheduleName)
	if !d.bad && d.err == nil && m.schedules[name] == nil {
		d.err = noSchedule(name)
	}
	return name
}

func noSchedule(name string) error {
	return &parley.Error{Code: parley.NotFound, Field: "schedule", Detail: "no schedule " + strconv.Quote(name), Fix: "list them, or put it"}
}

// putSchedule makes or replaces a schedule. One whose times stay the same goes on
// where it was; any other begins now.
func (m *machine) putSchedule(s *schedule, now int64) {
	s.updated, s.done = now, now
	if old := m.schedules[s.Name]; old != nil {
		s.ran = old.ran
		if old.cron == s.cron && old.Zone == s.Zone && !old.Paused {
			s.done = old.done
		}
	}
	if m.schedules == nil {
		m.schedules = make(map[string]*schedule)
	}
	m.schedules[s.Name] = s
}

// due gives the due times of which there must be jobs now, ascending.
func (s *schedule) due(now int64, loc *time.Location) (list []int64) {
	late := max(s.done, now-ScheduleGrace.Milliseconds())
	if s.Missed != MissedSkip && s.done < late {
		most := MaxMissed
		if s.Missed == MissedOnce {
			most = 1
		}
		for until := timeOf(late); len(list) < most; {
			at, some := s.cron.last(timeOf(s.done), until, loc)
			if !some {
				break
			}
			list = append([]int64{at.UnixMilli()}, list...)
			until = at.Add(-time.Second)
		}
	}
	for at := s.cron.Next(timeOf(late), loc); !at.IsZero() && at.UnixMilli() <= now; at = s.cron.Next(at, loc) {
		list = append(list, at.UnixMilli())
	}
	return list
}
