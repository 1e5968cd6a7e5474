package topic

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/parleyhq/parley"
)

func TestSettingsDefaults(t *testing.T) {
	got, err := Settings{}.Defaults(Settings{})
	want := Settings{Partitions: 1, Durability: Fsync, MaxAge: 168 * time.Hour, MaxBytes: NoLimit, MaxEvent: 1 << 20}
	if err != nil || got != want {
		t.Fatalf("got %+v, %v", got, err)
	}
	got, err = Settings{Partitions: 3}.Defaults(Settings{Partitions: 2, MaxAge: NoLimit, PollHint: time.Second})
	want.Partitions, want.MaxAge, want.PollHint = 3, NoLimit, time.Second
	if err != nil || got != want {
		t.Fatalf("got %+v, %v", got, err)
	}
}

func TestSettingsErrorsNameTheMember(t *testing.T) {
	for body, field := range map[string]string{
		`{"partitions":1025}`:                    "partitions",
		`{"partitions":-1}`:                      "partitions",
		`{"partitions":1.5}`:                     "partitions",
		`{"partitions":"2"}`:                     "partitions",
		`{"durability":"disk"}`:                  "durability",
		`{"durability":3}`:                       "durability",
		`{"max_age":"1ms"}`:                      "max_age",
		`{"max_age":"-1ns"}`:                     "max_age",
		`{"max_age":"7d"}`:                       "max_age",
		`{"max_age":7}`:                          "max_age",
		`{"max_bytes":-2}`:                       "max_bytes",
		`{"max_bytes":12}`:                       "max_bytes",
		`{"max_bytes":"1GB"}`:                    "max_bytes",
		`{"max_event":8388609}`:                  "max_event",
		`{"max_event":-1}`:                       "max_event",
		`{"poll_hint":"2h"}`:                     "poll_hint",
		`{"poll_hint":"-1s"}`:                    "poll_hint",
		`{"compact":1}`:                          "compact",
		`{"compact_lag":"1m"}`:                   "compact_lag",
		`{"tombstone_age":"1m"}`:                 "tombstone_age",
		`{"compact":true,"compact_lag":"9000h"}`: "compact_lag",
		`{"compact":true,"tombstone_age":"1ms"}`: "tombstone_age",
		`{"retention":"1h"}`:                     "retention",
		`[]`:                                     "settings",
		`{"partitions":99999999999999}`:          "partitions",
	} {
		var s Settings
		err := json.Unmarshal([]byte(body), &s)
		if err == nil {
			_, err = s.Defaults(Settings{})
		}
		var e *parley.Error
		if !errors.As(err, &e) || e.Code != parley.Invalid || e.Field != field || e.Fix == "" {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestSettingsMergePatch(t *testing.T) {
	s := Settings{Partitions: 2, MaxAge: time.Hour}
	if err := json.Unmarshal([]byte(`{"max_age":"none","max_bytes":null,"poll_hint":"5s","max_event":9}`), &s); err != nil {
		t.Fatal(err)
	}
	if want := (Settings{Partitions: 2, MaxAge: NoLimit, PollHint: 5 * time.Second, MaxEvent: 9}); s != want {
		t.Fatalf("got %+v", s)
	}
	compact := Settings{Compact: true, CompactLag: time.Hour, TombstoneAge: time.Hour, MaxAge: NoLimit}
	if err := json.Unmarshal([]byte(`{"compact":false,"max_age":"forever"}`), &compact); err != nil || compact != (Settings{MaxAge: NoLimit}) {
		t.Fatalf("what is about compaction goes with it: %+v %v", compact, err)
	}
	if err := json.Unmarshal([]byte(`{"partitions":7,"max_age":"x"}`), &s); err == nil || s.Partitions != 2 {
		t.Fatalf("a patch that fails must change nothing: %+v, %v", s, err)
	}
}

func FuzzSettings(f *testing.F) {
	for _, seed := range []string{`{}`, `{"partitions":3,"durability":"os","max_age":"none","max_bytes":-1,"max_event":1,"poll_hint":"1m30s"}`, `{"x":1}`, `null`, `{"max_age":"1h0.5s"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var s Settings
		if s.parse(b, true) != nil {
			return
		}
		full, err := s.Defaults(Settings{})
		if err != nil {
			return
		}
		var again Settings
		if text := mustJSON(full); again.parse(text, true) != nil || again != full {
			t.Fatalf("%+v became %s and then %+v", full, text, again)
		}
	})
}
