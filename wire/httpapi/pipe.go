package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pipe/declared"
	"github.com/parleyhq/parley/pattern/pipe/graph"
	"github.com/parleyhq/parley/pattern/sse"
	"github.com/parleyhq/parley/wire/door"
)

// PipeList is the pipes, without their definitions.
type PipeList struct {
	Pipes []declared.Info `json:"pipes"`
}

// PipeTests is how the tests of a definition went.
type PipeTests struct {
	Passed int             `json:"passed"`
	Failed int             `json:"failed"`
	Tests  []graph.Verdict `json:"tests"`
}

func (a *API) pipeRoutes() []door.Route {
	if a.opt.Pipes == nil {
		return nil
	}
	written := codes(bodyErrors, storeErrors, []parley.Code{parley.Conflict, parley.Overloaded, parley.Unavailable, parley.Full})
	asked := []parley.Code{parley.NotFound, parley.Unprocessable, parley.Unavailable}
	changed := codes(ownerErrors, storeErrors, []parley.Code{parley.Unprocessable})
	routes := []door.Route{
		{
			Method: http.MethodGet, Path: "/v1/pipes", Name: "pipe-list", Pattern: "pipe", Summary: "List the pipes that the caller may administer.",
			Answer: PipeList{}, Handle: a.pipeList,
			Example: `curl http://127.0.0.1:7275/v1/pipes`,
		},
		{
			Method: http.MethodGet, Path: "/v1/pipes/{pipe}", Name: "pipe-show", Pattern: "pipe", Summary: "Show a pipe: its definition, and what it is to do.",
			Verb: "admin", On: "pipe", Answer: declared.Info{}, Errors: []parley.Code{parley.NotFound}, Handle: a.pipeShow,
			Example: `curl http://127.0.0.1:7275/v1/pipes/big-orders`,
		},
		{
			Method: http.MethodPut, Path: "/v1/pipes/{pipe}", Name: "pipe-put", Pattern: "pipe", Summary: "Make a pipe, or change its definition while it runs; the body is YAML or JSON. The topics that it reads and writes need read and publish.",
			Verb: "admin", On: "pipe", Answer: declared.Info{}, Errors: written, Handle: a.pipePut,
			Params: []door.Param{
				{Name: "drain", In: "query", Type: "boolean", Default: "false", Description: "when stages cannot go on in their state: let out what they keep, and begin anew"},
				{Name: "state", In: "query", Type: "string", Description: "what the pipe is to do: running (a new pipe's default), paused or stopped; absent: what it does"},
			},
			Example: `curl -X PUT --data-binary @big-orders.yaml http://127.0.0.1:7275/v1/pipes/big-orders`,
		},
		{
			Method: http.MethodDelete, Path: "/v1/pipes/{pipe}", Name: "pipe-delete", Pattern: "pipe", Summary: "Delete a pipe with its state and its place; what it published stays.",
			Verb: "admin", On: "pipe", Status: http.StatusNoContent, Handle: a.pipeDelete, Errors: codes(ownerErrors, storeErrors, []parley.Code{parley.Conflict}),
			Example: `curl -X DELETE http://127.0.0.1:7275/v1/pipes/big-orders`,
		},
		{
			Method: http.MethodGet, Path: "/v1/pipes/{pipe}/stats", Name: "pipe-stats", Pattern: "pipe", Summary: "Show what a pipe does now: events in and out, lag, and each step's events, errors and time.",
			Verb: "admin", On: "pipe", Answer: declared.Stats{}, Errors: asked, Handle: a.pipeStats,
			Example: `curl http://127.0.0.1:7275/v1/pipes/big-orders/stats`,
		},
		{
			Method: http.MethodGet, Path: "/v1/pipes/{pipe}/tap", Name: "pipe-tap", Pattern: "pipe", Summary: "Stream what passes a step, before and after, as server-sent events; what is too much is counted in dropped.",
			Verb: "admin", On: "pipe", Media: []string{sse.ContentType}, Errors: codes(asked, []parley.Code{parley.Invalid, parley.Overloaded}), Handle: a.pipeTap,
			Params:  []door.Param{{Name: "step", In: "query", Type: "string", Description: "path or name of the step, as in the pipe's stats"}},
			Example: `curl -N 'http://127.0.0.1:7275/v1/pipes/big-orders/tap?step=2'`,
		},
		{
			Method: http.MethodPost, Path: "/v1/pipes/{pipe}/check", Name: "pipe-check", Pattern: "pipe", Summary: "Say what is wrong with a definition, by line, and what its steps do; nothing is stored. Without a body it is that of the pipe.",
			Verb: "admin", On: "pipe", Answer: declared.Report{}, Errors: codes(bodyErrors, []parley.Code{parley.NotFound}), Handle: a.pipeCheck,
			Example: `curl --data-binary @big-orders.yaml http://127.0.0.1:7275/v1/pipes/big-orders/check`,
		},
		{
			Method: http.MethodPost, Path: "/v1/pipes/{pipe}/test", Name: "pipe-test", Pattern: "pipe", Summary: "Run the tests in a definition, touching no topic. Without a body it is that of the pipe.",
			Verb: "admin", On: "pipe", Answer: PipeTests{}, Errors: codes(bodyErrors, []parley.Code{parley.NotFound, parley.Unprocessable}), Handle: a.pipeTest,
			Example: `curl --data-binary @big-orders.yaml http://127.0.0.1:7275/v1/pipes/big-orders/test`,
		},
	}
	return append(routes, a.pipeVerbs(changed)...)
}

