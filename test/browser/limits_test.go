package browser

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/parleyhq/parley/test/rig"
)

// refusal is what a browser itself says of each answer with 429.
const refusal = "status of 429"

// TestConsoleLimits uses a limit up by the form, sees the answer of the door, and
// finds who was refused among the keys.
func TestConsoleLimits(t *testing.T) {
	server, b := rig.Serve(t), start(t)
	rig.Run(t, rig.Binary(t), "throttle", "put", "login", "--limit", "5/1h", "--algorithm", "sliding-log", "--server", server.URL)
	rig.Run(t, rig.Binary(t), "throttle", "put", "streams", "--limit", "concurrency 3", "--on", "subscribe", "--server", server.URL)
	for _, look := range looks {
		t.Run(look.name, func(t *testing.T) {
			p := b.open(t, server.URL+"/limits", look.how)
			p.shows("login")
			p.shows("streams")
			p.clean()
			p.fits()
			p.shot("limits-" + look.name)

			p = b.open(t, server.URL+"/limits/login", look.how)
			who := "caller-" + look.name
			p.shows("Busiest keys")
			p.fill("section.try input", who)
			p.click("section.try button.primary")
			p.shows("Admitted, 4 left")
			p.click("section.try >> text=10 times")
			p.shows("Refused: come back in 3600 s")
			for _, text := range []string{"HTTP/1.1 429 Too Many Requests", "Retry-After: 3600", `"login";r=0;t=3600`, `"error": "Rate limit exceeded"`, `"retry_after": 3600`} {
				p.shows(text)
			}
			rig.Eventually(t, "the key among the busiest", func() bool { return p.row(who) == who+"|5 of 5|in 60 min|in 60 min|0|5|6" })
			p.quiet(refusal)
			p.accessible()
			p.fits()
			p.shot("limit-" + look.name)

			p = b.open(t, server.URL+"/limits/streams", look.how)
			p.shows("Places inside belong to requests")
			p.clean()
		})
	}
}

// row is what the table of keys says of one.
func (p *page) row(key string) (cells string) {
	p.t.Helper()
	p.eval("Array.from(document.querySelectorAll('[data-testid=keys] tbody tr'), (r) => Array.from(r.cells, (c) => c.innerText.trim()).join('|')).find((r) => r.startsWith("+strconv.Quote(key+"|")+")) ?? ''", &cells)
	return cells
}

// TestConsoleLimitsAreChanged makes a limit, changes it, and deletes it, by the
// keyboard where there is a key for it.
func TestConsoleLimitsAreChanged(t *testing.T) {
	server, b := rig.Serve(t), start(t)
	p := b.open(t, server.URL+"/", nil)
	p.shows("No topic yet")
	p.press("g", "i")
	p.shows("Nothing is limited")
	p.press("n")
	p.shows("New limit")
	p.fill("dialog input[placeholder=per-ip]", "per-ip")
	p.fill("dialog input[required] >> nth=1", "many")
	p.press("Enter")
	p.shows("write it like")
	p.accessible()
	p.fill("dialog input[required] >> nth=1", "3/1h")
	p.press("Enter")
	p.shows("The last minute")
	p.shows("Nobody has come yet")
	for i := range 4 {
		code := post(t, server)
		if want := map[bool]int{true: 201, false: 429}[i < 3]; code != want {
			t.Errorf("publish %d: %d, want %d", i, code, want)
		}
	}
	rig.Eventually(t, "the caller among the keys", func() bool { return p.row("127.0.0.1") != "" })
	p.press("e")
	p.shows("Change per-ip")
	p.fill("dialog input[required]", "1000/1s")
	p.press("Enter")
	p.shows("1000/1s")
	if code := post(t, server); code != 201 {
		t.Errorf("after the change: %d", code)
	}
	p.click("text=Delete")
	p.shows("is no longer limited")
	p.accessible()
	p.click("text=Delete limit")
	p.shows("Nothing is limited")
	p.quiet("status of 400", "status of 404") // of the mistake, and of asking whether the name is free
}

