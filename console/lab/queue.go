package lab

import (
	"math/rand/v2"
	"time"
)

// Crew is the workers of one lane, each with the same jobs to do.
type Crew struct {
	Name    string   `json:"name"`
	Title   string   `json:"title"`
	Summary string   `json:"summary"` // one sentence: what is to be seen
	Workers []string `json:"workers"`
	Crashes string   `json:"crashes,omitempty"` // the worker that crashes in the middle of a job
}

// Crews lists the lanes of a run with a work queue.
func Crews() []Crew {
	return []Crew{
		{Name: "one", Title: "One worker", Summary: "Jobs are done one after the other: the backlog drains at one worker's pace.", Workers: []string{"ann"}},
		{Name: "three", Title: "Three workers", Summary: "Each job is leased to one of them, whoever is free: about a third of the time.", Workers: []string{"ann", "ben", "cleo"}},
		{Name: "crash", Title: "One of three crashes", Summary: "Cleo crashes in the middle of a job and says nothing: when its lease is over, another one takes it.", Workers: []string{"ann", "ben", "cleo"}, Crashes: "cleo"},
	}
}

// enqueuer is what adds the jobs of a lane, beside its workers.
const enqueuer = "producer"

// laneOf is the lane of the recorder for one client of a crew.
func (c Crew) laneOf(client string) string { return c.Name + "/" + client }

// clients are who talks to a crew's queue: what adds the jobs first.
func (c Crew) clients() []string { return append([]string{enqueuer}, c.Workers...) }

// task is one job, or one event of a pipe: how long it is worked on.
type task struct {
	Job  int      `json:"job"` // from 1
	Work Duration `json:"work"`
}

// tasks gives the jobs in their order.
func (r QueueRequest) tasks() []task { return tasks(r.Seed, r.Jobs, r.Work) }

// tasks gives how long each of n jobs, or events, is worked on: 0.4 to 1.6 times as long
// as work says, in whole milliseconds, and with the same seed the same.
func tasks(seed uint64, n int, work Duration) []task {
	random := rand.New(rand.NewPCG(seed, 0x90b5))
	all := make([]task, n)
	for i := range all {
		long := time.Duration((0.4 + 1.2*random.Float64()) * float64(work)).Round(time.Millisecond)
		all[i] = task{Job: i + 1, Work: Duration(max(long, time.Millisecond))}
	}
	return all
}

// crashAt says during which of its jobs the worker crashes that does: about in the
// middle of the run, but in one that it gets.
func (r QueueRequest) crashAt() int { return max(1, r.Jobs/6) }
