package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parleyhq/parley/test/rig"
)

// TestDamage changes single bits of what a killed server left behind: in events
// that were acknowledged, and anywhere. No change may go unnoticed: verify tells
// of it and serve does, what is damaged is never answered, and all else is there
// and goes on.
func TestDamage(t *testing.T) {
	w := newWorld(t, "damage")
	w.crowd.open()
	w.wait(700 * time.Millisecond)
	w.crowd.close()
	w.check()
	w.wait(300 * time.Millisecond) // by now the log itself says up to where it was flushed
	w.live.Kill()
	w.trials("log", "wal")
	w.start() // what lies in the log now goes into segments
	rig.Eventually(t, "segments", func() bool {
		segments, err := filepath.Glob(filepath.Join(w.dir, "seg", "*.seg"))
		return err == nil && len(segments) >= len(topics)
	})
	w.wait(300 * time.Millisecond)
	w.live.Kill()
	w.trials("segments", "seg")
}

// trials damages copies of the directory: acknowledged events in files of the
// folder, and any byte of any file.
func (w *world) trials(where, folder string) {
	for i := range 3 {
		w.t.Run(fmt.Sprintf("%s/event %d", where, i), func(t *testing.T) {
			d := &damage{world: w, t: t, dir: w.sparse(t)}
			topic := d.spoilEvent(folder)
			d.verify()
			if !slices.Equal(d.lost, []string{topic}) {
				t.Errorf("an event of %s was damaged; verify says that events are lost in %v: %+v", topic, d.lost, d.findings)
			}
			d.serve()
		})
	}
	for i := range 6 {
		w.t.Run(fmt.Sprintf("%s/anywhere %d", where, i), func(t *testing.T) {
			d := &damage{world: w, t: t, dir: w.sparse(t)}
			d.spoilAnywhere(i%2 == 0)
			d.verify()
			d.serve()
		})
	}
}

// sparse copies the directory, without what log files reserve.
func (w *world) sparse(t *testing.T) string {
	t.Helper()
	to := t.TempDir()
	err := filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, err := filepath.Rel(w.dir, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, below), 0o700)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		f, err := os.Create(filepath.Join(to, below))
		if err != nil {
			return err
		}
		defer f.Close()
		if err := f.Truncate(int64(len(b))); err != nil {
			return err
		}
		_, err = f.WriteAt(b[:used(b)], 0)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// used is the length of a file without the zeros at its end.
func used(b []byte) int { return len(bytes.TrimRight(b, "\x00")) }

// damage is one damaged copy.
type damage struct {
	*world
	t        *testing.T
	dir      string
	at       string // what was changed
	code     int    // verify's exit code
	findings []finding
	lost     []string // topics of which verify says that events are lost
	all      bool     // what is not a topic's is lost, too
}

type finding struct {
	Stream, Where, What string
	Lost                bool
}

// flip changes one bit of a file.
func (d *damage) flip(file string, b []byte, at int) {
	d.t.Helper()
	bit := byte(1) << d.dice.IntN(8)
	d.at = fmt.Sprintf("%s at %d, bit %#x", file, at, bit)
	d.t.Logf("%s; there are %d events", d.at, len(d.shelf.where))
	f, err := os.OpenFile(filepath.Join(d.dir, file), os.O_WRONLY, 0)
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte{b[at] ^ bit}, int64(at)); err != nil {
		d.t.Fatal(err)
	}
}

// files gives what is used of each file of the directory.
func (d *damage) files() (names []string, contents [][]byte) {
	d.t.Helper()
	for _, pattern := range []string{"*", "wal/*", "seg/*"} {
		found, err := filepath.Glob(filepath.Join(d.dir, pattern))
		if err != nil {
			d.t.Fatal(err)
		}
		for _, path := range found {
			b, err := os.ReadFile(path)
			if n := used(b); err == nil && n > 0 { // not a folder
				name, _ := filepath.Rel(d.dir, path) // it is below
				names, contents = append(names, name), append(contents, b[:n])
			}
		}
	}
	return names, contents
}

