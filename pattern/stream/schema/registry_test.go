package schema

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/engine/memlog"
)

// desk is a node: topics whose events are checked by schemas.
type desk struct {
	t       testing.TB
	topics  *topic.Registry
	schemas *Registry
}

func newDesk(t testing.TB, log parley.Log) *desk {
	t.Helper()
	d := &desk{t: t, schemas: New(log, Options{Logger: slog.New(slog.DiscardHandler)})}
	d.topics = topic.New(log, topic.Options{AutoCreate: true, Check: d.schemas.Check})
	if err := d.topics.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := d.schemas.Load(t.Context(), d.topics); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *desk) create(name string) topic.Topic {
	d.t.Helper()
	made, err := d.topics.Create(d.t.Context(), name, topic.Settings{})
	if err != nil {
		d.t.Fatal(err)
	}
	return made
}

func (d *desk) put(name, kind, text string, rule Rule) (Version, bool) {
	d.t.Helper()
	v, created, err := d.schemas.Put(d.t.Context(), name, kind, []byte(text), rule)
	if err != nil {
		d.t.Fatal(err)
	}
	return v, created
}

func (d *desk) publish(name, kind, data string) error {
	_, _, err := d.topics.Publish(d.t.Context(), name, []parley.Event{{Type: kind, DataContentType: "application/json", Data: []byte(data)}}, topic.PublishOptions{})
	return err
}

func wantCode(t testing.TB, err error, code parley.Code, field string) *parley.Error {
	t.Helper()
	var e *parley.Error
	if !errors.As(err, &e) || e.Code != code || e.Field != field || e.Detail == "" || e.Fix == "" {
		t.Fatalf("got %v, want %v (%s) with detail and fix", err, code, field)
	}
	return e
}

const closedOrder = `{"type":"object","properties":{"id":{"type":"integer"}},"required":["id"],"additionalProperties":false}`

