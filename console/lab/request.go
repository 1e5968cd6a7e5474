package lab

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
)

// Limits of a run.
const (
	MaxDuration = 30 * time.Second
	MaxEvents   = 1000
	MaxSize     = 4096 // bytes of an event's data
	minDuration = 100 * time.Millisecond
	minEvery    = 10 * time.Millisecond
	maxBody     = 4096 // bytes of a request
)

// Request says what to run. Zero fields are the defaults.
type Request struct {
	Lanes    []string `json:"lanes"`    // names of Lanes; default all
	Seed     uint64   `json:"seed"`     // of the schedule; the same seed gives the same schedule
	Events   int      `json:"events"`   // 1 to 1,000; default 5
	Duration Duration `json:"duration"` // "100ms" to "30s"; default 10s
	Every    Duration `json:"every"`    // pace of short polling: "10ms" to a fifth of duration; default a tenth of it
	Size     int      `json:"size"`     // bytes of each event's data: 2 to 4,096; default 64
}

// Duration is a Go-style duration in JSON, such as "10s".
type Duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}

// ParseRequest reads the JSON of a request, and completes and checks it. Errors:
// Invalid, TooLarge.
func ParseRequest(body []byte) (Request, error) {
	var r Request
	if err := decode(body, &r, `{"lanes": ["short", "long"], "seed": 1, "events": 5, "duration": "10s"}`); err != nil {
		return r, err
	}
	r = r.withDefaults()
	return r, r.check()
}

// decode reads the JSON object of a request. Errors: Invalid, TooLarge.
func decode(body []byte, into any, example string) error {
	if len(body) > maxBody {
		return &parley.Error{Code: parley.TooLarge, Field: "body", Detail: "is over " + strconv.Itoa(maxBody) + " bytes", Fix: "a request is a few members"}
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return parley.BadField("body", err.Error(), "send a JSON object such as "+example)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return parley.BadField("body", "something follows the JSON object", "send one JSON object")
	}
	return nil
}

func (r Request) withDefaults() Request {
	if len(r.Lanes) == 0 {
		for _, l := range Lanes() {
			r.Lanes = append(r.Lanes, l.Name)
		}
	}
	if r.Events == 0 {
		r.Events = 5
	}
	if r.Duration == 0 {
		r.Duration = Duration(10 * time.Second)
	}
	if r.Every == 0 {
		r.Every = max(r.Duration/10, Duration(minEvery))
	}
	if r.Size == 0 {
		r.Size = 64
	}
	return r
}

func (r Request) check() error {
	known := make([]string, 0, len(Lanes()))
	for _, l := range Lanes() {
		known = append(known, l.Name)
	}
	for i, name := range r.Lanes {
		if !slices.Contains(known, name) {
			return parley.BadField("lanes["+strconv.Itoa(i)+"]", strconv.Quote(name)+" is no lane", "GET /lab/lanes lists them")
		}
		if slices.Index(r.Lanes, name) != i {
			return parley.BadField("lanes["+strconv.Itoa(i)+"]", strconv.Quote(name)+" is there twice", "name each lane once")
		}
	}
	switch d, every := time.Duration(r.Duration), time.Duration(r.Every); {
	case r.Events < 1 || r.Events > MaxEvents:
		return parley.BadField("events", "is "+strconv.Itoa(r.Events), "send 1 to "+strconv.Itoa(MaxEvents))
	case d < minDuration || d > MaxDuration:
		return parley.BadField("duration", "is "+d.String(), "send "+minDuration.String()+" to "+MaxDuration.String())
	case every < minEvery || every > d/5:
		return parley.BadField("every", "is "+every.String(), "send "+minEvery.String()+" to a fifth of duration, here "+(d/5).String())
	case r.Size < 2 || r.Size > MaxSize:
		return parley.BadField("size", "is "+strconv.Itoa(r.Size), "send 2 to "+strconv.Itoa(MaxSize))
	}
	return nil
}

// Schedule gives when each event is published, from the start of the run, in order:
// as of a Poisson process, at random within the first four fifths of it, so that the
// slowest lane has its turn before the end. It depends on the request alone.
func (r Request) Schedule() []time.Duration {
	random := rand.New(rand.NewPCG(r.Seed, 0x5eed))
	at := make([]time.Duration, r.Events)
	for i := range at {
		at[i] = time.Duration(random.Int64N(int64(r.Duration)*4/5 + 1)).Round(time.Microsecond)
	}
	slices.Sort(at)
	return at
}
