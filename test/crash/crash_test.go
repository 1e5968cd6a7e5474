package crash

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/parleyhq/parley/test/rig"
)

var (
	rounds  = flag.Int("crash.rounds", 40, "how often the server is killed under load")
	seed    = flag.Uint64("crash.seed", 0, "of all choices; 0 = one for each day")
	writers = flag.Int("crash.writers", 64, "how many write at once")
)

func TestMain(m *testing.M) {
	if address := os.Getenv(workerVar); address != "" {
		workHere(address)
		return
	}
	if address := os.Getenv(memberVar); address != "" {
		readHere(address)
		return
	}
	flag.Parse()
	if *seed == 0 {
		now := time.Now().UTC()
		*seed = uint64(now.Year()*1000 + now.YearDay())
	}
	rig.Main(m)
}

// world is a directory, the servers that live on it one after the other, and
// those who use them.
type world struct {
	t     *testing.T
	dir   string
	dice  *rand.Rand
	api   *api
	led   *ledger
	crowd *crowd
	shelf *shelf
	pages *pages
	reads []*follower
	live  *rig.Server

	kills, early int
	copied       int64 // bytes of snapshots
	starts       []time.Duration
	stop, finish context.CancelFunc
}

func newWorld(t *testing.T, name string) *world {
	t.Helper()
	t.Logf("seed %d; again with -crash.seed %d", *seed, *seed)
	a, err := newAPI()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	last, finish := context.WithCancel(ctx)
	led := newLedger(*writers)
	w := &world{
		t: t, dir: t.TempDir(), dice: rand.New(rand.NewPCG(*seed, uint64(len(name)))), api: a, led: led,
		crowd: &crowd{api: a, led: led, last: last}, shelf: newShelf(led, topicNames()),
		pages: &pages{map[string]string{}, newSequence(topicNames()...)}, reads: followers(a), stop: stop, finish: finish,
	}
	w.start()
	for _, topic := range topics {
		if err := a.create(ctx, topic.name, topic.settings); err != nil {
			t.Fatal(err)
		}
	}
	w.crowd.start(ctx, *writers, *seed)
	for _, f := range w.reads {
		w.crowd.work.Go(func() { f.run(ctx) })
	}
	t.Cleanup(func() {
		stop()
		w.crowd.open()
		a.close()
		w.crowd.writing.Wait()
		w.crowd.work.Wait()
	})
	return w
}

// start starts the next server and waits until it serves.
func (w *world) start() {
	w.t.Helper()
	began := time.Now()
	w.live = rig.Start(w.t, "--data", w.dir)
	w.starts = append(w.starts, time.Since(began))
	w.api.moved(w.live)
}

// stumble starts servers that are killed while they start, or just after.
func (w *world) stumble() {
	typical := w.starts[len(w.starts)-1]
	for range 1 + w.dice.IntN(3) {
		s := rig.Launch(w.t, "--data", w.dir)
		w.wait(time.Duration(w.dice.Int64N(int64(typical) * 5 / 4)))
		s.Kill()
		w.early++
	}
}

// wait lets the world go on for a while: the moment of a kill is what is tested.
func (w *world) wait(d time.Duration) {
	select {
	case <-time.After(d):
	case <-w.t.Context().Done():
	}
}

// copy takes a snapshot for as long as the server lives.
func (w *world) copy() int64 {
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, base+"/v1/snapshot", nil)
	if err != nil {
		w.led.wrong("%v", err)
		return 0
	}
	res, err := w.api.http.Do(req)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		w.led.wrong("a snapshot is answered with %s", res.Status)
	}
	n, _ := io.Copy(io.Discard, res.Body) // until it is killed
	return n
}

// kill ends the server under load, and closes the gate when nobody has a request
// under way.
func (w *world) kill() {
	w.wait(50*time.Millisecond + time.Duration(w.dice.Int64N(int64(700*time.Millisecond))))
	w.live.Kill()
	w.kills++
	w.crowd.close()
}

// check holds what is there to what was sent, with the gate closed.
func (w *world) check() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	if err := w.shelf.read(ctx, w.api); err != nil {
		w.fatal("what is there, by gRPC: %v", err)
	}
	for _, r := range w.led.takeFresh() {
		if err := w.shelf.check(r); err != nil {
			w.fatal("%v", err)
		}
	}
	for _, all := range w.led.writers { // those under way when the server was killed
		if n := len(all); n > 0 {
			if err := w.shelf.check(all[n-1]); err != nil {
				w.fatal("%v", err)
			}
		}
	}
	if err := w.pages.read(ctx, w.api, w.shelf); err != nil {
		w.fatal("by polling: %v", err)
	}
	for _, f := range w.reads {
		if err := f.catchUp(ctx, w.shelf); err != nil {
			w.fatal("%v", err)
		}
	}
	w.fatalMistakes()
}