// TestConsoleLimitsWithoutTheScope shows the counts to a token that may only check, and
// no other caller.
func TestConsoleLimitsWithoutTheScope(t *testing.T) {
	secret, tokens, _ := strings.Cut(rig.Run(t, rig.Binary(t), "token", "viewer", "--scope", "throttle"), "\n")
	config := filepath.Join(t.TempDir(), "parley.yaml")
	if err := os.WriteFile(config, []byte(tokens+"\nthrottle:\n  limits:\n    login: {limit: 5/1h}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server, b := rig.Serve(t, "--config", config), start(t)
	p := b.open(t, server.URL+"/limits/login", nil)
	p.shows("The server asks for a token")
	p.fill("dialog input[type=password]", strings.TrimSpace(secret))
	p.press("Enter")
	p.fill("section.try input", "ann")
	p.click("section.try button.primary")
	p.shows("Admitted, 4 left")
	p.shows("Busiest keys")
	p.shows("403") // instead of the keys
	if n := p.count("[data-testid=keys]"); n != 0 {
		t.Error("keys are shown")
	}
	p.accessible()
	p.shot("limits-viewer")
}

// post publishes an event and gives the status.
func post(t *testing.T, server *rig.Server) int {
	t.Helper()
	res, err := http.Post(server.URL+"/v1/topics/orders/events", "text/plain", strings.NewReader("x")) //nolint:noctx // a test's own server
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode
}

// TestConsoleLabLimits runs the experiments with limits, and holds what is shown
// against what each promises.
func TestConsoleLabLimits(t *testing.T) {
	server, b := rig.Serve(t), start(t)
	for _, look := range looks {
		t.Run(look.name, func(t *testing.T) {
			strategies := b.run(t, server.URL+"/lab?show=strategies", look.how)
			// What is exact is tested in fake time; a browser shares the machine with whatever else runs.
			if got := strategies.figures("In a window"); got[0] <= 5 || got[0] > 10 || got[1] > 5 || got[2] > 9 || got[3] > 5 {
				t.Errorf("let in within a window: %v, want up to twice the quota, the quota, a burst more, the quota", got)
			}
			if got := strategies.figures("Let in"); len(got) != 4 || strategies.count(".mark[data-ok=true]") != got[0]+got[1]+got[2]+got[3] {
				t.Errorf("%v were let in, %d are drawn", got, strategies.count(".mark[data-ok=true]"))
			}
			strategies.shot("lab-strategies-" + look.name)

			manners := b.run(t, server.URL+"/lab?show=manners&quota=3&window=500ms", look.how)
			in, requests := manners.figures("Let in"), manners.figures("Requests")
			if fmt.Sprint(in) != "[9 9]" || requests[0] <= 9 || requests[1] != 9 {
				t.Errorf("%v let in with %v requests", in, requests)
			}
			manners.shot("lab-manners-" + look.name)

			club := b.run(t, server.URL+"/lab?show=club&window=300ms", look.how)
			if got := club.figures("Most inside"); fmt.Sprint(got) != "[3]" || fmt.Sprint(club.figures("Let in")) != "[11]" {
				t.Errorf("inside at once: %v", got)
			}
			club.shot("lab-club-" + look.name)
		})
	}
}

// run runs an experiment to its end.
func (b *browser) run(t *testing.T, url string, how map[string]any) *page {
	t.Helper()
	p := b.open(t, url, how)
	p.shows("Nothing has run yet")
	p.click("button.primary")
	rig.Eventually(t, "figures of a run", func() bool { return p.count("[data-testid=figures] tbody tr") > 0 })
	p.clean()
	p.fits()
	return p
}

func (p *page) count(selector string) (n int) {
	p.t.Helper()
	p.eval("document.querySelectorAll("+strconv.Quote(selector)+").length", &n)
	return n
}

// figures are a column of the table, as numbers.
func (p *page) figures(column string) (all []int) {
	p.t.Helper()
	var texts []string
	p.eval("Array.from(document.querySelectorAll('td[data-figure="+strconv.Quote(column)+"]'), (c) => c.innerText)", &texts)
	for _, text := range texts {
		n, err := strconv.Atoi(strings.ReplaceAll(strings.TrimSpace(text), ",", ""))
		if err != nil {
			p.t.Fatalf("%s: %v", column, err)
		}
		all = append(all, n)
	}
	return all
}
