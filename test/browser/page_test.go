package browser

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/parleyhq/parley/test/rig"
)

// guide serves the pages of examples/guide, from an origin that is not the
// server's, and gives that origin.
func guide(t *testing.T) string {
	t.Helper()
	files := httptest.NewServer(http.FileServer(http.Dir(filepath.Join(rig.Root(t), "examples", "guide"))))
	t.Cleanup(files.Close)
	return files.URL
}

// items are the events that the page of examples/guide/events.html shows.
func (p *page) items() (all []string) {
	p.t.Helper()
	p.eval("Array.from(document.querySelectorAll('#list li'), (item) => item.textContent)", &all)
	return all
}

// TestEventSource cuts the connections of a page again and again. The browser
// reconnects by itself; nothing is missed and nothing comes twice.
func TestEventSource(t *testing.T) {
	pages := guide(t)
	server := rig.Serve(t, "--route", "/events=sse:news", "--origins", pages)
	proxy := rig.NewProxy(t, server.Address())
	p := start(t).open(t, pages+"/events.html?server="+proxy.Address, nil)
	server.Connected("1")
	sent := 0
	burst := func(n int) {
		var lines strings.Builder
		for range n {
			sent++
			lines.WriteString(strconv.Itoa(sent) + "\n")
		}
		server.Publish("news", "application/x-ndjson", lines.String())
	}
	for range 4 {
		before := sent
		for range 5 {
			burst(20)
		}
		rig.Eventually(t, "events in the page", func() bool { return len(p.items()) > before })
		if cut := proxy.Cut(); cut == 0 {
			t.Error("there was nothing to cut")
		}
		burst(20) // while the page is away
	}
	rig.Eventually(t, "all events in the page", func() bool { return len(p.items()) >= sent })
	counted(t, p.items(), sent)
	p.shot("eventsource")
}

// counted wants the numbers from 1 to n, in order.
func counted(t *testing.T, got []string, n int) {
	t.Helper()
	for i, text := range got {
		if text != strconv.Itoa(i+1) {
			t.Fatalf("event %d is %s", i+1, text)
		}
	}
	if len(got) != n {
		t.Fatalf("%d events, want %d", len(got), n)
	}
}

// TestEventSourceRestart kills the server under a page. Behind the same address a
// new one goes on with the same data, and so does the page.
func TestEventSourceRestart(t *testing.T) {
	pages, data := guide(t), filepath.Join(t.TempDir(), "data")
	flags := []string{"--data", data, "--route", "/events=sse:news", "--origins", pages}
	server := rig.Start(t, flags...)
	proxy := rig.NewProxy(t, server.Address())
	p := start(t).open(t, pages+"/events.html?server="+proxy.Address, nil)
	server.Connected("1")
	server.Publish("news", "application/json", "1", "2", "3")
	rig.Eventually(t, "three events in the page", func() bool { return len(p.items()) == 3 })
	server.Kill()
	server = rig.Start(t, flags...)
	server.Publish("news", "application/json", "4", "5")
	proxy.To(server.Address())
	server.Connected("1")
	server.Publish("news", "application/json", "6")
	rig.Eventually(t, "six events in the page", func() bool { return len(p.items()) >= 6 })
	counted(t, p.items(), 6)
}

// TestWebSocket has two pages and a command line chat with each other.
func TestWebSocket(t *testing.T) {
	pages := guide(t)
	server, b := rig.Serve(t, "--route", "/chat=websocket:chat", "--origins", pages), start(t)
	first := b.open(t, pages+"/chat.html?server="+server.Address(), nil)
	first.shows("heard: Hello everybody")
	second := b.open(t, pages+"/chat.html?server="+server.Address(), nil)
	second.shows("heard: Hello everybody")
	rig.Run(t, rig.Binary(t), "pub", "chat", "from the command line", "--server", server.URL)
	first.shows("heard: from the command line")
	second.shows("heard: from the command line")
	if n := strings.Count(first.text(), "heard: Hello everybody"); n != 2 {
		t.Errorf("the first page heard %d greetings, want its own and the other's:\n%s", n, first.text())
	}
	first.quiet()
	second.quiet()
	first.shot("websocket")
	server.Stop()
	first.shows("out (3001)") // come back later
}

// TestOrigin wants pages of an origin that was not named to be refused.
func TestOrigin(t *testing.T) {
	pages := guide(t)
	server, b := rig.Serve(t, "--route", "/chat=websocket:chat", "--route", "/events=sse:events"), start(t)
	b.open(t, pages+"/chat.html?server="+server.Address(), nil).shows("out (1006)")
	p := b.open(t, pages+"/events.html?server="+server.Address(), nil)
	rig.Eventually(t, "a stream that is refused", func() bool {
		var state int
		p.eval("events.readyState", &state)
		return state == 2
	})
}
