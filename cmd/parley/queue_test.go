package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/pattern/queue"
)

func TestDeadOn(t *testing.T) {
	for _, c := range []struct {
		text string
		want []int // of 1, 64, 65, 70, 75, 78, 79, 255
	}{
		{"", nil},
		{"65", []int{65}},
		{"1, 64-78", []int{1, 64, 65, 70, 78}},
		{"any", []int{1, 64, 65, 70, 78, 79, 255}},
		{"75", nil},
	} {
		d, err := parseCodes(c.text)
		var got []int
		for _, code := range []int{1, 64, 65, 70, 75, 78, 79, 255} {
			if d[code] {
				got = append(got, code)
			}
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%q buries %v (%v), want %v", c.text, got, err, c.want)
		}
	}
	for _, text := range []string{"0", "256", "-1", "5-3", "x", "1,", ",", "any,1", "1-2-3"} {
		var u *usage
		if _, err := parseCodes(text); !errors.As(err, &u) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestLineWriter writes texts in pieces of all sizes: what arrives is the same.
func TestLineWriter(t *testing.T) {
	long := strings.Repeat("x", mostLine+10)
	for _, c := range []struct{ text, plain, prefixed, last string }{
		{"", "", "", ""},
		{"a", "a\n", "[1] a\n", "a"},
		{"a\nb\n", "a\nb\n", "[1] a\n[1] b\n", "b"},
		{"a\n\n \n", "a\n\n \n", "[1] a\n[1] \n[1]  \n", "a"},
		{"10 %\r20 %\rdone\n", "10 %\r20 %\rdone\n", "[1] 10 %\r20 %\rdone\n", "done"},
		{"\x1b[31mred\x00\n", "\x1b[31mred\x00\n", "[1] \x1b[31mred\x00\n", " [31mred "},
		{long + "\nb", long + "\nb\n", "[1] " + long[:mostLine] + "\n[1] " + long[mostLine:] + "\n[1] b\n", "b"},
	} {
		for _, size := range []int{1, 3, 1000, 1 << 20} {
			for prefix, want := range map[string]string{"": c.plain, "[1] ": c.prefixed} {
				var out bytes.Buffer
				l := &lineWriter{to: &outlet{w: &out}, prefix: prefix}
				for piece := range slices.Chunk([]byte(c.text), size) {
					if n, err := l.Write(piece); n != len(piece) || err != nil {
						t.Fatal(n, err)
					}
				}
				l.flush()
				if out.String() != want || l.last != c.last {
					t.Errorf("%.20q by %d with %q gives %.40q, last %.40q", c.text, size, prefix, out.String(), l.last)
				}
			}
		}
	}
}

// TestNobodyReads: a reader that left ends the program that writes, and is told of.
func TestNobodyReads(t *testing.T) {
	r, w := io.Pipe()
	_ = r.Close()
	told := 0
	l := &lineWriter{to: &outlet{w: w, broken: func() { told++ }}}
	if _, err := l.Write([]byte("a\nb\n")); !errors.Is(err, io.ErrClosedPipe) || told != 1 {
		t.Errorf("%v, told %d times", err, told)
	}
}

// TestJobEnv: what a job says cannot set other variables.
func TestJobEnv(t *testing.T) {
	e := parley.Event{ID: "e", Source: "/s", Type: "T", Time: time.Date(2026, 11, 24, 8, 0, 0, 5, time.UTC)}
	e.Set("traceparent", "00-a")
	env := jobEnv("mail", &queue.Lease{ID: 7, Token: "mail~x", Attempt: 2, Key: "a\x00PATH=/evil", Event: e})
	for _, want := range []string{
		"PARLEY_QUEUE=mail", "PARLEY_JOB_ID=7", "PARLEY_ATTEMPT=2", "PARLEY_LEASE=mail~x", "PARLEY_KEY=aPATH=/evil",
		"PARLEY_EVENT_TYPE=T", "PARLEY_EVENT_TIME=2026-11-24T08:00:00.000000005Z", "PARLEY_EVENT_TRACEPARENT=00-a",
	} {
		if !slices.Contains(env, want) {
			t.Errorf("%q is not in %q", want, env)
		}
	}
	for _, v := range env {
		if !strings.HasPrefix(v, "PARLEY_") || strings.ContainsRune(v, 0) {
			t.Errorf("%q is set", v)
		}
	}
}

func TestOneLine(t *testing.T) {
	for text, want := range map[string]string{"a\tb\nc": "a b c", "\x1b[2Jx": " [2Jx", "ä\u0085b": "ä b", "longer": "longe…"} {
		if got := oneLine(text, 5); got != want {
			t.Errorf("%q is %q", text, got)
		}
	}
}

func TestAge(t *testing.T) {
	now := time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	for d, want := range map[time.Duration]string{0: "0s", 1234 * time.Millisecond: "1.2s", 90 * time.Second: "1m30s", 72 * time.Hour: "3d", -time.Hour: "0s"} {
		if got := age(now.Add(-d), now); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
	if age(time.Time{}, now) != "-" {
		t.Error("no time has an age")
	}
}

// TestTopRates: rates are of the time between two rounds.
func TestTopRates(t *testing.T) {
	var out bytes.Buffer
	top := &queueTop{app: &app{out: &out, err: io.Discard}, last: map[string]client.QueueInfo{}}
	at := time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	for i, s := range []queue.Stats{{Enqueued: 10, Done: 4, Ready: 6}, {Enqueued: 30, Done: 8, Ready: 22, Oldest: at}} {
		if err := top.show([]client.QueueInfo{{Name: "mail", Stats: s}}, at.Add(time.Duration(i)*4*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	const want = "08:00:00 mail ready=6 delayed=0 leased=0 dead=0 in=0.0/s done=0.0/s oldest=- open\n08:00:04 mail ready=22 delayed=0 leased=0 dead=0 in=5.0/s done=1.0/s oldest=4s open\n"
	if out.String() != want {
		t.Errorf("it shows\n%s", out.String())
	}
}

// TestCommandEnds runs programs: how each ended is told.
func TestCommandEnds(t *testing.T) {
	for _, c := range []struct {
		line, cause, result string
		code                int
		stop                bool
	}{
		{line: "cat", result: "data"},
		{line: "exit 3", code: 3, cause: "exit code 3"},
		{line: "echo first >&2; printf last >&2; exit 3", code: 3, cause: "exit code 3: last"},
		{line: "kill -9 $$", code: 137, cause: "killed by signal 9"},
		{line: "trap 'exit 0' TERM; echo up; while :; do :; done", stop: true, cause: "the worker was stopped before the job was done"},
		{line: "yes", code: 141, cause: "its output is larger than a result may be"},
		{line: "exit 0", result: ""},
	} {
		t.Run(c.line, func(t *testing.T) {
			stop, end := context.WithCancel(t.Context())
			defer end()
			var seen bytes.Buffer
			command := jobCommand{args: shell(c.line), env: []string{"PATH=/usr/bin:/bin"}, queue: "q", result: 1000, err: &outlet{w: &seen}}
			if c.stop { // as soon as it is up
				command.result = 0
				command.out = &outlet{w: writerFunc(func([]byte) error { end(); return nil })}
			}
			e := command.run(t.Context(), stop, &queue.Lease{ID: 1, Event: parley.Event{Data: []byte("data")}})
			if e.cause != c.cause || e.cause == "" && string(e.result) != c.result || c.code != 0 && e.broken == nil && e.code != c.code {
				t.Errorf("it ended with %+v, %q", e, seen.String())
			}
		})
	}
}

func TestCommandThatIsNotThere(t *testing.T) {
	command := jobCommand{args: []string{"/nowhere/at-all"}, queue: "q", err: &outlet{w: io.Discard}, out: &outlet{w: io.Discard}}
	if e := command.run(t.Context(), t.Context(), &queue.Lease{ID: 1}); e.broken == nil || !strings.HasPrefix(e.cause, "it cannot be started: ") {
		t.Errorf("it ended with %+v", e)
	}
}