func TestEventsAreHeldToTheirSchema(t *testing.T) {
	d := newDesk(t, memlog.New(memlog.Options{}))
	d.create("orders")
	if err := d.publish("orders", "", `"anything"`); err != nil {
		t.Fatal(err)
	}
	if v, created := d.put("orders", "", ` { "type" : "object" } `, ""); v.Version != 1 || !created || v.Compatibility != Backward || string(v.Schema) != `{"type":"object"}` {
		t.Fatalf("%+v %v", v, created)
	}
	d.put("orders", "order.made", closedOrder, None)
	for _, c := range []struct{ kind, data, path, keyword string }{
		{"", `{}`, "", ""},
		{"order.made", `{"id":1}`, "", ""},
		{"other", `{"id":"x"}`, "", ""},
		{"other", `7`, "", "type"},
		{"order.made", `{"id":"x"}`, "/id", "type"},
		{"order.made", `{`, "", "-"},
	} {
		err := d.publish("orders", c.kind, c.data)
		if c.keyword == "" {
			if err != nil {
				t.Errorf("%+v: %v", c, err)
			}
			continue
		}
		e := wantCode(t, err, parley.Unprocessable, "data")
		var f *Failure
		if !errors.As(err, &f) || f.Path != c.path || f.Keyword != strings.Trim(c.keyword, "-") || !strings.HasSuffix(e.Detail, f.Error()) {
			t.Errorf("%+v: %v", c, err)
		}
		if pointer, _ := f.Pointer(); pointer != "#"+c.path {
			t.Error(pointer)
		}
	}
	for what, e := range map[string]parley.Event{"no data": {}, "text": {DataContentType: "text/plain", Data: []byte(`{}`)}} {
		_, _, err := d.topics.Publish(t.Context(), "orders", []parley.Event{e}, topic.PublishOptions{})
		if parley.CodeOf(err) != parley.Unprocessable {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, kind := range []string{"", "application/cloudevents+json", "Application/JSON; charset=utf-8"} {
		if _, _, err := d.topics.Publish(t.Context(), "orders", []parley.Event{{DataContentType: kind, Data: []byte(`{}`)}}, topic.PublishOptions{}); err != nil {
			t.Errorf("%q: %v", kind, err)
		}
	}
	if err := d.publish("~orders", "", `7`); parley.CodeOf(err) != parley.Unprocessable {
		t.Errorf("an ephemeral event: %v", err)
	}
}

func TestVersionsAndRules(t *testing.T) {
	log := memlog.New(memlog.Options{})
	d := newDesk(t, log)
	d.create("orders")
	d.put("orders", "", closedOrder, "")
	if v, created := d.put("orders", "", closedOrder, ""); v.Version != 1 || created {
		t.Errorf("the same again: %+v %v", v, created)
	}
	narrower := strings.Replace(closedOrder, `"required":["id"]`, `"required":["id","x"]`, 1)
	_, _, err := d.schemas.Put(t.Context(), "orders", "", []byte(narrower), "")
	e := wantCode(t, err, parley.Unprocessable, "schema")
	var all *Incompatible
	if !errors.As(err, &all) || all.Conflicts[0].Path != "/required" || all.Conflicts[0].Version != 1 || all.Conflicts[0].Direction != Backward || !strings.Contains(e.Fix, "none") {
		t.Errorf("%v", err)
	}
	if conflicts, err := d.schemas.Try("orders", "", []byte(narrower), ""); err != nil || len(conflicts) == 0 {
		t.Errorf("%v %v", conflicts, err)
	}
	if conflicts, err := d.schemas.Try("orders", "", []byte(narrower), Forward); err != nil || len(conflicts) > 0 {
		t.Errorf("%v %v", conflicts, err)
	}
	wider := `{"type":"object","properties":{"id":{"type":"integer"}},"additionalProperties":false}`
	if v, _ := d.put("orders", "", wider, ""); v.Version != 2 {
		t.Errorf("%+v", v)
	}
	if v, _ := d.put("orders", "", wider, BackwardTransitive); v.Version != 2 || v.Compatibility != BackwardTransitive {
		t.Errorf("another rule alone: %+v", v)
	}
	d.put("orders", "", `{"type":"string"}`, None)
	if conflicts, err := d.schemas.Try("orders", "", []byte(`{"type":["string","null"]}`), Backward); err != nil || conflicts != nil {
		t.Errorf("%v %v", conflicts, err)
	}
	conflicts, err := d.schemas.Try("orders", "", []byte(`{"type":["string","null"]}`), BackwardTransitive)
	if err != nil || len(conflicts) == 0 || conflicts[0].Version != 2 {
		t.Errorf("a transitive rule looks at all: %v %v", conflicts, err)
	}
	again := newDesk(t, log)
	for _, d := range []*desk{d, again} {
		list, err := d.schemas.Versions("orders", "")
		if err != nil || len(list) != 3 || list[2].Version != 3 || list[0].Schema != nil {
			t.Errorf("%+v %v", list, err)
		}
		if v, err := d.schemas.Get("orders", "", 1); err != nil || string(v.Schema) != closedOrder {
			t.Errorf("%+v %v", v, err)
		}
		if err := d.publish("orders", "", `{"id":1}`); parley.CodeOf(err) != parley.Unprocessable {
			t.Error(err)
		}
	}
	_, err = d.schemas.Get("orders", "", 9)
	wantCode(t, err, parley.NotFound, "version")
	if err := d.schemas.Delete(t.Context(), "orders", ""); err != nil {
		t.Fatal(err)
	}
	_, err = d.schemas.Get("orders", "", 0)
	wantCode(t, err, parley.NotFound, "schema")
	wantCode(t, d.schemas.Delete(t.Context(), "orders", ""), parley.NotFound, "schema")
	if err := d.publish("orders", "", `7`); err != nil {
		t.Error(err)
	}
	if v, created := d.put("orders", "", `true`, ""); v.Version != 4 || !created || v.Compatibility != Backward {
		t.Errorf("numbers are not used again: %+v %v", v, created)
	}
}

func TestASchemaGoesWithItsTopic(t *testing.T) {
	log := memlog.New(memlog.Options{})
	d := newDesk(t, log)
	d.create("orders")
	d.put("orders", "", closedOrder, "")
	if err := d.topics.Delete(t.Context(), "orders"); err != nil {
		t.Fatal(err)
	}
	d.create("orders")
	for _, d := range []*desk{d, newDesk(t, log)} {
		if err := d.publish("orders", "", `7`); err != nil {
			t.Error(err)
		}
		_, err := d.schemas.Get("orders", "", 0)
		wantCode(t, err, parley.NotFound, "schema")
	}
	if v, created := d.put("orders", "", `true`, ""); v.Version != 1 || !created {
		t.Errorf("%+v", v)
	}
	if n := len(d.schemas.machine.subjects); n != 1 {
		t.Errorf("%d subjects are remembered", n)
	}
	for name, code := range map[string]parley.Code{"missing": parley.NotFound, "~orders": parley.Invalid, "$topics": parley.Forbidden, "a b": parley.Invalid} {
		_, _, err := d.schemas.Put(t.Context(), name, "", []byte(`true`), "")
		wantCode(t, err, code, "topic")
	}
	_, _, err := d.schemas.Put(t.Context(), "orders", "a\x01", []byte(`true`), "")
	wantCode(t, err, parley.Invalid, "type")
	list, err := d.schemas.Subjects("orders")
	if err != nil || len(list) != 1 || list[0].Version != 1 {
		t.Errorf("%+v %v", list, err)
	}
}

func TestNodesWriteAndFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := memlog.New(memlog.Options{})
		a := newDesk(t, log)
		a.create("orders")
		b := newDesk(t, log)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- b.schemas.Run(ctx) }()
		a.put("orders", "", `{"type":"object"}`, None)
		synctest.Wait()
		if err := b.publish("orders", "", `7`); parley.CodeOf(err) != parley.Unprocessable {
			t.Error(err)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		var wg sync.WaitGroup
		for i := range 10 {
			for j, d := range []*desk{a, b} {
				wg.Go(func() { d.put("orders", fmt.Sprint("t", i, j), `{"type":"object"}`, "") })
			}
		}
		wg.Wait()
		if list, err := newDesk(t, log).schemas.Subjects("orders"); err != nil || len(list) != 21 {
			t.Errorf("%d %v", len(list), err)
		}
	})
}

