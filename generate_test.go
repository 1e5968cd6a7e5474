package parley_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"time"

	"pgregory.net/rapid"

	"github.com/parleyhq/parley"
)

// textRunes are the characters of attributes in the property tests: plain ones,
// those that some encoding must escape, and wide ones.
var textRunes = []rune(` aZ09-_.:/?#%"\'<>&=;,+*~é€😀` + "\u2028\u00a0")

func genText(minimum int) *rapid.Generator[string] {
	return rapid.StringOfN(rapid.SampledFrom(textRunes), minimum, 20, -1)
}

var (
	genSource = rapid.OneOf(rapid.StringMatching(`/[a-z0-9.~_-]{0,10}(\?a=%2F)?(#[a-z]*)?`), rapid.SampledFrom([]string{"urn:x:1", "https://example.com/a?b=c", "mailto:a@b.c"}))
	genType   = rapid.SampledFrom([]string{"", "application/json", "text/json", "Application/JSON; charset=utf-8", "application/cloudevents+json", "application/vnd.a+json", "text/plain", "text/plain; charset=iso-8859-1", `text/html; charset="utf-8"`, "application/octet-stream", "image/png"})
	genTime   = rapid.Custom(func(t *rapid.T) time.Time {
		if rapid.Bool().Draw(t, "no time") {
			return time.Time{}
		}
		zone := time.FixedZone("", 60*rapid.IntRange(-23*60, 23*60).Draw(t, "zone minutes"))
		return time.Unix(rapid.Int64Range(-62135596800+86400, 253402300799-86400).Draw(t, "seconds"), rapid.Int64Range(0, 999999999).Draw(t, "nanos")).In(zone)
	})
	genData = rapid.OneOf(
		rapid.Just([]byte(nil)), rapid.Just([]byte{}),
		rapid.SliceOf(rapid.Byte()),
		rapid.Map(genText(0), func(s string) []byte { return []byte(s) }),
		rapid.Map(genText(0), func(s string) []byte { b, _ := json.Marshal(map[string]any{s: []string{s}}); return b }),
		rapid.SampledFrom([][]byte{[]byte("null"), []byte(" 1"), []byte("{}\n"), []byte(`{"a": 1.0e0,  "a":"\u00e9"}`), []byte(`"x"`), []byte("\"\xff\""), []byte("a\x00\r\n\tb\x7f"), []byte("tru")}))
)

// genEvent draws events that pass Check.
var genEvent = rapid.Custom(func(t *rapid.T) parley.Event {
	e := parley.Event{
		ID:              genText(1).Draw(t, "id"),
		Source:          genSource.Draw(t, "source"),
		Type:            genText(1).Draw(t, "type"),
		Subject:         genText(0).Draw(t, "subject"),
		Time:            genTime.Draw(t, "time"),
		DataContentType: genType.Draw(t, "datacontenttype"),
		DataSchema:      rapid.SampledFrom([]string{"", "https://example.com/s.json", "urn:s"}).Draw(t, "dataschema"),
		Data:            genData.Draw(t, "data"),
	}
	for range rapid.IntRange(0, 4).Draw(t, "extensions") {
		name := rapid.StringMatching(`[a-z0-9]{1,20}`).Draw(t, "name")
		if parley.CheckExtensionName(name) == nil {
			e.Set(name, genText(1).Draw(t, name))
		}
	}
	if rapid.Bool().Draw(t, "keyed") {
		e.Set(parley.PartitionKey, genText(1).Draw(t, "key"))
	}
	return e
})

// reporter is what a test and a property have in common.
type reporter interface {
	Helper()
	Errorf(format string, args ...any)
}

// sameEvent reports every difference between two events; data must be the same
// bytes, and nil where it was nil.
func sameEvent(t reporter, got, want parley.Event) {
	t.Helper()
	for _, f := range []struct{ name, got, want string }{
		{"id", got.ID, want.ID},
		{"source", got.Source, want.Source},
		{"type", got.Type, want.Type},
		{"subject", got.Subject, want.Subject},
		{"datacontenttype", got.DataContentType, want.DataContentType},
		{"dataschema", got.DataSchema, want.DataSchema},
		{"time", got.Time.Format(time.RFC3339Nano), want.Time.Format(time.RFC3339Nano)},
	} {
		if f.got != f.want {
			t.Errorf("%s is %q, want %q", f.name, f.got, f.want)
		}
	}
	if !maps.Equal(got.Extensions, want.Extensions) {
		t.Errorf("extensions are %q, want %q", got.Extensions, want.Extensions)
	}
	if !bytes.Equal(got.Data, want.Data) || (got.Data == nil) != (want.Data == nil) {
		t.Errorf("data is %q, want %q", got.Data, want.Data)
	}
}
