package lab

import (
	"strconv"
	"time"

	"github.com/parleyhq/parley"
)

// Limits of a run with a work queue.
const (
	MaxJobs       = 200
	MinWork       = 5 * time.Millisecond
	MaxWork       = time.Second
	MaxTotalWork  = 20 * time.Second // of all jobs together, on average
	MinVisibility = 200 * time.Millisecond
	MaxVisibility = 5 * time.Second
)

// QueueRequest says how much there is to do. Zero fields are the defaults.
type QueueRequest struct {
	Jobs       int      `json:"jobs"`       // 1 to 200; default 24
	Work       Duration `json:"work"`       // how long a job takes, give or take 60 %: "5ms" to "1s"; default 100ms
	Visibility Duration `json:"visibility"` // how long a lease lasts: "200ms" to "5s"; default 1s
	Seed       uint64   `json:"seed"`       // of the jobs; the same seed gives the same jobs
}

// ParseQueueRequest reads the JSON of a request, and completes and checks it. Errors:
// Invalid, TooLarge.
func ParseQueueRequest(body []byte) (QueueRequest, error) {
	var r QueueRequest
	if err := decode(body, &r, `{"jobs": 24, "work": "100ms", "visibility": "1s"}`); err != nil {
		return r, err
	}
	if r.Jobs == 0 {
		r.Jobs = 24
	}
	if r.Work == 0 {
		r.Work = Duration(100 * time.Millisecond)
	}
	if r.Visibility == 0 {
		r.Visibility = Duration(time.Second)
	}
	return r, r.check()
}

func (r QueueRequest) check() error {
	work, visibility := time.Duration(r.Work), time.Duration(r.Visibility)
	switch {
	case r.Jobs < 1 || r.Jobs > MaxJobs:
		return parley.BadField("jobs", "is "+strconv.Itoa(r.Jobs), "send 1 to "+strconv.Itoa(MaxJobs))
	case work < MinWork || work > MaxWork:
		return parley.BadField("work", "is "+work.String(), "send "+MinWork.String()+" to "+MaxWork.String())
	case time.Duration(r.Jobs)*work > MaxTotalWork:
		return parley.BadField("work", strconv.Itoa(r.Jobs)+" jobs of "+work.String()+" keep one worker busy for "+(time.Duration(r.Jobs)*work).String(), "send fewer or shorter jobs: "+MaxTotalWork.String()+" in all")
	case visibility < MinVisibility || visibility > MaxVisibility:
		return parley.BadField("visibility", "is "+visibility.String(), "send "+MinVisibility.String()+" to "+MaxVisibility.String())
	}
	return nil
}
