package crash

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parleyhq/parley/test/rig"
)

var pipeEvents = flag.Int("crash.piped", 2000, "how many events go through the pipe whose server is killed")

// stamping gives each event to a program that never answers the same, and spreads the
// answers over three partitions.
const stamping = `steps:
  - topic: in
  - exec: [date, +%N]
  - topic: out
`

// TestPipeSurvives kills a server at random moments while its pipe works: between
// what a program says and the commit of it, too. Each event is in the outputs once,
// although the program would answer otherwise the next time.
func TestPipeSurvives(t *testing.T) {
	dir, dice := t.TempDir(), rand.New(rand.NewPCG(*seed, 9))
	t.Logf("seed %d; again with -crash.seed %d", *seed, *seed)
	config := filepath.Join(dir, "parley.yaml")
	if err := os.WriteFile(config, []byte("pipes: {exec: true}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := []string{"--config", config, "--data", filepath.Join(dir, "data")}
	live := rig.Start(t, flags...)
	put(t, live.URL+"/v1/topics/out", `{"partitions": 3}`)
	put(t, live.URL+"/v1/topics/in", `{"partitions": 2}`)
	for from := 0; from < *pipeEvents; from += 400 {
		var events []json.RawMessage
		for n := from; n < min(from+400, *pipeEvents); n++ {
			events = append(events, json.RawMessage(fmt.Sprintf(`{"subject":"%d","partitionkey":"%d","data":%d}`, n, n, n)))
		}
		body, err := json.Marshal(map[string]any{"topics": []any{map[string]any{"topic": "in", "events": events}}})
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.Post(live.URL+"/v1/publish", "application/json", strings.NewReader(string(body)))
		if err != nil {
			t.Fatal(err)
		}
		if _ = res.Body.Close(); res.StatusCode != http.StatusCreated {
			t.Fatal(res.Status)
		}
	}
	put(t, live.URL+"/v1/pipes/stamp", stamping)
	crashes, came := 0, map[string]int{}
	patience := time.After(time.Minute + time.Duration(*pipeEvents)*100*time.Millisecond)
	for {
		select {
		case <-time.After(100*time.Millisecond + time.Duration(dice.Int64N(int64(500*time.Millisecond)))):
		case <-patience:
			t.Fatalf("%d of %d events came", len(came), *pipeEvents)
		}
		if came = stamped(t, live.URL); len(came) >= *pipeEvents {
			break
		}
		live.Kill()
		crashes++
		live = rig.Start(t, flags...)
	}
	live.Kill() // what was not yet committed would come now
	live = rig.Start(t, flags...)
	rig.Eventually(t, "the pipe runs again and has read all", func() bool {
		var s struct {
			State string
			Lag   int
			In    int
		}
		return json.Unmarshal(get(t, live.URL+"/v1/pipes/stamp/stats"), &s) == nil && s.State == "running" && s.Lag == 0 && s.In == *pipeEvents
	})
	came = stamped(t, live.URL)
	for n := range *pipeEvents {
		if times := came[fmt.Sprint(n)]; times != 1 {
			t.Errorf("event %d is in the outputs %d times", n, times)
		}
	}
	if len(came) != *pipeEvents {
		t.Errorf("%d different events came, of %d", len(came), *pipeEvents)
	}
	t.Logf("%d events once each, through %d crashes", *pipeEvents, crashes)
	if crashes < 3 {
		t.Errorf("%d crashes are too few to mean anything: use more events", crashes)
	}
}

// stamped counts the outputs by the subject of what they were made of.
func stamped(t *testing.T, url string) map[string]int {
	t.Helper()
	came := map[string]int{}
	for after := "earliest"; ; {
		var page struct {
			Events []struct{ Subject string }
			Cursor string
			More   bool
		}
		if err := json.Unmarshal(get(t, url+"/v1/topics/out/events?limit=1000&after="+after), &page); err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Events {
			came[e.Subject]++
		}
		if after = page.Cursor; !page.More {
			return came
		}
	}
}

func put(t *testing.T, url, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if _ = res.Body.Close(); res.StatusCode != http.StatusCreated {
		t.Fatal(url, res.Status)
	}
}
