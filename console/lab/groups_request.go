package lab

import (
	"strconv"
	"time"

	"github.com/parleyhq/parley"
)

// Limits of a run with consumer groups.
const (
	MaxGroupEvents    = 500
	MaxGroupDuration  = 20 * time.Second
	MaxPartitions     = 8
	minGroupsDuration = 500 * time.Millisecond
)

// GroupsRequest says what there is to read. Zero fields are the defaults.
type GroupsRequest struct {
	Events     int      `json:"events"`     // 1 to 500; default 40
	Duration   Duration `json:"duration"`   // "500ms" to "20s"; default 4s
	Partitions int      `json:"partitions"` // of the topic: 1 to 8; default 2
	Seed       uint64   `json:"seed"`       // of the schedule; the same seed gives the same schedule
}

// ParseGroupsRequest reads the JSON of a request, and completes and checks it. Errors:
// Invalid, TooLarge.
func ParseGroupsRequest(body []byte) (GroupsRequest, error) {
	var r GroupsRequest
	if err := decode(body, &r, `{"events": 40, "duration": "4s", "partitions": 2}`); err != nil {
		return r, err
	}
	if r.Events == 0 {
		r.Events = 40
	}
	if r.Duration == 0 {
		r.Duration = Duration(4 * time.Second)
	}
	if r.Partitions == 0 {
		r.Partitions = 2
	}
	return r, r.check()
}

func (r GroupsRequest) check() error {
	switch d := time.Duration(r.Duration); {
	case r.Events < 1 || r.Events > MaxGroupEvents:
		return parley.BadField("events", "is "+strconv.Itoa(r.Events), "send 1 to "+strconv.Itoa(MaxGroupEvents))
	case d < minGroupsDuration || d > MaxGroupDuration:
		return parley.BadField("duration", "is "+d.String(), "send "+minGroupsDuration.String()+" to "+MaxGroupDuration.String())
	case r.Partitions < 1 || r.Partitions > MaxPartitions:
		return parley.BadField("partitions", "is "+strconv.Itoa(r.Partitions), "send 1 to "+strconv.Itoa(MaxPartitions))
	}
	return nil
}
