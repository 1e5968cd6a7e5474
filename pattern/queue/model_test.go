package queue

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// job is what the model knows of one.
type modelJob struct {
	id     int64
	prio   int
	key    string
	unique string
	due    int64
	state  State
	until  int64 // Leased
	tries  int
	token  string
	max    int  // attempts of its own; 0 = the queue's
	unread bool // nobody has seen that so far
	told   float64
}

// model is the rules of the queue, written for reading: a list that is searched.
type model struct {
	jobs   []*modelJob // by id
	done   map[int64]State
	result map[int64]bool
	runs   modelRuns
	fed    int // events of a topic that are jobs
}

func (m *model) find(id int64) *modelJob {
	for _, j := range m.jobs {
		if j.id == id {
			return j
		}
	}
	return nil
}

func (m *model) drop(id int64, how State) {
	m.jobs = slices.DeleteFunc(m.jobs, func(j *modelJob) bool { return j.id == id })
	m.done[id] = how
}

// next is the job that must be leased next.
func (m *model) next(now int64) (best *modelJob) {
	for _, j := range m.jobs {
		if j.state != Ready || j.due > now || m.blocked(j) {
			continue
		}
		if best == nil || j.prio > best.prio || j.prio == best.prio && j.id < best.id {
			best = j
		}
	}
	return best
}

func (m *model) blocked(j *modelJob) bool {
	for _, o := range m.jobs {
		if j.key != "" && o.key == j.key && o != j && o.state != Dead && (o.id < j.id || o.state == Leased) {
			return true
		}
	}
	return false
}

const modelMax = 3 // attempts

func (m *model) failed(j *modelJob, due int64) {
	j.state, j.due, j.told = Ready, due, 0
	most := modelMax
	if j.max != 0 {
		most = j.max
	}
	if !j.unread && most != Unlimited && j.tries >= most {
		j.state, j.told = Dead, 0
	}
}

// TestModel drives a queue's machine at random, and compares each answer with the
// model's, and after each step the machine with what replaying its moves and
// restoring its snapshot give. Owners change, also in the middle, and leases run
// out; jobs come from callers, from a schedule and from a topic.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBench(t)
		s, _ := Settings{MaxAttempts: modelMax, Feed: []string{"orders"}}.Defaults()
		move, _ := encodeSettings(s)
		if err := b.Move(move); err != nil {
			rt.Fatal(err)
		}
		r := &modelRun{rt: rt, b: b, m: &model{done: map[int64]State{}, result: map[int64]bool{}}}
		r.plan()
		rt.Repeat(map[string]func(*rapid.T){
			"":        func(*rapid.T) { r.check() },
			"plain":   func(t *rapid.T) { r.plain(t) },
			"special": func(t *rapid.T) { r.special(t) },
			"lease":   func(t *rapid.T) { r.lease(t) },
			"lease2":  func(t *rapid.T) { r.lease(t) },
			"ack":     func(t *rapid.T) { r.settle(t, Ack) },
			"ack2":    func(t *rapid.T) { r.settle(t, Ack) },
			"report":  func(t *rapid.T) { r.settle(t, Report) },
			"put":     func(t *rapid.T) { r.put(t) },
			"runs":    func(t *rapid.T) { r.runs(t) },
			"feed":    func(t *rapid.T) { r.feed(t) },
			"nack":    func(t *rapid.T) { r.settle(t, Nack) },
			"bury":    func(t *rapid.T) { r.settle(t, Bury) },
			"extend":  func(t *rapid.T) { r.settle(t, Extend) },
			"stale":   func(t *rapid.T) { r.stale(t) },
			"time":    func(t *rapid.T) { r.time(t) },
			"cancel":  func(t *rapid.T) { r.cancel(t) },
			"redrive": func(t *rapid.T) { r.redrive(t) },
			"copy":    func(t *rapid.T) { r.copy(t) },
			"owner":   func(*rapid.T) { r.owner() },
		})
	})
}

type modelRun struct {
	rt    *rapid.T
	b     *bench
	m     *model
	old   []string // tokens of leases that are over
	owned int
}

func (r *modelRun) must(err error) {
	if err != nil {
		r.rt.Fatal(err)
	}
}

func (r *modelRun) plain(t *rapid.T) {
	it := intake{run: run{max(r.b.next, 1) + rapid.Int64Range(0, 3).Draw(t, "gap"), 1, 1}, prio: uint8(rapid.IntRange(0, 2).Draw(t, "prio"))}
	it.run.n = rapid.Int64Range(1, 4).Draw(t, "n")
	if it.run.n > 1 {
		it.run.step = rapid.Int64Range(1, 3).Draw(t, "step")
	}
	most := r.own(t)
	it.terms = most != 0
	r.must(r.b.arrive(it))
	for k := range it.run.n {
		r.m.jobs = append(r.m.jobs, &modelJob{id: it.run.first + k*it.run.step, prio: int(it.prio), state: Ready, max: most, unread: it.terms})
	}
}

