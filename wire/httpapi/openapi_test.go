package httpapi

import (
	"encoding/json"
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with a file of the repository.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run go test ./wire/httpapi -update", err)
	}
	if string(want) != got {
		t.Errorf("%s is not current; run go test ./wire/httpapi -update and read the difference", path)
	}
}

const generated = "# Made from the table of routes in wire/httpapi; see go test ./wire/httpapi -update.\n"

func document(t *testing.T, r *rig, path string) map[string]any {
	t.Helper()
	res, body := r.do("GET", path, "")
	var doc map[string]any
	if err := json.Unmarshal([]byte(body), &doc); err != nil || res.StatusCode != 200 {
		t.Fatalf("%s: %d %v", path, res.StatusCode, err)
	}
	return doc
}

func TestDocumentsAreCurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(s *setup) { s.Version = "0" })
		for path, file := range map[string]string{"/v1/openapi.json": "openapi.yaml", "/v1/asyncapi.json": "asyncapi.yaml"} {
			doc := document(t, r, path)
			golden(t, file, generated+yamlOf(t, doc))
			checkRefs(t, file, doc, doc)
		}
	})
}

// checkRefs resolves every $ref of a document within it.
func checkRefs(t *testing.T, file string, doc map[string]any, at any) {
	t.Helper()
	switch at := at.(type) {
	case []any:
		for _, v := range at {
			checkRefs(t, file, doc, v)
		}
	case map[string]any:
		ref, ok := at["$ref"].(string)
		for _, v := range at {
			checkRefs(t, file, doc, v)
		}
		if !ok {
			return
		}
		var target any = doc
		for step := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
			m, _ := target.(map[string]any)
			if target = m[step]; target == nil {
				t.Errorf("%s: %s leads nowhere", file, ref)
				return
			}
		}
	}
}

func TestOpenAPIIsWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		doc := document(t, r, "/v1/openapi.json")
		ids := map[string]bool{}
		operations := 0
		for path, item := range doc["paths"].(map[string]any) {
			for method, op := range item.(map[string]any) {
				operations++
				checkOperation(t, method+" "+path, path, op.(map[string]any), ids)
			}
		}
		byPath := map[string]bool{}
		for _, route := range r.api.Routes() {
			byPath[route.Method+" "+route.Path] = true
			if route.Summary == "" || route.Example == "" || route.Name == "" {
				t.Errorf("%s %s says too little about itself", route.Method, route.Path)
			}
		}
		if operations != len(byPath) {
			t.Errorf("%d operations for %d routes", operations, len(byPath))
		}
	})
}

var inPath = regexp.MustCompile(`\{([a-z]+)\}`)

func checkOperation(t *testing.T, name, path string, op map[string]any, ids map[string]bool) {
	t.Helper()
	id := op["operationId"].(string)
	if ids[id] {
		t.Errorf("%s: the id %s comes twice", name, id)
	}
	ids[id] = true
	declared, seen := map[string]bool{}, map[string]bool{}
	for _, p := range op["parameters"].([]any) {
		p := p.(map[string]any)
		key := p["in"].(string) + " " + p["name"].(string)
		if seen[key] || p["schema"] == nil {
			t.Errorf("%s: parameter %s comes twice or has no schema", name, key)
		}
		seen[key] = true
		declared[p["name"].(string)] = p["in"] == "path" && p["required"] == true
	}
	for _, m := range inPath.FindAllStringSubmatch(path, -1) {
		if !declared[m[1]] {
			t.Errorf("%s: {%s} is not declared", name, m[1])
		}
	}
	success := false
	for status, response := range op["responses"].(map[string]any) {
		success = success || status[0] == '2' || status == "101"
		if response.(map[string]any)["description"] == "" {
			t.Errorf("%s: %s has no description", name, status)
		}
	}
	if !success {
		t.Errorf("%s never succeeds", name)
	}
}

func TestAsyncAPIHasEveryStream(t *testing.T) {
	r := newRig(t, nil)
	doc := AsyncAPI(r.api.Routes(), "1")
	channels := doc["channels"].(map[string]any)
	for _, route := range r.api.Routes() {
		c, there := channels[route.Name].(map[string]any)
		if streams := route.Pattern == "sse" || route.Pattern == "websocket"; there != streams || there && c["address"] != route.Path {
			t.Errorf("%s: %v", route.Name, c)
		}
	}
}
