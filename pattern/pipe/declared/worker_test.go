package declared

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/engine/memlog"
	"github.com/parleyhq/parley/pattern/pipe/graph"
)

func TestATapShowsWhatPassesAStep(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := newOffice(t, Options{})
		o.put("big", big)
		settle(0)
		ctx := t.Context()
		_, err := o.Tap(ctx, "big", TapRequest{Step: "no"})
		code(t, err, parley.NotFound)
		_, err = o.Tap(ctx, "big", TapRequest{Step: "2", Wait: time.Hour})
		code(t, err, parley.Invalid)
		o.publish("orders", `{"n":1}`) // nobody looks yet
		settle(0)
		first, err := o.Tap(ctx, "big", TapRequest{Step: "big"})
		if err != nil || len(first.Records) != 0 || first.Dropped != 0 {
			t.Fatal(first, err)
		}
		answers := make(chan TapAnswer, 1)
		go func() {
			a, err := o.Tap(ctx, "big", TapRequest{Step: "big", After: first.Next, Term: first.Term, Wait: 10 * time.Second})
			if err != nil {
				t.Error(err)
			}
			answers <- a
		}()
		synctest.Wait()
		o.publish("orders", `{"n":2}`, `{"n":1}`, `{"n":"x"}`)
		a := <-answers
		if len(a.Records) != 3 || a.Dropped != 0 {
			t.Fatal(text(a))
		}
		two, one, x := a.Records[0], a.Records[1], a.Records[2]
		if !strings.Contains(string(two.Before), `"data":{"n":2}`) || len(two.After) != 1 || two.Failed != nil {
			t.Error(text(two))
		}
		if len(one.After) != 0 || one.Failed != nil || x.Failed == nil || x.Failed.Attempts != 1 || len(x.After) != 0 {
			t.Error(text(one), text(x))
		}
		o.publish("orders", numbers(0, 450)...) // more than a second may show
		settle(0)
		a, err = o.Tap(ctx, "big", TapRequest{Step: "big", After: a.Next, Term: a.Term})
		if err != nil || len(a.Records) == 0 || len(a.Records) > tapRate || a.Dropped+int64(len(a.Records)) != 450 {
			t.Fatal(len(a.Records), a.Dropped, err)
		}
		settle(2 * tapIdle)
		o.publish("orders", `{"n":2}`)
		settle(0)
		if len(o.data("big-orders")) == 0 || o.stats("big").In != 455 {
			t.Fatal(text(o.stats("big")))
		}
	})
}

// with is the next node, which is allowed other things.
func (o *office) with(opt Options) *office {
	o.t.Helper()
	o.opt.Exec, o.opt.HTTP, o.opt.Graph.Programs = opt.Exec, opt.HTTP, opt.Graph.Programs
	return o.again()
}

func TestADefinitionThatCannotRunHereLeavesTheOldOne(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := newOffice(t, Options{})
		o.put("p", "steps: 'topic a | map {n: .n} | topic b'")
		o.publish("a", `{"n":1,"x":1}`)
		settle(0)
		// a node that is allowed more changes it, and is gone again
		o = o.with(once)
		must(t, o.Set(t.Context(), "p", Paused))
		o.put("p", "steps: 'topic a | exec nonce | topic b'")
		settle(0)
		o = o.with(Options{})
		must(t, o.Set(t.Context(), "p", Running))
		settle(0)
		o.publish("a", `{"n":2,"x":1}`)
		settle(0)
		s := o.stats("p")
		if got := o.data("b"); !slices.Equal(got, []string{`{"n":1}`, `{"n":2}`}) || s.Refused == "" || s.State != Running || s.Revision != 1 {
			t.Fatal(got, text(s))
		}
		if i, err := o.Get(t.Context(), "p"); err != nil || len(i.Problems) == 0 {
			t.Fatal(i, err)
		}
		o.put("p", "steps: 'topic a | map {m: .n} | topic b'")
		settle(0)
		o.publish("a", `{"n":3}`)
		settle(0)
		if got := o.data("b"); len(got) != 3 || got[2] != `{"m":3}` || o.stats("p").Refused != "" {
			t.Fatal(got, text(o.stats("p")))
		}
	})
}

