package browser

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parleyhq/parley/test/rig"
)

// shopPipe has a stage that fails for some orders, a branch and a catch.
const shopPipe = `steps:
  - topic: orders
  - where: data.total >= 10
    name: paid
  - route: {when: data.total >= 1000, to: topic huge}
  - map: "{id: .id}"
  - topic: big
tests:
  - {name: small ones, input: [{id: 1, total: 5}], expect: {big: []}}
`

// sales are events of which one fails in a shopPipe, two are left out, one is huge and
// three go all the way.
func sales(server *rig.Server) {
	for _, total := range []string{"5", "6", "5000", "100", "200", "300", `"many"`} {
		server.Publish("orders", "application/json", `{"id":12345678901234567890,"total":`+total+`}`)
	}
}

// draws waits until a step of the graph says what is wanted.
func (p *page) draws(path, want string) {
	p.t.Helper()
	rig.Eventually(p.t, "a step "+path+" that says "+want, func() bool {
		var text string
		p.eval("document.querySelector('[data-path=\""+path+"\"]')?.textContent ?? ''", &text)
		return strings.Contains(text, want)
	})
}

// TestConsolePipes looks at pipes, and at the graph of one, in each way.
func TestConsolePipes(t *testing.T) {
	server, b := rig.Serve(t), start(t)
	request(t, http.MethodPut, server.URL+"/v1/pipes/shop", shopPipe)
	request(t, http.MethodPut, server.URL+"/v1/pipes/lib", "stages: {slim: [{drop: [password]}]}")
	request(t, http.MethodPut, server.URL+"/v1/pipes/idle?state=paused", "steps: 'topic orders | topic copy'")
	sales(server)
	for _, look := range looks {
		t.Run(look.name, func(t *testing.T) {
			p := b.open(t, server.URL+"/pipes", look.how)
			for _, text := range []string{"shop", "running", "stages for pipes", "paused"} {
				p.shows(text)
			}
			p.clean()
			p.fits()
			p.shot("pipes-" + look.name)
			p.close()

			p = b.open(t, server.URL+"/pipes/shop", look.how)
			p.draws("2", "1 error")
			if look.name != "narrow" {
				p.draws("1", "7 in all")
				p.draws("2", "7 → 4")
				p.draws("3", "4 → 3")
				p.draws("3.to1.1", "1 in all")
				p.draws("dead", "1 in all")
			}
			if n := p.count(".pipe-box"); n != 8 {
				t.Errorf("%d steps are drawn", n)
			}
			if p.number("[data-testid=in]") != 7 || p.number("[data-testid=out]") != 4 || p.number("[data-testid=dead]") != 1 {
				t.Errorf("figures: %s", p.text())
			}
			p.clean()
			p.fits()
			p.shot("pipe-" + look.name)
			p.click("text=Table")
			rig.Eventually(t, "a table", func() bool { return p.count("[data-testid=steps] tbody tr") == 7 })
			p.clean()
			p.fits()
			p.shot("pipe-table-" + look.name)
			p.close()
		})
	}
}

// TestConsolePipeLong wants a pipe that does not fit into rows to be drawn as a list, and
// to fit; and one that has several owners to show them.
func TestConsolePipeLong(t *testing.T) {
	server, b := rig.Serve(t), start(t)
	request(t, http.MethodPut, server.URL+"/v1/topics/a", `{"partitions": 2}`)
	stages := "topic a"
	for i := range 9 {
		stages += fmt.Sprintf(" | where 'data.n > %d'", i)
	}
	request(t, http.MethodPut, server.URL+"/v1/pipes/long", `{"steps": "`+stages+` | route 'data.n > 20' 'tee \"topic c\" | topic d' | topic b"}`)
	for _, key := range []string{"x", "y"} {
		server.Publish("a", "application/json", `{"n":4,"key":"`+key+`"}`, `{"n":40}`)
	}
	for _, look := range looks {
		t.Run(look.name, func(t *testing.T) {
			p := b.open(t, server.URL+"/pipes/long", look.how)
			if look.name != "narrow" {
				p.draws("2", "4 → 4")
			}
			rig.Eventually(t, "two owners", func() bool { return p.count("[data-testid=parts] tbody tr") == 2 })
			p.draws("11", "route")
			p.clean()
			p.fits()
			p.shot("pipe-long-" + look.name)
			p.close()
		})
	}
}

