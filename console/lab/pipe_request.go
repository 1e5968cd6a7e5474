package lab

import (
	"strconv"
	"time"

	"github.com/parleyhq/parley"
)

// Limits of a run with pipes; those of work are a work queue's.
const (
	MaxPipeEvents = 200
	MaxFlowLanes  = 16
	MaxBatch      = 50
	MaxRoom       = 50
)

// PipeRequest says what goes through the pipes. Zero fields are the defaults.
type PipeRequest struct {
	Events int      `json:"events"` // 1 to 200; default 24
	Work   Duration `json:"work"`   // how long an event is worked on, give or take 60 %: "5ms" to "1s"; default 100ms
	Lanes  int      `json:"lanes"`  // that work at a time, of the parallel flows: 1 to 16; default 3
	Batch  int      `json:"batch"`  // events of a batch: 1 to 50; default 6
	Room   int      `json:"room"`   // events that a queue takes, and the parallel flows beside those at work: 1 to 50; default 3
	Seed   uint64   `json:"seed"`   // of the work; the same seed gives the same
}

// ParsePipeRequest reads the JSON of a request, and completes and checks it. Errors:
// Invalid, TooLarge.
func ParsePipeRequest(body []byte) (PipeRequest, error) {
	var r PipeRequest
	if err := decode(body, &r, `{"events": 24, "work": "100ms", "lanes": 3, "batch": 6, "room": 3}`); err != nil {
		return r, err
	}
	for _, f := range []struct {
		at        *int
		otherwise int
	}{{&r.Events, 24}, {&r.Lanes, 3}, {&r.Batch, 6}, {&r.Room, 3}} {
		if *f.at == 0 {
			*f.at = f.otherwise
		}
	}
	if r.Work == 0 {
		r.Work = Duration(100 * time.Millisecond)
	}
	return r, r.check()
}

func (r PipeRequest) check() error {
	for _, f := range []struct {
		name        string
		value, most int
	}{{"events", r.Events, MaxPipeEvents}, {"lanes", r.Lanes, MaxFlowLanes}, {"batch", r.Batch, MaxBatch}, {"room", r.Room, MaxRoom}} {
		if f.value < 1 || f.value > f.most {
			return parley.BadField(f.name, "is "+strconv.Itoa(f.value), "send 1 to "+strconv.Itoa(f.most))
		}
	}
	switch work := time.Duration(r.Work); {
	case work < MinWork || work > MaxWork:
		return parley.BadField("work", "is "+work.String(), "send "+MinWork.String()+" to "+MaxWork.String())
	case time.Duration(r.Events)*work > MaxTotalWork:
		return parley.BadField("work", strconv.Itoa(r.Events)+" events of "+work.String()+" take "+(time.Duration(r.Events)*work).String()+" one after the other", "send fewer or shorter ones: "+MaxTotalWork.String()+" in all")
	}
	return nil
}

func (r PipeRequest) tasks() []task { return tasks(r.Seed, r.Events, r.Work) }
