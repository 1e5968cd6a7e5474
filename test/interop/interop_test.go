package interop

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/parleyhq/parley/test/rig"
)

// TestBytes publishes a file, and wants every client to get every line of it,
// byte for byte and in order.
func TestBytes(t *testing.T) {
	server, all := rig.Serve(t), clients(t)
	for _, corpus := range rig.Corpora(t) {
		rig.Run(t, rig.Binary(t), "pub", corpus.Name, "--file", corpus.Path, "--server", server.URL)
		for _, c := range all {
			t.Run(corpus.Name+"/"+c.name, func(t *testing.T) {
				got := read(t, c, server, corpus.Name, "earliest", len(corpus.Docs))
				compare(t, got, docs(corpus))
			})
		}
	}
}

// TestAnyData sends what is neither JSON nor one line. A raw socket and a plain
// stream of events show data as it is, where they can.
func TestAnyData(t *testing.T) {
	server, all := rig.Serve(t), clients(t)
	bodies := []struct{ kind, data string }{
		{"text/plain; charset=utf-8", "two\nlines, and a last one\n"},
		{"text/plain; charset=utf-8", " leading blank: and a colon"},
		{"application/json", "{\n  \"pretty\": [1, 2]\n}"},
		{"text/plain; charset=utf-8", "carriage\r\nreturns\r"},
		{"application/octet-stream", "\x00\xff\xfe\x80 bytes"},
		{"application/json", "\"\u2028 \U0001F600\""},
	}
	want := make([]string, len(bodies))
	for i, b := range bodies {
		server.Publish("any", b.kind, b.data)
		want[i] = b.data
	}
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			got := read(t, c, server, "any", "earliest", len(want))
			if c.cursors && !c.framed { // a stream of events holds lines of text alone: else the whole event is sent
				for i := 3; i <= 4; i++ {
					data, err := dataOf([]byte(got[i].data))
					if err != nil {
						t.Fatal(err)
					}
					got[i].data = data
				}
			}
			compare(t, got, want)
		})
	}
}

// TestHeld has all clients wait at once for what is published then.
func TestHeld(t *testing.T) {
	server, all := rig.Serve(t), clients(t)
	server.Publish("held", "application/json", `"before"`)
	start := read(t, all[1], server, "held", "earliest", 1)[0].cursor
	var waiting sync.WaitGroup
	results, held := make([][]received, len(all)), 0
	for i, c := range all {
		if c.held {
			held++
		}
		waiting.Go(func() { results[i] = read(t, c, server, "held", start, 3) })
	}
	server.Connected(strconv.Itoa(held))
	server.Publish("held", "application/json", `1`, `"two"`, `{"three":3}`)
	waiting.Wait()
	for i, c := range all {
		t.Run(c.name, func(t *testing.T) { compare(t, results[i], []string{`1`, `"two"`, `{"three":3}`}) })
	}
	server.Connected("0")
}

// TestOneCursor walks through a topic with a cursor that goes from hand to hand:
// each client goes on where another one stopped. Raw sockets do not tell the
// cursor; they look what comes next.
func TestOneCursor(t *testing.T) {
	server, all := rig.Serve(t), clients(t)
	const events = 60
	var want []string
	for n := range events {
		want = append(want, fmt.Sprintf(`{"n":%d}`, n))
	}
	for n := 0; n < events; n += 6 { // by ones, and by threes in one batch
		server.Publish("walk", "application/json", want[n:n+3]...)
		server.Publish("walk", "application/x-ndjson", want[n+3]+"\n"+want[n+4]+"\n"+want[n+5])
	}
	walk(t, server, "walk", "earliest", all, want)
}

// walk reads a topic event by event, each time with another client, and gives the
// last cursor.
func walk(t *testing.T, s *rig.Server, topic, cursor string, all []client, want []string) string {
	t.Helper()
	at := 0
	for turn := 0; at < len(want); turn++ {
		c := all[turn%len(all)]
		got := read(t, c, s, topic, cursor, 1)
		compare(t, got, want[at:min(at+len(got), len(want))])
		if t.Failed() {
			t.Fatalf("event %d, over %s, after %s", at, c.name, cursor)
		}
		if c.cursors {
			at += len(got)
			cursor = got[len(got)-1].cursor
		}
	}
	return cursor
}

// TestRestart goes on from a cursor after the server was stopped, and after it
// was killed.
func TestRestart(t *testing.T) {
	dir, all := filepath.Join(t.TempDir(), "data"), clients(t)
	cursor, next := "earliest", 0
	for _, end := range []func(*rig.Server){(*rig.Server).Stop, (*rig.Server).Kill, (*rig.Server).Stop} {
		server := rig.Start(t, "--data", dir)
		var want []string
		for range 2 * len(all) {
			want = append(want, fmt.Sprintf(`{"n":%d}`, next))
			next++
		}
		half := len(all)
		server.Publish("kept", "application/json", want[:half]...)
		cursor = walk(t, server, "kept", cursor, all, want[:half])
		server.Publish("kept", "application/json", want[half:]...)
		end(server)

		server = rig.Start(t, "--data", dir)
		for _, c := range all {
			t.Run(c.name, func(t *testing.T) {
				compare(t, read(t, c, server, "kept", cursor, half), want[half:])
			})
		}
		cursor = walk(t, server, "kept", cursor, all, want[half:])
		end(server)
	}
}

// read reads at least count events, within half a minute.
func read(t *testing.T, c client, s *rig.Server, topic, after string, count int) []received {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	got, err := c.read(ctx, s, topic, after, count)
	if err != nil || len(got) < count {
		t.Errorf("%s: %d of %d events, then %v", c.name, len(got), count, err)
		return make([]received, count)
	}
	return got
}

func compare(t *testing.T, got []received, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d events, want %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if got[i].data != want[i] {
			t.Errorf("event %d is %.200q, want %.200q", i, got[i].data, want[i])
			return
		}
	}
}

func docs(c rig.Corpus) []string {
	all := make([]string, len(c.Docs))
	for i, d := range c.Docs {
		all[i] = string(d)
	}
	return all
}
