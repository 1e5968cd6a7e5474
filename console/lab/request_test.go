package lab

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parleyhq/parley"
)

func TestScheduleIsOfItsSeed(t *testing.T) {
	one := Request{Seed: 1, Events: 100, Duration: Duration(time.Second)}
	other := one
	other.Seed = 2
	at := one.Schedule()
	if !reflect.DeepEqual(at, one.Schedule()) {
		t.Error("one seed gave two schedules")
	}
	if reflect.DeepEqual(at, other.Schedule()) {
		t.Error("two seeds gave one schedule")
	}
	if len(at) != 100 || !slices.IsSorted(at) || at[0] < 0 || at[99] > 800*time.Millisecond {
		t.Errorf("%v", at)
	}
	if first := (Request{Seed: 7, Events: 3, Duration: Duration(10 * time.Second)}).Schedule(); first[0] != 453641*time.Microsecond {
		t.Errorf("the schedule of a seed has changed: %v; recorded runs no longer mean the same", first)
	}
}

func TestParseRequest(t *testing.T) {
	r, err := ParseRequest([]byte(`{}`))
	if err != nil || len(r.Lanes) != 4 || r.Events != 5 || r.Duration != Duration(10*time.Second) || r.Every != Duration(time.Second) || r.Size != 64 {
		t.Errorf("%+v, %v", r, err)
	}
	for body, field := range map[string]string{
		`{"lanes":["short","nope"]}`:        "lanes[1]",
		`{"lanes":["short","short"]}`:       "lanes[1]",
		`{"events":1001}`:                   "events",
		`{"events":-1}`:                     "events",
		`{"duration":"31s"}`:                "duration",
		`{"duration":"1ms"}`:                "duration",
		`{"every":"3s"}`:                    "every",
		`{"every":"1ms"}`:                   "every",
		`{"size":1}`:                        "size",
		`{"size":5000}`:                     "size",
		`{"duration":"soon"}`:               "body",
		`{"speed":2}`:                       "body",
		`{} {}`:                             "body",
		`[]`:                                "body",
		strings.Repeat(" ", maxBody) + `{}`: "body",
	} {
		_, err := ParseRequest([]byte(body))
		var e *parley.Error
		if !asError(err, &e) || e.Field != field || e.Fix == "" {
			t.Errorf("%.40s: %v, want %s at fault", body, err, field)
		}
	}
}

func asError(err error, into **parley.Error) bool {
	e, ok := err.(*parley.Error)
	*into = e
	return ok
}

func FuzzParseRequest(f *testing.F) {
	f.Add([]byte(`{"lanes":["short","long"],"seed":18446744073709551615,"events":1000,"duration":"30s","every":"10ms","size":4096}`))
	f.Add([]byte(`{"duration":"2562047h47m16.854775807s"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := ParseRequest(body)
		if err != nil {
			return
		}
		at := r.Schedule()
		if len(at) > MaxEvents || time.Duration(r.Duration) > MaxDuration || len(payload(r.Size)) != r.Size {
			t.Fatalf("%+v, %s", r, strconv.Quote(string(body)))
		}
	})
}
