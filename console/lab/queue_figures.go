package lab

import "sync"

// How a span ends.
const (
	Done    = "done"    // acked
	Crashed = "crashed" // the worker was cut off in the middle
	Lost    = "lost"    // the lease was over before the ack: another one has the job
)

// Span is a worker's time with a job: told when it begins, and again when it ends.
// Times are milliseconds from the start of the run.
type Span struct {
	Lane    string  `json:"lane"`
	Worker  string  `json:"worker"`
	Job     int     `json:"job"`     // from 1, in the order in which they were enqueued
	Attempt int     `json:"attempt"` // from 1
	Began   float64 `json:"began"`
	Ended   float64 `json:"ended,omitempty"`
	End     string  `json:"end,omitempty"` // done, crashed or lost; empty while it is under way
}

// diary gathers the spans of a run.
type diary struct {
	mu    sync.Mutex
	all   []Span
	taken int
}

func (d *diary) add(s Span) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = append(d.all, s)
}

// take gives the spans since it was last called.
func (d *diary) take() []Span {
	d.mu.Lock()
	defer d.mu.Unlock()
	from := d.taken
	d.taken = len(d.all)
	return d.all[from:len(d.all):len(d.all)]
}

// CrewFigures are what a crew did, and what it cost on the wire.
type CrewFigures struct {
	Lane        string          `json:"lane"`
	Jobs        int             `json:"jobs"`
	Done        int             `json:"done"`
	Drained     float64         `json:"drained"` // when the last job was done
	Attempts    int             `json:"attempts"`
	Workers     []WorkerFigures `json:"workers"`
	TakenOver   []Takeover      `json:"taken_over"`
	Requests    int             `json:"requests"`
	Connections int             `json:"connections"`
	BytesIn     int64           `json:"bytes_in"`  // from clients to server
	BytesOut    int64           `json:"bytes_out"` // from server to clients
}

// WorkerFigures are what one worker did.
type WorkerFigures struct {
	Name    string  `json:"name"`
	Done    int     `json:"done"`
	Busy    float64 `json:"busy"`              // with jobs, those included that it did not end
	Crashed float64 `json:"crashed,omitempty"` // when
}

// Takeover is a job that was leased again because a worker did not end it.
type Takeover struct {
	Job   int     `json:"job"`
	From  string  `json:"from"`
	To    string  `json:"to"`
	Left  float64 `json:"left"`  // when its worker crashed, or lost it
	Taken float64 `json:"taken"` // when the next one began
}

// crewFigures adds up the spans of a crew.
func crewFigures(c Crew, jobs int, all []Span) CrewFigures {
	f := CrewFigures{Lane: c.Name, Jobs: jobs, TakenOver: []Takeover{}}
	at := map[string]int{}
	for i, name := range c.Workers {
		at[name] = i
		f.Workers = append(f.Workers, WorkerFigures{Name: name})
	}
	type attempt struct{ job, number int }
	ended := map[attempt]Span{}
	for _, s := range all {
		if s.Lane == c.Name && s.End != "" {
			ended[attempt{s.Job, s.Attempt}] = s
		}
	}
	for _, s := range all {
		if s.Lane != c.Name {
			continue
		}
		w := &f.Workers[at[s.Worker]]
		if s.End == "" {
			f.Attempts++
			if before, was := ended[attempt{s.Job, s.Attempt - 1}]; was {
				f.TakenOver = append(f.TakenOver, Takeover{Job: s.Job, From: before.Worker, To: s.Worker, Left: before.Ended, Taken: s.Began})
			}
			continue
		}
		w.Busy += s.Ended - s.Began
		switch s.End {
		case Done:
			w.Done++
			f.Done++
			f.Drained = max(f.Drained, s.Ended)
		case Crashed:
			w.Crashed = s.Ended
		}
	}
	return f
}
