package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/pattern/queue"
	"github.com/parleyhq/parley/pattern/throttle"
	"github.com/parleyhq/parley/pattern/throttle/httpthrottle"
)

// TestDrain: all that is ready is worked off, whatever holds some of it back for a
// while, and what cannot become ready is not waited for.
func TestDrain(t *testing.T) {
	url, command := served(t)
	for _, c := range []struct {
		name, settings string
		push           []string // further flags of each job
		pause          bool
		want           string // the last line
		code           int
	}{
		{name: "keyed", settings: `{}`, push: []string{"--key", "k"}, want: "3 jobs: 3 done"},
		{name: "places", settings: `{"concurrency":1}`, want: "3 jobs: 3 done"},
		{name: "rate", settings: `{"rate":"gcra 10/s burst=1"}`, want: "3 jobs: 3 done"},
		{name: "delayed", settings: `{}`, push: []string{"--delay", "1h"}, want: "0 jobs: none was ready", code: exitPartial},
		{name: "paused", settings: `{}`, pause: true, want: "0 jobs: none was ready; the queue is paused, and 3 are ready still", code: exitPartial},
	} {
		t.Run(c.name, func(t *testing.T) {
			put(t, url+"/v1/queues/"+c.name, c.settings)
			for range 3 {
				if r := command(slices.Concat([]string{"queue", "push", c.name, "x"}, c.push)...); r.code != exitOK {
					t.Fatalf("%+v", r)
				}
			}
			if c.pause {
				command("queue", "pause", c.name)
			}
			r := command("queue", "work", c.name, "--drain", "--concurrency", "2", "--exec", "cat")
			if r.code != c.code || !strings.HasSuffix(r.err, c.want+"\n") {
				t.Errorf("code %d, %s", r.code, r.err)
			}
		})
	}
}

// TestDrainBehindDelayed: a job whose key is held by one that rests for an hour is
// ready, and is left.
func TestDrainBehindDelayed(t *testing.T) {
	_, command := served(t)
	command("queue", "push", "mail", "first", "--key", "k", "--delay", "1h")
	command("queue", "push", "mail", "second", "--key", "k")
	r := command("queue", "work", "mail", "--drain", "--exec", "cat")
	if r.code != exitPartial || !strings.HasSuffix(r.err, "0 jobs: none was ready; 1 stand behind delayed ones of their keys\n") {
		t.Errorf("code %d, %s", r.code, r.err)
	}
}

// TestStandstill: only jobs that nobody gets while nobody has any stand still, and
// not before the rate has had its time.
func TestStandstill(t *testing.T) {
	at := time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	var p standstill
	info := client.QueueInfo{Settings: queue.Settings{Rate: "1/10s"}, Stats: queue.Stats{Ready: 2, Delayed: 1}}
	for i, c := range []struct {
		after        time.Duration
		leased, done int64
		want         bool
	}{
		{0, 0, 0, false},
		{10 * time.Second, 0, 0, false},
		{10*time.Second + blockedAfter, 0, 0, true},
		{11 * time.Second, 1, 0, false},
		{20 * time.Second, 0, 1, false},
		{30 * time.Second, 0, 1, false},
		{31 * time.Second, 0, 1, true},
	} {
		info.Stats.Leased, info.Stats.Done = c.leased, c.done
		if got := p.is(&info, at.Add(c.after)); got != c.want {
			t.Errorf("%d: %v", i, got)
		}
	}
	info.Stats.Delayed = 0 // then there is something else to wait for
	if p.is(&info, at.Add(time.Hour)) {
		t.Error("nothing is delayed, and yet in the way")
	}
}

// TestRefusedResult: a job whose result is refused is told of once.
func TestRefusedResult(t *testing.T) {
	url, command := served(t)
	put(t, url+"/v1/queues/plain", `{"results":"-"}`)
	command("queue", "push", "plain", "a")
	r := command("queue", "work", "plain", "--count", "1", "--result", "text/plain", "--exec", "echo hi")
	if r.code != exitPartial || strings.Count(r.err, "\njob ") != 1 || !strings.Contains(r.err, "\njob 1: retry, attempt 1, ") || !strings.HasSuffix(r.err, ": its result is refused: the queue keeps no results\n1 job: 0 done, 1 retry\n") {
		t.Errorf("code %d, %s", r.code, r.err)
	}
}

// TestWorkSitsOutPauses: a worker waits for an hour if it is told to, asks once, and
// says why.
func TestWorkSitsOutPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		cl, err := client.New("http://parley.test", client.Options{HTTP: &http.Client{Transport: tripper(func(r *http.Request) *http.Response {
			w := httptest.NewRecorder()
			if asked++; asked == 1 {
				httpthrottle.Refuse(w, r, &throttle.Error{Name: "slow", Reason: throttle.Limited, RetryAfter: time.Hour})
			} else {
				_, _ = w.WriteString(`{"jobs":[{"lease":"l","id":"1"}]}`)
			}
			return w.Result()
		})}})
		if err != nil {
			t.Fatal(err)
		}
		var said bytes.Buffer
		w := &work{app: &app{err: &said}, flags: &workFlags{}, queue: cl.Queue("mail"), left: -1}
		begun := time.Now()
		list, err := w.Lease(t.Context(), queue.LeaseRequest{Max: 1})
		if took := time.Since(begun); err != nil || len(list) != 1 || asked != 2 || took != time.Hour || !strings.HasPrefix(said.String(), "waiting 1h0m0s, since the limit slow refuses it") {
			t.Errorf("%d jobs, %v, asked %d times in %v: %s", len(list), err, asked, took, said.String())
		}
		asked = 0
		ctx, end := context.WithTimeout(t.Context(), time.Minute)
		defer end()
		if _, err = w.Lease(ctx, queue.LeaseRequest{Max: 1}); parley.CodeOf(err) != parley.Throttled || asked != 1 {
			t.Errorf("when it is to end: %v, asked %d times", err, asked)
		}
	})
}

// tripper is a network of a function.
type tripper func(*http.Request) *http.Response

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) {
	res := f(r)
	res.Request = r
	return res, nil
}

// TestSeekOfNothing: no partition is of the topic, and the exit code says so.
func TestSeekOfNothing(t *testing.T) {
	_, command := served(t)
	r := command("stream", "seek", "cli", "--to", "earliest", "--topic", "typo")
	if r.code != exitPartial || r.out != "" || !strings.HasPrefix(r.err, "no partition is of typo, so nothing of cli moved") {
		t.Errorf("code %d, %s%s", r.code, r.out, r.err)
	}
	command("pub", "typo", "x")
	if r = command("stream", "seek", "cli", "--to", "earliest", "--topic", "typo"); r.code != exitOK || !strings.HasPrefix(r.err, "cli has other places in ") {
		t.Errorf("of one that is there: code %d, %s", r.code, r.err)
	}
}
