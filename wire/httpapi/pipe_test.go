package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley/pattern/pipe/declared"
)

// ask makes a request that is answered with a status and JSON.
func (r *rig) ask(method, path, body string, status int, into any) {
	r.t.Helper()
	res, answer := r.do(method, path, body)
	if res.StatusCode != status {
		r.t.Fatalf("%s %s: %d %s", method, path, res.StatusCode, answer)
	}
	if into != nil {
		if err := json.Unmarshal([]byte(answer), into); err != nil {
			r.t.Fatal(err, answer)
		}
	}
}

func TestPipesOverHTTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		var info declared.Info
		def := "steps:\n- topic: a\n- where: data.n > 1\n- topic: b\ntests:\n- {name: x, input: [{n: 2}], expect: {b: [{n: 2}]}}\n- {name: y, input: [{n: 2}], expect: {b: []}}\n"
		r.ask("PUT", "/v1/pipes/p", def, http.StatusCreated, &info)
		r.ask("PUT", "/v1/pipes/p", def, http.StatusOK, nil)
		if info.Definition != def || info.State != declared.Running {
			t.Fatalf("%+v", info)
		}
		r.must("a", `{"n":1}`, `{"n":2}`)
		synctest.Wait()
		var stats declared.Stats
		if r.ask("GET", "/v1/pipes/p/stats", "", http.StatusOK, &stats); stats.In != 2 || stats.Out != 1 {
			t.Fatalf("%+v", stats)
		}
		var tests PipeTests
		if r.ask("POST", "/v1/pipes/p/test", "", http.StatusOK, &tests); tests.Passed != 1 || tests.Failed != 1 {
			t.Fatalf("%+v", tests)
		}
		var report declared.Report
		if r.ask("POST", "/v1/pipes/p/check", "steps:\n- topic: a\n- wher: x\n", http.StatusOK, &report); report.OK || report.Problems[0].Line != 3 {
			t.Fatalf("%+v", report)
		}
		r.ask("POST", "/v1/pipes/p/pause", "", http.StatusNoContent, nil)
		synctest.Wait()
		if r.ask("GET", "/v1/pipes/p/stats", "", http.StatusOK, &stats); stats.State != declared.Paused {
			t.Fatalf("%+v", stats)
		}
		var list PipeList
		if r.ask("GET", "/v1/pipes", "", http.StatusOK, &list); len(list.Pipes) != 1 || list.Pipes[0].Definition != "" {
			t.Fatalf("%+v", list)
		}
		r.ask("DELETE", "/v1/pipes/p", "", http.StatusNoContent, nil)
		r.ask("GET", "/v1/pipes/p", "", http.StatusNotFound, nil)
	})
}

func TestATapIsAStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.ask("PUT", "/v1/pipes/p", `{"steps": "topic a | map {m: .n} | topic b"}`, http.StatusCreated, nil)
		synctest.Wait()
		_, br := r.raw("GET /v1/pipes/p/tap?step=2 HTTP/1.1\r\nHost: localhost\r\n\r\n")
		synctest.Wait()
		r.must("a", `{"n":1}`)
		var seen strings.Builder
		for begun := time.Now(); !strings.Contains(seen.String(), `"data":{"m":1}`) && time.Since(begun) < time.Minute; {
			line, err := br.ReadString('\n')
			if err != nil {
				t.Fatal(err, seen.String())
			}
			seen.WriteString(line)
		}
		if !strings.Contains(seen.String(), "text/event-stream") || !strings.Contains(seen.String(), `"before":{`) {
			t.Fatal(seen.String())
		}
	})
}

func TestAPipeNeedsItsTopics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ids, secrets := tokens(t, "admin:p read:a publish:b publish:p.dead", "admin:p publish:b publish:p.dead", "admin:p read:a publish:p.dead", "admin:q read:a publish:b")
		r := newRig(t, func(s *setup) { s.Identify = ids })
		for i, want := range []int{http.StatusCreated, http.StatusForbidden, http.StatusForbidden, http.StatusForbidden} {
			res, answer := r.do("PUT", "/v1/pipes/p", `{"steps": "topic a | topic b"}`, "Authorization", "Bearer "+secrets[i])
			if res.StatusCode != want {
				t.Errorf("%d: %d %s", i, res.StatusCode, answer)
			}
		}
		// What passes it is for who may read what it reads.
		if res, answer := r.do("GET", "/v1/pipes/p/tap?step=2", "", "Authorization", "Bearer "+secrets[1]); res.StatusCode != http.StatusForbidden || !strings.Contains(answer, "read:a") {
			t.Errorf("tap: %d %s", res.StatusCode, answer)
		}
		if res, answer := r.do("HEAD", "/v1/pipes/p/tap?step=2", "", "Authorization", "Bearer "+secrets[0]); res.StatusCode != http.StatusOK {
			t.Errorf("tap: %d %s", res.StatusCode, answer)
		}
		if res, answer := r.do("GET", "/v1/pipes", "", "Authorization", "Bearer "+secrets[3]); res.StatusCode != http.StatusOK || strings.Contains(answer, `"p"`) {
			t.Error(answer)
		}
	})
}

// TestATapOfAllPartitions: a pipe that has an owner for each partition is tapped as one.
func TestATapOfAllPartitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.ask("PUT", "/v1/topics/a", `{"partitions": 3}`, http.StatusCreated, nil)
		r.ask("PUT", "/v1/pipes/p", `{"steps": "topic a | where data.n > 0 | topic b"}`, http.StatusCreated, nil)
		synctest.Wait()
		_, br := r.raw("GET /v1/pipes/p/tap?step=2 HTTP/1.1\r\nHost: localhost\r\n\r\n")
		const rounds, most = 5, 9
		seen, partitions := map[string]int{}, map[int]bool{}
		for round := range rounds {
			synctest.Wait()
			var events []string
			for i := range most {
				events = append(events, fmt.Sprintf(`{"data":{"n":%d},"partitionkey":"%d"}`, 1+round*most+i, i))
			}
			r.ask("POST", "/v1/publish", `{"topics":[{"topic":"a","events":[`+strings.Join(events, ",")+`]}]}`, http.StatusCreated, nil)
			for begun := time.Now(); len(seen) < (round+1)*most && time.Since(begun) < time.Minute; {
				line, err := br.ReadString('\n')
				if err != nil {
					t.Fatal(err, seen)
				}
				if data, is := strings.CutPrefix(line, "data: "); is {
					var record declared.TapRecord
					if err := json.Unmarshal([]byte(data), &record); err != nil {
						t.Fatal(err, line)
					}
					seen[string(record.Before)]++
					partitions[record.Partition] = true
				}
			}
		}
		for event, times := range seen {
			if times != 1 {
				t.Errorf("%s was shown %d times", event, times)
			}
		}
		if len(seen) != rounds*most || len(partitions) != 3 {
			t.Fatal(len(seen), partitions)
		}
	})
}
