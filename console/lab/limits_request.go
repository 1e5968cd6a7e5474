package lab

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parleyhq/parley"
)

// Limits of a run with limits.
const (
	MaxQuota  = 50
	MinWindow = 200 * time.Millisecond
	MaxWindow = 3 * time.Second
)

// LimitRequest says which experiment to run, with which limit. Zero fields are the
// defaults.
type LimitRequest struct {
	Experiment string   `json:"experiment"` // a name of Experiments; default strategies
	Quota      int64    `json:"quota"`      // units a window, or places inside: 1 to 50; default 5
	Window     Duration `json:"window"`     // "200ms" to "3s"; for the club how long a guest stays on average; default 1s
	Seed       uint64   `json:"seed"`       // of the schedule; the same seed gives the same schedule
}

// ParseLimitRequest reads the JSON of a request, and completes and checks it. Errors:
// Invalid, TooLarge.
func ParseLimitRequest(body []byte) (LimitRequest, error) {
	var r LimitRequest
	if err := decode(body, &r, `{"experiment": "strategies", "quota": 5, "window": "1s"}`); err != nil {
		return r, err
	}
	if r.Experiment == "" {
		r.Experiment = Strategies
	}
	if r.Quota == 0 {
		r.Quota = 5
	}
	if r.Window == 0 {
		r.Window = Duration(time.Second)
	}
	return r, r.check()
}

func (r LimitRequest) check() error {
	var known []string
	for _, e := range Experiments() {
		known = append(known, e.Name)
	}
	switch {
	case !slices.Contains(known, r.Experiment):
		return parley.BadField("experiment", strconv.Quote(r.Experiment)+" is no experiment", "send "+strings.Join(known, ", ")+"; GET /lab/lanes lists them")
	case r.Quota < 1 || r.Quota > MaxQuota:
		return parley.BadField("quota", "is "+strconv.FormatInt(r.Quota, 10), "send 1 to "+strconv.Itoa(MaxQuota))
	case r.window() < MinWindow || r.window() > MaxWindow:
		return parley.BadField("window", "is "+r.window().String(), "send "+MinWindow.String()+" to "+MaxWindow.String())
	}
	return nil
}

// turn is one caller of the schedule: when it comes, and how long it stays inside.
type turn struct{ at, stay time.Duration }

// schedule gives the callers in the order in which they come. It depends on the
// request alone.
func (r LimitRequest) schedule() (turns []turn) {
	random := rand.New(rand.NewPCG(r.Seed, 0x5eed))
	w := r.window()
	between := func(from, to float64) time.Duration {
		return time.Duration((from + (to-from)*random.Float64()) * float64(w)).Round(time.Microsecond)
	}
	// Callers of a burst keep a distance, so that they arrive in the order of their turns.
	burst := func(n int64, from, to float64) {
		step := (to - from) / float64(n)
		for i := range n {
			begin := from + float64(i)*step
			turns = append(turns, turn{at: between(begin, begin+step/2), stay: between(0.6, 1.4)})
		}
	}
	switch r.Experiment {
	case Manners:
		burst(3*r.Quota, 0, 0.2)
	case Club:
		burst(3*r.Quota+2, 0, 0.8)
	default:
		burst(r.Quota+3, edge-0.25, edge-0.05)
		burst(r.Quota+3, edge+0.02, edge+0.22)
		for at := 0.9; at < 2.4; at += 1.25 / float64(r.Quota) {
			turns = append(turns, turn{at: time.Duration(at * float64(w))})
		}
	}
	slices.SortFunc(turns, func(a, b turn) int { return int(a.at - b.at) })
	return turns
}

// edge is where a window of the clock ends, in windows from the start of a run.
const edge = 0.3

// startAfter is when a run may start: so that a window of the clock ends where the
// schedule has it.
func (r LimitRequest) startAfter(now time.Time) time.Time {
	if r.Experiment != Strategies {
		return now
	}
	w := r.window()
	into := time.Duration(now.UnixNano() % int64(w))
	wait := time.Duration((1-edge)*float64(w)) - into
	if wait < 0 {
		wait += w
	}
	return now.Add(wait)
}
