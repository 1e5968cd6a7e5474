package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/base/shard/shardtest"
	"github.com/parleyhq/parley/engine/memlog"
)

func (r *rig) put(s Schedule) ScheduleInfo {
	r.t.Helper()
	info, _, err := r.PutSchedule(r.ctx(), s)
	r.must(err)
	return info
}

// drain works all jobs off, and gives the ids of their events.
func (r *rig) drain() (ids []string) {
	r.t.Helper()
	for {
		list := r.lease(LeaseRequest{Max: MaxLease})
		if len(list) == 0 {
			return ids
		}
		for _, l := range list {
			ids = append(ids, l.Event.ID)
			r.must(r.Ack(r.ctx(), l.Token))
		}
	}
}

// TestSchedule: a worker that waits gets the job at the moment at which it is due.
func TestSchedule(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		begun := time.Now() // midnight
		info, created, err := r.PutSchedule(r.ctx(), Schedule{
			Name: "report", Cron: "15,45 * * * *",
			Job: Job{Event: parley.Event{Type: "report", Data: []byte("x")}, Priority: 4, MaxAttempts: 1, Key: "k"},
		})
		r.must(err)
		if !created || !info.Next.Equal(begun.Add(15*time.Minute)) || !info.Last.IsZero() || info.Zone != "UTC" || info.Missed != MissedOnce || !info.Updated.Equal(begun) {
			t.Fatalf("info %+v, %v", info, created)
		}
		for i := range 3 {
			due := begun.Add(time.Duration(15+30*i) * time.Minute)
			got := <-r.wait(r.ctx(), LeaseRequest{Wait: MaxWait})
			for len(got.jobs) == 0 && got.err == nil {
				got = <-r.wait(r.ctx(), LeaseRequest{Wait: MaxWait})
			}
			l := got.jobs[0]
			if !got.at.Equal(due) || l.Event.ID != "report-"+due.UTC().Format("20060102T150405Z") || !l.Event.Time.Equal(due) || l.Priority != 4 || l.Key != "k" ||
				l.Event.Source != "/queues/emails/schedules/report" || l.Event.Type != "report" || l.Event.Extensions[ScheduleName] != "report" || string(l.Event.Data) != "x" {
				t.Fatalf("run %d at %s: %+v", i, got.at, l)
			}
			r.must(r.Ack(r.ctx(), l.Token))
			if i == 1 {
				r.restart()
			}
		}
		info, err = r.Schedule(r.ctx(), "report")
		r.must(err)
		if !info.Last.Equal(begun.Add(75*time.Minute)) || !info.Next.Equal(begun.Add(105*time.Minute)) || info.Job.MaxAttempts != 1 {
			t.Fatalf("info %+v", info)
		}
		r.must(r.DeleteSchedule(r.ctx(), "report"))
		<-time.After(time.Hour)
		if ids := r.drain(); len(ids) != 0 {
			t.Fatalf("after its end: %v", ids)
		}
	})
}

// TestMissed: what passes while nobody owns the queue is made up for as the policy
// says.
func TestMissed(t *testing.T) {
	minutes := func(from, to int) (list []string) {
		for m := from; m <= to; m++ {
			list = append(list, fmt.Sprintf("s-20000101T%02d%02d00Z", m/60, m%60))
		}
		return list
	}
	for _, c := range []struct {
		missed Missed
		away   time.Duration
		want   []string
	}{
		{MissedSkip, 30 * time.Second, nil},
		{MissedSkip, 90 * time.Second, minutes(1, 1)},
		{MissedSkip, 3*time.Hour + 30*time.Second, minutes(180, 180)},
		{MissedOnce, 90 * time.Second, minutes(1, 1)},
		{MissedOnce, 3*time.Hour + 30*time.Second, minutes(179, 180)}, // the newest that is late, and the one that is not
		{MissedAll, 30*time.Minute + 30*time.Second, minutes(1, 30)},
		{MissedAll, 3*time.Hour + 30*time.Second, minutes(80, 180)}, // a hundred, and the one that is not late
	} {
		t.Run(string(c.missed)+" "+c.away.String(), func(t *testing.T) {
			fake(t, Options{}, func(r *rig) {
				r.put(Schedule{Name: "s", Cron: "* * * * *", Missed: c.missed})
				r.stop()
				<-time.After(c.away)
				r.run(Options{})
				synctest.Wait()
				if got := r.drain(); !slices.Equal(got, c.want) {
					t.Fatalf("made up for %v, want %v", got, c.want)
				}
			})
		})
	}
}