// TestWhatIsNotUnderstoodLetsNothingThrough has the schema of a later program.
func TestWhatIsNotUnderstoodLetsNothingThrough(t *testing.T) {
	log := memlog.New(memlog.Options{})
	d := newDesk(t, log)
	made := d.create("orders")
	write := func(kind, data string) {
		t.Helper()
		batch, err := parley.NewBatch(time.Unix(0, 0), parley.Event{ID: "1", Source: source, Type: kind, Subject: "orders", Data: []byte(data)})
		if err == nil {
			_, err = log.Append(t.Context(), parley.Write{Stream: parley.Stream{Name: Stream}, Batch: batch})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	write("parley.schema.blessed", `?`)
	write(TypePut, fmt.Sprintf(`{"epoch":%d,"version":3,"compatibility":"backward","schema":{"$dynamicRef":"#x"}}`, made.Epoch))
	if err := d.schemas.roll.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantCode(t, d.publish("orders", "", `{}`), parley.Unprocessable, "data")
	_, _, err := d.schemas.Put(t.Context(), "orders", "", []byte(`true`), "")
	wantCode(t, err, parley.Unprocessable, "schema")
	d.put("orders", "", `true`, None)
	write(TypePut, fmt.Sprintf(`{"epoch":%d,"version":2,"schema":true}`, made.Epoch))
	if err := d.schemas.Run(t.Context()); parley.CodeOf(err) != parley.Damaged {
		t.Errorf("%v: damage is never taken for nothing", err)
	}
}

func TestThereAreBounds(t *testing.T) {
	m := &machine{subjects: map[subjectKey]*subject{}}
	s := &subject{last: MaxVersions}
	for range MaxVersions {
		s.versions = append(s.versions, stored{})
	}
	m.subjects[subjectKey{topic: "a"}] = s
	_, err := m.put(subjectKey{topic: "a"}, []byte(`true`), None)
	wantCode(t, err, parley.Overloaded, "schema")
	m.bytes = MaxBytes
	_, err = m.put(subjectKey{topic: "b"}, []byte(`true`), None)
	wantCode(t, err, parley.Overloaded, "schema")
	for i := range MaxSubjects {
		m.subjects[subjectKey{topic: fmt.Sprint(i)}] = &subject{}
	}
	m.bytes = 0
	_, err = m.put(subjectKey{topic: "b"}, []byte(`true`), None)
	wantCode(t, err, parley.Overloaded, "schema")
}

func BenchmarkCheck(b *testing.B) {
	d := newDesk(b, memlog.New(memlog.Options{}))
	plain, checked := d.create("plain"), d.create("checked")
	d.put("checked", "", closedOrder, "")
	e := &parley.Event{Data: []byte(`{"id":12}`)}
	b.Run("without", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if d.schemas.Check(&plain) != nil {
				b.Fatal("checked")
			}
		}
	})
	b.Run("with", func(b *testing.B) {
		b.ReportAllocs()
		check := d.schemas.Check(&checked)
		for b.Loop() {
			if err := check(e); err != nil {
				b.Fatal(err)
			}
		}
	})
}