// own draws attempts of a job's own.
func (r *modelRun) own(t *rapid.T) int {
	return rapid.SampledFrom([]int{0, 0, 1, 5, Unlimited}).Draw(t, "max")
}

func (r *modelRun) special(t *rapid.T) {
	it := intake{kind: itemJob, run: run{max(r.b.next, 1), 1, 1}, prio: uint8(rapid.IntRange(0, 2).Draw(t, "prio"))}
	it.key = rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "key")
	it.unique = rapid.SampledFrom([]string{"", "", "u", "v"}).Draw(t, "unique")
	if rapid.Bool().Draw(t, "delayed") {
		it.due = r.b.now + rapid.Int64Range(1, 100).Draw(t, "delay")
	}
	most := r.own(t)
	it.terms = most != 0
	r.must(r.b.arrive(it))
	for _, j := range r.m.jobs {
		if it.unique != "" && j.unique == it.unique && j.state != Dead {
			if r.b.dups.of[it.run.first] != j.id {
				r.rt.Fatalf("job %d is no duplicate of %d", it.run.first, j.id)
			}
			return
		}
	}
	r.m.jobs = append(r.m.jobs, &modelJob{id: it.run.first, prio: int(it.prio), key: it.key, unique: it.unique, due: it.due, state: Ready, max: most, unread: it.terms})
}

func (r *modelRun) lease(t *rapid.T) {
	n := rapid.IntRange(1, 3).Draw(t, "n")
	got, err := r.b.grant(r.b, r.b.now, n, 50, "w")
	r.must(err)
	for i := range n {
		j := r.m.next(r.b.now)
		switch {
		case j == nil && i == len(got):
			return
		case j == nil:
			r.rt.Fatalf("leased %d, which cannot be leased", got[i].ID)
		case i == len(got) || got[i].ID != j.id:
			r.rt.Fatalf("leased %v, want %d as number %d", got, j.id, i)
		case r.m.done[j.id] != "":
			r.rt.Fatalf("job %d runs again", j.id)
		}
		j.state, j.until, j.token = Leased, r.b.now+50, got[i].Token
		if j.tries++; j.tries != got[i].Attempt {
			r.rt.Fatalf("attempt %d, want %d", got[i].Attempt, j.tries)
		}
		if got[i].unread != j.unread {
			r.rt.Fatalf("job %d unread: %v", j.id, got[i].unread)
		}
	}
	r.read(t, got)
}

// read reads the terms of jobs that were leased for the first time, unless the
// owner is gone by then.
func (r *modelRun) read(t *rapid.T, got []granted) {
	for _, g := range got {
		if !g.unread {
			continue
		}
		if rapid.IntRange(0, 3).Draw(t, "crash") == 0 {
			r.owner()
			return
		}
		j := r.m.find(g.ID)
		r.must(r.b.Move(encodeTerms(g.ID, &terms{MaxAttempts: j.max})))
		j.unread = false
	}
}

func (r *modelRun) pick(t *rapid.T, states ...State) *modelJob {
	var list []*modelJob
	for _, j := range r.m.jobs {
		if slices.Contains(states, j.state) {
			list = append(list, j)
		}
	}
	if len(list) == 0 {
		t.Skip("none")
	}
	return rapid.SampledFrom(list).Draw(t, "job")
}

func (r *modelRun) settle(t *rapid.T, a Action) {
	j := r.pick(t, Leased)
	s := settlement{Lease: j.token, Action: a, Extend: 70, Cause: "c"}
	due := int64(0)
	if a == Nack {
		delay := rapid.Int64Range(0, 60).Draw(t, "delay")
		s.Delay = &delay
		due = r.b.now + delay
	}
	var ack func(int64) error
	if a == Ack && rapid.Bool().Draw(t, "result") {
		ack = func(id int64) error { return r.b.Move(encodeAckWith(id, end{5, 2 * id})) }
		r.m.result[j.id] = true
	}
	if a == Report {
		s.Progress = &Progress{Fraction: rapid.Float64Range(0.1, 1).Draw(t, "progress")}
		j.told = s.Progress.Fraction
	}
	r.must(r.b.settle(r.b, r.b.now, s, ack))
	if a != Extend && a != Report {
		r.old = append(r.old, j.token)
	}
	switch a {
	case Ack:
		r.m.drop(j.id, Done)
	case Nack:
		r.m.failed(j, due)
	case Bury:
		j.state, j.told = Dead, 0
	case Extend, Report:
		j.until = r.b.now + 70
	}
}

