package parley_test

import (
	"strings"
	"testing"

	"github.com/parleyhq/parley"
)

// The encodings of the JSON event format, each with what it means. A row whose
// text is canonical must come out as it went in.
func TestJSONGolden(t *testing.T) {
	for _, c := range []struct {
		rule, text string
		canonical  bool
		data       string // "" = none
		typ        string // datacontenttype
	}{
		{"no data", `{"specversion":"1.0","id":"1","source":"/s","type":"t"}`, true, "", ""},
		{"JSON data is a JSON value", `{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"application/json","data":{"a": [1.00, "\u00e9"] }}`, true, `{"a": [1.00, "\u00e9"] }`, "application/json"},
		{"a JSON string keeps its quotes", `{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"application/json","data":"hi"}`, true, `"hi"`, "application/json"},
		{"JSON null is data", `{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"application/json","data":null}`, true, `null`, "application/json"},
		{"+json is JSON", `{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"application/geo+json","data":1}`, true, `1`, "application/geo+json"},
		{"no content type: JSON", `{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"a":1}}`, false, `{"a":1}`, "application/json"},
		{"text is a string", `{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"text/xml","data":"<much wow=\"xml\"/>"}`, true, `<much wow="xml"/>`, "text/xml"},
		{"a string for other types", `{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"application/xml","data":"<a/>"}`, false, `<a/>`, "application/xml"},
		{"a value for a type that is not JSON", `{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"application/xml","data":{"a": 1}}`, false, `{"a": 1}`, "application/xml"},
		{"binary is base64", `{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"image/png","data_base64":"AAEC/w=="}`, true, "\x00\x01\x02\xff", "image/png"},
		{"base64 without a content type", `{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":"eA=="}`, true, "x", ""},
		{"base64 of JSON", `{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"application/json","data_base64":"IDEg"}`, true, " 1 ", "application/json"},
		{"null base64 is absent", `{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":null}`, false, "", ""},
		{"every attribute, in order", `{"specversion":"1.0","id":"A234-1234-1234","source":"/mycontext","type":"com.example.someevent","subject":"s","time":"2018-04-05T17:31:00Z","datacontenttype":"application/json","dataschema":"https://example.com/s","comexampleextension1":"value","partitionkey":"k"}`, true, "", "application/json"},
		{"extensions of other types", `{"specversion":"1.0","id":"1","source":"/s","type":"t","flag":true,"num":-0,"big":2147483647,"nil":null,"subject":null}`, false, "", ""},
		{"the last of two", `{"specversion":"1.0","id":"1","source":"/s","type":"u","type":"t","subject":"x","subject":null,"data":1,"data":2,"datacontenttype":"application/json"}`, false, "2", "application/json"},
		{"white space and escapes", " {\n\"spec\\u0076ersion\" : \"1.\\u0030\" ,\t\"id\":\"1\",\r\"source\":\"\\/s\",\"type\":\"t\" , \"datacontenttype\":\"a/b+json\",\"data\" : [ \"]\\\"}\" , {} ] } ", false, `[ "]\"}" , {} ]`, "a/b+json"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			e, err := parley.ParseJSON([]byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			if string(e.Data) != c.data || (e.Data == nil) != (c.data == "") {
				t.Errorf("data is %q, want %q", e.Data, c.data)
			}
			if e.DataContentType != c.typ {
				t.Errorf("datacontenttype is %q, want %q", e.DataContentType, c.typ)
			}
			if got := string(e.AppendJSON(nil)); c.canonical && got != c.text {
				t.Errorf("written as\n%s, want\n%s", got, c.text)
			}
		})
	}
}

// Data that some encoding could spoil, with every kind of content type.
func TestJSONAwkwardData(t *testing.T) {
	for _, data := range []string{"", " ", "1 ", "\n1", "\"\xff\"", "\xff", "\ufeff1", "a\x00b", "\r\n", "{}{}", "\"\\ud800\"", "tru", "\u2028", "\"\u2028\""} {
		for _, contentType := range []string{"", "application/json", "text/json", "a/b+json", "text/plain", "text/plain; charset=latin1", "image/png", "application/cloudevents+json"} {
			want := parley.Event{ID: "1", Source: "/", Type: "t", DataContentType: contentType, Data: []byte(data)}
			text := want.AppendJSON(nil)
			got, err := parley.ParseJSON(text)
			if err != nil {
				t.Errorf("%s: %v", text, err)
				continue
			}
			sameEvent(t, got, want)
		}
	}
}

func TestJSONScalars(t *testing.T) {
	e, err := parley.ParseJSON([]byte(`{"specversion":"1.0","id":"1","source":"/s","type":"t","flag":true,"off":false,"num":-7,"zero":-0,"nil":null,"empty":""}`))
	if err != nil {
		t.Fatal(err)
	}
	sameEvent(t, e, parley.Event{ID: "1", Source: "/s", Type: "t", Extensions: map[string]string{"flag": "true", "off": "false", "num": "-7", "zero": "0"}})
}