func TestWhatATopicDoesNotTakeIsDead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := newOffice(t, Options{})
		for name, most := range map[string]int{"small": 400, "p.dead": 400} {
			_, err := o.topics.Create(t.Context(), name, topic.Settings{MaxEvent: most})
			must(t, err)
		}
		o.put("p", "steps: 'topic a | topic small'")
		o.publish("a", `"x"`, `"`+strings.Repeat("y", 1000)+`"`, `"z"`)
		settle(0)
		if got := o.data("small"); !slices.Equal(got, []string{`"x"`, `"z"`}) {
			t.Fatal(got, text(o.stats("p")))
		}
		dead := o.events("p.dead")
		if len(dead) != 1 || dead[0].Extensions[attrBare] != "1002" || dead[0].Extensions[graph.AttrCode] != "too-large" || len(dead[0].Data) != 0 {
			t.Fatalf("%+v", dead)
		}
	})
}

func TestOutputsThatDoNotFitOneCommitAreCut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := newOffice(t, Options{})
		_, err := o.topics.Create(t.Context(), "b", topic.Settings{MaxEvent: 8 << 20})
		must(t, err)
		o.put("p", `steps: [topic: a, jq: "if .n == 3 then range(17) | {n: 3, s: (\"x\" * 1000000)} else {n: .n, s: (\"x\" * 1000000)} end", topic: b]`)
		o.publish("a", numbers(0, 18)...)
		settle(time.Minute)
		if got := o.data("b"); len(got) != 17 {
			t.Fatal(len(got), text(o.stats("p")))
		}
		dead := o.events("p.dead")
		if len(dead) != 1 || string(dead[0].Data) != `{"n":3}` || dead[0].Extensions[graph.AttrStage] != "commit" {
			t.Fatalf("%d dead: %+v", len(dead), dead)
		}
	})
}

// TestURLsAreAtLeastOnce has a real server, and so real time.
func TestURLsAreAtLeastOnce(t *testing.T) {
	var mu sync.Mutex
	ids := map[string]int{}
	news := make(chan struct{}, 100)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if ids[r.Header.Get("ce-id")]++; r.Header.Get("ce-subject") == "bad" {
			w.WriteHeader(http.StatusBadRequest)
		}
		news <- struct{}{}
	}))
	defer srv.Close()
	o := newOffice(t, Options{HTTP: true})
	o.put("p", "steps: 'topic a | http "+srv.URL+"'")
	_, _, err := o.topics.Publish(t.Context(), "a", []parley.Event{{ID: "1", Source: "/s"}, {ID: "2", Source: "/s", Subject: "bad"}, {ID: "3", Source: "/s"}}, topic.PublishOptions{})
	must(t, err)
	for range 3 {
		<-news
	}
	for {
		s := o.stats("p")
		if s.In == 3 && s.Out == 2 && s.Dead == 1 {
			break
		}
		wait(t, 5*time.Millisecond)
	}
	if dead := o.events("p.dead"); len(dead) != 1 || dead[0].ID != "2" || !strings.HasPrefix(dead[0].Extensions[graph.AttrStage], "2") {
		t.Fatalf("%+v", dead)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(ids) != 3 {
		t.Fatal(ids)
	}
}

func wait(t testing.TB, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	<-ctx.Done()
}

func TestHeadIsDone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := newOffice(t, Options{})
		o.put("p", "steps: 'topic a | head 2 | topic b'")
		o.publish("a", numbers(0, 5)...)
		settle(0)
		if s := o.stats("p"); s.State != Done || len(o.data("b")) != 2 {
			t.Fatal(text(s))
		}
		o = o.again()
		o.publish("a", numbers(0, 5)...)
		settle(0)
		if s := o.stats("p"); s.State != Done || len(o.data("b")) != 2 {
			t.Fatal(text(s))
		}
	})
}

func TestWindowsGoOnInTheirState(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := newOffice(t, Options{})
		o.put("p", "steps: 'topic a | window 1m --key data.k --of data.n --time data.t | topic b'")
		var events []string
		for i := range 300 {
			events = append(events, fmt.Sprintf(`{"t":%d,"k":"%d","n":1}`, 946_684_810+i%40, i%100))
		}
		for part := range slices.Chunk(events, 70) {
			o.publish("a", part...)
			settle(0)
			o = o.again()
		}
		o.publish("a", `{"t":946689999,"k":"x","n":1}`)
		settle(0)
		got := o.data("b")
		if len(got) != 100 || !strings.Contains(got[7], `"sum":3`) {
			t.Fatal(len(got), got[:min(len(got), 3)], text(o.stats("p")))
		}
	})
}