// stale settles with leases that are over.
func (r *modelRun) stale(t *rapid.T) {
	if len(r.old) == 0 {
		t.Skip("none")
	}
	before := r.b.dump()
	a := rapid.SampledFrom([]Action{Ack, Nack, Bury, Extend}).Draw(t, "action")
	if err := r.b.settle(r.b, r.b.now, settlement{Lease: rapid.SampledFrom(r.old).Draw(t, "lease"), Action: a}, nil); err == nil {
		r.rt.Fatal("a lease that is over settles")
	}
	if after := r.b.dump(); after != before {
		r.rt.Fatalf("a lease that is over changed\n%s\nto\n%s", before, after)
	}
}

func (r *modelRun) time(t *rapid.T) {
	r.b.now += rapid.SampledFrom([]int64{1, 10, 50, 60, 700, 2500}).Draw(t, "passes")
	r.must(r.b.expire(r.b, r.b.now, 1000))
	for _, j := range r.m.jobs {
		if j.state == Leased && j.until <= r.b.now {
			r.old = append(r.old, j.token)
			r.m.failed(j, 0)
		}
	}
}

func (r *modelRun) cancel(t *rapid.T) {
	j := r.pick(t, Ready, Leased)
	r.must(r.b.Move(encodeIDs(moveCancel, []int64{j.id})))
	r.b.forget([]int64{j.id})
	if j.state == Leased {
		r.old = append(r.old, j.token)
	}
	r.m.drop(j.id, Canceled)
}

func (r *modelRun) redrive(t *rapid.T) {
	j := r.pick(t, Dead)
	r.must(r.b.Move(encodeIDs(moveRedrive, []int64{j.id})))
	for _, o := range r.m.jobs {
		if o.unique == j.unique && o != j && o.state != Dead {
			j.unique = ""
		}
	}
	j.state, j.tries, j.due = Ready, 0, 0
}

func (r *modelRun) copy(t *rapid.T) {
	j := r.pick(t, Ready, Leased, Dead)
	at := r.b.next
	r.must(r.b.arrive(intake{kind: itemCopy, run: run{at, 1, 1}, id: j.id}))
	if e := r.b.entries[j.id]; e == nil || e.place != at {
		r.rt.Fatalf("job %d was not moved to %d", j.id, at)
	}
}

func (r *modelRun) owner() {
	r.owned++
	r.b.book = newBook(r.b.machine, "q", r.b.term+1, [secretSize]byte{byte(r.owned), byte(r.owned >> 8)})
	r.plan()
	r.must(r.b.Move([]byte{moveRecall}))
	for _, j := range r.m.jobs {
		if j.state == Leased {
			r.old = append(r.old, j.token)
			r.m.failed(j, 0)
		}
	}
}

// check compares what is there, and what a restart would find.
func (r *modelRun) check() {
	r.b.promote(r.b.now)
	want := map[State]int64{}
	for _, j := range r.m.jobs {
		state := j.state
		if state == Ready && j.due > r.b.now {
			state = Delayed
		}
		want[state]++
		if p, there := r.b.phaseOf(j.id); !there || p.state() != state {
			r.rt.Fatalf("job %d is %s (there: %v), want %s", j.id, p.state(), there, state)
		}
		if how, _ := r.b.outcomeOf(j.id); how.State != state {
			r.rt.Fatalf("the outcome of job %d is %+v, want %s", j.id, how, state)
		}
		if s, _ := r.b.look(j.id); (s.Progress != nil) != (j.told > 0) || j.told > 0 && s.Progress.Fraction != j.told {
			r.rt.Fatalf("the progress of job %d is %+v, want %v", j.id, s.Progress, j.told)
		}
	}
	for id, want := range r.m.done {
		how, _ := r.b.outcomeOf(id)
		if how.State != want || (how.Number == 5 && how.At == 2*id) != r.m.result[id] {
			r.rt.Fatalf("the outcome of job %d is %+v, want %s, result %v", id, how, want, r.m.result[id])
		}
	}
	got := map[State]int64{Ready: r.b.freshCount()}
	for p := range stateCount {
		got[p.state()] += r.b.counts[p]
	}
	for _, s := range []State{Ready, Delayed, Leased, Dead} {
		if got[s] != want[s] {
			r.rt.Fatalf("%d jobs are %s, want %d", got[s], s, want[s])
		}
	}
	r.b.same()
}