// TestMuchMissed: what many schedules have missed is made up for in steps, each of
// which looks at no more schedules than it has room for.
func TestMuchMissed(t *testing.T) {
	const n, each = 35, MaxMissed + 1 // the one that is not late, too
	b := newBench(t)
	b.plan.zones = map[string]*time.Location{"UTC": time.UTC}
	for i := range n {
		s, _, err := Schedule{Name: "s" + strconv.Itoa(i), Cron: "* * * * *", Missed: MissedAll}.compile()
		if err != nil {
			t.Fatal(err)
		}
		move, err := encodePutSchedule(&s)
		if err == nil {
			err = b.Move(move)
		}
		if err != nil {
			t.Fatal(err)
		}
		b.plan.look(s.Name, b.schedules[s.Name])
	}
	b.now += (24 * time.Hour).Milliseconds()
	seen := make(map[string]bool)
	for left := n * each; left > 0; {
		out, err := b.runs(b.now)
		if err != nil {
			t.Fatal(err)
		}
		if got, most := out.batch.Len(), min(left, runsMost); got != most || len(out.names) > runsMost/each+2 {
			t.Fatalf("%d jobs of %d schedules at once, want %d", got, len(out.names), most)
		}
		left -= out.batch.Len()
		for rec, err := range out.batch.Records() {
			if err != nil {
				t.Fatal(err)
			}
			e, err := rec.Event()
			if err != nil || seen[e.ID] {
				t.Fatalf("%s again, or unreadable: %v", e.ID, err)
			}
			seen[e.ID] = true
		}
		for i, move := range out.moves {
			if err := b.Move(move); err != nil {
				t.Fatal(err)
			}
			b.plan.look(out.names[i], b.schedules[out.names[i]])
		}
	}
	if due := b.plan.due(b.now); len(due) != 0 {
		t.Fatalf("%v are still due", due)
	}
}

func TestScheduleChanges(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		s := Schedule{Name: "s", Cron: "*/10 * * * *", Job: Job{Unique: "one at a time"}}
		r.put(s)
		<-time.After(35 * time.Minute)
		if st := r.stats(); st.Ready != 1 {
			t.Fatalf("one at a time: %+v", st)
		}
		r.drain()
		r.must(r.PauseSchedule(r.ctx(), "s", true))
		r.must(r.PauseSchedule(r.ctx(), "s", true))
		if info, _ := r.Schedule(r.ctx(), "s"); !info.Paused || !info.Next.IsZero() {
			t.Fatalf("paused %+v", info)
		}
		<-time.After(time.Hour)
		r.must(r.PauseSchedule(r.ctx(), "s", false))
		<-time.After(6 * time.Minute) // 01:41
		if ids := r.drain(); !slices.Equal(ids, []string{"s-20000101T014000Z"}) {
			t.Fatalf("after the pause %v", ids)
		}
		s.Job.Unique, s.Job.Delay = "", time.Minute // the same times
		if info, created, err := r.PutSchedule(r.ctx(), s); created || err != nil || info.Last.IsZero() {
			t.Fatalf("replaced %+v, %v, %v", info, created, err)
		}
		<-time.After(9*time.Minute + 30*time.Second) // 01:50:30
		if st := r.stats(); st.Delayed != 1 {
			t.Fatalf("delayed: %+v", st)
		}
		<-time.After(time.Minute)
		r.drain()
		s.Cron = "0 * * * *"
		if info := r.put(s); time.Until(info.Next) != 8*time.Minute+30*time.Second {
			t.Fatalf("other times %+v", info)
		}
		for i := range 5 {
			r.put(Schedule{Name: "t" + strconv.Itoa(i), Cron: "@daily", Zone: "Asia/Kathmandu", Job: Job{Event: parley.Event{Data: make([]byte, 30<<10)}}})
		}
		r.restart()
		list, err := r.Schedules(r.ctx())
		r.must(err)
		if len(list) != 6 || list[0].Name != "s" || list[5].Name != "t4" || list[5].Error != "" {
			t.Fatalf("list %+v", list)
		}
		b, err := json.Marshal(list[5])
		r.must(err)
		var again ScheduleInfo
		if err := json.Unmarshal(b, &again); err != nil || again.Name != "t4" || !again.Next.Equal(list[5].Next) || len(again.Job.Event.Data) != 30<<10 {
			t.Fatalf("%s: %+v, %v", b, again, err)
		}
	})
}

