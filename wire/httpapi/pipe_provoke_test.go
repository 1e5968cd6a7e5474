package httpapi

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/parleyhq/parley"
)

// readyPipe makes pipe a, a shelf of stages that it uses, and one that it does not.
func (r *rig) readyPipe(t testing.TB) {
	t.Helper()
	for _, put := range [][2]string{{"lib", `{"stages": {"x": "where data.n > 1"}}`}, {"a", `{"steps": [{"topic": "a"}, {"use": "lib.x"}, {"topic": "b"}]}`}} {
		if res, answer := r.do("PUT", "/v1/pipes/"+put[0], put[1]); res.StatusCode != http.StatusCreated {
			t.Fatal(answer)
		}
	}
}

// pipeProvoked are the ways to have errors of pipes that others have otherwise.
var pipeProvoked = map[parley.Code]func(p *provoker) (*http.Response, string){
	parley.NotFound: func(p *provoker) (*http.Response, string) {
		return p.send(func(path, _ string) (string, string) { return strings.Replace(path, "pipes/a", "pipes/missing", 1), "" })
	},
	parley.Conflict: func(p *provoker) (*http.Response, string) {
		if p.route.Name == "pipe-delete" {
			return p.elsewhere("lib")
		}
		return p.do("PUT", "/v1/pipes/a", `{"steps": "topic a | batch 3 | topic b"}`)
	},
	parley.Unprocessable: func(p *provoker) (*http.Response, string) {
		if p.route.Name == "pipe-test" {
			return p.do("POST", "/v1/pipes/a/test", "") // it has no tests
		}
		return p.elsewhere("lib")
	},
	parley.Unavailable: func(p *provoker) (*http.Response, string) {
		if p.route.Name == "pipe-stats" || p.route.Name == "pipe-tap" {
			p.abdicate()
			synctest.Wait() // until the owners have ended
			return p.send(nil)
		}
		return faultedPipe(parley.Unavailable)(p)
	},
	parley.Full:    faultedPipe(parley.Full),
	parley.Unknown: faultedPipe(parley.Unknown),
	parley.Overloaded: func(p *provoker) (*http.Response, string) {
		if p.route.Name == "pipe-tap" {
			for range maxTaps {
				p.api.taps <- struct{}{}
			}
			return p.send(nil)
		}
		p.do("PUT", "/v1/pipes/third", `{"steps": "topic a | topic b"}`)
		return p.elsewhere("fourth")
	},
}

func faultedPipe(code parley.Code) func(p *provoker) (*http.Response, string) {
	return func(p *provoker) (*http.Response, string) {
		if p.route.Name == "pipe-start" {
			p.do("POST", "/v1/pipes/a/pause", "")
		}
		return p.fault(code)
	}
}