func TestJSONRefused(t *testing.T) {
	with := func(members string) string {
		return `{"specversion":"1.0","id":"1","source":"/s","type":"t",` + members + `}`
	}
	many := strings.Repeat(`"id":"1",`, 80) + `"id":"1"`
	for _, c := range []struct{ rule, text, field string }{
		{"not JSON", `{"id":`, "body"},
		{"not an object", `[]`, "body"},
		{"null", `null`, "body"},
		{"empty", ``, "body"},
		{"two values", `{} {}`, "body"},
		{"not UTF-8", "{\"id\":\"\xff\"}", "body"},
		{"specversion missing", `{"id":"1","source":"/s","type":"t"}`, "specversion"},
		{"specversion of another version", `{"specversion":"0.3","id":"1","source":"/s","type":"t"}`, "specversion"},
		{"specversion as a number", `{"specversion":1.0,"id":"1","source":"/s","type":"t"}`, "specversion"},
		{"id missing", `{"specversion":"1.0","source":"/s","type":"t"}`, "id"},
		{"id null", with(`"id":null`), "id"},
		{"id as a number", with(`"id":1`), "id"},
		{"a name in capitals", with(`"traceParent":"x"`), "traceParent"},
		{"a number that is no name's fault", with(`"A":1.5`), "A"},
		{"a fraction", with(`"a":1.5`), "a"},
		{"beyond 32 bits", with(`"a":2147483648`), "a"},
		{"an object", with(`"a":{}`), "a"},
		{"time", with(`"time":"yesterday"`), "time"},
		{"time with one digit", with(`"time":"2018-04-05T7:31:00Z"`), "time"},
		{"time with a comma", with(`"time":"2018-04-05T17:31:00,5Z"`), "time"},
		{"data twice", with(`"data":1,"data_base64":"eA=="`), "data"},
		{"base64 not a string", with(`"data_base64":1`), "data_base64"},
		{"base64 without padding", with(`"data_base64":"eA"`), "data_base64"},
		{"base64 for URLs", with(`"data_base64":"_-8="`), "data_base64"},
		{"source not a URI", with(`"source":"a b"`), "source"},
		{"too many members", with(many), "body"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			_, err := parley.ParseJSON([]byte(c.text))
			refused(t, err, parley.Invalid, c.field)
		})
	}
}

// An event that its receiver completes may lack what is required, and nothing
// else.
func TestParsePartialJSON(t *testing.T) {
	got, err := parley.ParsePartialJSON([]byte(`{"data":{"a": 1},"x":true}`))
	if err != nil {
		t.Fatal(err)
	}
	sameEvent(t, got, parley.Event{DataContentType: "application/json", Data: []byte(`{"a": 1}`), Extensions: map[string]string{"x": "true"}})
	for text, field := range map[string]string{
		`[]`: "body", `{`: "body", `{"specversion":"0.3"}`: "specversion", `{"source":"a b"}`: "source", `{"time":"now"}`: "time", `{"id":1}`: "id", `{"A":1}`: "A",
	} {
		_, err := parley.ParsePartialJSON([]byte(text))
		refused(t, err, parley.Invalid, field)
	}
}

func TestJSONBatchRefused(t *testing.T) {
	for _, c := range []struct{ rule, text, field string }{
		{"null", `null`, "body"},
		{"an object", `{}`, "body"},
		{"an element that is no object", `[{"specversion":"1.0","id":"1","source":"/s","type":"t"},null]`, "events[1]"},
		{"an element without an id", `[{"specversion":"1.0","source":"/s","type":"t"}]`, "events[0].id"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			_, err := parley.ParseJSONBatch([]byte(c.text))
			refused(t, err, parley.Invalid, c.field)
		})
	}
	const elements = parley.MaxBatchEvents + 1
	_, err := parley.ParseJSONBatch([]byte("[" + strings.Repeat(`{"specversion":"1.0","id":"1","source":"/s","type":"t"},`, elements-1) + "{}]"))
	refused(t, err, parley.TooLarge, "body")
	if events, err := parley.ParseJSONBatch([]byte(" [ ] ")); err != nil || len(events) != 0 {
		t.Errorf("the empty batch gives %d events, %v", len(events), err)
	}
}

func TestAppendJSONString(t *testing.T) {
	for in, want := range map[string]string{
		"":                         `""`,
		"a\"\\/\n\r\t\x00\x1f\x7f": `"a\"\\/\n\r\t\u0000\u001f\u007f"`,
		"é\u2028😀<>&":              "\"é\u2028😀<>&\"",
		"\xff\xed\xa0\x80":         "\"\ufffd\ufffd\ufffd\ufffd\"",
	} {
		if got := string(parley.AppendJSONString(nil, in)); got != want {
			t.Errorf("%q is written as %s, want %s", in, got, want)
		}
	}
}

func TestMediaTypes(t *testing.T) {
	for in, want := range map[string][2]bool{ // JSON, text
		"application/json": {true, false}, "Application/JSON;charset=utf-8": {true, false}, "text/json": {true, true},
		"application/a+json": {true, false}, "application/jsonx": {false, false}, "+json": {false, false}, "json": {false, false},
		"text/plain": {false, true}, "TEXT/Plain": {false, true}, "text/plain; charset=UTF-8": {false, true}, "text/plain; charset=latin1": {false, false},
		"text/": {false, false}, "": {false, false}, "text/plain; charset": {false, false},
	} {
		if got := [2]bool{parley.IsJSON(in), parley.IsText(in)}; got != want {
			t.Errorf("%q: JSON, text = %v, want %v", in, got, want)
		}
	}
}
