package policy

import (
	"errors"
	"strings"
	"testing"

	"github.com/parleyhq/parley"
)

func TestDefinitionsAreCompleted(t *testing.T) {
	for _, c := range []struct{ in, want Definition }{
		{Definition{Limit: "3/s"}, Definition{Limit: "3/1s", Algorithm: "token-bucket", Key: "ip", Mode: "enforce", Action: "reject"}},
		{
			Definition{Limit: "100/1m burst=20", Algorithm: "gcra", Key: "ip+path", On: []string{"publish:orders.>", "poll"}, Mode: "shadow", Action: "shape", MaxWait: "5s"},
			Definition{Limit: "100/1m0s burst=20", Algorithm: "gcra", Key: "ip+path", On: []string{"publish:orders.>", "poll"}, Mode: "shadow", Action: "shape", MaxWait: "5s"},
		},
		{Definition{Limit: "sliding-log 5/1h", Key: "header:X-Tenant"}, Definition{Limit: "5/1h0m0s", Algorithm: "sliding-log", Key: "header:X-Tenant", Mode: "enforce", Action: "reject"}},
		{Definition{Limit: "concurrency 100", Algorithm: "concurrency", Action: "shape"}, Definition{Limit: "100", Algorithm: "concurrency", Key: "ip", Mode: "enforce", Action: "shape", MaxWait: "10s"}},
		{Definition{Limit: "inf/s"}, Definition{Limit: "inf/1s", Algorithm: "token-bucket", Key: "ip", Mode: "enforce", Action: "reject"}},
		{Definition{Limit: "0/s"}, Definition{Limit: "0/1s", Algorithm: "token-bucket", Key: "ip", Mode: "enforce", Action: "reject"}},
	} {
		got, err := c.in.Check()
		if err != nil || !same(got, c.want) {
			t.Errorf("%+v\n got %+v %v\nwant %+v", c.in, got, err, c.want)
			continue
		}
		if again, err := got.Check(); err != nil || !same(again, got) {
			t.Errorf("%+v is %+v when it is completed again: %v", got, again, err)
		}
	}
}

func TestBadDefinitionsNameTheMember(t *testing.T) {
	ok := Definition{Limit: "3/s"}
	with := func(change func(*Definition)) Definition { d := ok; change(&d); return d }
	for field, list := range map[string][]Definition{
		"limit": {
			{},
			{Limit: "three"},
			{Limit: "3/s burst=x"},
			{Limit: "3/s", Algorithm: "bucket"},
			{Limit: "gcra 3/s", Algorithm: "token-bucket"},
			{Limit: "adaptive 20"},
			{Limit: "sliding-log 99999/1h"},
			{Limit: "concurrency 3/s"},
			{Limit: strings.Repeat("9", 300)},
		},
		"key":      {with(func(d *Definition) { d.Key = "cookie" }), with(func(d *Definition) { d.Key = "header:" }), with(func(d *Definition) { d.Key = "header:a b" }), with(func(d *Definition) { d.Key = "ip+" }), with(func(d *Definition) { d.Key = strings.Repeat("ip+", 100) + "ip" })},
		"on[1]":    {with(func(d *Definition) { d.On = []string{"poll", "publsh"} }), with(func(d *Definition) { d.On = []string{"poll", "publish:a..b"} }), with(func(d *Definition) { d.On = []string{"poll", "publish:"} }), with(func(d *Definition) { d.On = []string{"poll", "publish:~a"} })},
		"on":       {with(func(d *Definition) { d.On = make([]string, 33) })},
		"mode":     {with(func(d *Definition) { d.Mode = "off" })},
		"action":   {with(func(d *Definition) { d.Action = "drop" })},
		"max_wait": {with(func(d *Definition) { d.MaxWait = "5s" }), with(func(d *Definition) { d.Action, d.MaxWait = "shape", "5" }), with(func(d *Definition) { d.Action, d.MaxWait = "shape", "31s" }), with(func(d *Definition) { d.Action, d.MaxWait = "shape", "-1s" })},
	} {
		for _, d := range list {
			_, err := d.Check()
			var e *parley.Error
			if !errors.As(err, &e) || e.Code != parley.Invalid || e.Field != field || e.Detail == "" || e.Fix == "" {
				t.Errorf("%+v: %v, want an error about %s", d, err, field)
			}
		}
	}
}

func FuzzDefinition(f *testing.F) {
	f.Add("100/1m burst=20", "gcra", "ip+header:X", "publish:orders.>", "5s")
	f.Add("sliding-log 5/1h", "", "token", "request", "")
	f.Fuzz(func(t *testing.T, limit, algorithm, key, on, wait string) {
		d, err := Definition{Limit: limit, Algorithm: algorithm, Key: key, On: []string{on}, Action: "shape", MaxWait: wait}.Check()
		if err != nil {
			return
		}
		if again, err := d.Check(); err != nil || !same(d, again) {
			t.Fatalf("%+v became %+v: %v", d, again, err)
		}
	})
}

func TestNames(t *testing.T) {
	for name, ok := range map[string]bool{"api": true, "per-ip.login_2": true, "": false, "$x": false, "~x": false, "a b": false, "a/b": false, "ä": false, strings.Repeat("a", 100): true, strings.Repeat("a", 101): false, "a..b": false, "*": false} {
		err := CheckName(name)
		if (err == nil) != ok || err != nil && parley.CodeOf(err) != parley.Invalid {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestTargets(t *testing.T) {
	for _, c := range []struct {
		on     string
		action Action
		name   string
		want   bool
	}{
		{"publish", Publish, "a", true},
		{"publish", Publish, "", true},
		{"publish", Poll, "a", false},
		{"request", Poll, "a", true},
		{"request", "", "", true},
		{"publish:orders.>", Publish, "orders.eu", true},
		{"publish:orders.>", Publish, "orders", false},
		{"publish:orders.>", Publish, "~orders.eu", true},
		{"publish:orders.>", Publish, "", false},
		{"publish:>", Publish, "$limits", false},
		{"subscribe:$limits", Subscribe, "$limits", true},
		{"subscribe:$limits", Subscribe, "$>", true},
		{"subscribe:orders.eu", Subscribe, "orders.>", true},
		{"subscribe:orders.eu", Subscribe, ">", true},
		{"subscribe:orders.eu", Subscribe, "*", false},
		{"subscribe:orders.eu", Subscribe, "*.us", false},
		{"subscribe:*.us", Subscribe, "orders.*", true},
		{"subscribe:a.*.c", Subscribe, "a.b.*", true},
		{"subscribe:a.*.c", Subscribe, "a.b", false},
		{"subscribe:a", Subscribe, "a.b", false},
		{"request:a", "", "a", true},
	} {
		targets, err := parseTargets([]string{c.on})
		if err != nil {
			t.Fatal(err)
		}
		if got := targets[0].covers(c.action, c.name); got != c.want {
			t.Errorf("%s on %s %q: %v", c.on, c.action, c.name, got)
		}
	}
}
