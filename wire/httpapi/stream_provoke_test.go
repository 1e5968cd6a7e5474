package httpapi

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing/synctest"

	"github.com/parleyhq/parley"
)

// joinGroup lets a member into a group, which has to work.
func (r *rig) joinGroup(name, body string) JoinAnswer {
	r.t.Helper()
	res, answer := r.do("POST", "/v1/groups/"+name+"/join", body)
	var in JoinAnswer
	if err := json.Unmarshal([]byte(answer), &in); err != nil || res.StatusCode != http.StatusOK {
		r.t.Fatalf("%d %s", res.StatusCode, answer)
	}
	return in
}

// instead sends the sample with another body.
func (p *provoker) instead(body string) (*http.Response, string) {
	return p.send(func(path, _ string) (string, string) { return path, strings.ReplaceAll(body, "{member}", p.member) })
}

// streamProvoked are the ways to have errors of groups that others have otherwise.
var streamProvoked = map[parley.Code]func(p *provoker) (*http.Response, string){
	parley.NotFound: func(p *provoker) (*http.Response, string) {
		if p.route.Name == "group-join" {
			return p.instead(`{"topics":["missing"]}`)
		}
		return p.elsewhere("missing")
	},
	parley.BadCursor: func(p *provoker) (*http.Response, string) {
		switch p.route.Name {
		case "group-join":
			return p.send(func(path, _ string) (string, string) {
				return strings.ReplaceAll(path, "/a/", "/b/"), `{"topics":["a"],"from":"garbage"}`
			})
		case "group-commit":
			return p.instead(`{"member":"{member}","generation":1,"cursor":"garbage"}`)
		case "group-seek":
			return p.instead(`{"to":"garbage"}`)
		}
		return p.query("after=garbage")
	},
	parley.Trimmed: func(p *provoker) (*http.Response, string) {
		if p.route.Name == "group-events" {
			return provoked[parley.Trimmed](p)
		}
		p.must("a", "{}", "{}")
		p.must("a", "{}")
		t, _ := p.topics.Get("a")
		if err := p.rig.log.Trim(p.t.Context(), t.Partitions[0].Stream, 3); err != nil {
			p.t.Fatal(err)
		}
		return p.instead(`{"positions":[{"topic":"a","partition":0,"position":1}]}`)
	},
	parley.Unprocessable: func(p *provoker) (*http.Response, string) {
		if p.route.Name == "group-join" {
			p.do("PUT", "/v1/topics/third", `{"durability":"memory"}`)
			return p.instead(`{"topics":["third"]}`)
		}
		return p.instead(`{"positions":[{"topic":"a","partition":0,"position":99}]}`)
	},
	parley.Conflict: func(p *provoker) (*http.Response, string) {
		switch p.route.Name {
		case "group-delete":
			return p.send(nil) // it has a member
		case "group-join":
			return p.instead(`{"topics":["a"],"member":"x"}`)
		}
		p.do("POST", "/v1/groups/a/leave", `{"member":"`+p.member+`"}`)
		p.joinGroup("a", `{"topics":["a"]}`)
		return p.send(nil)
	},
	parley.Overloaded: func(p *provoker) (*http.Response, string) {
		if p.route.Name == "group-events" {
			p.hold()
			return p.query("wait=5s")
		}
		p.joinGroup("second", `{"topics":["a"]}`)
		return p.send(func(path, body string) (string, string) {
			return strings.ReplaceAll(path, "/a/", "/third/"), strings.ReplaceAll(body, `"earliest"`, `"earliest","topics":["a"]`)
		})
	},
	parley.Unavailable: func(p *provoker) (*http.Response, string) { // nobody owns the group
		p.abdicate()
		synctest.Wait()
		return p.send(nil)
	},
	// The first who is in the middle of a change does not know what came of it; all
	// others are told that there is no room.
	parley.Unknown: func(p *provoker) (*http.Response, string) { return p.unkept(parley.Unknown, false) },
	parley.Full:    func(p *provoker) (*http.Response, string) { return p.unkept(parley.Full, true) },
}

func (p *provoker) unkept(code parley.Code, second bool) (*http.Response, string) {
	p.must("a", "{}")
	switch p.route.Name {
	case "group-delete":
		p.do("POST", "/v1/groups/a/leave", `{"member":"`+p.member+`"}`)
	case "group-events": // who asks in a rebalance is back, and the next generation begins
		p.joinGroup("a", `{"topics":["a"],"wait":"0s"}`)
	}
	p.log.code.Store(int32(code))
	defer p.log.code.Store(0)
	if second {
		p.do("POST", "/v1/groups/a/join", `{"topics":["a"]}`)
	}
	return p.send(nil)
}
