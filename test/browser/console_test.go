package browser

import (
	"strings"
	"testing"

	"github.com/parleyhq/parley/test/rig"
)

// screens are looked at in each of these ways.
var looks = []struct {
	name string
	how  map[string]any
}{
	{"wide", map[string]any{"width": 1280, "height": 800}},
	{"dark", map[string]any{"width": 1280, "height": 800, "dark": true}},
	{"narrow", map[string]any{"width": 360, "height": 740}},
}

// TestConsoleTopics opens the list of topics and one of them, and sees what is
// published meanwhile.
func TestConsoleTopics(t *testing.T) {
	server, b := rig.Serve(t), start(t)
	server.Publish("orders", "application/json", `{"total":12}`, `{"total":13}`)
	server.Publish("shop.payments", "text/plain", "paid")
	for _, look := range looks {
		t.Run(look.name, func(t *testing.T) {
			p := b.open(t, server.URL+"/", look.how)
			p.shows("orders")
			p.shows("shop.payments")
			p.clean()
			p.shot("topics-" + look.name)

			p = b.open(t, server.URL+"/topics/orders", look.how)
			p.shows(`{"total":12}`)
			mark := "live-" + look.name
			server.Publish("orders", "application/json", `{"mark":"`+mark+`"}`)
			p.shows(mark)
			p.clean()
			p.fits()
			p.shot("topic-" + look.name)
		})
	}
}

// TestConsoleLab runs a lane of the Lab against the server, and sees its messages.
func TestConsoleLab(t *testing.T) {
	server, b := rig.Serve(t), start(t)
	for _, look := range looks {
		t.Run(look.name, func(t *testing.T) {
			p := b.open(t, server.URL+"/lab?duration=2s&every=200ms", look.how)
			p.shows("Lab")
			p.click("text=Run")
			rig.Eventually(t, "figures of a run", func() bool {
				var rows int
				p.eval(`document.querySelectorAll('[data-testid=figures] tr').length`, &rows)
				return rows > 1
			})
			p.clean()
			p.fits()
			p.shot("lab-" + look.name)
		})
	}
}

// TestConsoleMissing wants an address that is no screen to be told as one.
func TestConsoleMissing(t *testing.T) {
	server, b := rig.Serve(t), start(t)
	p := b.open(t, server.URL+"/v1/nothing", nil)
	if !strings.Contains(p.text(), "not-found") && !strings.Contains(p.text(), "nothing is at") {
		t.Errorf("the page says %s", p.text())
	}
}

// fits wants the page to be no wider than its window.
func (p *page) fits() {
	p.t.Helper()
	var over int
	p.eval("document.documentElement.scrollWidth - window.innerWidth", &over)
	if over > 0 {
		p.t.Errorf("the page is %d pixels wider than its window", over)
	}
}
