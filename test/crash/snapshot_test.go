package crash

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/parleyhq/parley/test/rig"
)

// TestSnapshotUnderLoad saves copies of a server while everybody writes, and holds
// what is restored to what was sent: it is the state at one commit between the
// beginning and the end of the saving.
func TestSnapshotUnderLoad(t *testing.T) {
	w := newWorld(t, "snapshot")
	w.crowd.open()
	var copies []*saved
	for i := range 3 {
		w.wait(300 * time.Millisecond)
		c := &saved{file: filepath.Join(t.TempDir(), "copy"), from: time.Now()}
		t.Log(rig.Run(t, rig.Binary(t), "snapshot", "save", c.file, "--server", w.live.URL, "--json"))
		c.to = time.Now()
		copies = append(copies, c)
		if i == 1 { // what was laid out before is read from segments
			w.kill()
			w.start()
			w.crowd.open()
		}
	}
	w.wait(200 * time.Millisecond)
	w.finish()
	w.drain()
	w.check()
	for i, c := range copies {
		if err := c.check(w); err != nil {
			t.Fatalf("copy %d: %v", i, err)
		}
	}
	w.live.Stop()
}

// saved is a snapshot, and between when it was taken.
type saved struct {
	file     string
	from, to time.Time
}

func (c *saved) check(w *world) error {
	dir := filepath.Join(w.t.TempDir(), "restored")
	rig.Run(w.t, rig.Binary(w.t), "snapshot", "restore", c.file, dir)
	rig.Run(w.t, rig.Binary(w.t), "verify", dir)
	live := rig.Start(w.t, "--data", dir)
	a, err := newAPI()
	if err != nil {
		return err
	}
	defer a.close()
	a.moved(live)
	got := newShelf(w.led, topicNames())
	if err := got.read(w.t.Context(), a); err != nil {
		return err
	}
	for at, ids := range got.order {
		if all := w.shelf.order[at]; len(ids) > len(all) || !slices.Equal(ids, all[:len(ids)]) {
			return fmt.Errorf("%v does not begin like the original: %d events of %d", at, len(ids), len(all))
		}
	}
	for _, all := range w.led.writers {
		if err := c.checkWriter(got, all); err != nil {
			return err
		}
	}
	w.t.Logf("a copy of %d events of %d", len(got.where), len(w.shelf.where))
	next := newRequest(0, len(w.led.writers[0])) // life goes on where the copy ends
	next.add("audit", "")
	w.led.begin(next)
	answer, err := a.overHTTP(w.t.Context(), next)
	if want := int64(len(got.order[lane{"audit", 0}]) + 1); err != nil || answer.places[0].position != want {
		return fmt.Errorf("the next event is at %v, not at %d (%w)", answer.places, want, err)
	}
	live.Stop()
	return nil
}

// checkWriter holds the requests of one writer, who sent each when it knew the
// answer to the one before, to a copy.
func (c *saved) checkWriter(got *shelf, all []*request) error {
	missing := "" // one that is not there
	for _, r := range all {
		n := got.holds(r)
		for i, e := range r.events {
			if at, ok := got.where[e.id]; ok && !r.acked.IsZero() && at != r.places[i] {
				return fmt.Errorf("event %s was acknowledged at %v and is at %v", e.id, r.places[i], at)
			}
		}
		switch {
		case n != 0 && n != len(r.events) && r.atomic():
			return fmt.Errorf("%s is one commit of %d events: %d are there", r.key, len(r.events), n)
		case n < len(r.events) && !r.acked.IsZero() && r.acked.Before(c.from):
			return fmt.Errorf("%s was acknowledged before the copy began: %d of %d events are there", r.events[0].id, n, len(r.events))
		case n > 0 && r.begun.After(c.to):
			return fmt.Errorf("%s was sent after the copy had ended, and is there", r.events[0].id)
		case n > 0 && missing != "":
			return fmt.Errorf("%s is there, and %s, which came before, is not", r.events[0].id, missing)
		case n < len(r.events) && !r.acked.IsZero():
			missing = r.events[0].id
		}
	}
	return nil
}
