package browser

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/parleyhq/parley/test/rig"
)

// gone is what a browser itself says of each answer with 404.
const gone = "status of 404"

// request sends the server a request that must succeed, and gives the answer.
func request(t *testing.T, method, url, body string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode >= 300 {
		t.Fatalf("%s %s: %d %s %v", method, url, res.StatusCode, answer, err)
	}
	return answer
}

// lease takes a job by hand, and gives the URL that settles it.
func lease(t *testing.T, server *rig.Server, queue, worker string) string {
	t.Helper()
	var out struct {
		Jobs []struct{ Lease string }
	}
	body := request(t, http.MethodPost, server.URL+"/v1/queues/"+queue+"/lease?wait=10s&worker="+worker, "")
	if err := json.Unmarshal(body, &out); err != nil || len(out.Jobs) != 1 {
		t.Fatalf("%s: %v", body, err)
	}
	return server.URL + "/v1/leases/" + out.Jobs[0].Lease
}

// close ends a page, which would go on looking and drawing.
func (p *page) close() {
	p.t.Helper()
	p.b.do(p.t, map[string]any{"do": "close", "page": p.n}, nil)
}

// number reads the first number that a selector shows.
func (p *page) number(selector string) int {
	p.t.Helper()
	var text string
	p.eval("document.querySelector("+strconv.Quote(selector)+")?.innerText ?? ''", &text)
	n, err := strconv.Atoi(strings.ReplaceAll(strings.TrimSpace(text), ",", ""))
	if err != nil {
		return -1
	}
	return n
}

// steps are the titles of a job's timeline.
func (p *page) steps() string {
	p.t.Helper()
	var all []string
	p.eval("Array.from(document.querySelectorAll('.timeline strong'), (s) => s.innerText)", &all)
	return strings.Join(all, "|")
}

// lives waits until a job's timeline tells this.
func (p *page) lives(want string) {
	p.t.Helper()
	rig.Eventually(p.t, "a timeline of "+want, func() bool { return p.steps() == want })
}

// TestConsoleQueues looks at a queue with jobs in each state, in each way.
func TestConsoleQueues(t *testing.T) {
	server, b := rig.Serve(t), start(t)
	queue := server.URL + "/v1/queues/emails"
	request(t, http.MethodPut, queue, `{"visibility": "10m", "max_attempts": 1}`)
	for _, to := range []string{"dead", "leased", "ready", "too"} {
		request(t, http.MethodPost, queue+"/jobs", `{"to":"`+to+`","n":12345678901234567890}`)
	}
	request(t, http.MethodPost, lease(t, server, "emails", "ann")+"/dead", `{"cause": "no such mailbox"}`)
	request(t, http.MethodPost, lease(t, server, "emails", "ben")+"/progress", `{"progress": 0.4, "note": "two of five"}`)
	request(t, http.MethodPut, queue+"/schedules/nightly", `{"cron": "0 2 * * *", "zone": "Europe/Berlin", "job": {"data": {"kind": "report"}}}`)
	rig.Run(t, rig.Binary(t), "queue", "push", "emails", "later", "--delay", "1h", "--key", "shop", "--priority", "7", "--server", server.URL)
	p := b.open(t, server.URL+"/queues/emails?job=3", nil)
	for _, text := range []string{"2 ready", "Waits for a worker", "12345678901234567890"} {
		p.shows(text)
	}
	p.click("text=Delayed 1")
	p.click("[data-testid=jobs] >> text=5")
	for _, text := range []string{"Rests; ready in", "priority 7", "key shop", "later"} {
		p.shows(text)
	}
	p.clean()
	p.close()
	for _, look := range looks {
		t.Run(look.name, func(t *testing.T) {
			for address, words := range map[string][]string{
				"/queues":                           {"emails"},
				"/queues/emails?state=leased&job=2": {"Attempt 1 by ben, under way", "two of five", "40 %"},
				"/queues/emails?state=dead&job=1":   {"Attempt 1 by ann failed after", "no such mailbox", "Dead after 1 attempt", "Redrive all"},
				"/queues/emails?state=schedules":    {"nightly", "0 2 * * *", "Europe/Berlin", `{"kind":"report"}`},
			} {
				p := b.open(t, server.URL+address, look.how)
				for _, text := range words {
					p.shows(text)
				}
				p.quiet(gone)
				p.accessible()
				p.fits()
				name, _, _ := strings.Cut(strings.NewReplacer("/queues/emails?", "queue-", "/queues/", "queue-", "/", "", "state=", "").Replace(address), "&")
				p.shot(name + "-" + look.name)
				p.close()
			}
		})
	}
}

