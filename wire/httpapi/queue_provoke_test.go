package httpapi

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/queue"
)

// readyQueue fills queue a: job 1 is leased, 2 is dead and 3 is ready. It gives
// the lease of the first.
func (r *rig) readyQueue(t testing.TB) (lease string) {
	t.Helper()
	r.putJob("a")
	r.putJob("a")
	// the second lease is the one that is given up
	first := r.takeJob("a")
	if res, answer := r.do("POST", "/v1/leases/"+r.takeJob("a")+"/dead", ""); res.StatusCode != http.StatusNoContent {
		t.Fatal(answer)
	}
	r.putJob("a")
	if res, answer := r.do("PUT", "/v1/queues/a/schedules/s", `{"cron":"0 8 * * *"}`); res.StatusCode != http.StatusCreated {
		t.Fatal(answer)
	}
	return first
}

func (r *rig) putJob(name string, header ...string) string {
	r.t.Helper()
	res, answer := r.do("POST", "/v1/queues/"+name+"/jobs", "x", header...)
	var in EnqueueAnswer
	if err := json.Unmarshal([]byte(answer), &in); err != nil || res.StatusCode != http.StatusCreated {
		r.t.Fatalf("%d %s", res.StatusCode, answer)
	}
	return in.Jobs[0].ID.String()
}

// takeJob leases one job, which must be there.
func (r *rig) takeJob(name string) (lease string) {
	r.t.Helper()
	list := r.lease(name, "")
	if len(list) != 1 {
		r.t.Fatalf("leased %d jobs", len(list))
	}
	return list[0].Lease
}

// lease leases jobs, all that were enqueued being there.
func (r *rig) lease(name, query string) []LeaseInfo {
	r.t.Helper()
	synctest.Wait()
	res, answer := r.do("POST", "/v1/queues/"+name+"/lease?"+query, "")
	var in LeaseAnswer
	if err := json.Unmarshal([]byte(answer), &in); err != nil || res.StatusCode != http.StatusOK {
		r.t.Fatalf("%d %s", res.StatusCode, answer)
	}
	return in.Jobs
}

// queueProvoked are the ways to have errors of queues that others have otherwise.
var queueProvoked = map[parley.Code]func(p *provoker) (*http.Response, string){
	parley.Conflict: func(p *provoker) (*http.Response, string) {
		switch p.route.Name {
		case "queue-put", "queue-delete":
			return p.elsewhere("fixed")
		case "queue-cancel":
			return p.send(func(path, body string) (string, string) { return strings.ReplaceAll(path, "/3", "/2"), body })
		case "queue-reschedule":
			return p.send(func(path, body string) (string, string) { return strings.ReplaceAll(path, "/3", "/1"), body })
		}
		p.do("POST", "/v1/leases/"+p.token+"/ack", "")
		return p.send(nil)
	},
	parley.Unprocessable: func(p *provoker) (*http.Response, string) {
		switch p.route.Name {
		case "queue-result": // of a dead job
			return p.send(func(path, body string) (string, string) { return strings.ReplaceAll(path, "/3", "/2"), body })
		case "queue-ack": // with a result, where none is kept
			p.do("PUT", "/v1/queues/a", `{"results":"-"}`)
			return p.send(func(path, _ string) (string, string) { return path, "done" })
		}
		for n := range queue.MaxSchedules - 1 {
			p.do("PUT", "/v1/queues/a/schedules/s"+strconv.Itoa(n), `{"cron":"0 8 * * *"}`)
		}
		return p.send(func(path, body string) (string, string) { return path + "more", body })
	},
	parley.Overloaded: func(p *provoker) (*http.Response, string) {
		if p.route.Name == "queue-result" {
			p.hold()
			return p.query("wait=5s")
		}
		p.do("PUT", "/v1/queues/third", "")
		return p.elsewhere("fourth")
	},
	// Nobody owns the queue; who needs no owner needs the log.
	parley.Unavailable: func(p *provoker) (*http.Response, string) {
		if p.route.Name == "queue-enqueue" || p.route.Name == "queue-delete" {
			return p.fault(parley.Unavailable)
		}
		p.abdicate()
		synctest.Wait() // until the owners have ended
		return p.send(nil)
	},
	parley.Full:    func(p *provoker) (*http.Response, string) { return p.unstored(parley.Full) },
	parley.Unknown: func(p *provoker) (*http.Response, string) { return p.unstored(parley.Unknown) },
}

// unstored has the log fail. The first who is in the middle of a change then does
// not know what came of it; all others are told that there is no room. A lease
// stores nothing but the queue that it makes.
func (p *provoker) unstored(code parley.Code) (*http.Response, string) {
	if p.route.Name == "queue-resume" && code == parley.Unknown {
		p.do("POST", "/v1/queues/a/pause", "")
	}
	p.log.code.Store(int32(code))
	defer p.log.code.Store(0)
	switch {
	case p.route.Name == "queue-lease":
		return p.elsewhere("new")
	case code == parley.Full:
		p.do("POST", "/v1/queues/a/pause", "")
	}
	return p.send(nil)
}

// fixedQueue is the one of the configuration.
var fixedQueue = map[string]queue.Settings{"fixed": {}}