// FuzzMove applies any bytes as moves. A move that is refused changes nothing,
// and whatever state comes out survives a snapshot.
func FuzzMove(f *testing.F) {
	seed := func(moves ...[]byte) { f.Add(bytes.Join(moves, []byte{0xff, 0xfe})) }
	in := encodeIntake(20, []intake{
		{kind: itemRun, run: run{1, 2, 3}, prio: 4},
		{kind: itemJob, run: run{9, 1, 1}, key: "k", unique: "u", due: 5_000_000_000_000},
		{kind: itemJob, run: run{10, 1, 1}, key: "k"},
		{kind: itemCopy, run: run{12, 1, 1}, id: 3},
	})
	s, _ := Settings{MaxAttempts: 1}.Defaults()
	set, _ := encodeSettings(s)
	seed(in, encodeAttempt(1, "w"), encodeIDs(moveAck, []int64{1}))
	seed(in, encodeAttempts([]int64{1, 3}, "w"), encodeIDs(moveAck, []int64{3}), encodeAttempts([]int64{5, 9}, "w"))
	seed(in, encodeAttempt(10, "w"), encodeBack(10, 7_000_000_000_000, "c"), encodeReschedule(10, 0))
	seed(in, set, encodeAttempt(3, "w"), []byte{moveRecall}, encodeIDs(moveTold, []int64{3}), encodeIDs(moveRedrive, []int64{3}))
	seed(in, encodeAttempt(5, "w"), encodeDie(5, "r", "c"), encodePurge(phaseDead, phaseReady), appendID([]byte{moveFloor}, 9))
	seed(in, encodeIDs(moveCancel, []int64{1, 9}), encodePause(true))
	s.Feed = []string{"a.*"}
	feed, _ := encodeSettings(s)
	put, _ := encodePutSchedule(&Schedule{Name: "s", Cron: "@daily"})
	pause, _ := encodePutSchedule(&Schedule{Name: "s", Cron: "@daily", Paused: true})
	seed(encodeIntake(9, []intake{{run: run{1, 1, 5}, terms: true}, {kind: itemJob, run: run{7, 1, 1}, terms: true, key: "k"}}), encodeAttempt(2, "w"), encodeTerms(2, &terms{MaxAttempts: 1, Retry: &Retry{Kind: Fixed}}), encodeAckWith(2, end{3, 4}), encodeIDs(moveCancel, []int64{7}))
	seed(put, encodeRan("s", 999_000, 1_000_010), pause, encodeEndSchedule("s"))
	seed(feed, encodeFed("a.*", "cursor"), set)
	f.Fuzz(func(t *testing.T, data []byte) {
		b := newBench(t)
		for move := range bytes.SplitSeq(data, []byte{0xff, 0xfe}) {
			b.now += 10
			b.promote(b.now)
			before := b.dump()
			if err := b.Move(move); err != nil && b.dump() != before {
				t.Fatalf("a move that was refused (%v) changed\n%s\nto\n%s", err, before, b.dump())
			}
		}
		if b.freshCount() < 1000 {
			b.same()
		}
	})
}

// FuzzRestore restores any bytes as a snapshot: it is refused, or gives a machine
// whose own snapshot is the same.
func FuzzRestore(f *testing.F) {
	b := newBench(f)
	for i := range 3 {
		if err := b.arrive(intake{kind: itemJob, run: run{max(b.next, 1), 1, 1}, key: "k", unique: fmt.Sprint(i)}, intake{run: run{b.next + 5, 3, 4}}); err != nil {
			f.Fatal(err)
		}
	}
	if _, err := b.grant(b, b.now, 2, 100, "w"); err != nil {
		f.Fatal(err)
	}
	put, _ := encodePutSchedule(&Schedule{Name: "s", Cron: "5 4 * * *"})
	feed, _ := encodeSettings(Settings{Feed: []string{"a"}})
	for _, move := range [][]byte{put, feed, encodeFed("a", "c"), encodeTerms(1, &terms{MaxAttempts: 2}), encodeAckWith(1, end{1, 2})} {
		if err := b.Move(move); err != nil {
			f.Fatal(err)
		}
	}
	for part := range b.Snapshot() {
		f.Add(bytes.Clone(part))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m := newMachine()
		if m.Restore(slices.Values([][]byte{data})) != nil {
			return
		}
		parts := slices.Collect(m.Snapshot())
		again := newMachine()
		if err := again.Restore(slices.Values(parts)); err != nil {
			t.Fatalf("its own snapshot is refused: %v", err)
		}
		for i, part := range slices.Collect(again.Snapshot()) {
			if !bytes.Equal(part, parts[i]) {
				t.Fatal("the snapshot of a restored snapshot differs")
			}
		}
	})
}