// TestConsoleJob follows one job from the form through a failure, a rest and a second
// attempt to its result, and another one to its redrive.
func TestConsoleJob(t *testing.T) {
	server, b := rig.Serve(t), start(t)
	p := b.open(t, server.URL+"/queues", nil)
	p.shows("No queue yet")
	p.press("n")
	p.fill("dialog input[placeholder=emails]", "emails")
	p.fill("dialog input >> nth=1", "-5")
	p.press("Enter")
	p.shows("max_attempts") // what the server says is wrong
	p.accessible()
	p.fill("dialog input >> nth=1", "2")
	p.press("Enter")
	p.shows("No job waits")

	p.press("p")
	p.fill("dialog textarea", `{"n": 12345678901234567890}`)
	p.click("dialog button.primary")
	p.shows("Added job 1")
	p.accessible()
	p.shot("queue-enqueue")
	p.click("text=job 1")
	p.lives("Enqueued|Waits for a worker")
	first := lease(t, server, "emails", "ann")
	p.lives("Enqueued|Attempt 1 by ann, under way")
	request(t, http.MethodPost, first+"/nack", `{"delay": "1h", "cause": "SMTP 451"}`)
	rig.Eventually(t, "a job that rests", func() bool { return strings.Contains(p.steps(), "|Next try in 60 min") })
	p.shows("SMTP 451")
	p.shows("1 of 2 attempts")
	p.click("text=Ready now")
	second := lease(t, server, "emails", "ben")
	request(t, http.MethodPost, second+"/ack", `{"sent": true}`)
	rig.Eventually(t, "a job that is done", func() bool { return strings.HasSuffix(p.steps(), "|Done") })
	p.shows("Result")
	p.shows(`"sent": true`)
	p.accessible()
	p.shot("queue-done")
	p.press("Escape")

	for range 3 {
		request(t, http.MethodPost, server.URL+"/v1/queues/emails/jobs", `{}`)
	}
	for _, cause := range []string{"timeout", "timeout", "refused"} {
		request(t, http.MethodPost, lease(t, server, "emails", "cleo")+"/dead", `{"cause": "`+cause+`"}`)
	}
	p.shows("Dead 3")
	p.click("text=Dead 3")
	p.shows("refused")
	p.fill("input[aria-label='Reason contains']", "timeout")
	rig.Eventually(t, "two that match", func() bool { return p.count("[data-testid=jobs] tbody tr") == 2 })
	p.click("text=Redrive those that match")
	p.shows("2 jobs are ready again")
	p.shows("Ready 2")
	p.shows("Dead 1")
	p.quiet(gone, "status of 400")
}

// TestConsoleQueueIsSteered pauses a queue, purges it, gives it a schedule, and deletes
// it.
func TestConsoleQueueIsSteered(t *testing.T) {
	server, b := rig.Serve(t), start(t)
	queue := server.URL + "/v1/queues/emails"
	request(t, http.MethodPost, queue+"/jobs", `{}`)
	p := b.open(t, server.URL+"/queues/emails", nil)
	p.shows("1 ready")
	p.click("text=Pause")
	p.shows("No job is leased until it is resumed")
	p.accessible()
	p.click("text=Pause queue")
	p.shows("paused: nothing is leased")
	if answer := request(t, http.MethodPost, queue+"/lease", ""); !strings.Contains(string(answer), `"jobs":[]`) {
		t.Errorf("a paused queue leases: %s", answer)
	}
	p.click("text=Resume")
	p.click("text=Resume queue")
	rig.Eventually(t, "a queue that goes on", func() bool { return !strings.Contains(p.text(), "nothing is leased") })

	p.click("text=Schedules")
	p.shows("No schedule")
	p.click("text=New schedule")
	p.fill("dialog input[placeholder=nightly]", "hourly")
	p.fill("dialog input >> nth=1", "often")
	p.press("Enter")
	p.shows("fields")
	p.fill("dialog input >> nth=1", "@hourly")
	p.fill("dialog input >> nth=2", "UTC")
	p.fill("dialog textarea", `{"n": 12345678901234567890}`)
	p.accessible()
	p.click("dialog button.primary")
	p.shows("@hourly")
	p.click("[data-testid=schedules] >> text=Pause")
	p.shows("paused")
	if answer := string(request(t, http.MethodGet, queue+"/schedules/hourly", "")); !strings.Contains(answer, `"paused":true`) || !strings.Contains(answer, "12345678901234567890") {
		t.Errorf("the schedule is %s", answer)
	}
	p.click("[data-testid=schedules] >> text=Delete")
	p.click("text=Delete schedule")
	p.shows("No schedule")

	p.click("text=Purge")
	p.click("dialog label >> text=ready")
	p.shows("Remove 1 job")
	p.accessible()
	p.click("text=Remove 1 job")
	p.shows("0 ready")
	p.click("text=Delete")
	p.shows("The queue goes with its 0 jobs")
	p.click("text=Delete queue")
	p.shows("No queue yet")
	p.quiet("status of 400", gone)
}

