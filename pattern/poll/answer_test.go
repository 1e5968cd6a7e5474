package poll

import (
	"encoding/json"
	"testing"

	"github.com/parleyhq/parley"
)

func TestAppendPage(t *testing.T) {
	raw := func(events ...string) (all []json.RawMessage) {
		for _, e := range events {
			all = append(all, json.RawMessage(e))
		}
		return all
	}
	for _, row := range []struct {
		page Page
		want string
	}{
		{Page{Cursor: "c"}, `{"events":[],"cursor":"c","more":false,"new_messages":0}`},
		{Page{Events: raw(`{"a": 1.0}`, `"<&>"`), Cursor: "c2", More: true}, `{"events":[{"a": 1.0},"<&>"],"cursor":"c2","more":true,"new_messages":2}`},
		{Page{Events: raw("", "1"), Cursor: "c"}, `{"events":[null,1],"cursor":"c","more":false,"new_messages":2}`},
	} {
		got := AppendPage([]byte("x"), row.page)
		if string(got) != "x"+row.want || !json.Valid(got[1:]) {
			t.Errorf("got  %s\nwant x%s", got, row.want)
		}
	}
}

func TestNotModified(t *testing.T) {
	page := Page{Cursor: "abc"}
	for match, want := range map[string]bool{
		"": false, "*": true, " * ": true, `"abc"`: true, `W/"abc"`: true, `"x", "abc"`: true, `"x",,W/"y" ,"abc"`: true,
		`"abc+"`: false, `"ab"`: false, "abc": false, `"x`: false, `"x" abc`: false, `"a,abc"`: false, `"x,", "abc"`: true, `w/"abc"`: false,
	} {
		if got := (Request{IfNoneMatch: match}).NotModified(page); got != want {
			t.Errorf("If-None-Match %s: %v, want %v", match, got, want)
		}
	}
	if (Request{IfNoneMatch: `"abc"`}).NotModified(Page{Cursor: "abc", More: true}) {
		t.Error("more turned to true and the answer counts as the same")
	}
}

func TestPageCheck(t *testing.T) {
	for _, p := range []Page{{}, {Cursor: `a"b`}, {Cursor: "a b"}, {Cursor: "c", Events: make([]json.RawMessage, 3)}} {
		if err := p.Check(2); parley.CodeOf(err) != parley.Internal || err == nil {
			t.Errorf("%+v: %v, want internal", p, err)
		}
	}
	if err := (Page{Cursor: "c", Events: make([]json.RawMessage, 2)}).Check(2); err != nil {
		t.Error(err)
	}
}
