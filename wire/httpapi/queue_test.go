package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley/pattern/queue"
	"github.com/parleyhq/parley/pattern/throttle/policy"
)

const jobs = "/v1/queues/q/jobs"

// want makes a request and wants a status.
func (r *rig) want(status int, method, path, body string, header ...string) (*http.Response, string) {
	r.t.Helper()
	res, answer := r.do(method, path, body, header...)
	if res.StatusCode != status {
		r.t.Fatalf("%s %s: %d %s, want %d", method, path, res.StatusCode, answer, status)
	}
	return res, answer
}

// pass lets time go by.
func pass(d time.Duration) {
	over := time.NewTimer(d)
	defer over.Stop()
	<-over.C
}

// leased shows what a lease brought: the data of the events, in order.
func leased(list []LeaseInfo) string {
	var all []string
	for _, l := range list {
		data, _ := json.Marshal(l.Event["data"])
		all = append(all, string(data))
	}
	return strings.Join(all, " ")
}

func (r *rig) stats(name string) (out queue.Stats) {
	r.t.Helper()
	_, answer := r.want(200, "GET", "/v1/queues/"+name, "")
	var in QueueInfo
	if err := json.Unmarshal([]byte(answer), &in); err != nil {
		r.t.Fatal(err)
	}
	return *in.Stats
}

func TestJobsComeInEveryForm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		res, _ := r.want(201, "POST", jobs, `{"n": 1.0}`)
		if res.Header.Get("Location") != "/v1/queues/q/jobs/1" {
			t.Error(res.Header)
		}
		res, answer := r.want(201, "POST", jobs, "2\n3\n", "Content-Type", "application/x-ndjson", "Parley-Priority", "3")
		if res.Header.Get("Location") != "" || answer != `{"jobs":[{"id":"2"},{"id":"3"}]}`+"\n" {
			t.Error(res.Header, answer)
		}
		r.want(201, "POST", jobs, "text", "Content-Type", "text/plain", "Parley-Delay", "1m")
		r.want(201, "POST", jobs, "5", "Ce-Specversion", "1.0", "Ce-Id", "mine", "Ce-Source", "/me", "Ce-Type", "t", "Content-Type", "application/json", "Parley-Key", "k", "Parley-Unique", "u")
		_, answer = r.want(201, "POST", jobs, "again", "Parley-Unique", "u")
		if answer != `{"jobs":[{"id":"6","duplicate":"5"}]}`+"\n" {
			t.Error(answer)
		}
		r.want(201, "POST", jobs, `[{"specversion":"1.0","id":"x","source":"/s","type":"t","data":7}]`, "Content-Type", "application/cloudevents-batch+json")
		r.want(201, "POST", jobs, `{"jobs":[{"data":8,"priority":9},{"event":{"type":"t","data":9},"at":"2000-01-01T01:00:00Z","max_attempts":1}]}`, "Content-Type", jobsMedia)
		for range 2 { // the second is a repeat
			if _, answer = r.want(201, "POST", jobs, "once", "Idempotency-Key", `"k"`); answer != `{"jobs":[{"id":"10"}]}`+"\n" {
				t.Error(answer)
			}
		}
		list := r.lease("q", "max=100&worker=w")
		if got := leased(list); got != `8 2 3 {"n":1} 5 7 "once"` {
			t.Errorf("leased %s", got)
		}
		if l := list[4]; l.ID != "5" || l.Key != "k" || l.Event["id"] != "mine" || l.Event["type"] != "t" || l.Attempt != 1 || l.Visibility != "30s" || !l.Until.Equal(time.Now().Add(30*time.Second)) {
			t.Errorf("%+v", l)
		}
		_, answer = r.want(200, "GET", jobs+"/1", "")
		if !strings.Contains(answer, `"data":{"n": 1.0}}`) || !strings.Contains(answer, `"state":"leased"`) || !strings.Contains(answer, `"worker":"w"`) {
			t.Error(answer)
		}
		_, answer = r.want(200, "GET", jobs+"?state=delayed&limit=1", "")
		if !strings.Contains(answer, `"data":"text"`) || !strings.HasSuffix(answer, `"next":"4"}`+"\n") {
			t.Error(answer)
		}
		_, answer = r.want(200, "GET", jobs+"?state=delayed&after=4", "")
		if !strings.Contains(answer, `"id":"9"`) || !strings.Contains(answer, `"max_attempts":1`) {
			t.Error(answer)
		}
		pass(time.Hour)
		if got := leased(r.lease("q", "max=100")); got != `8 2 3 {"n":1} "text" 5 7 9 "once"` {
			t.Errorf("an hour later: %s", got)
		}
	})
}

func TestAWorkerThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		begin := time.Now()
		if list := r.lease("q", "wait=20s"); len(list) != 0 || time.Since(begin) != 20*time.Second {
			t.Errorf("%v after %s", list, time.Since(begin))
		}
		for name, client := range map[string]*http.Client{"HTTP/1.1": r.client, "HTTP/2": r.h2()} {
			got := make(chan string, 1)
			req := r.request("POST", "/v1/queues/q/lease?wait=4m", "")
			go func() {
				res, err := client.Do(req)
				if err != nil {
					got <- err.Error()
					return
				}
				defer res.Body.Close()
				b, _ := io.ReadAll(res.Body)
				got <- string(b)
			}()
			synctest.Wait()
			if n := r.lives.Count(); n != 1 {
				t.Errorf("%s: %d requests wait", name, n)
			}
			pass(3 * time.Minute) // beyond all timeouts of a request
			begin := time.Now()
			r.putJob("q")
			if b := <-got; !strings.Contains(b, `"data":"x"`) || time.Since(begin) != 0 {
				t.Errorf("%s: %s after %s", name, b, time.Since(begin))
			}
		}
		if n := r.lives.Count(); n != 0 {
			t.Errorf("%d requests wait", n)
		}
	})
}

func TestAClientThatGoesAwayLeavesItsJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		for _, client := range []*http.Client{r.client, r.h2()} {
			ctx, leave := context.WithCancel(t.Context())
			gone := make(chan error, 1)
			req := r.request("POST", "/v1/queues/q/lease?wait=1m", "").WithContext(ctx)
			go func() {
				res, err := client.Do(req)
				if err == nil {
					_ = res.Body.Close()
				}
				gone <- err
			}()
			synctest.Wait()
			leave()
			if err := <-gone; err == nil {
				t.Fatal("it was answered")
			}
			synctest.Wait()
			if s := r.stats("q"); s.Waiting != 0 || r.lives.Count() != 0 {
				t.Fatalf("it still waits: %+v", s)
			}
			r.putJob("q")
			begin := time.Now()
			list := r.lease("q", "wait=1m")
			if len(list) != 1 || list[0].Attempt != 1 || time.Since(begin) != 0 {
				t.Errorf("%+v after %s", list, time.Since(begin))
			}
			r.want(204, "POST", "/v1/leases/"+list[0].Lease+"/ack", "")
		}
	})
}

// broken is a client whose connection breaks before the answer is written.
type broken struct {
	http.ResponseWriter
	header http.Header
}

func (b *broken) Header() http.Header       { return b.header }
func (b *broken) WriteHeader(int)           {}
func (b *broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestAnAnswerThatCannotBeWrittenGivesItsJobsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.putJob("q")
		r.api.ServeHTTP(&broken{header: http.Header{}}, r.request("POST", "/v1/queues/q/lease?wait=1s", ""))
		list := r.lease("q", "")
		if len(list) != 1 || list[0].Attempt != 2 {
			t.Fatalf("%+v", list)
		}
		if _, answer := r.want(200, "GET", jobs+"/1", ""); !strings.Contains(answer, queue.GoneAway) {
			t.Error(answer)
		}
	})
}

func TestWaitsEndWhenTheServerDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.putJob("other")
		answers := make(chan string, 2)
		for _, req := range []*http.Request{r.request("POST", "/v1/queues/q/lease?wait=5m", ""), r.request("GET", "/v1/queues/other/jobs/1/result?wait=5m", "")} {
			go func() {
				res, err := r.client.Do(req)
				if err != nil {
					answers <- err.Error()
					return
				}
				defer res.Body.Close()
				b, _ := io.ReadAll(res.Body)
				answers <- res.Status + " " + string(b) + res.Header.Get(jobState)
			}()
		}
		synctest.Wait()
		begin := time.Now()
		if err := r.lives.Drain(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		got := []string{<-answers, <-answers}
		for _, want := range []string{"200 OK {\"jobs\":[]}\n", "202 Accepted ready"} {
			if got[0] != want && got[1] != want {
				t.Errorf("%q lacks %q", got, want)
			}
		}
		if time.Since(begin) > time.Second {
			t.Errorf("that took %s", time.Since(begin))
		}
	})
}