// TestConsolePipeTap sees what passes a step, and counts what is too much to be shown.
func TestConsolePipeTap(t *testing.T) {
	server, b := rig.Serve(t), start(t)
	request(t, http.MethodPut, server.URL+"/v1/pipes/shop", shopPipe)
	p := b.open(t, server.URL+"/pipes/shop", nil)
	rig.Eventually(t, "a step that can be tapped", func() bool { return p.count("[data-path='2'][role=button]") == 1 })
	p.eval("document.querySelector('[data-path=\"2\"]').focus()", nil)
	p.press("Enter")
	p.shows("Waits for the next event")
	p.clean()
	sales(server)
	for _, text := range []string{"nothing: left out, or kept", "12345678901234567890", "failed: ", "7 shown"} {
		p.shows(text)
	}
	p.click(".tapped summary >> nth=0")
	p.shows("After one try: ")
	if p.number("[data-testid=dropped]") != 0 {
		t.Errorf("dropped: %s", p.text())
	}
	p.accessible()
	p.shot("pipe-tap")

	// More than a tap shows, once the record is closed and others come again.
	p.click("text=Live")
	const many = 1500
	server.Publish("orders", "application/x-ndjson", strings.Repeat(`{"id":1,"total":50}`+"\n", many))
	rig.Eventually(t, "all are shown or counted", func() bool {
		return p.number("[data-testid=shown]")+p.number("[data-testid=dropped]") == 7+many
	})
	if shown := p.number("[data-testid=shown]"); shown < 20 || shown > 1000 || p.count(".tapped li") > 100 {
		t.Errorf("%d of %d are shown, %d are there", shown, many, p.count(".tapped li"))
	}
	p.press("Escape")
	rig.Eventually(t, "a tap that is closed", func() bool { return p.count("[data-testid=tap]") == 0 })

	// A tap of a pipe that rests says so, and goes on when it runs.
	p.click("[data-path='4'][role=button]")
	p.shows("Waits for the next event")
	request(t, http.MethodPost, server.URL+"/v1/pipes/shop/stop", "")
	p.shows("is stopped")
	request(t, http.MethodPost, server.URL+"/v1/pipes/shop/start", "")
	p.shows("Waits for the next event")
	p.quiet("status of 503")
}

// TestConsolePipeEdit changes a definition: what is wrong is told by line, and leaves the
// old one running.
func TestConsolePipeEdit(t *testing.T) {
	server, b := rig.Serve(t), start(t)
	request(t, http.MethodPut, server.URL+"/v1/pipes/shop", shopPipe)
	p := b.open(t, server.URL+"/pipes/shop", nil)
	p.shows("paid")
	p.opens("e")
	p.shows("It is in order: 7 steps")
	p.accessible()
	p.click("text=Run its tests")
	p.shows("Its test passed.")
	p.fill("dialog textarea", strings.Replace(shopPipe, "where:", "wher:", 1))
	p.shows("line 3")
	p.click("dialog .conflicts button")
	rig.Eventually(t, "the line to be selected", func() bool {
		var chosen string
		p.eval("(() => { const f = document.querySelector('dialog textarea'); return f.value.slice(f.selectionStart, f.selectionEnd) })()", &chosen)
		return chosen == "  - wher: data.total >= 10" && p.count(".gutter .marked") == 1
	})
	p.click("dialog button.primary")
	p.shows("It runs on by revision 1: nothing has changed.")
	p.accessible()
	p.shot("pipe-edit")
	if got := string(request(t, http.MethodGet, server.URL+"/v1/pipes/shop", "")); !strings.Contains(got, "- where:") {
		t.Errorf("the definition is %s", got)
	}

	// What its stages keep would not fit: only with a word it begins anew.
	p.fill("dialog textarea", "steps: 'topic orders | where data.total > 1 | batch 3 | topic big'")
	p.shows("a batch that is not full waits")
	p.click("dialog button.primary")
	p.shows("409")
	p.click("dialog input[type=checkbox]")
	p.click("dialog button.primary")
	p.draws("3", "batch")
	rig.Eventually(t, "a dialog that is closed", func() bool { return p.count("dialog[open]") == 0 })

	for _, step := range [][2]string{{"text=Pause", "paused"}, {"text=Resume", "running"}} {
		p.click(step[0])
		rig.Eventually(t, step[1], func() bool { return strings.Contains(p.state(), step[1]) })
	}
	p.click("text=Stop")
	p.accessible()
	p.click("dialog button.danger")
	rig.Eventually(t, "stopped", func() bool { return strings.Contains(p.state(), "stopped") })
	p.click("text=Start")
	rig.Eventually(t, "running", func() bool { return strings.Contains(p.state(), "running") })
	p.click("text=Delete")
	p.click("dialog button.danger")
	p.shows("No pipe yet")

	// By the keyboard, a new one.
	p.opens("n")
	p.fill("dialog input[placeholder=big-orders]", "fresh")
	p.press("Enter")
	p.shows("revision")
	p.draws("2", "data.total > 100")
	p.quiet("status of 400", "status of 409", "status of 404")
}

