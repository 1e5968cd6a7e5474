package lab

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/parleyhq/parley/client"
)

// Experiments about limits.
const (
	Strategies = "strategies" // four algorithms under one traffic
	Manners    = "manners"    // refusing and queueing under one burst
	Club       = "club"       // so many inside at once
)

// Experiment is one traffic that goes through several limits at once.
type Experiment struct {
	Name    string      `json:"name"`
	Title   string      `json:"title"`
	Summary string      `json:"summary"` // one sentence: what happens
	Lanes   []LimitLane `json:"lanes"`
}

// LimitLane is one limit, and how its callers take a refusal.
type LimitLane struct {
	Name    string `json:"name"`
	Title   string `json:"title"`
	Summary string `json:"summary"` // one sentence: how it works
	visit   visit
	limit   func(r LimitRequest) client.LimitDefinition
}

// visit is what a caller does.
type visit int

const (
	once   visit = iota // one request, whatever becomes of it
	obeys               // comes back when Retry-After says, until it is let in
	enters              // stays inside for a while, and leaves
)

// Experiments lists the experiments about limits.
func Experiments() []Experiment {
	return []Experiment{
		{Name: Strategies, Title: "Four strategies", Summary: "Two bursts on both sides of a window's edge, then a trickle.", Lanes: []LimitLane{
			{
				Name: "fixed-window", Title: "Fixed window", Summary: "Counts in slots of the clock; a burst on both sides of an edge passes twice.",
				limit: func(r LimitRequest) client.LimitDefinition { return r.reject("fixed-window", "") },
			},
			{
				Name: "sliding-window", Title: "Sliding window", Summary: "Remembers when each call came: never more than the quota in any window.",
				limit: func(r LimitRequest) client.LimitDefinition { return r.reject("sliding-log", "") },
			},
			{
				Name: "token-bucket", Title: "Token bucket", Summary: "Tokens come at a steady rate and are saved up to the quota; a burst spends what was saved.",
				limit: func(r LimitRequest) client.LimitDefinition { return r.reject("token-bucket", r.burst(r.Quota)) },
			},
			{
				Name: "leaky-bucket", Title: "Leaky bucket", Summary: "Calls stand in line and leave it at a steady rate; what finds the line full is refused.",
				limit: func(r LimitRequest) client.LimitDefinition { return shape(r.reject("leaky-queue", r.burst(2*r.Quota))) },
			},
		}},
		{Name: Manners, Title: "Reject or shape", Summary: "One burst of three times the quota, to one token bucket: refused and back, or in line.", Lanes: []LimitLane{
			{
				Name: "reject", Title: "Reject", Summary: "429 with Retry-After; each caller comes back when it says, and may be refused again.", visit: obeys,
				limit: func(r LimitRequest) client.LimitDefinition { return r.reject("token-bucket", r.burst(r.Quota)) },
			},
			{
				Name: "shape", Title: "Shape", Summary: "Each waits its turn, first in, first out; one request a call.",
				limit: func(r LimitRequest) client.LimitDefinition { return shape(r.reject("token-bucket", r.burst(r.Quota))) },
			},
		}},
		{Name: Club, Title: "Nightclub", Summary: "Only so many are inside at once: somebody has to leave first.", Lanes: []LimitLane{
			{
				Name: "club", Title: "Nightclub", Summary: "A place inside is held while a stream is open; the others wait at the door.", visit: enters,
				limit: func(r LimitRequest) client.LimitDefinition {
					return shape(client.LimitDefinition{Limit: strconv.FormatInt(r.Quota, 10), Algorithm: "concurrency", Key: "everyone"})
				},
			},
		}},
	}
}

func (r LimitRequest) window() time.Duration { return time.Duration(r.Window) }

// reject is a limit for all callers together that refuses what is too much.
func (r LimitRequest) reject(algorithm, burst string) client.LimitDefinition {
	return client.LimitDefinition{Limit: fmt.Sprintf("%d/%s%s", r.Quota, r.window(), burst), Algorithm: algorithm, Key: "everyone"}
}

func (r LimitRequest) burst(n int64) string { return " burst=" + strconv.FormatInt(n, 10) }

// shape makes what is too much wait.
func shape(d client.LimitDefinition) client.LimitDefinition {
	d.Action, d.MaxWait = "shape", "30s"
	return d
}

func experimentNamed(name string) (Experiment, bool) {
	for _, e := range Experiments() {
		if e.Name == name {
			return e, true
		}
	}
	return Experiment{}, false
}

// on says what the limit of a lane is applied to.
func (l LimitLane) on(topic string) string {
	if l.visit == enters {
		return "subscribe:" + topic
	}
	return "publish:" + topic
}

// definition is the JSON that puts a lane's limit on its topic.
func (l LimitLane) definition(r LimitRequest, topic string) (string, error) {
	d := l.limit(r)
	d.On = []string{l.on(topic)}
	body, err := json.Marshal(d)
	if err != nil {
		return "", fmt.Errorf("encoding a limit: %w", err)
	}
	return string(body), nil
}
