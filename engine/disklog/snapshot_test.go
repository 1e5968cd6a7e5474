package disklog

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/internal/vfs"
)

// TestSnapshot: a snapshot of a log under load is at one commit: two streams that
// are always appended to together are equally long in it.
func TestSnapshot(t *testing.T) {
	l := open(t, vfs.NewMem(), tiny())
	run(t, l)
	h := newHistory()
	for i := range 10 {
		mustPut(t, h, l, fmt.Sprint("v", i, strings.Repeat("s", 900)), name("a"), name("b"))
	}
	key := parley.Key{1}
	once := parley.Write{Stream: name("$c"), Once: key, Batch: batch(t, "once")}
	first, err := l.Append(t.Context(), once)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		for ctx.Err() == nil {
			w := []parley.Write{{Stream: name("a"), Batch: batch(t, "more")}, {Stream: name("b"), Batch: batch(t, "more")}}
			if _, err := l.Append(ctx, w...); err != nil && ctx.Err() == nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	var copied bytes.Buffer
	err = l.Snapshot(t.Context(), &copied)
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}

	disk := vfs.NewMem()
	if err := Restore(disk, bytes.NewReader(copied.Bytes())); err != nil {
		t.Fatal(err)
	}
	if err := Restore(disk, bytes.NewReader(copied.Bytes())); parley.CodeOf(err) != parley.Exists {
		t.Fatalf("into a directory with a log: %v", err)
	}
	back := open(t, disk.CrashClone(0, nil), tiny())
	run(t, back)
	h.check(t, back)
	_, a := read(t, back, name("a"))
	_, b := read(t, back, name("b"))
	if len(a) != len(b) || len(a) < 10 {
		t.Fatalf("%d and %d batches", len(a), len(b))
	}
	again, err := back.Append(t.Context(), once)
	if err != nil || !again[0].Repeat || again[0].Base != first[0].Base {
		t.Fatalf("the key is answered with %+v, %v", again, err)
	}
	spoilSnapshot(t, copied.Bytes())
}

// spoilSnapshot: no byte of a snapshot may be changed or missing.
func spoilSnapshot(t *testing.T, whole []byte) {
	t.Helper()
	for at := 0; at < len(whole); at += 611 {
		bad := bytes.Clone(whole)
		bad[at] ^= 4
		for what, b := range map[string][]byte{"changed": bad, "cut": whole[:at]} {
			disk := vfs.NewMem()
			err := Restore(disk, bytes.NewReader(b))
			if err != nil {
				if l, err := Open(disk, tiny()); err == nil {
					if s, _ := l.Streams(t.Context(), ""); len(s) > 0 {
						t.Fatalf("%s at %d: Restore refuses and leaves a log", what, at)
					}
					_ = l.Close()
				}
				continue
			}
			if what == "cut" && at < len(whole)-1024 { // what follows the digest does not matter
				t.Fatalf("cut at %d of %d: nothing was said", at, len(whole))
			}
			same := vfs.NewMem()
			if err := Restore(same, bytes.NewReader(whole)); err != nil {
				t.Fatal(err)
			}
			for _, s := range []string{"a", "b", "$c"} {
				if dump(t, disk, s) != dump(t, same, s) {
					t.Fatalf("%s at %d: stream %s differs, nothing was said", what, at, s)
				}
			}
		}
	}
}

func dump(t *testing.T, disk vfs.FS, s string) string {
	t.Helper()
	var b bytes.Buffer
	if err := Dump(disk, name(s), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestVerify: a sound log verifies without a finding; a flipped bit in a segment
// is found, said to lose events, and named with stream and positions; Dump still
// gives what is beside it.
func TestVerify(t *testing.T) {
	disk, _ := filled(t, false)
	if err := Verify(disk, func(f Finding) { t.Errorf("a finding: %s", f) }); err != nil {
		t.Fatal(err)
	}
	im, err := readImage(disk)
	if err != nil {
		t.Fatal(err)
	}
	st := im.fold.byName[name("a")]
	if err := disk.FlipBit(segmentName(st.view.Load().segs[0].id), 8*(parley.BatchHeader+40)); err != nil {
		t.Fatal(err)
	}
	var found []Finding
	err = Verify(disk, func(f Finding) { found = append(found, f) })
	if parley.CodeOf(err) != parley.Damaged || len(found) != 1 || !found[0].Lost || found[0].Stream != name("a") {
		t.Fatalf("%v, %v", err, found)
	}
	var out bytes.Buffer
	if err := Dump(disk, name("a"), &out); parley.CodeOf(err) != parley.Damaged {
		t.Fatalf("dump: %v", err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var last struct {
		Value string `json:"value"`
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || !strings.HasPrefix(last.Value, "v11") {
		t.Fatalf("the last of %d lines is %.80s, %v", len(lines), lines[len(lines)-1], err)
	}
	if err := Dump(disk, name("none"), &out); parley.CodeOf(err) != parley.NotFound {
		t.Fatalf("dump of a stream that is not there: %v", err)
	}
}
