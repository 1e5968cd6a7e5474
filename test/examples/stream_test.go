package examples

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parleyhq/parley/test/rig"
)

// TestBuildStream wants every program below examples/stream to be one that is run
// here.
func TestBuildStream(t *testing.T) {
	var found []string
	for _, pattern := range []string{"*/main.go", "*/*/main.go"} {
		files, err := filepath.Glob(filepath.Join(rig.Root(t), "examples", "stream", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			found = append(found, filepath.Base(filepath.Dir(file)))
		}
	}
	slices.Sort(found)
	if want := []string{"audit", "cdc", "clickstream", "outbox", "readmodel"}; !slices.Equal(found, want) {
		t.Errorf("there are %v, and those that are run are %v", found, want)
	}
}

// event is as much of one as the tests look at.
type event struct {
	ID, Source, Type, Subject, PartitionKey string
	LSN, PreviousDigest                     string
	Time                                    time.Time
	Data                                    json.RawMessage

	raw json.RawMessage
}

// fetch gives all events of a topic, in the order of each of its partitions; a topic
// that is not there yet has none.
func fetch(t *testing.T, s *rig.Server, topic string) []event {
	t.Helper()
	var all []event
	for at, more := "earliest", true; more; {
		res, err := http.Get(s.URL + "/v1/topics/" + topic + "/events?limit=1000&after=" + at)
		if err != nil {
			t.Fatal(err)
		}
		var page struct {
			Events []json.RawMessage
			Cursor string
			More   bool
		}
		err = json.NewDecoder(res.Body).Decode(&page)
		_ = res.Body.Close()
		if res.StatusCode == http.StatusNotFound {
			return nil
		}
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %v", res.Status, err)
		}
		for _, raw := range page.Events {
			e := event{raw: raw}
			if err := json.Unmarshal(raw, &e); err != nil {
				t.Fatal(err)
			}
			all = append(all, e)
		}
		at, more = page.Cursor, page.More
	}
	return all
}

// publishBatch publishes whole events.
func publishBatch(t *testing.T, s *rig.Server, topic string, events []json.RawMessage) {
	t.Helper()
	body, err := json.Marshal(events)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.Post(s.URL+"/v1/topics/"+topic+"/events", "application/cloudevents-batch+json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if text, err := io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusCreated {
		t.Fatalf("%s: %s %v", res.Status, text, err)
	}
}

// kills ends a program without a word: SIGKILL.
func (c *client) kills(t *testing.T) {
	t.Helper()
	if err := c.cmd.Process.Kill(); err != nil {
		t.Fatalf("it had ended: %s", c.errs)
	}
	for c.lines.Scan() { // to the end of what it wrote
	}
	_ = c.cmd.Wait() // it was killed
}

// fails wants a program to end with an error, and gives what it said.
func fails(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err == nil {
		t.Errorf("%s %v ended well", name, args)
	}
	return string(out)
}

