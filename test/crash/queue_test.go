package crash

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/parleyhq/parley/test/rig"
)

var queueJobs = flag.Int("crash.jobs", 3000, "how many jobs the workers have that are killed, and whose server is")

// Workers are processes of this test's own binary: SIGKILL leaves them no time to
// say anything. workerVar tells one where the server is.
const workerVar = "PARLEY_CRASH_WORKER"

// workHere is a worker's life: it leases, tells what it works on, acks, and tells
// what was acked. What it prints of an ack, the server has answered.
func workHere(address string) {
	out := bufio.NewWriter(os.Stdout)
	say := func(word string, id int) {
		fmt.Fprintln(out, word, id, time.Now().UnixNano())
		_ = out.Flush() // nobody listens: then the worker dies soon
	}
	client := &http.Client{Timeout: 20 * time.Second}
	for {
		var got struct {
			Jobs []struct {
				Lease string
				Until time.Time
				Event struct{ Data int }
			}
		}
		body, err := post(client, address+"/v1/queues/work/lease?max=8&wait=5s&visibility=3s")
		if err != nil || json.Unmarshal(body, &got) != nil {
			<-time.After(20 * time.Millisecond)
			continue
		}
		for _, job := range got.Jobs {
			id := job.Event.Data
			if !time.Now().Before(job.Until) {
				continue // it was kept waiting, and the job is somebody else's
			}
			say("work", id)
			if _, err := post(client, address+"/v1/leases/"+job.Lease+"/ack"); err == nil {
				say("acked", id)
			}
		}
	}
}

func post(client *http.Client, url string) ([]byte, error) {
	res, err := client.Post(url, "", nil)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode >= 300 {
		err = fmt.Errorf("%s: %s", res.Status, body)
	}
	return body, err
}

// crew is the workers, and what they have told.
type crew struct {
	t     *testing.T
	role  string        // the variable that tells a worker where the server is
	calm  time.Duration // how much longer than a moment each lives
	mu    sync.Mutex
	tries [][]int64 // by job: when it was worked on
	acked []int64   // by job: when its ack was answered first; 0 = nobody lived to hear it
	kills int
}

// heard files a line of a worker. All clocks are that of this machine.
func (c *crew) heard(line string) {
	var word string
	var n int
	var at int64
	if _, err := fmt.Sscan(line, &word, &n, &at); err != nil || n < 0 || n >= len(c.tries) {
		return // cut off in the middle
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case word == "work":
		c.tries[n] = append(c.tries[n], at)
	case word == "acked" && (c.acked[n] == 0 || at < c.acked[n]):
		c.acked[n] = at
	}
}

// employ keeps one place of the crew filled until ctx ends: its worker is killed
// at random moments, and another one comes.
func (c *crew) employ(ctx context.Context, dice *rand.Rand, address string) {
	for ctx.Err() == nil {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), c.role+"="+address)
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			c.t.Error(err)
			return
		}
		var reading sync.WaitGroup
		reading.Go(func() {
			for lines := bufio.NewScanner(out); lines.Scan(); {
				c.heard(lines.Text())
			}
		})
		select {
		case <-time.After(c.calm + 200*time.Millisecond + time.Duration(dice.Int64N(int64(2*time.Second)))):
		case <-ctx.Done():
		}
		_ = cmd.Process.Kill()
		reading.Wait()
		_ = cmd.Wait() // it was killed
		c.mu.Lock()
		c.kills++
		c.mu.Unlock()
	}
}

// TestQueueSurvives kills the workers of a queue, and its server, while jobs are
// worked on. Each job is worked on at least once, and none again whose ack was
// answered; the queue's own counts say the same.
func TestQueueSurvives(t *testing.T) {
	const workers = 8
	dir, dice := t.TempDir(), rand.New(rand.NewPCG(*seed, 3))
	t.Logf("seed %d; again with -crash.seed %d", *seed, *seed)
	live := rig.Start(t, "--data", dir)
	front := rig.NewProxy(t, live.Address()) // workers keep their address
	enqueue(t, live.URL)
	c := &crew{t: t, role: workerVar, tries: make([][]int64, *queueJobs), acked: make([]int64, *queueJobs)}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var all sync.WaitGroup
	for i := range workers {
		own := rand.New(rand.NewPCG(*seed, uint64(100+i)))
		all.Go(func() { c.employ(ctx, own, "http://"+front.Address) })
	}
	crashes := 0
	patience := time.After(2*time.Minute + time.Duration(*queueJobs)*20*time.Millisecond)
	for left := -1; left != 0; {
		select {
		case <-time.After(500*time.Millisecond + time.Duration(dice.Int64N(int64(1500*time.Millisecond)))):
		case <-patience:
			t.Fatalf("%d jobs are left", left)
		}
		if left = jobsLeft(t, live.URL); left == 0 {
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
	c.check(t, live.URL)
	t.Logf("%d jobs by %d workers, of which %d were killed; the server was killed %d times", *queueJobs, workers, c.kills, crashes)
	if crashes == 0 || c.kills <= workers {
		t.Errorf("%d crashes and %d kills are too few to mean anything: use more jobs", crashes, c.kills)
	}
}

func (c *crew) check(t *testing.T, url string) {
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
				t.Errorf("job %d was worked on %s after its ack", n, time.Duration(at-c.acked[n]))
			}
		}
	}
	if never > 0 {
		t.Errorf("%d jobs are gone and nobody has worked on them", never)
	}
	var info struct {
		Stats struct{ Ready, Delayed, Leased, Dead, Enqueued, Done int }
	}
	body := get(t, url+"/v1/queues/work")
	if err := json.Unmarshal(body, &info); err != nil {
		t.Fatal(err)
	}
	if s := info.Stats; s.Done != *queueJobs || s.Enqueued != *queueJobs || s.Dead != 0 {
		t.Errorf("the queue counts %s", body)
	}
	t.Logf("%d jobs had been acked when their worker heard of it; %d times a job was worked on once more", heard, more)
}

func enqueue(t *testing.T, url string) {
	t.Helper()
	settings := `{"max_attempts": -1, "retry": {"kind": "fixed", "delay": "10ms"}}`
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url+"/v1/queues/work", strings.NewReader(settings))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if _ = res.Body.Close(); res.StatusCode != http.StatusCreated {
		t.Fatal(res.Status)
	}
	for from := 0; from < *queueJobs; from += 1000 {
		var lines strings.Builder
		for n := from; n < min(from+1000, *queueJobs); n++ {
			fmt.Fprintln(&lines, n)
		}
		res, err := http.Post(url+"/v1/queues/work/jobs", "application/x-ndjson", strings.NewReader(lines.String()))
		if err != nil {
			t.Fatal(err)
		}
		if _ = res.Body.Close(); res.StatusCode != http.StatusCreated {
			t.Fatal(res.Status)
		}
	}
}

func jobsLeft(t *testing.T, url string) int {
	t.Helper()
	var info struct {
		Stats struct{ Ready, Delayed, Leased int }
	}
	if err := json.Unmarshal(get(t, url+"/v1/queues/work"), &info); err != nil {
		t.Fatal(err)
	}
	return info.Stats.Ready + info.Stats.Delayed + info.Stats.Leased
}

func get(t *testing.T, url string) []byte {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v", res.Status, body, err)
	}
	return body
}
