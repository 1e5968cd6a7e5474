package patterntest

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
)

// Schedules are seeded: a failure names its seed, and the steps are the same
// again. Odd seeds trim, and then no more than one partition is read.
const (
	seeds = 6
	steps = 60
)

func schedules(s *scene) {
	for seed := range uint64(seeds) {
		if runSchedule(s, seed); s.Failed() {
			s.Logf("seed %d", seed)
			return
		}
	}
}

// schedule is one run: what was published, and who reads.
type schedule struct {
	*scene
	rand    *rand.Rand
	name    string // of the topic
	trims   bool
	count   [2]int // events published, by partition
	keys    [2]string
	at      []parley.Position // of the events of partition 0, by number
	clients []*client
	log     []string // the steps, for a failure
}

// client reads by one way. It keeps what it has read together with the cursor, as
// one does who wants each event to count once: when it comes back, what it read
// behind its newest cursor is forgotten.
type client struct {
	way  Way
	stop context.CancelFunc
	done chan struct{}

	mu     sync.Mutex
	paused chan struct{} // closed when it goes on; nil = it is not paused
	kept   []string      // events and notices up to cursor
	since  []string      // and behind it
	cursor string
	err    error
}

func runSchedule(s *scene, seed uint64) {
	d := &schedule{scene: s, rand: rand.New(rand.NewPCG(seed, 7)), name: fmt.Sprintf("topic-%d", seed), trims: seed%2 == 1}
	partitions := 2
	if d.trims {
		partitions = 1
	}
	d.create(d.name, partitions)
	d.findKeys(partitions)
	for _, way := range s.ways() {
		c := &client{way: way, cursor: "earliest"}
		d.clients = append(d.clients, c)
		d.connect(c)
	}
	for range steps {
		d.step()
	}
	d.finish()
}

// findKeys finds a key for each partition.
func (d *schedule) findKeys(partitions int) {
	d.keys = [2]string{}
	for i := 0; slices.Contains(d.keys[:partitions], ""); i++ {
		e := keyed(strconv.Itoa(i), 0)
		d.keys[topic.PartitionOf(&e, partitions)] = strconv.Itoa(i)
	}
}

func (d *schedule) step() {
	c := d.clients[d.rand.IntN(len(d.clients))]
	switch n := d.rand.IntN(20); {
	case n < 9:
		d.note("publish")
		d.some(1 + d.rand.IntN(6))
	case n < 11:
		d.note("kill " + c.way.Name)
		d.kill(c)
	case n < 14:
		d.note("connect " + c.way.Name)
		d.connect(c)
	case n < 15:
		names := slices.Sorted(maps.Keys(d.doors))
		name := names[d.rand.IntN(len(names))]
		d.note("cut " + name)
		d.doors[name].Cut(time.Duration(d.rand.IntN(2)) * 3 * time.Second)
	case n < 16:
		d.note("pause " + c.way.Name)
		c.pause()
	case n < 17:
		d.note("go on " + c.way.Name)
		c.goOn()
	case n < 18 && d.trims:
		d.note("trim")
		d.drop()
	default:
		d.note("wait")
		d.pass(time.Duration(d.rand.IntN(8000)) * time.Millisecond)
	}
}

func (d *schedule) note(what string) { d.log = append(d.log, what) }

// some publishes a few events in one request.
func (d *schedule) some(n int) {
	var events []parley.Event
	var of []int
	for range n {
		p := 0
		if !d.trims {
			p = d.rand.IntN(2)
		}
		e := parley.Event{Data: fmt.Appendf(nil, "%d:%d", p, d.count[p]), DataContentType: "text/plain"}
		if d.rand.IntN(8) == 0 {
			e.Data = fmt.Appendf(e.Data, "%4096s", "") // so that connections fill up
		}
		e.Set(parley.PartitionKey, d.keys[p])
		events, of = append(events, e), append(of, p)
		d.count[p]++
	}
	for i, placed := range d.publish(d.name, events...) {
		if of[i] != placed.Partition {
			d.Fatalf("key %s went to partition %d", d.keys[of[i]], placed.Partition)
		}
		if placed.Partition == 0 {
			d.at = append(d.at, placed.Position)
		}
	}
}

