package parley_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/parleyhq/parley"
)

func TestCheck(t *testing.T) {
	long := strings.Repeat("x", 8<<10+1)
	many := map[string]string{}
	for i := range parley.MaxExtensions + 1 {
		many["x"+strings.Repeat("a", i%60)+string(rune('0'+i/60))] = "v"
	}
	for _, c := range []struct {
		rule   string
		change func(*parley.Event)
		code   parley.Code
		field  string // "" = valid
	}{
		{"the smallest event is valid", func(e *parley.Event) {}, 0, ""},
		{"id is required", func(e *parley.Event) { e.ID = "" }, parley.Invalid, "id"},
		{"source is required", func(e *parley.Event) { e.Source = "" }, parley.Invalid, "source"},
		{"type is required", func(e *parley.Event) { e.Type = "" }, parley.Invalid, "type"},
		{"id is bounded", func(e *parley.Event) { e.ID = long[:1025] }, parley.TooLarge, "id"},
		{"id may be as long as its bound", func(e *parley.Event) { e.ID = long[:1024] }, 0, ""},
		{"subject is bounded", func(e *parley.Event) { e.Subject = long[:1025] }, parley.TooLarge, "subject"},
		{"an extension is bounded", func(e *parley.Event) { e.Set("a", long) }, parley.TooLarge, "a"},
		{"an extension may be as long as its bound", func(e *parley.Event) { e.Set("a", long[1:]) }, 0, ""},
		{"no C0 control", func(e *parley.Event) { e.Subject = "a\nb" }, parley.Invalid, "subject"},
		{"no DEL", func(e *parley.Event) { e.Subject = "\x7f" }, parley.Invalid, "subject"},
		{"no C1 control", func(e *parley.Event) { e.Type = "\u0085" }, parley.Invalid, "type"},
		{"no NUL in an extension", func(e *parley.Event) { e.Set("a", "\x00") }, parley.Invalid, "a"},
		{"UTF-8 only", func(e *parley.Event) { e.ID = "a\xff" }, parley.Invalid, "id"},
		{"no surrogate", func(e *parley.Event) { e.ID = "\xed\xa0\x80" }, parley.Invalid, "id"},
		{"no noncharacter U+FFFE", func(e *parley.Event) { e.ID = "\ufffe" }, parley.Invalid, "id"},
		{"no noncharacter U+FDD0", func(e *parley.Event) { e.ID = "\ufdd0" }, parley.Invalid, "id"},
		{"no noncharacter U+10FFFF", func(e *parley.Event) { e.ID = "\U0010ffff" }, parley.Invalid, "id"},
		{"the replacement character is text", func(e *parley.Event) { e.ID = "\ufffd" }, 0, ""},
		{"wide text is text", func(e *parley.Event) { e.Subject = "日本 😀" }, 0, ""},
		{"source is a URI reference: no space", func(e *parley.Event) { e.Source = "/a b" }, parley.Invalid, "source"},
		{"source is a URI reference: ASCII", func(e *parley.Event) { e.Source = "/é" }, parley.Invalid, "source"},
		{"source is a URI reference: whole escapes", func(e *parley.Event) { e.Source = "/%2" }, parley.Invalid, "source"},
		{"source may be relative", func(e *parley.Event) { e.Source = "sensors/tn-1234567/alerts" }, 0, ""},
		{"source may have an authority alone", func(e *parley.Event) { e.Source = "//event.example.com/a%20b?c=[::1]#d" }, 0, ""},
		{"dataschema is absolute", func(e *parley.Event) { e.DataSchema = "/schema.json" }, parley.Invalid, "dataschema"},
		{"dataschema needs more than a scheme", func(e *parley.Event) { e.DataSchema = "urn:" }, parley.Invalid, "dataschema"},
		{"dataschema is a URI", func(e *parley.Event) { e.DataSchema = "https://example.com/s" }, 0, ""},
		{"datacontenttype has a subtype", func(e *parley.Event) { e.DataContentType = "json" }, parley.Invalid, "datacontenttype"},
		{"datacontenttype has a type", func(e *parley.Event) { e.DataContentType = "/json" }, parley.Invalid, "datacontenttype"},
		{"datacontenttype has tokens", func(e *parley.Event) { e.DataContentType = "a/b/c" }, parley.Invalid, "datacontenttype"},
		{"datacontenttype has no space around it", func(e *parley.Event) { e.DataContentType = "a/b " }, parley.Invalid, "datacontenttype"},
		{"datacontenttype is ASCII", func(e *parley.Event) { e.DataContentType = `a/b; c="é"` }, parley.Invalid, "datacontenttype"},
		{"datacontenttype has whole parameters", func(e *parley.Event) { e.DataContentType = "a/b; c=" }, parley.Invalid, "datacontenttype"},
		{"datacontenttype may have parameters", func(e *parley.Event) { e.DataContentType = `text/plain; charset="utf-8"; x=y` }, 0, ""},
		{"time: year 10000", func(e *parley.Event) { e.Time = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, parley.Invalid, "time"},
		{"time: year 0", func(e *parley.Event) { e.Time = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC) }, parley.Invalid, "time"},
		{"time: offset with seconds", func(e *parley.Event) { e.Time = time.Unix(0, 0).In(time.FixedZone("", 3601)) }, parley.Invalid, "time"},
		{"time: offset of a day", func(e *parley.Event) { e.Time = time.Unix(0, 0).In(time.FixedZone("", 86400)) }, parley.Invalid, "time"},
		{"time: any other", func(e *parley.Event) { e.Time = time.Unix(0, 1).In(time.FixedZone("", -86340)) }, 0, ""},
		{"too many extensions", func(e *parley.Event) { e.Extensions = many }, parley.Invalid, "extensions"},
		{"extension names: lower case", func(e *parley.Event) { e.Set("traceParent", "v") }, parley.Invalid, "traceParent"},
		{"extension names: no separators", func(e *parley.Event) { e.Set("a-b", "v") }, parley.Invalid, "a-b"},
		{"extension names: not empty", func(e *parley.Event) { e.Set("", "v") }, parley.Invalid, ""},
		{"extension names: bounded", func(e *parley.Event) { e.Set(long[:65], "v") }, parley.Invalid, long[:64] + "…"},
		{"extension names: not a standard one", func(e *parley.Event) { e.Set("subject", "v") }, parley.Invalid, "subject"},
		{"extension names: not data", func(e *parley.Event) { e.Set("data", "v") }, parley.Invalid, "data"},
		{"extension names: letters and digits", func(e *parley.Event) { e.Set("0a9", "v") }, 0, ""},
	} {
		t.Run(c.rule, func(t *testing.T) {
			e := parley.Event{ID: "1", Source: "/s", Type: "t"}
			c.change(&e)
			err := e.Check()
			if valid := c.code == 0; valid {
				if err != nil {
					t.Fatalf("refused: %v", err)
				}
				return
			}
			refused(t, err, c.code, c.field)
		})
	}
}

