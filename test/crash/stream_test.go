package crash

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parleyhq/parley/test/rig"
)

var streamEvents = flag.Int("crash.events", 4000, "how many events the group reads whose members are killed, and whose server is")

// memberVar tells a process of this test's binary that it is a member of a group, and
// where the server is.
const memberVar = "PARLEY_CRASH_MEMBER"

// membership is what a member keeps.
type membership struct {
	client  *http.Client
	address string
	member  string
	gen     uint64
	cursor  string
}

// call sends a request to the group; lost: the group does not know the member.
func (m *membership) call(method, path string, in, out any) (lost bool, err error) {
	var body bytes.Buffer
	if in != nil {
		_ = json.NewEncoder(&body).Encode(in) // maps of texts and numbers
	}
	req, err := http.NewRequest(method, m.address+"/v1/groups/readers/"+path, &body)
	if err != nil {
		return false, err
	}
	res, err := m.client.Do(req)
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return false, err
	}
	if res.StatusCode >= 300 {
		return res.StatusCode == http.StatusConflict && strings.Contains(string(answer), `"field":"member"`), fmt.Errorf("%s: %s", res.Status, answer)
	}
	return false, json.Unmarshal(answer, out)
}

func (m *membership) join() error {
	var out struct {
		Member     string
		Generation uint64
	}
	_, err := m.call(http.MethodPost, "join", map[string]any{"topics": []string{"load"}, "session_timeout": "3s", "rebalance_timeout": "3s", "wait": "0s"}, &out)
	m.member, m.gen, m.cursor = out.Member, out.Generation, ""
	return err
}

// readHere is a member's life: it asks, tells when it asked for what it was given,
// commits, and tells what was committed. What it prints of a commit, the server has
// answered.
func readHere(address string) {
	m := &membership{client: &http.Client{Timeout: 10 * time.Second}, address: address}
	out := bufio.NewWriter(os.Stdout)
	for {
		err := m.turn(out)
		_ = out.Flush() // nobody listens: then the member dies soon
		if err != nil {
			<-time.After(20 * time.Millisecond)
		}
	}
}

func (m *membership) turn(out *bufio.Writer) error {
	if m.member == "" {
		if err := m.join(); err != nil {
			return err
		}
	}
	var got struct {
		Events     []struct{ Data int }
		Cursor     string
		Generation uint64
	}
	asked := time.Now().UnixNano()
	q := url.Values{"member": {m.member}, "generation": {fmt.Sprint(m.gen)}, "limit": {"20"}, "wait": {"2s"}}
	if m.cursor != "" {
		q.Set("after", m.cursor)
	}
	lost, err := m.call(http.MethodGet, "events?"+q.Encode(), nil, &got)
	if lost {
		m.member = ""
	}
	if err != nil {
		return err
	}
	m.cursor, m.gen = got.Cursor, got.Generation
	for _, e := range got.Events {
		fmt.Fprintln(out, "work", e.Data, asked)
	}
	if err := out.Flush(); err != nil || len(got.Events) == 0 {
		return err
	}
	<-time.After(150 * time.Millisecond) // the work
	if lost, err = m.call(http.MethodPost, "commit", map[string]any{"member": m.member, "generation": m.gen, "cursor": m.cursor}, new(struct{})); err != nil {
		if m.cursor = ""; lost { // back to what is committed
			m.member = ""
		}
		return err
	}
	now := time.Now().UnixNano()
	for _, e := range got.Events {
		fmt.Fprintln(out, "acked", e.Data, now)
	}
	return nil
}

// TestGroupSurvives kills the members of a group, and its server, while they read.
// Each event is given at least once, and none to a request that was sent after its
// commit had been answered.
func TestGroupSurvives(t *testing.T) {
	const members = 3
	dir, dice := t.TempDir(), rand.New(rand.NewPCG(*seed, 4))
	t.Logf("seed %d; again with -crash.seed %d", *seed, *seed)
	live := rig.Start(t, "--data", dir)
	front := rig.NewProxy(t, live.Address()) // members keep their address
	fill(t, live.URL)
	c := &crew{t: t, role: memberVar, calm: 5 * time.Second, tries: make([][]int64, *streamEvents), acked: make([]int64, *streamEvents)}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var all sync.WaitGroup
	for i := range members {
		own := rand.New(rand.NewPCG(*seed, uint64(200+i)))
		all.Go(func() { c.employ(ctx, own, "http://"+front.Address) })
	}
	crashes, patience := 0, time.After(2*time.Minute)
	for lag := int64(-1); lag != 0; {
		select {
		case <-time.After(5*time.Second + time.Duration(dice.Int64N(int64(3*time.Second)))): // a rebalance waits out the sessions of the dead
		case <-patience:
			t.Fatalf("%d events are left", lag)
		}
		if lag = lagOf(t, live.URL); lag == 0 && crashes > 0 {
			break
		}
		live.Kill()
		crashes++
		live = rig.Start(t, "--data", dir)
		front.Cut()
		front.To(live.Address())
	}
	stop()
	all.Wait()
	c.account(t)
	t.Logf("%d events, %d members killed, the server %d times", *streamEvents, c.kills, crashes)
}

// account holds what the members have told against what is promised.
func (c *crew) account(t *testing.T) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	never, more, heard := 0, 0, 0
	for n, tries := range c.tries {
		if len(tries) == 0 {
			never++
		}
		more += max(0, len(tries)-1)
		if c.acked[n] == 0 {
			continue
		}
		heard++
		for _, at := range tries {
			if at > c.acked[n] {
				t.Errorf("event %d was given to a request that came %s after its commit", n, time.Duration(at-c.acked[n]))
			}
		}
	}
	if never > 0 {
		t.Errorf("%d events are committed and nobody was given them", never)
	}
	if heard == 0 || c.kills <= 3 {
		t.Errorf("%d commits heard of and %d kills are too few to mean anything: use more events", heard, c.kills)
	}
	t.Logf("%d events had been committed when their member heard of it; %d times an event was given once more", heard, more)
}

// fill makes a topic of eight partitions with numbers as events.
func fill(t *testing.T, address string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, address+"/v1/topics/load", strings.NewReader(`{"partitions": 8}`))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	for from := 0; from < *streamEvents; from += 500 {
		var list []map[string]any
		for n := from; n < min(from+500, *streamEvents); n++ {
			list = append(list, map[string]any{"specversion": "1.0", "id": fmt.Sprint(n), "source": "/load", "type": "n", "partitionkey": fmt.Sprint(n % 64), "data": n})
		}
		body, _ := json.Marshal(list) // texts and numbers
		res, err := http.Post(address+"/v1/topics/load/events", "application/cloudevents-batch+json", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if _ = res.Body.Close(); res.StatusCode >= 300 {
			t.Fatal(res.Status)
		}
	}
}

// lagOf is how many events are not committed; the number of all before there is a
// group.
func lagOf(t *testing.T, address string) int64 {
	t.Helper()
	res, err := http.Get(address + "/v1/groups/readers")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var info struct {
		Lag        *int64
		Partitions []struct{ Committed int64 }
	}
	if err := json.NewDecoder(res.Body).Decode(&info); err != nil || res.StatusCode != http.StatusOK || info.Lag == nil || len(info.Partitions) < 8 {
		return int64(*streamEvents)
	}
	return *info.Lag
}