// checkAll reads everything anew, and holds every request to it.
func (w *world) checkAll() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Minute)
	defer cancel()
	again := newShelf(w.led, topicNames())
	if err := again.read(ctx, w.api); err != nil {
		w.fatal("all that is there: %v", err)
	}
	for at, ids := range again.order {
		if !slices.Equal(ids, w.shelf.order[at]) {
			w.fatal("%v is not what it was: %d events then, %d now", at, len(w.shelf.order[at]), len(ids))
		}
	}
	for _, r := range w.led.all() {
		if err := again.check(r); err != nil {
			w.fatal("%v", err)
		}
	}
}

// repeat sends some of the last acknowledged requests again: they are answered
// with the first positions.
func (w *world) repeat() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	for range 24 {
		all := w.led.writers[w.dice.IntN(*writers)]
		if len(all) < 2 {
			continue
		}
		r := all[len(all)-2-w.dice.IntN(min(len(all)-1, 8))]
		if r.acked.IsZero() || time.Since(r.acked) > 90*time.Second { // the window is two minutes
			continue
		}
		send := w.api.overHTTP
		if w.dice.IntN(2) == 0 {
			send = w.api.overRPC
		}
		got, err := send(ctx, r)
		if err != nil {
			w.fatal("%s, again: %v", r.key, err)
		}
		w.led.answered(r, got)
	}
	w.fatalMistakes()
}

func (w *world) fatalMistakes() {
	w.t.Helper()
	w.led.mu.Lock()
	mistakes := w.led.mistakes
	w.led.mu.Unlock()
	if len(mistakes) > 0 {
		w.fatal("%d mistakes, the first is: %s", len(mistakes), mistakes[0])
	}
}

// fatal ends the test; where CRASH_KEEP names a folder, the directory is kept there.
func (w *world) fatal(format string, args ...any) {
	w.t.Helper()
	w.t.Logf("after %d kills; the last server's log:\n%s", w.kills, w.live.Log())
	if keep := os.Getenv("CRASH_KEEP"); keep != "" {
		w.live.Kill()
		if err := os.CopyFS(keep, os.DirFS(w.dir)); err != nil {
			w.t.Log(err)
		}
	}
	w.t.Fatalf(format, args...)
}

// report prints the figures.
func (w *world) report(began time.Time) {
	w.led.mu.Lock()
	defer w.led.mu.Unlock()
	slices.Sort(w.starts)
	requests, abandoned := 0, 0
	for _, all := range w.led.writers {
		for _, r := range all {
			requests++
			if r.abandoned {
				abandoned++
			}
		}
	}
	conns := ""
	for _, f := range w.reads {
		conns += fmt.Sprintf(" %s %d in %d connections;", f.name, f.total, f.conns)
	}
	w.t.Logf("%d kills under load, %d while starting, in %v; %d requests, %d events acknowledged, %d there; %d attempts without an answer, %d given up, %d answered as repeats; refused: %v; %d bytes of snapshots; start p50 %v, max %v; readers:%s",
		w.kills, w.early, time.Since(began).Round(time.Second), requests, w.led.events, len(w.shelf.where), w.led.unknown, abandoned, w.led.found, w.led.refused, w.copied,
		w.starts[len(w.starts)/2].Round(time.Millisecond), w.starts[len(w.starts)-1].Round(time.Millisecond), conns)
}

// TestKilled kills a server under load again and again; every third time its
// successors too, while they start.
func TestKilled(t *testing.T) {
	began := time.Now()
	w := newWorld(t, "killed")
	for round := range *rounds {
		w.crowd.open()
		copied := make(chan int64, 1)
		if round%4 == 2 { // the log goes on in another file, and segments are written
			go func() { copied <- w.copy() }()
		} else {
			copied <- 0
		}
		w.kill()
		w.copied += <-copied
		if round%3 == 1 {
			w.stumble()
		}
		w.start()
		w.check()
		w.repeat()
		if round%10 == 9 {
			w.checkAll()
		}
	}
	w.finish()
	w.crowd.open()
	w.drain()
	w.check()
	w.checkAll()
	w.report(began)
	w.live.Stop()
}

// drain waits until every writer knows what became of its last request.
func (w *world) drain() {
	done := make(chan struct{})
	go func() {
		w.crowd.writing.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		w.fatal("the writers did not come to an end")
	}
}
