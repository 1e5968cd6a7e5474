package schema

import (
	"strconv"
	"strings"

	"github.com/parleyhq/parley"
)

// check holds one event to the schema.
func (a *active) check(e *parley.Event) error {
	fix := "send data as the schema has it: GET /v1/topics/" + a.key.topic + "/schema"
	if a.key.kind != "" {
		fix += "?type=" + a.key.kind
	}
	if a.doc == nil {
		return &parley.Error{Code: parley.Unprocessable, Field: "data", Detail: "the schema of " + a.key.topic + " is not understood by this server, which is older than the one that took it", Fix: "publish through a newer server"}
	}
	f := a.failure(e)
	if f == nil {
		return nil
	}
	return &parley.Error{Code: parley.Unprocessable, Field: "data", Detail: a.name() + ": " + f.Error(), Fix: fix, Err: f}
}

func (a *active) name() string {
	name := "breaks the schema of " + a.key.topic
	if a.key.kind != "" {
		name += " for " + a.key.kind
	}
	return name + ", version " + strconv.Itoa(a.version)
}

func (a *active) failure(e *parley.Event) *Failure {
	if len(e.Data) == 0 {
		return &Failure{Text: "is absent: the event has no data"}
	}
	if !isJSON(e.DataContentType) {
		return &Failure{Text: "is " + e.DataContentType + ", not JSON"}
	}
	return a.doc.check(e.Data)
}

// isJSON says whether a media type is one of JSON; data without a type is JSON, as
// CloudEvents has it (JSON format §3.1).
func isJSON(mediaType string) bool {
	media, _, _ := strings.Cut(mediaType, ";")
	media = strings.ToLower(strings.TrimSpace(media))
	return media == "" || media == "application/json" || media == "text/json" || strings.HasSuffix(media, "+json")
}

// Pointer tells doors where the failure is: a JSON Pointer as a URI fragment, as
// RFC 9457 has it in its examples, and the keyword.
func (f *Failure) Pointer() (pointer, keyword string) { return "#" + f.Path, f.Keyword }

func noVersion(topic string, number, newest int) error {
	return &parley.Error{Code: parley.NotFound, Field: "version", Detail: "the schema of " + topic + " has no version " + strconv.Itoa(number), Fix: "the newest is " + strconv.Itoa(newest) + "; see GET /v1/topics/" + topic + "/schema/versions"}
}