// state is what the page says of a pipe's.
func (p *page) state() (text string) {
	p.t.Helper()
	p.eval("document.querySelector('[data-testid=state]')?.innerText ?? ''", &text)
	return text
}

// TestConsolePipesWithoutTheScope says which scope is missing.
func TestConsolePipesWithoutTheScope(t *testing.T) {
	secret, tokens, _ := strings.Cut(rig.Run(t, rig.Binary(t), "token", "plumber", "--scope", "admin:mine", "--scope", "read:orders"), "\n")
	config := filepath.Join(t.TempDir(), "parley.yaml")
	if err := os.WriteFile(config, []byte(tokens+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server, b := rig.Serve(t, "--config", config), start(t)
	p := b.open(t, server.URL+"/pipes", nil)
	p.shows("The server asks for a token")
	p.fill("dialog input[type=password]", strings.TrimSpace(secret))
	p.press("Enter")
	p.shows("No pipe that this token may administer")
	p.shows("takes the scope admin on it")
	p.accessible()
	p.click("text=New pipe")
	p.fill("dialog input[placeholder=big-orders]", "others")
	p.shows("403")
	p.shows("admin:others")
	p.fill("dialog input[placeholder=big-orders]", "mine")
	p.shows("It is in order")
	p.click("dialog button.primary")
	p.shows("publish:") // to the topics that it writes
	p.accessible()
}

// TestConsoleLabPipes has the same events go through pipes, and holds what is drawn
// against what each promises.
func TestConsoleLabPipes(t *testing.T) {
	server, b := rig.Serve(t), start(t)
	for _, look := range looks {
		t.Run(look.name, func(t *testing.T) {
			p := b.run(t, server.URL+"/lab?show=pipe&events=20&work=50ms", look.how)
			written, late, calls, acked := p.figures("Written"), p.figures("Out of order"), p.figures("Calls"), p.figures("Acknowledged")
			if len(written) != 5 || len(late) != 5 || len(calls) != 5 {
				t.Fatalf("%v %v %v", written, late, calls)
			}
			for i := range written {
				if written[i] != 20 || acked[i] != 20 || late[i] > 0 && i != 1 {
					t.Errorf("lane %d: %d written, %d acknowledged, %d out of order", i, written[i], acked[i], late[i])
				}
			}
			if calls[0] != 20 || calls[3] != 4 {
				t.Errorf("calls: %v", calls)
			}
			if n := p.count("circle.taken"); n != 100+2 { // and in the legend
				t.Errorf("%d dots", n)
			}
			if p.count(".queue-hill") != 3 || !strings.Contains(p.text(), "the source was held up for") {
				t.Errorf("the slow stage: %s", p.text())
			}
			p.shot("lab-pipes-" + look.name)
			p.close()
		})
	}
}