// drop trims up to some event.
func (d *schedule) drop() {
	if len(d.at) == 0 {
		return
	}
	upTo := d.at[d.rand.IntN(len(d.at))]
	if err := d.Log.Trim(d.Life, d.stream(d.name, 0), upTo); err != nil {
		d.Fatalf("trim: %v", err)
	}
}

func (d *schedule) connect(c *client) {
	if c.done != nil {
		select {
		case <-c.done:
		default:
			return // it reads
		}
	}
	c.since = nil
	ctx, stop := context.WithCancel(d.Life)
	c.stop, c.done = stop, make(chan struct{})
	q := Query{Topics: []string{d.name}, From: c.cursor}
	go func() {
		defer close(c.done)
		if err := follow(ctx, c.way, q, func(got Received) bool { return c.take(ctx, got) }); err != nil && ctx.Err() == nil {
			c.mu.Lock()
			c.err = err
			c.mu.Unlock()
		}
	}()
	d.Cleanup(stop)
}

func (d *schedule) kill(c *client) {
	c.goOn()
	c.stop()
	<-c.done
}

func (c *client) take(ctx context.Context, got Received) bool {
	c.mu.Lock()
	paused := c.paused
	c.mu.Unlock()
	if paused != nil {
		select {
		case <-paused:
		case <-ctx.Done():
			return false
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.since = append(c.since, word(got))
	if got.Cursor != "" {
		c.cursor, c.kept, c.since = got.Cursor, append(c.kept, c.since...), nil
	}
	return true
}

func (c *client) pause() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.paused == nil {
		c.paused = make(chan struct{})
	}
}

func (c *client) goOn() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.paused != nil {
		close(c.paused)
		c.paused = nil
	}
}

// finish lets everybody catch up, and then judges what they read.
func (d *schedule) finish() {
	for _, c := range d.clients {
		c.goOn()
		d.connect(c)
	}
	for range 2 {
		d.some(3)
		d.pass(patience)
	}
	for _, c := range d.clients {
		d.kill(c)
		if c.err != nil {
			d.Errorf("%s ended with %v", c.way.Name, c.err)
		}
		if why := judge(append(c.kept, c.since...), d.trims, d.kept(), d.count); why != "" {
			d.Errorf("%s: %s\nread %v\nsteps %v", c.way.Name, why, append(c.kept, c.since...), d.log)
		}
	}
}

// kept is the first event of partition 0 that is there still.
func (d *schedule) kept() (n int) {
	for earliest := d.earliest(d.name); n < len(d.at) && d.at[n] < earliest; {
		n++
	}
	return n
}

// judge says what is wrong with what a client has read from earliest on: events as
// "partition:number", and gaps. kept is the first event of partition 0 that is not
// trimmed, and count how many there are of each.
func judge(words []string, trims bool, kept int, count [2]int) string {
	var next [2]int
	told := trims // from earliest begins where the log did then
	for _, word := range words {
		if word == "[gap]" && trims {
			told = true
			continue
		}
		left, right, ok := strings.Cut(word, ":")
		p, err1 := strconv.Atoi(left)
		n, err2 := strconv.Atoi(right)
		switch {
		case !ok || err1 != nil || err2 != nil || p > 1:
			return "got " + word
		case n < next[p]:
			return word + " came twice, or late"
		case n > next[p] && !told:
			return word + " came, and nothing of what is before it"
		case n > next[p] && n > kept:
			return fmt.Sprintf("%s came after a gap, but what lies before it is there from %d on", word, kept)
		}
		next[p], told = n+1, false
	}
	if next != count {
		return fmt.Sprintf("read up to %v of %v", next, count)
	}
	return ""
}
