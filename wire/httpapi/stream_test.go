package httpapi

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley/pattern/stream"
)

// member is a reader of a group through the door.
type groupMember struct {
	*rig
	group  string
	client *http.Client
	JoinAnswer
	cursor string
}

type given struct {
	page
	Places     []stream.Place `json:"places"`
	Generation uint64         `json:"generation"`
	Rebalance  bool           `json:"rebalance"`
	Assigned   []stream.Place `json:"assigned"`
	Lag        *int64         `json:"lag"`
}

func (r *rig) enter(group, body string) *groupMember {
	r.t.Helper()
	return &groupMember{rig: r, group: group, client: r.client, JoinAnswer: r.joinGroup(group, body)}
}

// events asks with what a client keeps of its last answer.
func (m *groupMember) events(more string) given {
	m.t.Helper()
	res, body := m.ask(more)
	var g given
	if err := json.Unmarshal([]byte(body), &g); err != nil || res.StatusCode != http.StatusOK {
		m.t.Fatalf("%d %s", res.StatusCode, body)
	}
	m.cursor, m.Generation = g.Cursor, g.Generation
	return g
}

func (m *groupMember) ask(more string) (*http.Response, string) {
	m.t.Helper()
	path := "/v1/groups/" + m.group + "/events?member=" + m.Member + "&generation=" + strconv.FormatUint(m.Generation, 10) + more
	if m.cursor != "" {
		path += "&after=" + url.QueryEscape(m.cursor)
	}
	return m.over(m.client, m.request("GET", path, ""))
}

func (m *groupMember) commit() {
	m.t.Helper()
	body, _ := json.Marshal(CommitRequest{Member: m.Member, Generation: m.Generation, Cursor: m.cursor})
	if res, answer := m.do("POST", "/v1/groups/"+m.group+"/commit", string(body)); res.StatusCode != http.StatusOK {
		m.t.Fatalf("%d %s", res.StatusCode, answer)
	}
}

func (r *rig) showGroup(name string) (g GroupInfo) {
	r.t.Helper()
	res, body := r.do("GET", "/v1/groups/"+name, "")
	if err := json.Unmarshal([]byte(body), &g); err != nil || res.StatusCode != http.StatusOK {
		r.t.Fatalf("%d %s", res.StatusCode, body)
	}
	return g
}

func TestGroupOverHTTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.do("PUT", "/v1/topics/orders", `{"partitions":3}`)
		for i := range 30 {
			r.must("orders", strconv.Itoa(i))
		}
		one := r.enter("billing", `{"topics":["orders"],"client":"one","session_timeout":"10m"}`)
		if len(one.Assigned) != 3 || one.Generation != 1 || one.SessionTimeout != "10m0s" || one.Rebalance {
			t.Fatalf("%+v", one.JoinAnswer)
		}
		first := one.events("&limit=20")
		if len(first.Events) != 20 || len(first.Places) != 20 || !first.More || first.Lag == nil || *first.Lag != 10 || first.Assigned != nil {
			t.Fatalf("%+v", first)
		}
		one.commit()
		rest := one.events("")
		if len(rest.Events) != 10 || rest.More || *rest.Lag != 0 {
			t.Fatalf("%+v", rest)
		}
		g := r.showGroup("billing")
		if g.State != stream.Stable || !g.Leaderless || g.Protocol != "http" || *g.Lag != 10 || len(g.Members) != 1 || g.Members[0].Client != "one" || len(g.Partitions) != 3 || g.Partitions[1].Member != one.Member {
			t.Fatalf("%+v", g)
		}
		// One position alone, as a client with its own order of work does it.
		last := rest.Places[len(rest.Places)-1]
		last.Position++
		body, _ := json.Marshal(CommitRequest{Member: one.Member, Generation: 1, Positions: []stream.Place{last}})
		if res, answer := r.do("POST", "/v1/groups/billing/commit", string(body)); res.StatusCode != 200 || !strings.Contains(answer, `"committed":[{"topic":"orders"`) {
			t.Fatalf("%d %s", res.StatusCode, answer)
		}
		one.commit()
		if g = r.showGroup("billing"); *g.Lag != 0 {
			t.Fatalf("%+v", g)
		}
		res, list := r.do("GET", "/v1/groups", "")
		if res.StatusCode != 200 || list != `{"groups":[{"name":"billing","state":"stable","members":1,"generation":1,"topics":["orders"],"lag":0}]}`+"\n" {
			t.Fatalf("%d %s", res.StatusCode, list)
		}
		if res, answer := r.do("POST", "/v1/groups/billing/seek", `{"to":"earliest","dry_run":true}`); res.StatusCode != 200 || strings.Count(answer, `"position":0`) != 3 || r.showGroup("billing").Generation != 1 {
			t.Fatalf("%d %s, and then %+v", res.StatusCode, answer, r.showGroup("billing"))
		}
		if res, answer := r.do("POST", "/v1/groups/billing/seek", `{"to":"earliest"}`); res.StatusCode != 200 || strings.Count(answer, `"position":0`) != 3 {
			t.Fatalf("%d %s", res.StatusCode, answer)
		}
		if again := one.events(""); len(again.Events) != 30 || again.Generation != 2 || len(again.Assigned) != 3 {
			t.Fatalf("%d events of generation %d", len(again.Events), again.Generation)
		}
		if res, answer := r.do("POST", "/v1/groups/billing/leave", `{"member":"`+one.Member+`"}`); res.StatusCode != 204 {
			t.Fatal(answer)
		}
		if res, answer := r.do("DELETE", "/v1/groups/billing", ""); res.StatusCode != 204 {
			t.Fatal(answer)
		}
		if res, _ := r.do("GET", "/v1/groups/billing", ""); res.StatusCode != 404 {
			t.Fatalf("%d after it was deleted", res.StatusCode)
		}
	})
}