func TestSettling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.want(201, "PUT", "/v1/queues/q", `{"max_attempts":3,"retry":{"kind":"fixed","delay":"10s"}}`)
		for range 6 {
			r.putJob("q")
		}
		list := r.lease("q", "max=6")
		at := func(i int, action string) string { return "/v1/leases/" + list[i].Lease + "/" + action }
		r.want(204, "POST", at(0, "ack"), "")
		res, answer := r.want(409, "POST", at(0, "ack"), "")
		if p := parseProblem(t, res, answer); p.Field != "lease" {
			t.Error(answer)
		}
		r.want(204, "POST", at(1, "nack"), `{"delay":"1s","cause":"busy"}`)
		r.want(204, "POST", at(2, "nack"), "")
		r.want(204, "POST", at(3, "extend"), `{"extend":"1h"}`)
		r.want(204, "POST", at(3, "progress"), `{"progress":0.4,"note":"on it"}`)
		r.want(204, "POST", at(4, "dead"), `{"cause":"no such address"}`)
		if _, answer := r.want(200, "GET", jobs+"/4", ""); !strings.Contains(answer, `"progress":{"progress":0.4,"note":"on it"`) {
			t.Error(answer)
		}
		body := fmt.Sprintf(`{"settlements":[{"lease":%q,"action":"ack"},{"lease":%q,"action":"ack"},{"lease":%q,"action":"extend","extend":"2h"}]}`, list[5].Lease, list[5].Lease, list[3].Lease)
		var out SettleAnswer
		if _, answer := r.want(200, "POST", "/v1/queues/q/settle", body); json.Unmarshal([]byte(answer), &out) != nil || len(out.Results) != 3 || out.Results[0].Error != nil || out.Results[1].Error == nil || out.Results[1].Error.Status != 409 || out.Results[2].Error != nil {
			t.Errorf("%s", answer)
		}
		pass(time.Second)
		if again := r.lease("q", "max=9"); len(again) != 1 || again[0].ID != "2" || again[0].Attempt != 2 {
			t.Errorf("%+v", again)
		}
		pass(9 * time.Second)
		if again := r.lease("q", "max=9"); len(again) != 1 || again[0].ID != "3" {
			t.Errorf("%+v", again)
		}
		if _, answer := r.want(200, "GET", jobs+"?state=dead", ""); !strings.Contains(answer, `"reason":"no such address"`) || strings.Contains(answer, "next") {
			t.Error(answer)
		}
		if _, answer := r.want(200, "POST", "/v1/queues/q/redrive", `{"reason":"address"}`); answer != "{\"redriven\":1}\n" {
			t.Error(answer)
		}
		if s := r.stats("q"); s.Ready != 1 || s.Leased != 3 || s.Dead != 0 || s.Done != 2 || s.Enqueued != 6 {
			t.Errorf("%+v", s)
		}
	})
}

func TestMending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		for range 4 {
			r.putJob("q", "Parley-Delay", "1h")
		}
		r.want(204, "DELETE", jobs+"/1", "")
		r.want(404, "DELETE", jobs+"/1", "")
		var out CancelAnswer
		if _, answer := r.want(200, "POST", "/v1/queues/q/cancel", `{"ids":["2","1"]}`); json.Unmarshal([]byte(answer), &out) != nil || out.Results[0].Error != nil || out.Results[1].Error.Status != 404 {
			t.Error(answer)
		}
		r.want(204, "POST", jobs+"/3/reschedule", `{"delay":"0s"}`)
		r.want(204, "POST", "/v1/queues/q/pause", "")
		if list := r.lease("q", ""); len(list) != 0 {
			t.Errorf("a paused queue gives %v", list)
		}
		r.want(204, "POST", "/v1/queues/q/resume", "")
		if list := r.lease("q", ""); len(list) != 1 || list[0].ID != "3" {
			t.Errorf("%+v", list)
		}
		r.want(204, "POST", jobs+"/4/reschedule", `{"at":"2000-01-01T00:00:01Z"}`)
		pass(time.Second)
		if _, answer := r.want(200, "POST", "/v1/queues/q/purge", `{"states":["ready","dead"]}`); answer != "{\"purged\":1}\n" {
			t.Error(answer)
		}
		res, answer := r.want(201, "PUT", "/v1/queues/b", "")
		if !strings.Contains(answer, `"max_attempts":20`) {
			t.Error(res.Status, answer)
		}
		if _, answer := r.want(200, "PUT", "/v1/queues/q", `{"visibility":"1m"}`); !strings.Contains(answer, `"visibility":"1m0s"`) || !strings.Contains(answer, `"max_attempts":20`) {
			t.Error(answer)
		}
		var list QueueList
		if _, answer := r.want(200, "GET", "/v1/queues?limit=1", ""); json.Unmarshal([]byte(answer), &list) != nil || len(list.Queues) != 1 || list.Next != "b" {
			t.Error(answer)
		}
		r.want(204, "DELETE", "/v1/queues/q", "")
		r.want(404, "GET", "/v1/queues/q", "")
		if _, answer := r.want(200, "GET", "/v1/queues", ""); strings.Contains(answer, `"q"`) {
			t.Error(answer)
		}
	})
}