func TestScheduleRefused(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		for field, s := range map[string]Schedule{
			"name":     {Name: "a b", Cron: "@daily"},
			"cron":     {Name: "a", Cron: "daily"},
			"zone":     {Name: "a", Cron: "@daily", Zone: "Europe/Atlantis"},
			"missed":   {Name: "a", Cron: "@daily", Missed: "never"},
			"job.at":   {Name: "a", Cron: "@daily", Job: Job{At: time.Now()}},
			"priority": {Name: "a", Cron: "@daily", Job: Job{Priority: 10}},
		} {
			_, _, err := r.PutSchedule(r.ctx(), s)
			if p, ok := err.(*parley.Error); !ok || p.Field != field || p.Code != parley.Invalid { // not wrapped
				t.Errorf("%s: %v", field, err)
			}
		}
		for _, zone := range []string{"Local", "../../etc/passwd", strings.Repeat("a", 200)} {
			_, _, err := r.PutSchedule(r.ctx(), Schedule{Name: "a", Cron: "@daily", Zone: zone})
			r.code(err, parley.Invalid)
		}
		_, _, err := r.PutSchedule(r.ctx(), Schedule{Name: "a", Cron: "@daily", Job: Job{Event: parley.Event{Data: make([]byte, MaxSchedule)}}})
		r.code(err, parley.TooLarge)
		r.code(r.DeleteSchedule(r.ctx(), "a"), parley.NotFound)
		r.code(r.PauseSchedule(r.ctx(), "a", true), parley.NotFound)
		_, err = r.Schedule(r.ctx(), "a")
		r.code(err, parley.NotFound)
		for i := range MaxSchedules {
			r.put(Schedule{Name: "s" + strconv.Itoa(i), Cron: "0 3 * * *"})
		}
		_, _, err = r.PutSchedule(r.ctx(), Schedule{Name: "a", Cron: "@daily"})
		r.code(err, parley.Unprocessable)
		r.put(Schedule{Name: "s7", Cron: "0 3 * * *", Missed: MissedSkip}) // there is room for what is there
		list, err := r.Schedules(r.ctx())
		r.must(err)
		if len(list) != MaxSchedules {
			t.Fatalf("%d are listed", len(list))
		}
		<-time.After(4 * time.Hour)
		if ids := r.drain(); len(ids) != MaxSchedules {
			t.Fatalf("%d of them ran", len(ids))
		}
	})
}

// TestScheduleWhileOwnershipMoves: wherever the ownership moves, each due time gives
// one job, and never two.
func TestScheduleWhileOwnershipMoves(t *testing.T) {
	var log parley.Log
	newLog := func() parley.Log {
		log = memlog.New(memlog.Options{})
		return log
	}
	shardtest.EveryStep(t, 2, newLog, func(t *testing.T, c *shardtest.Cluster, step func(parley.Stream)) {
		q, err := New(log, c.Host(), "q", Options{})
		if err != nil {
			t.Fatal(err)
		}
		c.Serve(q.moves, func(ctx context.Context, log parley.Log, o *shard.Owner) error { return own(ctx, q, log, o) })
		h := &history{t: t, q: q}
		begun := time.Now()
		h.try(func(ctx context.Context) error {
			_, _, err := q.PutSchedule(ctx, Schedule{Name: "s", Cron: "*/2 * * * * *", Missed: MissedAll})
			return err
		})
		for range 3 {
			step(q.moves)
			<-time.After(1500 * time.Millisecond)
		}
		step(q.moves)
		end := time.Now()
		h.try(func(ctx context.Context) error {
			err := q.DeleteSchedule(ctx, "s")
			if parley.CodeOf(err) == parley.NotFound { // an earlier try did it
				return nil
			}
			return err
		})
		seen := map[string]bool{}
		for _, e := range readAll(t, log, q.jobs) {
			if seen[e.ID] || e.Time.Before(begun) {
				t.Fatalf("event %+v, seen before: %v", e, seen[e.ID])
			}
			seen[e.ID] = true
		}
		// The first may have been due before the put was answered, the last after the
		// delete was sent.
		for at := begun.Truncate(2 * time.Second).Add(6 * time.Second); at.Before(end); at = at.Add(2 * time.Second) {
			if id := "s-" + at.UTC().Format("20060102T150405Z"); !seen[id] {
				t.Errorf("no job of %s; there are %v", id, seen)
			}
		}
	})
}
