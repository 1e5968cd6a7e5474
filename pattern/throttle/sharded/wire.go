package sharded

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/throttle"
)

// Bounds of what an owner takes.
const (
	MaxName = 100     // bytes of a limit's name
	MaxKey  = 1024    // bytes of a key
	MaxCost = 1 << 53 // units of one check
)

// The things that are asked.
const (
	opTake = "take"
	opLook = "look"
	opBack = "back"
)

// request is what goes to the owner.
type request struct {
	Op       string `json:"op"`
	Name     string `json:"name"`
	Limit    string `json:"limit"` // as throttle.Limit writes it
	Revision int64  `json:"rev,omitempty"`
	Key      []byte `json:"key,omitempty"` // any bytes: JSON text would make some of them the same
	Cost     int64  `json:"cost"`
}

// reply is what comes back.
type reply struct {
	OK         bool            `json:"ok"`
	Reason     throttle.Reason `json:"reason,omitempty"`
	Limit      int64           `json:"limit"`
	Remaining  int64           `json:"remaining"`
	RetryAfter time.Duration   `json:"retry_after,omitempty"`
	Reset      time.Duration   `json:"reset,omitempty"`
}

func (r reply) decision(cost int64) throttle.Decision {
	return throttle.Decision{OK: r.OK, Reason: r.Reason, Cost: cost, Limit: r.Limit, Remaining: r.Remaining, RetryAfter: r.RetryAfter, Reset: r.Reset}
}

// decode reads and checks a request. Errors are Invalid.
func decode(b []byte) (r request, limit throttle.Limit, err error) {
	if err := json.Unmarshal(b, &r); err != nil {
		return r, limit, parley.BadField("request", err.Error(), "use a Counter")
	}
	if err := r.check(); err != nil {
		return r, limit, err
	}
	limit, err = parse(r.Limit)
	return r, limit, err
}

func (r request) check() error {
	switch {
	case r.Op != opTake && r.Op != opLook && r.Op != opBack:
		return parley.BadField("op", strconv.Quote(r.Op)+" is nothing that can be asked", "use a Counter")
	case r.Name == "" || len(r.Name) > MaxName:
		return parley.BadField("name", "is empty, or over "+strconv.Itoa(MaxName)+" bytes", "name the limit")
	case len(r.Key) > MaxKey:
		return parley.BadField("key", "has "+strconv.Itoa(len(r.Key))+" bytes", "send at most "+strconv.Itoa(MaxKey)+", or a hash")
	case r.Cost < 0 || r.Cost > MaxCost:
		return parley.BadField("cost", strconv.FormatInt(r.Cost, 10)+" is no cost", "send 0 to 2^53")
	}
	return nil
}

// parse reads a limit that can be counted here.
func parse(text string) (throttle.Limit, error) {
	limit, err := throttle.ParseLimit(text)
	if err != nil {
		return limit, parley.BadField("limit", err.Error(), "write it like 5/1h")
	}
	return limit, checkLimit(limit)
}

func checkLimit(l throttle.Limit) error {
	if l.Algorithm == throttle.Concurrency || l.Algorithm == throttle.Adaptive {
		return parley.BadField("limit", "counts what is inside at once: a caller that died would never leave", "use a limit with a window")
	}
	return nil
}