// A held request is answered by an event, by a rebalance and by the end of its
// wait, over both versions of HTTP; and it keeps its member alive.
func TestHeldEventsOfAGroup(t *testing.T) {
	for _, version := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(version[:6], func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, nil)
				r.do("PUT", "/v1/topics/a", `{"partitions":2}`)
				one := r.enter("g", `{"topics":["a"],"session_timeout":"3s"}`)
				if version == "HTTP/2.0" {
					one.client = r.h2()
				}
				hold := func(m *groupMember, wait string) (<-chan given, time.Time) {
					out := make(chan given, 1)
					go func() { out <- m.events("&wait=" + wait) }()
					synctest.Wait()
					return out, time.Now()
				}
				held, began := hold(one, "50s")
				if g := <-held; len(g.Events) != 0 || g.Assigned != nil || time.Since(began).Round(time.Second) != 50*time.Second {
					t.Fatalf("after %s: %+v", time.Since(began), g)
				}
				held, began = hold(one, "50s")
				timer := time.NewTimer(20 * time.Second)
				<-timer.C
				r.must("a", "1")
				if g := <-held; g.data() != "1" || time.Since(began) != 20*time.Second {
					t.Fatalf("after %s: %+v", time.Since(began), g)
				}
				one.commit()
				held, began = hold(one, "50s")
				two := r.enter("g", `{"topics":["a"]}`)
				if g := <-held; g.Generation != 2 || len(g.Assigned) != 1 || len(two.Assigned) != 1 || time.Since(began) > 2*time.Second {
					t.Fatalf("after %s: %+v, %+v", time.Since(began), g, two.JoinAnswer)
				}
				// A member that is gone is not kept alive.
				r.client.CloseIdleConnections()
				timer.Reset(20 * time.Second)
				<-timer.C
				if g := r.showGroup("g"); len(g.Members) != 1 || g.Members[0].Member != two.Member {
					t.Fatalf("%+v", g)
				}
			})
		})
	}
}

func TestMemberOfACutConnectionIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.must("a", "1")
		one := r.enter("g", `{"topics":["a"],"session_timeout":"5s"}`)
		one.events("")
		conn, _ := r.raw("GET /v1/groups/g/events?member=" + one.Member + "&generation=1&wait=50s&after=" + one.cursor + " HTTP/1.1\r\nHost: localhost\r\n\r\n")
		timer := time.NewTimer(20 * time.Second)
		<-timer.C
		if g := r.showGroup("g"); len(g.Members) != 1 {
			t.Fatal("given up while it waits")
		}
		_ = conn.Close()
		timer.Reset(8 * time.Second)
		<-timer.C
		if g := r.showGroup("g"); len(g.Members) != 0 || g.State != stream.Empty {
			t.Fatalf("kept alive by a connection that is no more: %+v", g)
		}
	})
}

func TestTrimmedPlacesOfAGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.must("a", "1")
		r.must("a", "2")
		r.must("a", "3")
		one := r.enter("g", `{"topics":["a"]}`)
		one.events("&limit=1")
		one.commit()
		topic, err := r.topics.Get("a")
		if err != nil {
			t.Fatal(err)
		}
		if err := r.log.Trim(t.Context(), topic.Partitions[0].Stream, 3); err != nil {
			t.Fatal(err)
		}
		for _, wait := range []string{"", "&wait=5s"} {
			res, body := one.ask(wait)
			p := parseProblem(t, res, body)
			if res.StatusCode != 410 || p.Type != "trimmed" || p.Field != "after" || p.Earliest == "" {
				t.Fatalf("%d %+v", res.StatusCode, p)
			}
			one.cursor = p.Earliest
			if g := one.events(""); g.data() != "3" {
				t.Fatalf("behind the gap: %+v", g)
			}
			one.cursor = "" // and the committed place is still before it
		}
	})
}

func TestScopesOfGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ids, secrets := tokens(t, "consume:billing.> read:orders.> publish", "consume:other read", "admin")
		r := newRig(t, func(s *setup) { s.Identify = ids })
		as := func(i int) []string { return []string{"Authorization", "Bearer " + secrets[i]} }
		r.do("POST", "/v1/topics/orders.eu/events", "1", as(0)...)
		r.do("POST", "/v1/topics/secret/events", "1", as(0)...)
		res, body := r.do("POST", "/v1/groups/billing.a/join", `{"topics":["orders.>"]}`, as(0)...)
		if res.StatusCode != 200 {
			t.Fatalf("%d %s", res.StatusCode, body)
		}
		var j JoinAnswer
		if err := json.Unmarshal([]byte(body), &j); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			method, path, body string
			who, status        int
		}{
			{"POST", "/v1/groups/billing.a/join", `{"topics":["secret"]}`, 0, 403},
			{"POST", "/v1/groups/billing.a/join", `{"topics":[">"]}`, 0, 403},
			{"POST", "/v1/groups/other/join", `{"topics":["orders.eu"]}`, 0, 403},
			{"GET", "/v1/groups/billing.a", "", 1, 403},
			{"GET", "/v1/groups/billing.a", "", 0, 200},
			{"POST", "/v1/groups/billing.a/seek", `{"to":"latest"}`, 1, 403},
			{"DELETE", "/v1/groups/billing.a", "", 0, 403},
			{"GET", "/v1/groups/billing.a/events?member=" + j.Member + "&generation=1", "", 0, 200},
			{"DELETE", "/v1/groups/billing.a?force=true", "", 2, 204},
		} {
			if res, body := r.do(c.method, c.path, c.body, as(c.who)...); res.StatusCode != c.status {
				t.Errorf("%s %s as %d: %d %s, want %d", c.method, c.path, c.who, res.StatusCode, body, c.status)
			}
		}
		r.do("POST", "/v1/groups/billing.b/join", `{"topics":["orders.>"]}`, as(0)...)
		for i, want := range []string{`"name":"billing.b"`, `"groups":[]`, `"name":"billing.b"`} {
			if _, list := r.do("GET", "/v1/groups", "", as(i)...); !strings.Contains(list, want) {
				t.Errorf("the list of %d: %s", i, list)
			}
		}
		if res, _ := r.do("GET", "/v1/groups", ""); res.StatusCode != 401 {
			t.Errorf("anonymous: %d", res.StatusCode)
		}
	})
}

// Pages of groups, and of one partition.
func TestPagesOfGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.must("a", "1")
		for _, name := range []string{"g3", "g1", "g2"} {
			r.joinGroup(name, `{"topics":["a"]}`)
		}
		_, first := r.do("GET", "/v1/groups?limit=2", "")
		_, second := r.do("GET", "/v1/groups?limit=2&after=g2", "")
		if !strings.Contains(first, `"g1"`) || !strings.Contains(first, `"next":"g2"`) || strings.Contains(first, "g3") || !strings.Contains(second, "g3") || strings.Contains(second, "next") {
			t.Errorf("%s%s", first, second)
		}
	})
}

func TestPollOfOnePartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.do("PUT", "/v1/topics/a", `{"partitions":3}`)
		var want [3][]string
		for i := range 30 {
			placed := r.must("a", strconv.Itoa(i)).Events[0]
			want[placed.Partition] = append(want[placed.Partition], strconv.Itoa(i))
		}
		for p := range want {
			q := "?after=earliest&partition=" + strconv.Itoa(p)
			_, body := r.do("GET", events+q, "")
			got := parsePage(t, body)
			if got.data() != strings.Join(want[p], " ") {
				t.Errorf("partition %d: %s, want %v", p, got.data(), want[p])
			}
			if _, body = r.do("GET", events+"?tail=2&partition="+strconv.Itoa(p), ""); parsePage(t, body).data() != strings.Join(want[p][len(want[p])-2:], " ") {
				t.Errorf("the tail of partition %d: %s", p, body)
			}
		}
		_, body := r.do("GET", events+"?after=latest&partition=0", "")
		out := make(chan string, 1)
		go func() {
			_, body := r.do("GET", events+"?wait=10s&partition=0&after="+parsePage(t, body).Cursor, "")
			out <- parsePage(t, body).data()
		}()
		synctest.Wait()
		sent := ""
		for i := 30; sent == ""; i++ {
			if placed := r.must("a", strconv.Itoa(i)).Events[0]; placed.Partition == 0 {
				sent = strconv.Itoa(i)
			}
		}
		if got := <-out; got != sent {
			t.Errorf("held for partition 0: %q, want %q", got, sent)
		}
	})
}

func TestGroupRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.must("a", "1", "2")
		m := r.enter("g", `{"topics":["a"],"session_timeout":"20m"}`)
		member := `"member":"` + m.Member + `"`
		for _, c := range []struct {
			method, path, body string
			status             int
			code, field        string
		}{
			{"POST", "g/join", "", 400, "invalid", "body"},
			{"POST", "g/join", "{}", 400, "invalid", "topics"},
			{"POST", "g/join", `{"topics":["a..b"]}`, 400, "invalid", "topics[0]"},
			{"POST", "g/join", `{"topics":["~a"]}`, 400, "invalid", "topics[0]"},
			{"POST", "g/join", `{"topics":["a"],"since":"x"}`, 400, "invalid", "since"},
			{"POST", "g/join", `{"topics":["a"],"session_timeout":"soon"}`, 400, "invalid", "session_timeout"},
			{"POST", "g/join", `{"topics":["a"],"session_timeout":"1s"}`, 400, "invalid", "session_timeout"},
			{"POST", "g/join", `{"topics":["a"],"rebalance_timeout":"1h"}`, 400, "invalid", "rebalance_timeout"},
			{"POST", "g/join", `{"topics":["a"],"wait":"2m"}`, 400, "invalid", "wait"},
			{"POST", "g/join", `{"topics":["a"],"from":"@noon"}`, 400, "invalid", "from"},
			{"POST", "h/join", `{"topics":["a"],"from":"garbage"}`, 400, "bad-cursor", "from"},
			{"POST", "g/join", `{"topics":["a"],"member":"gone"}`, 409, "conflict", "member"},
			{"POST", "a%2Fb/join", `{"topics":["a"]}`, 400, "invalid", "group"},
			{"POST", "~g/join", `{"topics":["a"]}`, 400, "invalid", "group"},

			{"GET", "g/events?" + "generation=1", "", 409, "conflict", "member"},
			{"GET", "g/events?member=" + m.Member, "", 400, "invalid", "generation"},
			{"GET", "g/events?generation=-1&member=" + m.Member, "", 400, "invalid", "generation"},
			{"GET", "g/events?generation=7&member=" + m.Member, "", 409, "conflict", "generation"},
			{"GET", "g/events?generation=1&generation=1&member=" + m.Member, "", 400, "invalid", "generation"},
			{"GET", "g/events?generation=1&limit=0&member=" + m.Member, "", 400, "invalid", "limit"},
			{"GET", "g/events?generation=1&max_bytes=x&member=" + m.Member, "", 400, "invalid", "max_bytes"},
			{"GET", "g/events?generation=1&wait=56s&member=" + m.Member, "", 400, "invalid", "wait"},
			{"GET", "g/events?generation=1&after=garbage&member=" + m.Member, "", 400, "bad-cursor", "after"},
			{"GET", "none/events?generation=1&member=" + m.Member, "", 404, "not-found", "group"},

			{"POST", "g/commit", "{" + member + `,"generation":1}`, 400, "invalid", "cursor"},
			{"POST", "g/commit", "{" + member + `,"generation":1,"cursor":"garbage"}`, 400, "bad-cursor", "cursor"},
			{"POST", "g/commit", "{" + member + `,"generation":"1"}`, 400, "invalid", "generation"},
			{"POST", "g/commit", "{" + member + `,"generation":0,"positions":[{"topic":"a","partition":0,"position":1}]}`, 409, "conflict", "generation"},
			{"POST", "g/commit", `{"member":"x","generation":1,"positions":[{"topic":"a","partition":0,"position":1}]}`, 409, "conflict", "member"},
			{"POST", "g/commit", `{"positions":[{"topic":"a","partition":0,"position":1}]}`, 409, "conflict", "member"},
			{"POST", "g/commit", "{" + member + `,"generation":1,"positions":[{"topic":"a","partition":0,"position":0}]}`, 400, "invalid", "positions[0].position"},
			{"POST", "g/commit", "{" + member + `,"generation":1,"positions":[{"topic":"a","partition":0,"position":99}]}`, 422, "unprocessable", "positions[0].position"},
			{"POST", "g/commit", "{" + member + `,"generation":1,"positions":[{"topic":"a","partition":5,"position":1}]}`, 404, "not-found", "positions[0].partition"},
			{"POST", "g/commit", "{" + member + `,"generation":1,"positions":[{"topic":"z","partition":0,"position":1}]}`, 404, "not-found", "topic"},
			{"POST", "none/commit", "{" + member + `,"generation":1,"cursor":"x"}`, 404, "not-found", "group"},

			{"POST", "g/heartbeat", `{"member":"x","generation":1}`, 409, "conflict", "member"},
			{"POST", "g/heartbeat", "{" + member + `,"generation":3}`, 409, "conflict", "generation"},
			{"POST", "g/leave", `{"member":"x"}`, 409, "conflict", "member"},
			{"POST", "g/leave", `["x"]`, 400, "invalid", "body"},

			{"POST", "g/seek", "{}", 400, "invalid", "to"},
			{"POST", "g/seek", `{"to":"@noon"}`, 400, "invalid", "to"},
			{"POST", "g/seek", `{"to":"garbage"}`, 400, "bad-cursor", "to"},
			{"POST", "g/seek", `{"to":"latest","topics":["a..b"]}`, 400, "invalid", "topics[0]"},
			{"POST", "g/seek", `{"to":"latest","positions":[{"topic":"a","partition":0,"position":1}]}`, 400, "invalid", "to"},
			{"POST", "g/seek", `{"positions":[{"topic":"a","partition":0,"position":99}]}`, 422, "unprocessable", "positions[0].position"},
			{"POST", "none/seek", `{"to":"latest"}`, 404, "not-found", "group"},
			{"POST", "none/seek", `{"to":"latest","topics":["a"],"dry_run":true}`, 404, "not-found", "group"},

			{"DELETE", "g", "", 409, "conflict", "group"},
			{"DELETE", "g?force=perhaps", "", 400, "invalid", "force"},
			{"DELETE", "none", "", 404, "not-found", "group"},
			{"GET", "none", "", 404, "not-found", "group"},
		} {
			res, body := r.do(c.method, "/v1/groups/"+c.path, c.body)
			p := parseProblem(t, res, body)
			if res.StatusCode != c.status || p.Type != c.code || p.Field != c.field {
				t.Errorf("%s %s %s: %d %+v, want %d %s of %q", c.method, c.path, c.body, res.StatusCode, p, c.status, c.code, c.field)
			}
		}
		for _, q := range []string{"limit=0", "limit=1001", "limit=x"} {
			if res, _ := r.do("GET", "/v1/groups?"+q, ""); res.StatusCode != 400 {
				t.Errorf("%s: %d", q, res.StatusCode)
			}
		}
		for _, q := range []string{"partition=-1", "partition=x", "partition="} {
			if res, _ := r.do("GET", events+"?after=earliest&"+q, ""); res.StatusCode != 400 {
				t.Errorf("%s: %d", q, res.StatusCode)
			}
		}
		if res, _ := r.do("GET", events+"?after=earliest&partition=1", ""); res.StatusCode != 404 {
			t.Errorf("no such partition: %d", res.StatusCode)
		}
		if g := r.showGroup("g"); g.Generation != 1 || len(g.Members) != 1 || g.Partitions[0].Committed != 0 {
			t.Errorf("what was refused has changed the group: %+v", g)
		}
	})
}
