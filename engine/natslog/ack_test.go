package natslog

import (
	"encoding/json"
	"testing"

	"github.com/parleyhq/parley"
)

func TestParseAck(t *testing.T) {
	for text, want := range map[string]pubAck{
		`{"stream":"p_0","seq":17}`:                        {Seq: 17},
		`{"stream":"p_0", "seq":17}`:                       {Seq: 17},
		`{"stream":"p_0","domain":"d","seq":999999999999}`: {Seq: 999999999999},
		`{"stream":"p_0", "seq":17,"duplicate": true}`:     {Seq: 17, Duplicate: true},
		`{"stream":"p_0","seq":17,"batch":"x","count":3}`:  {Seq: 17},
		`{"seq":4,"stream":"p_0"}`:                         {Seq: 4},
		`{"stream":"p_0","seq":18446744073709551615}`:      {Seq: 1<<64 - 1},
	} {
		got, err := parseAck([]byte(text))
		if err != nil || got.Seq != want.Seq || got.Duplicate != want.Duplicate || got.Error != nil {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	got, err := parseAck([]byte(`{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 5"},"stream":"p_0","seq":0}`))
	if err != nil || got.Error == nil || got.Error.ErrCode != codeWrongLast {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"", "{", `{"stream":"p_0","seq":0}`, `{"stream":"p_0"}`, `{"stream":"p_0","seq":-1}`, `[]`} {
		if got, err := parseAck([]byte(bad)); err == nil {
			t.Errorf("%s reads as %+v", bad, got)
		}
	}
}

func FuzzParseAck(f *testing.F) {
	f.Add([]byte(`{"stream":"p_0","seq":17}`))
	f.Add([]byte(`{"stream":"p_0","seq":17,"duplicate": true}`))
	f.Add([]byte(`{"error":{"code":503,"err_code":10077,"description":"x"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parseAck(b)
		var want pubAck
		if json.Unmarshal(b, &want) == nil && err == nil && got.Error == nil && (got.Seq != want.Seq || got.Duplicate != want.Duplicate) {
			t.Errorf("%q: %+v, as JSON %+v", b, got, want)
		}
		if err == nil && got.Error == nil && got.Seq == 0 {
			t.Errorf("%q: stored nowhere", b)
		}
	})
}

func TestSequences(t *testing.T) {
	for reply, want := range map[string][2]uint64{
		"$JS.ACK.p_0.c.1.500.20.1700000000000000000.3":               {20, 500},
		"$JS.ACK.dom.hash.p_0.c.1.500.20.1700000000000000000.3":      {20, 500},
		"$JS.ACK._.hash.p_0.c.1.500.20.1700000000000000000.3.random": {20, 500},
	} {
		if c, s, ok := sequences(reply); !ok || c != want[0] || s != want[1] {
			t.Errorf("%s: %d, %d, %v", reply, c, s, ok)
		}
	}
	for _, bad := range []string{"", "_INBOX.x", "$JS.ACK.p.c.1.x.2.3.4", "$JS.FC.p_0.c.1.2.3.4.5", "$JS.ACK.p.c.1.5.-2.3.4"} {
		if c, s, ok := sequences(bad); ok {
			t.Errorf("%q: %d, %d", bad, c, s)
		}
	}
}

func TestParseMark(t *testing.T) {
	for text, want := range map[string]mark{
		`{"removed":true}`:           {Life: 9},
		`{"life":4,"low":300000}`:    {Life: 4, Low: 300000},
		`{"removed":true,"low":123}`: {Life: 9},
	} {
		if got, ok := parseMark(9, []byte(text)); !ok || got != want {
			t.Errorf("%s: %+v, %v", text, got, ok)
		}
	}
	for _, bad := range []string{"", "x", `{"low":-1}`, `{"life":10}`} {
		if got, ok := parseMark(9, []byte(bad)); ok {
			t.Errorf("%q: %+v", bad, got)
		}
	}
}

func TestCheckVersion(t *testing.T) {
	for version, good := range map[string]bool{
		"2.14.0": true, "2.15.2": true, "2.15.0-RC.1": true, "3.0.0": true, "2.13.9": false, "2.9.21": false, "1.99.0": false, "": false, "dev": false,
	} {
		err := checkVersion(version)
		if (err == nil) != good || err != nil && parley.CodeOf(err) != parley.Unsupported {
			t.Errorf("version %q: %v", version, err)
		}
	}
}

func TestHideUser(t *testing.T) {
	for urls, want := range map[string]string{
		"nats://a:4222,b:4222":                   "nats://a:4222,b:4222",
		"nats://me:secret@a:4222,nats://t0k@b":   "nats://a:4222,nats://b",
		"me:se@cret@a:4222":                      "a:4222",
		"tls://user:pass@host:4222,other@x:4222": "tls://host:4222,x:4222",
	} {
		if got := HideUser(urls); got != want {
			t.Errorf("%s becomes %s, want %s", urls, got, want)
		}
	}
}

func TestOptions(t *testing.T) {
	o, err := Options{URL: "nats://x"}.withDefaults()
	if err != nil || o.Prefix != "parley" || o.Replicas != 3 || o.Homes != 1 || o.Home(parley.Stream{Name: "~t"}) != Memory || o.Home(parley.Stream{Name: "t"}) != 0 {
		t.Errorf("%+v, %v", o, err)
	}
	for field, o := range map[string]Options{
		"url":      {},
		"prefix":   {URL: "x", Prefix: "a.b"},
		"replicas": {URL: "x", Replicas: 2},
		"homes":    {URL: "x", Homes: -1},
		"memory":   {URL: "x", MemoryBytes: 1},
	} {
		_, err := o.withDefaults()
		if e, ok := err.(*parley.Error); !ok || e.Field != field || e.Code != parley.Invalid {
			t.Errorf("%s: %v", field, err)
		}
	}
}
