package httpapi

import (
	"strings"
	"testing"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/queue"
)

// Each kind of JSON in place of each other: the error names the member, or the
// body, and speaks of JSON alone.
func TestJSONOfTheWrongKind(t *testing.T) {
	kinds := map[string]string{"object": `{}`, "array": `[]`, "string": `"s"`, "number": `7`, "boolean": `true`}
	type value struct {
		Object  struct{}       `json:"object"`
		Map     map[string]int `json:"map"`
		Array   []bool         `json:"array"`
		String  string         `json:"string"`
		ID      queue.ID       `json:"id"`
		Number  *float64       `json:"number"`
		Whole   uint16         `json:"whole"`
		Boolean bool           `json:"boolean"`
	}
	members := map[string]string{"object": "object", "map": "object", "array": "array", "string": "string", "id": "string", "number": "number", "whole": "number", "boolean": "boolean"}
	check := func(into any, body, field, got, wanted string) {
		t.Helper()
		err := decodeStrict([]byte(body), into)
		want := parley.Error{Code: parley.Invalid, Field: field, Detail: "is a JSON " + got, Fix: "send a JSON " + wanted}
		if e, ok := err.(*parley.Error); !ok || *e != want {
			t.Errorf("%s: %#v, want %#v", body, err, want)
		}
	}
	for got, text := range kinds {
		for member, wanted := range members {
			if got != wanted {
				check(new(value), `{"`+member+`":`+text+`}`, member, got, wanted)
				check(&struct {
					In []value `json:"in"`
				}{}, `{"in":[{"`+member+`":`+text+`}]}`, "in."+member, got, wanted)
			}
		}
		if got != "object" {
			check(new(value), text, "body", got, "object")
			check(&struct {
				*queue.Schedule
				Job strictly `json:"job"`
			}{}, text, "body", got, "object")
		}
		if got != "array" {
			check(new([]value), text, "body", got, "array")
		}
	}
}

// A member of a struct that is embedded is a member like the others.
func TestJSONOfTheWrongKindInWhatIsEmbedded(t *testing.T) {
	type Inner struct {
		Deep []string `json:"deep"`
	}
	type outer struct {
		*Inner
		Named Inner   `json:"named"`
		List  []Inner `json:"list"`
	}
	for body, field := range map[string]string{
		`{"deep":1}`:            "deep",
		`{"named":{"deep":1}}`:  "named.deep",
		`{"list":[{"deep":1}]}`: "list.deep",
	} {
		err := decodeStrict([]byte(body), &outer{Inner: new(Inner)})
		if e, ok := err.(*parley.Error); !ok || e.Field != field {
			t.Errorf("%s: %v, want the field %s", body, err, field)
		}
	}
	var in queue.Schedule
	err := decodeStrict([]byte(`{"cron":5}`), &struct {
		*queue.Schedule
		Job strictly `json:"job"`
	}{&in, strictly{&in.Job}})
	if e, ok := err.(*parley.Error); !ok || e.Field != "cron" || e.Fix != "send a JSON string" {
		t.Errorf("%#v", err)
	}
}

func TestJSONThatDoesNotFit(t *testing.T) {
	type value struct {
		Small  uint8     `json:"small"`
		Signed *int16    `json:"signed"`
		Large  uint64    `json:"large"`
		Broken float64   `json:"broken"`
		When   time.Time `json:"when"`
	}
	const rfc3339 = `send a string like "2026-01-02T15:04:05Z"`
	for body, want := range map[string]parley.Error{
		`{"small":256}`:      {Field: "small", Detail: "is the number 256", Fix: "send a whole number from 0 to 255"},
		`{"small":-1}`:       {Field: "small", Detail: "is the number -1", Fix: "send a whole number from 0 to 255"},
		`{"signed":0.5}`:     {Field: "signed", Detail: "is the number 0.5", Fix: "send a whole number from -32768 to 32767"},
		`{"large":1e3}`:      {Field: "large", Detail: "is the number 1e3", Fix: "send a whole number from 0 to 18446744073709551615"},
		`{"broken":1e99999}`: {Field: "broken", Detail: "is the number 1e99999", Fix: "send a number nearer to zero"},
		`{"large":` + strings.Repeat("9", 100_000) + `}`: {Field: "large", Detail: "is the number " + strings.Repeat("9", 40), Fix: "send a whole number from 0 to 18446744073709551615"},
		`{"when":5}`:           {Field: "body", Detail: "a time in it is not one of RFC 3339", Fix: rfc3339},
		`{"when":"yesterday"}`: {Field: "body", Detail: "a time in it is not one of RFC 3339", Fix: rfc3339},
		`{"other":1}`:          {Field: "other", Detail: "no such member", Fix: "see /v1/openapi.json for the members"},
		`{} {}`:                {Field: "body", Detail: "something follows the JSON value", Fix: "send one JSON value"},
	} {
		want.Code = parley.Invalid
		err := decodeStrict([]byte(body), new(value))
		if e, ok := err.(*parley.Error); !ok || *e != want {
			t.Errorf("%.60s: %#v, want %#v", body, err, want)
		}
	}
}

// What is decoded by a type of its own is told the same way.
func TestStrictJSONOfTheWrongKind(t *testing.T) {
	for text, kind := range map[string]string{`[]`: "array", `"s"`: "string", `7`: "number", `true`: "boolean"} {
		for field, into := range map[string]any{"job": &strictly{new(queue.Job)}, "settings": &strictly{new(queue.Settings)}} {
			err := decodeStrict([]byte(text), into)
			if e, ok := err.(*parley.Error); !ok || e.Code != parley.Invalid || e.Field != field || e.Detail != "is a JSON "+kind || !strings.HasPrefix(e.Fix, "send an object like {") {
				t.Errorf("%s for %s: %#v", text, field, err)
			}
		}
	}
}