func TestManyEventsPassQuickly(t *testing.T) {
	o := newOffice(t, Options{})
	o.put("p", "steps: 'topic a | where data.n >= 0 | topic b'")
	for from := 0; from < 20_000; from += 2000 {
		o.publish("a", numbers(from, from+2000)...)
	}
	begun := time.Now()
	for o.stats("p").In < 20_000 {
		wait(t, 2*time.Millisecond)
	}
	if n := len(o.data("b")); n != 20_000 {
		t.Fatal(n)
	}
	t.Log(time.Since(begun), o.stats("p").Commits)
}

// FuzzDefinition has any text checked, and what is taken be run on events.
func FuzzDefinition(f *testing.F) {
	for _, seed := range []string{big, oncePipe, "stages:\n  slim: [{drop: [x]}]\n", `{"steps": "topic a | batch 2 | topic b"}`, "steps: [topic: a, {window: {size: 1m}}, topic: b]\ndead: topic c\n", "steps: [merge: ['topic a', 'cron \"* * * * *\"'], tee: topic x, topic: b]", "steps: 'topic a | throttle 1/s | delay 1s | topic b'"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		synctest.Test(t, func(t *testing.T) {
			o := newOffice(t, Options{})
			report, err := o.Check(t.Context(), "p", []byte(in), Remote)
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = o.Put(t.Context(), "p", []byte(in), PutOptions{})
			if report.OK != (err == nil) && parley.CodeOf(err) != parley.TooLarge && !strings.Contains(fmt.Sprint(err), "sources") {
				t.Fatalf("%+v, and put: %v", report, err)
			}
			if err != nil || report.Stages {
				return
			}
			o.publish("a", numbers(0, 3)...)
			settle(time.Second)
			before := o.stats("p")
			o = o.again()
			settle(time.Second)
			if now := o.stats("p"); now.In < before.In {
				t.Fatalf("%s, and then %s", text(before), text(now))
			}
		})
	})
}

func TestBookKeepsItsState(t *testing.T) {
	for _, size := range []int{0, 1, 5000, 700_000} {
		state := []byte(strings.Repeat("s", size))
		for i := range state {
			state[i] = byte(i * i >> 3)
		}
		stored, err := pack(state)
		must(t, err)
		b := &book{kept: kept{In: 7, Lanes: []laneKept{{Source: "x", Cursor: "y"}}}, adoption: adoption{Text: "steps"}, state: stored}
		var c book
		must(t, c.Restore(b.Snapshot()))
		got, err := unpack(c.state)
		if err != nil || !slices.Equal(got, state) && size > 0 || c.kept.In != 7 || c.adoption != b.adoption {
			t.Fatal(size, len(got), err)
		}
	}
	_, err := pack([]byte(fmt.Sprint(make([]int, 1<<20), memlog.New(memlog.Options{}))))
	must(t, err)
}

// TestManyPartitions: a step that touches more partitions than one commit takes is made in
// smaller ones, and nothing of it is stored twice.
func TestManyPartitions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := newOffice(t, Options{})
		sinks := []string{"x", "y", "z"}
		for _, name := range sinks {
			_, err := o.topics.Create(t.Context(), name, topic.Settings{Partitions: 100})
			must(t, err)
		}
		o.put("p", "steps: \"topic a | tee 'topic x' | tee 'topic y' | topic z\"")
		settle(0)
		var events []string
		for i := range 600 {
			events = append(events, fmt.Sprintf(`{"n":%d}`, i))
		}
		o.publish("a", events...)
		settle(time.Minute)
		for _, name := range sinks {
			got := slices.Sorted(slices.Values(o.data(name)))
			if !slices.Equal(got, slices.Sorted(slices.Values(events))) {
				t.Errorf("%s has %d events, %d of them different", name, len(got), len(slices.Compact(got)))
			}
		}
	})
}