// TestConsoleSpike has the form add thousands of jobs to a queue that is not there yet,
// and watches workers drain it.
func TestConsoleSpike(t *testing.T) {
	server, b := rig.Serve(t), start(t)
	p := b.open(t, server.URL+"/queues/spike", nil)
	p.shows("There is no queue spike")
	p.click(".empty button.link")
	p.fill("dialog .field:has-text('How many') input", "12000")
	p.click("dialog button.primary")
	p.shows("12,000 jobs in")
	p.press("Escape")
	rig.Eventually(t, "a backlog", func() bool { return p.number("[data-testid=backlog]") == 12000 })
	seen := map[int]bool{}
	for left := 12000; left > 0; left -= 1000 {
		var out struct {
			Jobs []struct {
				Lease  string `json:"lease"`
				Action string `json:"action"`
			} `json:"jobs"`
		}
		if err := json.Unmarshal(request(t, http.MethodPost, server.URL+"/v1/queues/spike/lease?max=1000", ""), &out); err != nil || len(out.Jobs) == 0 {
			t.Fatalf("%d jobs, %v", len(out.Jobs), err)
		}
		for i := range out.Jobs {
			out.Jobs[i].Action = "ack"
		}
		body, err := json.Marshal(map[string]any{"settlements": out.Jobs})
		if err != nil {
			t.Fatal(err)
		}
		request(t, http.MethodPost, server.URL+"/v1/queues/spike/settle", string(body))
		if left == 6000 { // half of it is gone: the page shows so
			rig.Eventually(t, "half of the backlog", func() bool { return p.number("[data-testid=backlog]") == 6000-1000 })
		}
		seen[p.number("[data-testid=backlog]")] = true
	}
	rig.Eventually(t, "an empty queue", func() bool { return p.number("[data-testid=backlog]") == 0 && p.number("[data-testid=done]") == 12000 })
	if len(seen) < 2 {
		t.Errorf("the page saw only %v", seen)
	}
	var points int
	p.eval("document.querySelector('.backlog-chart path.ready').getAttribute('d').split('L').length", &points)
	if points < 6 {
		t.Errorf("the backlog is drawn with %d points", points)
	}
	p.accessible()
	p.fits()
	p.shot("queue-spike")
	p.quiet(gone)
}

// TestConsoleQueuesWithoutTheScope shows jobs to a token that may work, and tells it what it
// may not do.
func TestConsoleQueuesWithoutTheScope(t *testing.T) {
	secret, tokens, _ := strings.Cut(rig.Run(t, rig.Binary(t), "token", "worker", "--scope", "work:emails"), "\n")
	config := filepath.Join(t.TempDir(), "parley.yaml")
	if err := os.WriteFile(config, []byte(tokens+"\nqueues:\n  settings:\n    emails: {max_attempts: 3}\n    orders: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server, b := rig.Serve(t, "--config", config), start(t)
	p := b.open(t, server.URL+"/queues/emails", nil)
	p.shows("The server asks for a token")
	p.fill("dialog input[type=password]", strings.TrimSpace(secret))
	p.press("Enter")
	p.shows("No job waits")
	p.press("g", "q")
	p.shows("Done a second")
	if strings.Contains(p.text(), "orders") {
		t.Error("a queue of others is shown")
	}
	p.click("th >> text=emails")
	p.shows("No job waits")
	p.press("p")
	p.click("dialog button.primary")
	p.shows("403")
	p.press("Escape")
	p.click("text=Pause")
	p.click("text=Pause queue")
	p.shows("403")
	p.accessible()
}

// TestConsoleLabQueue has crews of workers drain their queues: three are faster than
// one, and what the crashed one had is taken over.
func TestConsoleLabQueue(t *testing.T) {
	server, b := rig.Serve(t), start(t)
	for _, look := range looks {
		t.Run(look.name, func(t *testing.T) {
			p := b.open(t, server.URL+"/lab?show=queue&jobs=30&work=40ms&visibility=500ms&seed=3", look.how)
			p.shows("Cleo crashes in the middle of a job")
			p.click("text=Run")
			rig.Eventually(t, "figures of a run", func() bool { return p.count("[data-testid=figures] tbody tr") == 3 })
			for _, crew := range []string{"one", "three", "crash"} {
				if n := p.number("tr[data-lane=" + crew + "] [data-figure=Done]"); n != 30 {
					t.Errorf("%s: %d jobs done", crew, n)
				}
			}
			one, three := p.number("tr[data-lane=one] [data-figure=Drained]"), p.number("tr[data-lane=three] [data-figure=Drained]")
			if three >= one*2/3 {
				t.Errorf("one worker took %d ms, three took %d", one, three)
			}
			p.shows("of cleo by")
			p.shows("taken over by")
			if n := p.count("section[aria-label='One of three crashes'] .block.crashed"); n != 1 {
				t.Errorf("%d crashes are drawn", n)
			}
			p.click("[role=tab] >> text=Table")
			p.click(".sequence button >> text=attempt 2")
			p.shows("On the wire")
			p.shows(`"attempt":2`)
			p.clean()
			p.fits()
			p.shot("lab-queue-" + look.name)
			p.close()
		})
	}
}