// TestAudit: four at once write one chain, which is whole, also as a copy; whoever
// changes a deed, takes one out, or cuts the newest off is found out.
func TestAudit(t *testing.T) {
	s := rig.Serve(t)
	audit := rig.Build(t, "./examples/stream/audit")
	var writers sync.WaitGroup
	for i := range 4 {
		writers.Go(func() {
			cmd := exec.Command(audit, "-server", s.URL)
			cmd.Stdin = strings.NewReader(fmt.Sprintf("w%d\tone\nw%d\ttwo\nw%d\tthree\n", i, i, i))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	writers.Wait()
	newest := strings.TrimSpace(rig.Run(t, audit, "-server", s.URL, "ada", "closed the books"))
	if out := parley(t, s, "stream", "verify", "audit", "--head", newest); !strings.Contains(out, "13      whole  "+newest) {
		t.Errorf("it found\n%s", out)
	}
	if out := parley(t, s, "topic", "show", "audit", "--json"); !strings.Contains(out, `"max_age":"none"`) {
		t.Errorf("it is not kept for ever: %s", out)
	}
	all := fetch(t, s, "audit")
	raw := make([]json.RawMessage, len(all))
	for i, e := range all {
		raw[i] = e.raw
	}
	publishBatch(t, s, "copy", raw)
	parley(t, s, "stream", "verify", "copy", "--head", newest)

	changed := slices.Clone(raw)
	changed[5] = bytes.Replace(raw[5], []byte(`"who":"w`), []byte(`"who":"x`), 1)
	publishBatch(t, s, "changed", changed)
	breaks(t, s, "changed", "the chain breaks at event 7, id \\\""+all[6].ID)
	publishBatch(t, s, "removed", slices.Delete(slices.Clone(raw), 3, 4))
	breaks(t, s, "removed", "the chain breaks at event 4, id \\\""+all[4].ID)
	publishBatch(t, s, "cut", raw[:12])
	parley(t, s, "stream", "verify", "cut") // the chain cannot tell, …
	breaks(t, s, "cut", "no event has the digest "+newest, "--head", newest)
}

// breaks wants a chain to be broken, and to hear where.
func breaks(t *testing.T, s *rig.Server, topic, want string, flags ...string) {
	t.Helper()
	cmd := exec.Command(rig.Binary(t), append([]string{"stream", "verify", topic, "--json", "--server", s.URL}, flags...)...)
	out, err := cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), want) {
		t.Errorf("%v, without %q: %s", err, want, out)
	}
}

// TestReadModel: a model that was killed while it followed, and one that is made
// anew afterwards, are the same.
func TestReadModel(t *testing.T) {
	s := rig.Serve(t)
	parley(t, s, "topic", "create", "orders", "--partitions", "4")
	model := rig.Build(t, "./examples/stream/sql/readmodel")
	file := filepath.Join(t.TempDir(), "shop.db")
	var made []json.RawMessage
	fact := func(order int, kind, more string) {
		made = append(made, fmt.Appendf(nil, `{"specversion":"1.0","id":"%d-%d","source":"/shop","type":"order.%s","partitionkey":"%d","data":{"order":"%d"%s}}`, order, len(made), kind, order, order, more))
	}
	const orders = 1500
	for i := range orders {
		fact(i, "placed", fmt.Sprintf(`,"customer":"c%d","cents":%d`, i%7, i))
	}
	for i := range orders {
		switch i % 5 {
		case 0:
			fact(i, "paid", "")
			fact(i, "shipped", "")
		case 1:
			fact(i, "shipped", "") // before it was paid: it does not count
			fact(i, "canceled", "")
		case 2:
			fact(i, "gifted", "") // of a later version of the shop
			fact(i, "placed", `,"customer":"somebody else","cents":1`)
		}
	}
	publishBatch(t, s, "orders", made[:1000])
	follower := runs(t, model, "-server", s.URL, "-db", file, "-follow")
	follower.prints(t, "following")
	for rest := made[1000:]; len(rest) > 0; rest = rest[min(500, len(rest)):] {
		publishBatch(t, s, "orders", rest[:min(500, len(rest))])
		follower.kills(t)
		follower = runs(t, model, "-server", s.URL, "-db", file, "-follow")
		follower.prints(t, "following")
	}
	follower.kills(t)

	resumed := rig.Run(t, model, "-server", s.URL, "-db", file)
	if want := fmt.Sprintf("%d orders of %d events, digest ", orders, len(made)); !strings.HasPrefix(resumed, want) {
		t.Errorf("it says %q, not %q", resumed, want)
	}
	if again := rig.Run(t, model, "-server", s.URL, "-db", file); again != resumed {
		t.Errorf("without news it says %q after %q", again, resumed)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if replayed := rig.Run(t, model, "-server", s.URL, "-db", file); replayed != resumed {
		t.Errorf("the replay says %q after %q", replayed, resumed)
	}
	got := rig.Run(t, rig.Python(t), "-c", `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
print(db.execute("SELECT state, count(*) FROM orders GROUP BY state ORDER BY state").fetchall())
print(db.execute("SELECT sum(orders), sum(cents) FROM customers").fetchone())`, file)
	sum := 0
	for i := range orders {
		if i%5 != 1 {
			sum += i
		}
	}
	if want := fmt.Sprintf("[('canceled', 300), ('placed', 900), ('shipped', 300)]\n(1200, %d)\n", sum); got != want {
		t.Errorf("the model is\n%snot\n%s", got, want)
	}
}

// says wants a line within 20 s; others before it do not matter.
func (c *client) says(t *testing.T, want string) {
	t.Helper()
	late := time.AfterFunc(20*time.Second, func() { _ = c.cmd.Process.Kill() }) // then it says nothing more
	defer late.Stop()
	var said []string
	for c.lines.Scan() {
		if c.lines.Text() == want {
			return
		}
		said = append(said, c.lines.Text())
	}
	t.Fatalf("it said %q and not %q: %s", said, want, c.errs)
}

// TestClickstream: a metric goes on where it was, and another one, which comes
// later, counts them from a time on.
func TestClickstream(t *testing.T) {
	s := rig.Serve(t)
	parley(t, s, "topic", "create", "clicks", "--partitions", "4")
	click := func(n int, pages ...string) {
		var batch []json.RawMessage
		for i := range n {
			for _, page := range pages {
				batch = append(batch, fmt.Appendf(nil, `{"specversion":"1.0","id":"%s-%d-%d","source":"/site","type":"click","partitionkey":"v%d","data":{"page":"%s"}}`, page, n, i, i%10, page))
			}
		}
		publishBatch(t, s, "clicks", batch)
	}
	clickstream := rig.Build(t, "./examples/stream/clickstream")
	click(30, "/old")
	views := runs(t, clickstream, "-server", s.URL, "views")
	views.says(t, "views: /old 30")
	views.quits(t)
	// What it had committed does not come again.
	views = runs(t, clickstream, "-server", s.URL, "views")
	click(5, "/")
	views.says(t, "views: / 5")

	// Everything before is past for who counts from the last old click's time on.
	since := after(t, s, "clicks")
	click(40, "/", "/tea")
	views.says(t, "views: / 45 /tea 40")
	visitors := runs(t, clickstream, "-server", s.URL, "-since", since, "visitors")
	visitors.says(t, "visitors: / 10 /tea 10")
	visitors.quits(t)
	again := runs(t, clickstream, "-server", s.URL, "-since", "2020-01-01T00:00:00Z", "visitors")
	again.says(t, "visitors: / 10 /old 10 /tea 10")
	again.quits(t)
	views.quits(t)
}

// after is a time after which the topic's events that are there were published, and
// before which none will be.
func after(t *testing.T, s *rig.Server, topic string) string {
	t.Helper()
	var newest time.Time
	for _, e := range fetch(t, s, topic) {
		if e.Time.After(newest) {
			newest = e.Time
		}
	}
	since := newest.Truncate(time.Millisecond).Add(time.Millisecond)
	rig.Eventually(t, "a later time", func() bool { return time.Now().After(since.Add(time.Millisecond)) })
	return since.Format(time.RFC3339Nano)
}
