package httpapi

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/parleyhq/parley"
)

// queueRefusals are requests about queues that must be refused, and how. {lease} is
// a good one.
var queueRefusals = []struct {
	name, method, path, header, body string // header: "Name: value" lines
	status                           int
	code, field                      string
}{
	{"name", "POST", "/v1/queues/a%2Fb/jobs", "", "x", 400, "invalid", "queue"},
	{"internal name", "POST", "/v1/queues/$a/jobs", "", "x", 403, "forbidden", "queue"},
	{"ephemeral name", "POST", "/v1/queues/~a/lease", "", "", 400, "invalid", "queue"},
	{"long name", "PUT", "/v1/queues/" + strings.Repeat("a", 201), "", "", 400, "invalid", "queue"},
	{"name of none", "GET", "/v1/queues/none", "", "", 404, "not-found", "queue"},
	{"delete none", "DELETE", "/v1/queues/none", "", "", 404, "not-found", "queue"},
	{"list limit", "GET", "/v1/queues?limit=0", "", "", 400, "invalid", "limit"},
	{"list twice", "GET", "/v1/queues?after=a&after=b", "", "", 400, "invalid", "after"},

	{"delay", "POST", jobs, "Parley-Delay: soon", "x", 400, "invalid", "Parley-Delay"},
	{"delay back", "POST", jobs, "Parley-Delay: -1s", "x", 400, "invalid", "Parley-Delay"},
	{"delay for ever", "POST", jobs, "Parley-Delay: 100000h", "x", 400, "invalid", "Parley-Delay"},
	{"delay twice", "POST", jobs, "Parley-Delay: 1s\nParley-Delay: 2s", "x", 400, "invalid", "Parley-Delay"},
	{"at", "POST", jobs, "Parley-At: tomorrow", "x", 400, "invalid", "Parley-At"},
	{"at beside delay", "POST", jobs, "Parley-At: 2000-01-01T00:00:00Z\nParley-Delay: 1s", "x", 400, "invalid", "Parley-At"},
	{"priority", "POST", jobs, "Parley-Priority: high", "x", 400, "invalid", "Parley-Priority"},
	{"priority 10", "POST", jobs, "Parley-Priority: 10", "x", 400, "invalid", "Parley-Priority"},
	{"key", "POST", jobs, "Parley-Key: " + strings.Repeat("k", 256), "x", 400, "invalid", "Parley-Key"},
	{"unique of many", "POST", jobs, "Parley-Unique: u\nContent-Type: application/x-ndjson", "1\n2", 400, "invalid", "Parley-Unique"},
	{"type no UTF-8", "POST", jobs, "Parley-Type: \xff", "x", 400, "invalid", "Parley-Type"},
	{"coding", "POST", jobs, "Content-Encoding: gzip", "x", 415, "unsupported", "Content-Encoding"},
	{"too large", "POST", jobs, "", strings.Repeat("x", 2<<20+1), 413, "too-large", "body"},
	{"too large a job", "POST", jobs, "", strings.Repeat("x", 1<<20+1), 413, "too-large", "jobs"},
	{"idempotency key", "POST", jobs, "Idempotency-Key: \"\"", "x", 400, "invalid", "Idempotency-Key"},
	{"another body", "POST", jobs, "Idempotency-Key: \"used\"", "y", 422, "key-reused", "Idempotency-Key"},
	{"another attribute", "POST", jobs, "Idempotency-Key: \"used\"\nParley-Priority: 3", "x", 422, "key-reused", "Idempotency-Key"},
	{"long idempotency key", "POST", jobs, "Idempotency-Key: " + strings.Repeat("k", 256), "x", 400, "invalid", "Idempotency-Key"},

	{"jobs: none", "POST", jobs, "Content-Type: " + jobsMedia, `{"jobs":[]}`, 400, "invalid", "jobs"},
	{"jobs: JSON", "POST", jobs, "Content-Type: " + jobsMedia, `{"jobs":`, 400, "invalid", "body"},
	{"jobs: member", "POST", jobs, "Content-Type: " + jobsMedia, `{"job":[]}`, 400, "invalid", "job"},
	{"jobs: header", "POST", jobs, "Parley-Delay: 1s\nContent-Type: " + jobsMedia, `{"jobs":[{"data":1}]}`, 400, "invalid", "Parley-Delay"},
	{"jobs: no object", "POST", jobs, "Content-Type: " + jobsMedia, `{"jobs":[{"data":1},7]}`, 400, "invalid", "jobs[1]"},
	{"jobs: member of one", "POST", jobs, "Content-Type: " + jobsMedia, `{"jobs":[{"data":1},{"dealy":"1s"}]}`, 400, "invalid", "jobs[1].dealy"},
	{"jobs: member of retry", "POST", jobs, "Content-Type: " + jobsMedia, `{"jobs":[{"retry":{"dealy":"1s"}}]}`, 400, "invalid", "jobs[0].retry.dealy"},
	{"jobs: retry of another kind", "POST", jobs, "Content-Type: " + jobsMedia, `{"jobs":[{"retry":"1s"}]}`, 400, "invalid", "jobs[0].retry"},
	{"jobs: delay of another kind", "POST", jobs, "Content-Type: " + jobsMedia, `{"jobs":[{"data":1,"delay":5}]}`, 400, "invalid", "jobs[0].delay"},
	{"jobs: priority of another kind", "POST", jobs, "Content-Type: " + jobsMedia, `{"jobs":[{},{"priority":"x"}]}`, 400, "invalid", "jobs[1].priority"},
	{"jobs: one too large", "POST", jobs, "Content-Type: " + jobsMedia, `{"jobs":[{"data":"` + strings.Repeat("x", 1<<20+1) + `"}]}`, 413, "too-large", "jobs[0]"},
	{"jobs: both", "POST", jobs, "Content-Type: " + jobsMedia, `{"jobs":[{"data":1},{"data":1,"event":{}}]}`, 400, "invalid", "jobs[1].data"},
	{"jobs: priority", "POST", jobs, "Content-Type: " + jobsMedia, `{"jobs":[{"data":1},{"data":1,"priority":-1}]}`, 400, "invalid", "jobs[1].priority"},
	{"jobs: attempts", "POST", jobs, "Content-Type: " + jobsMedia, `{"jobs":[{"data":1},{"data":1,"max_attempts":-2}]}`, 400, "invalid", "jobs[1].max_attempts"},

	{"settings: member", "PUT", "/v1/queues/new", "", `{"attempts":3}`, 400, "invalid", "attempts"},
	{"settings: member of retry", "PUT", "/v1/queues/new", "", `{"retry":{"dealy":"1s"}}`, 400, "invalid", "dealy"},
	{"settings: two", "PUT", "/v1/queues/new", "", `{}{}`, 400, "invalid", "body"},
	{"settings: attempts", "PUT", "/v1/queues/new", "", `{"max_attempts":-3}`, 400, "invalid", "max_attempts"},
	{"settings: visibility", "PUT", "/v1/queues/new", "", `{"visibility":"48h"}`, 400, "invalid", "visibility"},
	{"settings: retry", "PUT", "/v1/queues/new", "", `{"retry":{"kind":"never"}}`, 400, "invalid", "retry.kind"},
	{"settings: rate", "PUT", "/v1/queues/new", "", `{"rate":"fast"}`, 400, "invalid", "rate"},
	{"settings: JSON", "PUT", "/v1/queues/new", "", `[`, 400, "invalid", "body"},

	{"lease: max", "POST", "/v1/queues/q/lease?max=1001", "", "", 400, "invalid", "max"},
	{"lease: wait", "POST", "/v1/queues/q/lease?wait=6m", "", "", 400, "invalid", "wait"},
	{"lease: wait what", "POST", "/v1/queues/q/lease?wait=5", "", "", 400, "invalid", "wait"},
	{"lease: visibility", "POST", "/v1/queues/q/lease?visibility=25h", "", "", 400, "invalid", "visibility"},
	{"lease: worker", "POST", "/v1/queues/q/lease?worker=a&worker=b", "", "", 400, "invalid", "worker"},
	{"lease: body", "POST", "/v1/queues/q/lease", "", `{"max":1}`, 400, "invalid", "body"},

	{"look: state", "GET", jobs + "?state=lost", "", "", 400, "invalid", "state"},
	{"look: after", "GET", jobs + "?after=x", "", "", 400, "invalid", "after"},
	{"look: limit", "GET", jobs + "?limit=many", "", "", 400, "invalid", "limit"},
	{"look: id", "GET", jobs + "/0", "", "", 400, "invalid", "job"},
	{"look: not there", "GET", jobs + "/77", "", "", 404, "not-found", "job"},
	{"cancel: none", "POST", "/v1/queues/q/cancel", "", `{"ids":[]}`, 400, "invalid", "ids"},
	{"cancel: id", "POST", "/v1/queues/q/cancel", "", `{"ids":["1","x"]}`, 400, "invalid", "ids[1]"},
	{"reschedule: nothing", "POST", jobs + "/1/reschedule", "", "", 400, "invalid", "at"},
	{"reschedule: both", "POST", jobs + "/1/reschedule", "", `{"at":"2000-01-01T00:00:00Z","delay":"1s"}`, 400, "invalid", "at"},
	{"reschedule: delay", "POST", jobs + "/1/reschedule", "", `{"delay":"-1s"}`, 400, "invalid", "delay"},
	{"reschedule: ten years", "POST", jobs + "/1/reschedule", "", `{"at":"2222-01-01T00:00:00Z"}`, 400, "invalid", "at"},
	{"purge: none", "POST", "/v1/queues/q/purge", "", "", 400, "invalid", "states"},
	{"purge: leased", "POST", "/v1/queues/q/purge", "", `{"states":["leased"]}`, 400, "invalid", "states"},
	{"redrive: member", "POST", "/v1/queues/q/redrive", "", `{"cause":"x"}`, 400, "invalid", "cause"},

	{"lease: none", "POST", "/v1/leases/x/ack", "", "", 400, "invalid", "lease"},
	{"lease: forged", "POST", "/v1/leases/q~AQEBAAAAAAAAAAAAAAA/ack", "", "", 400, "invalid", "lease"},
	{"lease: of no queue", "POST", "/v1/leases/none~AQEBAAAAAAAAAAAAAAA/ack", "", "", 404, "not-found", "queue"},
	{"nack: delay", "POST", "/v1/leases/{lease}/nack", "", `{"delay":"soon"}`, 400, "invalid", "delay"},
	{"nack: member", "POST", "/v1/leases/{lease}/nack", "", `{"why":"x"}`, 400, "invalid", "why"},
	{"extend: 25h", "POST", "/v1/leases/{lease}/extend", "", `{"extend":"25h"}`, 400, "invalid", "extend"},
	{"progress: none", "POST", "/v1/leases/{lease}/progress", "", `{}`, 400, "invalid", "progress"},
	{"progress: 2", "POST", "/v1/leases/{lease}/progress", "", `{"progress":2}`, 400, "invalid", "progress"},
	{"ack: large result", "POST", "/v1/leases/{lease}/ack", "", strings.Repeat("x", 256<<10+1), 413, "too-large", "result"},
	{"settle: none", "POST", "/v1/queues/q/settle", "", "", 400, "invalid", "settlements"},
	{"settle: action", "POST", "/v1/queues/q/settle", "", `{"settlements":[{"lease":"{lease}","action":"drop"}]}`, 400, "invalid", "settlements[0].action"},
	{"settle: delay of an ack", "POST", "/v1/queues/q/settle", "", `{"settlements":[{"lease":"{lease}","action":"ack","delay":"1s"}]}`, 400, "invalid", "settlements[0].delay"},
	{"settle: result of a nack", "POST", "/v1/queues/q/settle", "", `{"settlements":[{"lease":"{lease}","action":"nack","result":{"data":"eA=="}}]}`, 400, "invalid", "settlements[0].result"},

	{"result: wait", "GET", jobs + "/1/result?wait=1h", "", "", 400, "invalid", "wait"},
	{"schedule: name", "PUT", "/v1/queues/q/schedules/a%2Fb", "", `{"cron":"* * * * *"}`, 400, "invalid", "name"},
	{"schedule: other name", "PUT", "/v1/queues/q/schedules/a", "", `{"name":"b","cron":"* * * * *"}`, 400, "invalid", "name"},
	{"schedule: member", "PUT", "/v1/queues/q/schedules/a", "", `{"cron":"* * * * *","zoen":"UTC"}`, 400, "invalid", "zoen"},
	{"schedule: member of the job", "PUT", "/v1/queues/q/schedules/a", "", `{"cron":"* * * * *","job":{"dealy":"1s"}}`, 400, "invalid", "job.dealy"},
	{"schedule: cron", "PUT", "/v1/queues/q/schedules/a", "", `{"cron":"daily at 8"}`, 400, "invalid", "cron"},
	{"schedule: zone", "PUT", "/v1/queues/q/schedules/a", "", `{"cron":"* * * * *","zone":"Mars/Base"}`, 400, "invalid", "zone"},
	{"schedule: none", "DELETE", "/v1/queues/q/schedules/none", "", "", 404, "not-found", "schedule"},
}

func TestRefusalsOfQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(s *setup) { s.Limits.Body = 2 << 20; s.withTopics = true })
		r.putJob("q", "Idempotency-Key", `"used"`)
		lease := r.takeJob("q")
		for _, c := range queueRefusals {
			var header []string
			for line := range strings.SplitSeq(c.header, "\n") {
				if name, value, ok := strings.Cut(line, ": "); ok {
					header = append(header, name, value)
				}
			}
			path, body := strings.ReplaceAll(c.path, "{lease}", lease), strings.ReplaceAll(c.body, "{lease}", lease)
			res, answer := r.do(c.method, path, body, header...)
			if res.StatusCode != c.status {
				t.Errorf("%s: %d %s, want %d", c.name, res.StatusCode, answer, c.status)
				continue
			}
			if p := parseProblem(t, res, answer); p.Type != c.code || p.Field != c.field {
				t.Errorf("%s: %q in %q (%s), want %q in %q", c.name, p.Type, p.Field, p.Detail, c.code, c.field)
			}
			req := r.request(c.method, path, body, header...)
			_, pattern := r.api.mux.Handler(req)
			route, err := choose(discard{}, req, r.api.paths[pattern])
			code, _ := parley.CodeNamed(c.code)
			if err != nil || !slices.Contains(append(slices.Clone(everywhere), route.Errors...), code) {
				t.Errorf("%s: its route does not name %s", c.name, code)
			}
		}
		r.want(204, "POST", "/v1/leases/"+lease+"/ack", "")
		if s := r.stats("q"); s.Enqueued != 1 || s.Done != 1 || len(r.queues.List()) != 1 {
			t.Errorf("refused requests left %+v in %d queues", s, len(r.queues.List()))
		}
	})
}
