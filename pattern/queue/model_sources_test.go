package queue

import (
	"strconv"
	"time"

	"pgregory.net/rapid"

	"github.com/parleyhq/parley"
)

// modelRuns is a schedule of each second: up to when its jobs are there.
type modelRuns struct {
	there, paused bool
	done          int64
}

// plan readies the owner's plan, as when it begins.
func (r *modelRun) plan() {
	r.b.plan.zones = map[string]*time.Location{"UTC": time.UTC}
	for name, s := range r.b.schedules {
		r.b.plan.look(name, s)
	}
}

// put makes, pauses and resumes the schedule, and now and then ends it.
func (r *modelRun) put(t *rapid.T) {
	m := &r.m.runs
	if m.there && rapid.IntRange(0, 3).Draw(t, "end") == 0 {
		r.must(r.b.Move(encodeEndSchedule("s")))
		*m = modelRuns{}
	} else {
		was := *m
		*m = modelRuns{there: true, paused: rapid.IntRange(0, 3).Draw(t, "pause") == 0, done: r.b.now}
		if was.there && !was.paused { // it goes on where it was
			m.done = was.done
		}
		s, _, err := Schedule{Name: "s", Cron: "* * * * * *", Missed: MissedAll, Paused: m.paused}.compile()
		r.must(err)
		move, err := encodePutSchedule(&s)
		r.must(err)
		r.must(r.b.Move(move))
	}
	r.b.plan.look("s", r.b.schedules["s"])
}

// runs does what the schedule's time asks for, unless the owner is gone before it
// is durable.
func (r *modelRun) runs(t *rapid.T) {
	m := &r.m.runs
	out, err := r.b.runs(r.b.now)
	r.must(err)
	due := m.done/1000*1000 + 1000
	if !m.there || m.paused || due > r.b.now {
		if len(out.moves) > 0 {
			r.rt.Fatalf("%v run, and none is due", out.names)
		}
		t.Skip("none is due")
	}
	var g gatherer
	at := max(r.b.next, 1)
	for rec, err := range out.batch.Records() {
		r.must(err)
		e, err := rec.Event()
		r.must(err)
		if e.Time.UnixMilli() != due || e.ID != "s-"+e.Time.UTC().Format("20060102T150405Z") {
			r.rt.Fatalf("a job of %s, want %d", e.Time, due)
		}
		due += 1000
		rec.Position += parley.Position(at)
		g.gather(rec)
	}
	if due <= r.b.now {
		r.rt.Fatalf("no job of %d", due)
	}
	if rapid.IntRange(0, 3).Draw(t, "crash") == 0 {
		r.owner() // it was one commit, and is none
		return
	}
	for _, move := range out.moves {
		r.must(r.b.Move(move))
	}
	for k := range int64(out.batch.Len()) {
		r.m.jobs = append(r.m.jobs, &modelJob{id: at + k, state: Ready})
	}
	r.must(r.b.arrive(g.list...))
	m.done = r.b.now
	r.b.plan.look("s", r.b.schedules["s"])
}

// feed makes jobs of the next events of a topic: events are numbers, and the cursor
// is the number of those that are jobs.
func (r *modelRun) feed(t *rapid.T) {
	at, _ := strconv.Atoi(r.b.fed["orders"])
	if at != r.m.fed {
		r.rt.Fatalf("the cursor is %d, want %d", at, r.m.fed)
	}
	n := rapid.IntRange(1, 3).Draw(t, "events")
	if rapid.IntRange(0, 3).Draw(t, "crash") == 0 {
		r.owner()
		return
	}
	first := max(r.b.next, 1)
	r.must(r.b.Move(encodeFed("orders", strconv.Itoa(at+n))))
	r.must(r.b.arrive(intake{run: run{first, 1, int64(n)}}))
	for k := range int64(n) {
		r.m.jobs = append(r.m.jobs, &modelJob{id: first + k, state: Ready})
	}
	r.m.fed += n
}