func TestResults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(s *setup) { s.withTopics = true })
		for range 4 {
			r.putJob("q")
		}
		list := r.lease("q", "max=4")
		at := func(id, query string) string { return jobs + "/" + id + "/result" + query }
		if res, _ := r.want(202, "GET", at("1", "?wait=5s"), ""); res.Header.Get(jobState) != "leased" {
			t.Error(res.Header)
		}
		waiting := make(chan string, 1)
		req := r.request("GET", at("1", "?wait=1m"), "")
		go func() {
			res, err := r.client.Do(req)
			if err != nil {
				waiting <- err.Error()
				return
			}
			defer res.Body.Close()
			b, _ := io.ReadAll(res.Body)
			waiting <- strings.Join([]string{res.Status, string(b), res.Header.Get("Content-Type"), res.Header.Get("Ce-Type"), res.Header.Get("Ce-Subject"), res.Header.Get(jobState)}, " | ")
		}()
		synctest.Wait()
		r.want(204, "POST", "/v1/leases/"+list[0].Lease+"/ack", `{"sent": true}`)
		if got := <-waiting; got != `200 OK | {"sent": true} | application/json | parley.job.result | 1 | done` {
			t.Error(got)
		}
		r.want(204, "POST", "/v1/leases/"+list[1].Lease+"/ack", "")
		if res, _ := r.want(204, "GET", at("2", ""), ""); res.Header.Get(jobState) != "done" {
			t.Error(res.Header)
		}
		r.want(204, "POST", "/v1/leases/"+list[2].Lease+"/dead", `{"cause":"no luck"}`)
		res, answer := r.want(422, "GET", at("3", ""), "")
		if p := parseProblem(t, res, answer); p.Detail != "no luck" || res.Header.Get(jobState) != "dead" {
			t.Error(answer, res.Header)
		}
		r.want(204, "DELETE", jobs+"/4", "")
		if res, _ := r.want(422, "GET", at("4", "?wait=1s"), ""); res.Header.Get(jobState) != "canceled" {
			t.Error(res.Header)
		}
		r.want(404, "GET", at("99", ""), "")
		if _, answer := r.want(200, "GET", "/v1/topics/q.results/events?after=earliest", ""); !strings.Contains(answer, `"data":{"sent": true}`) {
			t.Error(answer)
		}
	})
}

func TestSchedulesThroughTheDoor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		const at = "/v1/queues/q/schedules"
		if _, answer := r.want(201, "PUT", at+"/digest", `{"cron":"0 8 * * *","zone":"UTC","job":{"data":{"kind":"digest"},"priority":3}}`); !strings.Contains(answer, `"next":"2000-01-01T08:00:00Z"`) {
			t.Error(answer)
		}
		r.want(200, "PUT", at+"/digest", `{"cron":"0 8 * * *","job":{"data":{"kind":"digest"}}}`)
		if _, answer := r.want(200, "GET", at, ""); !strings.Contains(answer, `"name":"digest"`) {
			t.Error(answer)
		}
		begin := time.Now()
		if list := r.lease("q", "wait=5m"); len(list) != 0 {
			t.Error(list)
		}
		pass(time.Until(begin.Add(8*time.Hour - time.Minute)))
		list := r.lease("q", "wait=5m")
		if leased(list) != `{"kind":"digest"}` || time.Since(begin) != 8*time.Hour {
			t.Errorf("%v after %s", list, time.Since(begin))
		}
		if _, answer := r.want(200, "GET", at+"/digest", ""); !strings.Contains(answer, `"last":"2000-01-01T08:00:00Z"`) {
			t.Error(answer)
		}
		r.want(204, "DELETE", at+"/digest", "")
		r.want(404, "GET", at+"/digest", "")
	})
}

func TestWhoMayDoWhatWithQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ids, secrets := tokens(t, "enqueue:mail.*", "work:mail.*", "admin:mail.*", "enqueue work")
		r := newRig(t, func(s *setup) { s.Identify = ids })
		as := func(i int) []string { return []string{"Authorization", "Bearer " + secrets[i]} }
		r.want(201, "POST", "/v1/queues/mail.a/jobs", "x", as(0)...)
		r.want(403, "POST", "/v1/queues/other/jobs", "x", as(0)...)
		r.want(403, "POST", "/v1/queues/mail.a/lease", "", as(0)...)
		r.want(403, "POST", "/v1/queues/mail.a/jobs", "x", as(1)...)
		r.want(201, "POST", "/v1/queues/other/jobs", "x", as(3)...)
		take := func(name string, i int) string {
			t.Helper()
			_, answer := r.want(200, "POST", "/v1/queues/"+name+"/lease", "", as(i)...)
			var in LeaseAnswer
			if err := json.Unmarshal([]byte(answer), &in); err != nil || len(in.Jobs) != 1 {
				t.Fatal(answer)
			}
			return in.Jobs[0].Lease
		}
		mine, theirs := take("mail.a", 1), take("other", 3)
		r.want(403, "POST", "/v1/leases/"+theirs+"/ack", "", as(1)...)
		r.want(403, "POST", "/v1/leases/"+mine+"/ack", "", as(0)...)
		r.want(401, "POST", "/v1/leases/"+mine+"/ack", "")
		r.want(204, "POST", "/v1/leases/"+mine+"/ack", "", as(1)...)
		r.want(403, "DELETE", "/v1/queues/mail.a", "", as(1)...)
		for i, names := range []string{"[]", "[mail.a]", "[mail.a]", "[mail.a other]"} {
			var list QueueList
			_, answer := r.want(200, "GET", "/v1/queues", "", as(i)...)
			if err := json.Unmarshal([]byte(answer), &list); err != nil {
				t.Fatal(err)
			}
			got := []string{}
			for _, q := range list.Queues {
				got = append(got, q.Name)
			}
			if fmt.Sprint(got) != names {
				t.Errorf("%d sees %v, want %s", i, got, names)
			}
		}
		r.want(204, "DELETE", "/v1/queues/mail.a", "", as(2)...)
	})
}

func TestQueuesAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := gated(t, map[string]policy.Definition{
			"in":  {Limit: "2/1h", Key: "topic", On: []string{"enqueue:mail.>"}},
			"out": {Limit: "concurrency 1", Key: "everyone", On: []string{"work:mail.>"}},
		})
		for i, status := range []int{201, 201, 429} {
			if res, answer := r.do("POST", "/v1/queues/mail.a/jobs", "x"); res.StatusCode != status {
				t.Errorf("%d: %d %s", i, res.StatusCode, answer)
			}
		}
		r.want(201, "POST", "/v1/queues/mail.b/jobs", "x")
		r.want(201, "POST", "/v1/queues/other/jobs", "x")
		first := r.takeJob("mail.a")
		waiting := make(chan int, 1)
		req := r.request("POST", "/v1/queues/mail.c/lease?wait=10s", "")
		go func() {
			res, err := r.client.Do(req)
			if err != nil {
				waiting <- 0
				return
			}
			_ = res.Body.Close()
			waiting <- res.StatusCode
		}()
		synctest.Wait()
		r.want(503, "POST", "/v1/queues/mail.a/lease", "")
		r.want(200, "POST", "/v1/queues/other/lease", "")
		r.want(204, "POST", "/v1/leases/"+first+"/ack", "") // settling is no work
		if status := <-waiting; status != 200 {
			t.Error(status)
		}
		r.want(200, "POST", "/v1/queues/mail.a/lease", "")
	})
}

func TestQueuesAreNotMadeByThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(s *setup) { s.queues.AutoCreate = false })
		for path, body := range map[string]string{jobs: "x", "/v1/queues/q/lease": "", "/v1/queues/q/schedules/s": `{"cron":"0 8 * * *"}`} {
			method := "POST"
			if strings.Contains(path, "schedules") {
				method = "PUT"
			}
			res, answer := r.want(404, method, path, body)
			if p := parseProblem(t, res, answer); p.Field != "queue" {
				t.Error(answer)
			}
		}
		r.want(201, "PUT", "/v1/queues/q", "{}")
		r.want(201, "POST", jobs, "x")
	})
}