// pipeVerbs are the routes that say what a pipe is to do.
func (a *API) pipeVerbs(changed []parley.Code) (routes []door.Route) {
	for _, verb := range []struct {
		name, says string
		state      declared.State
	}{
		{"start", "Have a pipe run: also the end of a pause.", declared.Running},
		{"pause", "Have a pipe do nothing for a while; what it has not read is kept for it.", declared.Paused},
		{"stop", "Have a pipe end; it goes on where it was when it is started, with what its topics have then.", declared.Stopped},
	} {
		routes = append(routes, door.Route{
			Method: http.MethodPost, Path: "/v1/pipes/{pipe}/" + verb.name, Name: "pipe-" + verb.name, Pattern: "pipe", Summary: verb.says,
			Verb: "admin", On: "pipe", Status: http.StatusNoContent, Errors: changed,
			Handle: func(c *door.Call) error {
				if err := a.opt.Pipes.Set(c.Context(), c.R.PathValue("pipe"), verb.state); err != nil {
					return err
				}
				c.W.WriteHeader(http.StatusNoContent)
				return nil
			},
			Example: `curl -X POST http://127.0.0.1:7275/v1/pipes/big-orders/` + verb.name,
		})
	}
	return routes
}

func (a *API) pipeList(c *door.Call) error {
	if c.Who.Anonymous && len(c.Who.Scopes) == 0 {
		return c.Allow("admin", "") // who may see nothing is told so, not that there is nothing
	}
	out := PipeList{Pipes: []declared.Info{}}
	for _, p := range a.opt.Pipes.List() {
		if c.Allow("admin", p.Name) == nil {
			out.Pipes = append(out.Pipes, p)
		}
	}
	return answerJSON(c.W, http.StatusOK, out)
}

func (a *API) pipeShow(c *door.Call) error { return a.answerPipe(c, http.StatusOK) }

func (a *API) answerPipe(c *door.Call, status int) error {
	info, err := a.opt.Pipes.Get(c.Context(), c.R.PathValue("pipe"))
	if err != nil {
		return err
	}
	return answerJSON(c.W, status, info)
}

func (a *API) pipePut(c *door.Call) error {
	drain, err := boolParam(c.Query, "drain")
	if err != nil {
		return err
	}
	state, err := param(c.Query, "state")
	if err != nil {
		return err
	}
	body, err := a.read(c)
	if err != nil {
		return err
	}
	defer body.free()
	name, text := c.R.PathValue("pipe"), body.Bytes() // the registry copies
	touched, err := a.opt.Pipes.Touches(c.Context(), name, text, declared.Remote)
	if err != nil {
		return err
	}
	if err := door.AllowTopics(c.Allow, touched.Reads, touched.Writes); err != nil {
		return err
	}
	_, created, err := a.opt.Pipes.Put(c.Context(), name, text, declared.PutOptions{Drain: drain, State: declared.State(state)})
	if err != nil {
		return err
	}
	if created {
		return a.answerPipe(c, http.StatusCreated)
	}
	return a.answerPipe(c, http.StatusOK)
}

func (a *API) pipeDelete(c *door.Call) error {
	if err := a.opt.Pipes.Delete(c.Context(), c.R.PathValue("pipe")); err != nil {
		return err
	}
	c.W.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) pipeStats(c *door.Call) error {
	s, err := a.opt.Pipes.Stats(c.Context(), c.R.PathValue("pipe"))
	if err != nil {
		return err
	}
	return answerJSON(c.W, http.StatusOK, s)
}

// definition is that of the body, or else of the pipe of the path.
func (a *API) definition(c *door.Call) ([]byte, declared.Origin, error) {
	body, err := a.read(c)
	if err != nil {
		return nil, "", err
	}
	defer body.free()
	if body.Len() > 0 {
		return append([]byte(nil), body.Bytes()...), declared.Remote, nil
	}
	info, err := a.opt.Pipes.Get(c.Context(), c.R.PathValue("pipe"))
	return []byte(info.Definition), info.Origin, err
}

func (a *API) pipeCheck(c *door.Call) error {
	text, origin, err := a.definition(c)
	if err != nil {
		return err
	}
	report, err := a.opt.Pipes.Check(c.Context(), c.R.PathValue("pipe"), text, origin)
	if err != nil {
		return err
	}
	return answerJSON(c.W, http.StatusOK, report)
}

// testTime bounds the tests of one request.
const testTime = 20 * time.Second

func (a *API) pipeTest(c *door.Call) error {
	text, origin, err := a.definition(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Context(), testTime)
	defer cancel()
	verdicts, err := a.opt.Pipes.Test(ctx, c.R.PathValue("pipe"), text, origin)
	if err != nil {
		return err
	}
	out := PipeTests{Tests: verdicts}
	for _, v := range verdicts {
		if v.Passed {
			out.Passed++
		} else {
			out.Failed++
		}
	}
	return answerJSON(c.W, http.StatusOK, out)
}
