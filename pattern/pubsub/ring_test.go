package pubsub

import (
	"slices"
	"strconv"
	"testing"
	"testing/synctest"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
)

// bell counts.
type bell struct{ rung chan struct{} }

func newBell() bell { return bell{make(chan struct{}, 100)} }

func (b bell) Wake() { b.rung <- struct{}{} }

// quiet waits until nothing goes on any more, and drops what has rung meanwhile.
func (b bell) quiet() (n int) {
	synctest.Wait()
	for len(b.rung) > 0 {
		<-b.rung
		n++
	}
	return n
}

func TestRing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		if _, err := r.topics.Create(t.Context(), "wide", topic.Settings{Partitions: 100}); err != nil {
			t.Fatal(err)
		}
		at := r.publish("a", "1", "2")
		spots := []Spot{{"a", 0, at[1].Position + 1}, {"missing", 0, 0}, {"a", 7, 0}}
		for i := range 100 { // more than a cursor holds
			spots = append(spots, Spot{"wide", i, 0})
		}
		b := newBell()
		ring := func() func() {
			cancel, err := r.hub.Ring(t.Context(), spots, b)
			if err != nil {
				t.Fatal(err)
			}
			return cancel
		}
		cancel := ring()
		b.quiet() // a follower that begins may wake for nothing
		cancel()
		cancel = ring()
		if n := b.quiet(); n != 0 {
			t.Fatalf("woken %d times with nothing there", n)
		}
		r.publish("a", "3")
		if n := b.quiet(); n != 1 {
			t.Fatalf("woken %d times for an event", n)
		}
		cancel()
		cancel = ring()
		if n := b.quiet(); n != 1 {
			t.Fatalf("woken %d times for an event that is there", n)
		}
		cancel()
		spots[0].At++
		cancel = ring()
		for i := range 20 {
			r.publish("wide", strconv.Itoa(i))
		}
		if n := b.quiet(); n != 1 {
			t.Fatalf("woken %d times for many events", n)
		}
		cancel()
		r.publish("a", "4")
		if n := b.quiet(); n != 0 {
			t.Fatalf("woken %d times after the end", n)
		}
	})
}

func TestOnePartition(t *testing.T) {
	r := newRig(t, Options{})
	made, err := r.topics.Create(t.Context(), "a", topic.Settings{Partitions: 100})
	if err != nil {
		t.Fatal(err)
	}
	const events = 300
	var want [100][]string
	for i := range events {
		data := strconv.Itoa(i)
		placed := r.publish("a", data)
		want[placed[0].Partition] = append(want[placed[0].Partition], data)
	}
	read := 0
	for p := range made.Partitions {
		if len(want[p]) == 0 {
			continue
		}
		s := r.subscribe(Request{Topics: []string{"a"}, Partition: &p, From: Earliest()})
		got := text(r.next(s))
		for len(got) < len(want[p]) {
			got = append(got, text(r.next(s))...)
		}
		if !slices.Equal(got, want[p]) {
			t.Errorf("partition %d gives %q, want %q", p, got, want[p])
		}
		again := r.subscribe(Request{Topics: []string{"a"}, Partition: &p, From: After(s.Cursor()), Strict: true})
		if d, err := again.Fetch(t.Context(), 1<<20); err != nil || !d.Empty() {
			t.Errorf("after its cursor: %v %v", text(d), err)
		}
		s.Close()
		again.Close()
		read += len(want[p])
	}
	if read != events {
		t.Errorf("%d events read", read)
	}
}

func TestOnePartitionThatCannotBe(t *testing.T) {
	r := newRig(t, Options{})
	r.publish("a", "1")
	for _, c := range []struct {
		q         Request
		partition int
		code      parley.Code
	}{
		{Request{Topics: []string{"a"}}, 1, parley.NotFound},
		{Request{Topics: []string{"a"}}, -1, parley.NotFound},
		{Request{Topics: []string{"a", "b"}}, 0, parley.Invalid},
		{Request{Topics: []string{"a.*"}}, 0, parley.Invalid},
		{Request{Topics: []string{"a"}, Ephemeral: true}, 0, parley.Invalid},
	} {
		c.q.Partition = &c.partition
		if _, err := r.hub.Subscribe(t.Context(), c.q); parley.CodeOf(err) != c.code {
			t.Errorf("%+v: %v", c.q, err)
		}
	}
	first := 0
	s := r.subscribe(Request{Topics: []string{"later"}, Partition: &first})
	r.publish("later", "x")
	if got := text(r.next(s)); !slices.Equal(got, []string{"x"}) {
		t.Errorf("of a topic made later: %q", got)
	}
	s.Close()
}