// refused expects an error with code and field, with a detail and a fix.
func refused(t *testing.T, err error, code parley.Code, field string) {
	t.Helper()
	e, ok := err.(*parley.Error) // it must be ours, not only wrap ours
	if !ok {
		t.Fatalf("error is %v (%T), want a *parley.Error", err, err)
	}
	if e.Code != code || e.Field != field {
		t.Fatalf("error is %s (%q), want %s (%q): %v", e.Code, e.Field, code, field, e)
	}
	if e.Detail == "" || e.Fix == "" {
		t.Fatalf("error %+v lacks detail or fix", e)
	}
}

func TestSetAndClone(t *testing.T) {
	e := parley.Event{ID: "1", Source: "/s", Type: "t", Data: []byte{}}
	e.Set("a", "1")
	e.Set("b", "2")
	e.Set("a", "")
	c := e.Clone()
	sameEvent(t, c, e)
	e.Set("b", "3")
	if c.Extensions["b"] != "2" || c.Data == nil {
		t.Errorf("clone shares with its original: %+v", c)
	}
	if _, there := e.Extensions["a"]; there {
		t.Error("setting the empty value keeps the extension")
	}
	if e.Key() != "" {
		t.Error("an event without a key has one")
	}
}

func TestJSONRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := genEvent.Draw(t, "event")
		text := want.AppendJSON(nil)
		got, err := parley.ParseJSON(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		sameEvent(t, got, want)
		for _, text := range [][]byte{text, want.AppendJSONBase64(nil)} {
			if got, err = parley.ParsePartialJSON(text); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			sameEvent(t, got, want)
		}
	})
}

func TestJSONBatchRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(genEvent, 0, 4).Draw(t, "events")
		text := parley.AppendJSONBatch(nil, want)
		got, err := parley.ParseJSONBatch(text)
		if err != nil || len(got) != len(want) {
			t.Fatalf("%s: %d events, %v", text, len(got), err)
		}
		for i := range got {
			sameEvent(t, got[i], want[i])
		}
	})
}

func TestHTTPRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := genEvent.Draw(t, "event")
		if strings.HasPrefix(want.DataContentType, "application/cloudevents") {
			want.DataContentType = "" // binary mode cannot carry an event format
		}
		header := map[string][]string{}
		want.WriteHTTP(header)
		for name, values := range header {
			for i := range len(values[0]) {
				if c := values[0][i]; c < 0x20 || c > 0x7e {
					t.Fatalf("header %s: %q is not printable ASCII", name, values[0])
				}
			}
		}
		got, mode, err := parley.ParseHTTP(header, want.Data)
		if err != nil || mode != parley.Binary || len(got) != 1 {
			t.Fatalf("%v: mode %s, %v", header, mode, err)
		}
		sameEvent(t, got[0], want)
	})
}

func TestRecordRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.UnixMilli(rapid.Int64Range(0, 1<<42).Draw(t, "at")).UTC()
		want := rapid.SliceOfN(genEvent, 1, 5).Draw(t, "events")
		b := parley.Builder{Codec: rapid.SampledFrom([]parley.Codec{parley.None, parley.Gzip}).Draw(t, "codec")}
		for i := range want {
			if err := b.Add(at.Add(time.Duration(i)*time.Millisecond), &want[i]); err != nil {
				t.Fatal(err)
			}
		}
		batch, err := b.Batch()
		if err != nil {
			t.Fatal(err)
		}
		if batch, err = parley.ParseBatch(batch.Bytes()); err != nil {
			t.Fatal(err)
		}
		i := 0
		for rec, err := range batch.Records() {
			if err != nil {
				t.Fatal(err)
			}
			if string(rec.Key) != want[i].Key() || (rec.Key == nil) != (want[i].Key() == "") {
				t.Fatalf("key of the record is %q, of the event %q", rec.Key, want[i].Key())
			}
			got, err := rec.Event()
			if err != nil {
				t.Fatal(err)
			}
			if want[i].Time.IsZero() {
				want[i].Time = at.Add(time.Duration(i) * time.Millisecond)
			}
			sameEvent(t, got, want[i])
			i++
		}
		if i != len(want) {
			t.Fatalf("%d of %d records", i, len(want))
		}
	})
}
