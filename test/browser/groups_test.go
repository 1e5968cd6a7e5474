package browser

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/parleyhq/parley/test/rig"
)

// ask sends a request to the server and decodes the answer into value, unless that is
// nil.
func ask(t *testing.T, server *rig.Server, method, path, body string, value any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode >= 300 {
		t.Fatalf("%s %s: %d %s %v", method, path, res.StatusCode, text, err)
	}
	if value == nil {
		return
	}
	if err := json.Unmarshal(text, value); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// member is a reader of a group, and what it keeps between requests.
type member struct {
	t      *testing.T
	server *rig.Server
	group  string

	Member     string           `json:"member"`
	Generation int              `json:"generation"`
	Cursor     string           `json:"cursor"`
	Rebalance  bool             `json:"rebalance"`
	Events     []map[string]any `json:"events"`
}

func enter(t *testing.T, server *rig.Server, group, topic, client string) *member {
	t.Helper()
	m := &member{t: t, server: server, group: group}
	ask(t, server, "POST", "/v1/groups/"+group+"/join", fmt.Sprintf(`{"topics": [%q], "client": %q, "wait": "0s", "session_timeout": "10m"}`, topic, client), m)
	return m
}

// read asks for events.
func (m *member) read(limit int) int {
	m.t.Helper()
	v := url.Values{"member": {m.Member}, "generation": {strconv.Itoa(m.Generation)}, "limit": {strconv.Itoa(limit)}}
	if m.Cursor != "" {
		v.Set("after", m.Cursor)
	}
	m.Events = nil
	ask(m.t, m.server, "GET", "/v1/groups/"+m.group+"/events?"+v.Encode(), "", m)
	return len(m.Events)
}

// commit commits what was read.
func (m *member) commit() {
	m.t.Helper()
	ask(m.t, m.server, "POST", "/v1/groups/"+m.group+"/commit", fmt.Sprintf(`{"member": %q, "generation": %d, "cursor": %q}`, m.Member, m.Generation, m.Cursor), nil)
}

// crowd makes a topic of four partitions with a hundred events, of which a group of two
// members has worked off some, and gives the members.
func crowd(t *testing.T, server *rig.Server) (ann, ben *member) {
	t.Helper()
	ask(t, server, "PUT", "/v1/topics/orders", `{"partitions": 4}`, nil)
	for i := range 100 {
		server.Publish("orders", "application/json", `{"order":`+strconv.Itoa(i+1)+`}`)
	}
	ann = enter(t, server, "billing", "orders", "ann")
	ben = enter(t, server, "billing", "orders", "ben")
	for rig.Eventually(t, "a generation of two", func() bool { return ann.read(1) >= 0 && ben.read(1) >= 0 && !ann.Rebalance && !ben.Rebalance }); ann.read(10) > 0; {
		ann.commit()
	}
	ben.read(10)
	ben.commit()
	ask(t, server, "POST", "/v1/groups/audit/seek", `{"to": "earliest", "topics": ["orders"]}`, nil)
	return ann, ben
}

// lag is what the page says of a group's.
func (p *page) lag() (text string) {
	p.t.Helper()
	p.eval("document.querySelector('[data-testid=lag]')?.innerText ?? ''", &text)
	return text
}

// opens presses a key until it opens a dialog: a page listens to its keys a moment
// after it has drawn.
func (p *page) opens(key string) {
	p.t.Helper()
	rig.Eventually(p.t, "a dialog by "+key, func() bool {
		if p.count("dialog[open]") == 0 {
			p.press(key)
		}
		return p.count("dialog[open]") == 1
	})
}

// TestConsoleGroups looks at groups: who reads, and how far.
func TestConsoleGroups(t *testing.T) {
	server, b := rig.Serve(t), start(t)
	crowd(t, server)
	for _, look := range looks {
		t.Run(look.name, func(t *testing.T) {
			p := b.open(t, server.URL+"/groups", look.how)
			p.shows("billing")
			p.shows("audit")
			p.shows("nobody reads")
			p.clean()
			p.fits()
			p.shot("groups-" + look.name)

			p = b.open(t, server.URL+"/groups/billing", look.how)
			p.shows("ann")
			p.shows("ben")
			rig.Eventually(t, "four bars", func() bool { return p.count("[data-testid=partitions] tbody tr") == 4 })
			if p.count("[data-testid=partitions] rect.owner-0") != 2 || p.count("[data-testid=partitions] rect.owner-1") != 2 {
				t.Errorf("two partitions for each: %s", p.text())
			}
			if lag, err := strconv.Atoi(p.lag()); err != nil || lag <= 0 || lag > 50 {
				t.Errorf("lag: %s", p.lag())
			}
			p.clean()
			p.fits()
			p.shot("group-" + look.name)

			p.click("text=Seek >> nth=0")
			p.shows("come again.")
			p.shows("2 members begin anew in generation")
			p.accessible()
			p.shot("group-seek-" + look.name)
		})
	}
}

// TestConsoleGroupsSeek moves a group back and on, after having been told what that
// means, and deletes it.
func TestConsoleGroupsSeek(t *testing.T) {
	server, b := rig.Serve(t), start(t)
	ann, ben := crowd(t, server)
	p := b.open(t, server.URL+"/groups/billing", nil)
	p.shows("ann")
	before := ann.Generation
	p.opens("s")
	p.shows("come again.")
	p.click("dialog button.primary")
	rig.Eventually(t, "everything is to be read", func() bool { return p.lag() == "100" })
	if n := ann.read(1000) + ben.read(1000); n != 100 || ann.Generation != before+1 {
		t.Errorf("%d events came again in generation %d", n, ann.Generation)
	}
	ann.commit()
	ben.commit()
	rig.Eventually(t, "everything is read", func() bool { return p.lag() == "0" })

	// One partition, to a position.
	p.click("button[aria-label='Seek orders/2']")
	p.fill("dialog input", "999")
	p.shows("beyond the end")
	p.accessible()
	p.fill("dialog input", "1")
	p.shows("in generation " + strconv.Itoa(before+2))
	p.click("dialog button.primary")
	rig.Eventually(t, "one partition is to be read", func() bool { return p.lag() != "0" && p.lag() != "100" })

	// A time that is to come is the end.
	p.opens("s")
	p.shows("Go on with")
	p.b.do(t, map[string]any{"do": "eval", "page": p.n, "js": "(() => { const s = document.querySelector('dialog select'); s.value = 'latest'; s.dispatchEvent(new Event('change', { bubbles: true })) })()"}, nil)
	p.shows("skipped.")
	p.click("dialog button.primary")
	rig.Eventually(t, "nothing is to be read", func() bool { return p.lag() == "0" })

	p.click("text=Delete")
	p.shows("also while 2 members read")
	p.accessible()
	p.click("dialog input[type=checkbox]")
	p.click("text=Delete group")
	p.shows("audit")
	p.quiet("status of 422") // of the position beyond the end

	// By the keyboard, a group that begins where it is told to.
	p.opens("n")
	p.shows("New group")
	p.fill("dialog input[placeholder=billing]", "audit")
	p.fill("dialog input[placeholder=orders]", "orders")
	p.press("Enter")
	p.shows("there is a group audit")
	p.fill("dialog input[placeholder=billing]", "late.comers")
	p.press("Enter")
	p.shows("Nobody reads")
	rig.Eventually(t, "all is to be read", func() bool { return p.lag() == "100" })
	p.accessible()
}

// TestConsoleGroupsWithoutTheScope shows a group to a token that may neither read its
// topic nor delete it.
func TestConsoleGroupsWithoutTheScope(t *testing.T) {
	secret, tokens, _ := strings.Cut(rig.Run(t, rig.Binary(t), "token", "keeper", "--scope", "consume", "--scope", "manage:orders", "--scope", "publish:orders"), "\n")
	config := filepath.Join(t.TempDir(), "parley.yaml")
	if err := os.WriteFile(config, []byte(tokens+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server, b := rig.Serve(t, "--config", config), start(t)
	secret = strings.TrimSpace(secret)
	rig.Run(t, rig.Binary(t), "pub", "orders", "one", "--server", server.URL, "--token", secret)
	p := b.open(t, server.URL+"/groups", nil)
	p.shows("The server asks for a token")
	p.fill("dialog input[type=password]", secret)
	p.press("Enter")
	p.shows("No group that this token may see")
	p.click("text=New group")
	p.fill("dialog input[placeholder=billing]", "billing")
	p.fill("dialog input[placeholder=orders]", "orders")
	p.press("Enter")
	rig.Eventually(t, "one event is to be read", func() bool { return p.lag() == "1" })
	p.click("text=Delete")
	p.click("text=Delete group")
	p.shows("403")
	p.accessible()
	p.click("dialog button[aria-label=Close]")
	if p.lag() != "1" {
		t.Errorf("the group is not as it was: %s", p.text())
	}
}

// TestConsoleLabGroups has one topic read by groups and a subscriber, and holds what is
// drawn against what each promises.
func TestConsoleLabGroups(t *testing.T) {
	server, b := rig.Serve(t), start(t)
	for _, look := range looks {
		t.Run(look.name, func(t *testing.T) {
			p := b.run(t, server.URL+"/lab?show=groups&duration=2s", look.how)
			read, missing, again := p.figures("Read"), p.figures("Missing"), p.figures("Again")
			if len(read) != 4 || read[0] != 40 || read[1] != 40 || read[2] != 40 || read[3]+missing[3] != 40 || missing[0]+missing[1]+missing[2] != 0 {
				t.Errorf("read %v, missing %v", read, missing)
			}
			if again[0]+again[2]+again[3] != 0 || p.count("circle[data-turn='2']") != 40 {
				t.Errorf("%v again, %d are drawn", again, p.count("circle[data-turn='2']"))
			}
			if text := p.text(); strings.Contains(text, "broken") || !strings.Contains(text, "again, in the same order") {
				t.Errorf("the order: %s", text)
			}
			p.shot("lab-groups-" + look.name)
		})
	}
}
