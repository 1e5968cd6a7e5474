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

// TryData tells how the data of an event of a type, "" for none in particular,
// breaks the newest schemas of a topic; nil when it does not. Errors: NotFound, also
// when no schema is for such an event.
func (r *Registry) TryData(name, kind string, data []byte) (*Failure, error) {
	key, err := r.keyOf(name, kind)
	if err != nil {
		return nil, err
	}
	found := false
	for _, a := range (*r.table.Load())[name] {
		if a.key.epoch != key.epoch || a.key.kind != "" && a.key.kind != kind || a.doc == nil {
			continue
		}
		found = true
		if f := a.doc.check(data); f != nil {
			return f, nil
		}
	}
	if !found {
		return nil, notFound(name, kind)
	}
	return nil, nil
}
