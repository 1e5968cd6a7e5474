package httpapi

import (
	"net/http"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/wire/door"
)

// ErrorInfo is one entry of the error registry.
type ErrorInfo struct {
	Type    string `json:"type"`
	Status  int    `json:"status"`
	Title   string `json:"title"`
	Meaning string `json:"meaning"`
}

func (a *API) metaRoutes() []door.Route {
	return []door.Route{
		{
			Method: http.MethodGet, Path: "/v1/openapi.json", Name: "openapi", Summary: "This API as an OpenAPI 3.1 document.", Media: []string{"application/json"},
			Handle: func(c *door.Call) error { return answerJSON(c.W, http.StatusOK, OpenAPI(a.routes, a.opt.Version)) }, Example: `curl http://127.0.0.1:7275/v1/openapi.json`,
		},
		{
			Method: http.MethodGet, Path: "/v1/asyncapi.json", Name: "asyncapi", Summary: "The streams of this API as an AsyncAPI 3.0 document.", Media: []string{"application/json"},
			Handle: func(c *door.Call) error { return answerJSON(c.W, http.StatusOK, AsyncAPI(a.routes, a.opt.Version)) }, Example: `curl http://127.0.0.1:7275/v1/asyncapi.json`,
		},
		{
			Method: http.MethodGet, Path: "/v1/errors", Name: "errors", Summary: "Every error that the server tells, with its meaning.",
			Answer: []ErrorInfo{}, Handle: a.errors, Example: `curl http://127.0.0.1:7275/v1/errors`,
		},
	}
}

func (a *API) errors(c *door.Call) error {
	var out []ErrorInfo
	for _, info := range parley.Codes() {
		out = append(out, ErrorInfo{Type: door.ProblemType + info.Name, Status: door.Status(info.Code), Title: info.Title, Meaning: info.Meaning})
	}
	return answerJSON(c.W, http.StatusOK, out)
}