// spoilEvent changes the data of an event that was acknowledged and is kept in a
// folder. What segments hold may also be in log files, which nobody reads again.
func (d *damage) spoilEvent(folder string) (topic string) {
	d.t.Helper()
	acked := slices.DeleteFunc(d.led.all(), func(r *request) bool { return r.acked.IsZero() })
	d.dice.Shuffle(len(acked), func(i, j int) { acked[i], acked[j] = acked[j], acked[i] })
	names, contents := d.files()
	for _, r := range acked {
		i := d.dice.IntN(len(r.events))
		kept := -1
		at := 0
		for k, b := range contents {
			if found := bytes.Index(b, []byte(r.data[i])); found >= 0 && (kept < 0 || filepath.Dir(names[k]) == "seg") {
				kept, at = k, found
			}
		}
		if kept >= 0 && filepath.Dir(names[kept]) == folder {
			d.flip(names[kept], contents[kept], at+d.dice.IntN(len(r.data[i])))
			return r.events[i].topic
		}
	}
	d.t.Fatalf("none of %d acknowledged requests lies in %s alone", len(acked), folder)
	return ""
}

// spoilAnywhere changes any bit that a file uses: of any file, the small ones too,
// or of all bytes that there are.
func (d *damage) spoilAnywhere(ofFiles bool) {
	d.t.Helper()
	names, contents := d.files()
	k := d.dice.IntN(len(names))
	if !ofFiles {
		at := d.dice.IntN(len(bytes.Join(contents, nil)))
		for k = 0; at >= len(contents[k]); k++ {
			at -= len(contents[k])
		}
		d.flip(names[k], contents[k], at)
		return
	}
	d.flip(names[k], contents[k], d.dice.IntN(len(contents[k])))
}

// verify asks what is lost.
func (d *damage) verify() {
	d.t.Helper()
	cmd := exec.Command(rig.Binary(d.t), "verify", d.dir, "--json")
	out, err := cmd.Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		d.code = failed.ExitCode()
	} else if err != nil {
		d.t.Fatal(err)
	}
	var e struct {
		Result struct{ Findings []finding }
		Error  struct{ Code string }
	}
	if err := json.Unmarshal(out, &e); err != nil {
		d.t.Fatalf("verify says %s: %v", out, err)
	}
	d.findings = e.Result.Findings
	for _, f := range d.findings {
		topic, _, partition := strings.Cut(f.Stream, "/")
		switch {
		case !f.Lost:
		case !partition:
			d.all = true
		case !slices.Contains(d.lost, topic):
			d.lost = append(d.lost, topic)
		}
	}
	d.all = d.all || d.code != 0 && len(d.findings) == 0
	if (d.code == 1) != (d.all || len(d.lost) > 0) || d.code > 1 {
		d.t.Fatalf("verify exits with %d and finds %+v", d.code, d.findings)
	}
}

// serve reads everything that is left. A topic of which nothing is lost is read to
// its end and taken on with; of others no event is answered in place of another.
func (d *damage) serve() {
	d.t.Helper()
	s := rig.Launch(d.t, "--data", d.dir)
	if err := s.Greet(); err != nil {
		if !d.all {
			d.t.Errorf("%s: the server gives up, and verify says %+v:\n%v", d.at, d.findings, err)
		}
		s.Kill()
		return
	}
	a, err := newAPI()
	if err != nil {
		d.t.Fatal(err)
	}
	defer a.close()
	a.moved(s)
	said := false
	for _, topic := range d.shelf.topics {
		err := d.readTopic(a, topic)
		var refused *refusal
		damaged := errors.As(err, &refused) && refused.code == "damaged"
		if hit := d.all || slices.Contains(d.lost, topic); err != nil && !(damaged && hit) || err == nil && hit && !d.all {
			d.t.Errorf("%s: reading %s: %v; verify says %+v", d.at, topic, err, d.findings)
		}
		said = said || damaged
	}
	s.Stop()
	if said && !strings.Contains(s.Log(), "level=ERROR") {
		d.t.Errorf("%s: the server says nothing of it", d.at)
	}
	before := d.code
	if d.findings, d.lost, d.all, d.code = nil, nil, false, 0; before == 1 {
		if d.verify(); d.code != 1 {
			d.t.Errorf("%s: after a server ran on it, nothing is lost", d.at)
		}
	}
}

// readTopic polls a topic to its end, and publishes to it.
func (d *damage) readTopic(a *api, topic string) error {
	ctx, cancel := context.WithTimeout(d.t.Context(), 30*time.Second)
	defer cancel()
	p := pages{map[string]string{}, newSequence(topic)}
	one := *d.shelf
	one.topics = []string{topic}
	if err := p.read(ctx, a, &one); err != nil {
		return err
	}
	_, _, err := a.do(ctx, "POST", "/v1/topics/"+topic+"/events", nil, []byte("it goes on"))
	return err
}
