package topic

import (
	"context"
	"testing"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/engine/memlog"
)

// lazy is an engine that trims when it likes, and counts what is read.
type lazy struct {
	*memlog.Log
	trims bool
	read  int // bytes
}

func (l *lazy) Trim(ctx context.Context, s parley.Stream, upTo parley.Position) error {
	if !l.trims {
		return nil
	}
	return l.Log.Trim(ctx, s, upTo)
}

func (l *lazy) Read(ctx context.Context, at parley.Place, n int) (parley.Run, error) {
	run, err := l.Log.Read(ctx, at, n)
	l.read += len(run.Bytes())
	return run, err
}

// TestRetentionReadsOnce has an engine keep for a while what was trimmed.
func TestRetentionReadsOnce(t *testing.T) {
	ctx := context.Background()
	log := &lazy{Log: memlog.New(memlog.Options{})}
	r := newTest(t, log, Options{Logger: quiet})
	topic, err := r.Create(ctx, "orders", Settings{MaxAge: NoLimit, MaxBytes: 4096})
	if err != nil {
		t.Fatal(err)
	}
	s := topic.Partitions[0].Stream
	k := &retainer{Registry: r, stat: log, timer: log, walks: map[parley.Stream]walk{}}
	round := func(publish int) (bytes int64, read int) {
		t.Helper()
		for range publish {
			if _, _, err := r.Publish(ctx, "orders", []parley.Event{{Data: make([]byte, 100)}}, PublishOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		log.read = 0
		k.round(ctx)
		st, err := log.Stat(ctx, s)
		if err != nil {
			t.Fatal(err)
		}
		return st.Bytes, log.read
	}
	if bytes, read := round(100); bytes < 8192 || read == 0 {
		t.Fatalf("%d bytes kept, %d read", bytes, read)
	}
	if _, read := round(0); read != 0 {
		t.Fatalf("%d bytes were read again", read)
	}
	log.trims = true
	if bytes, _ := round(0); bytes > 4096 {
		t.Fatalf("%d bytes kept", bytes)
	}
	for _, more := range []int{40, 5, 100, 1} { // each in one round, whatever the last one walked
		if bytes, _ := round(more); bytes > 4096 || bytes < 3500 {
			t.Fatalf("%d bytes kept after %d more", bytes, more)
		}
	}
	if err := r.Delete(ctx, "orders"); err != nil {
		t.Fatal(err)
	}
	round(0)
	if len(k.walks) != 0 {
		t.Fatalf("walks of topics that are gone: %v", k.walks)
	}
}

// TestALimitThatIsRaised has the walk be further than what must go now.
func TestALimitThatIsRaised(t *testing.T) {
	ctx := context.Background()
	log := &lazy{Log: memlog.New(memlog.Options{})}
	r := newTest(t, log, Options{Logger: quiet, AutoCreate: true, Defaults: Settings{MaxBytes: 1024}})
	for range 100 {
		if _, _, err := r.Publish(ctx, "orders", []parley.Event{{Data: make([]byte, 100)}}, PublishOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	k := &retainer{Registry: r, stat: log, timer: log, walks: map[parley.Stream]walk{}}
	k.round(ctx)
	if _, err := r.Update(ctx, "orders", Settings{MaxBytes: 10_000}); err != nil {
		t.Fatal(err)
	}
	log.trims = true
	k.round(ctx)
	topic, _ := r.Get("orders")
	if st, err := log.Stat(ctx, topic.Partitions[0].Stream); err != nil || st.Bytes > 10_000 || st.Bytes < 9_500 {
		t.Fatalf("%+v, %v", st, err)
	}
}

func TestAnEphemeralTopicComesBackAtOnce(t *testing.T) {
	ctx := context.Background()
	log := memlog.New(memlog.Options{})
	r := newTest(t, log, Options{Logger: quiet})
	publish := func() {
		t.Helper()
		if _, _, err := r.Publish(ctx, "~typing", []parley.Event{{}}, PublishOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	publish()
	k := &retainer{Registry: r, stat: log, timer: log, walks: map[parley.Stream]walk{}}
	k.buried = append(k.buried, parley.Stream{Name: "~typing"})
	k.round(ctx)
	if n := len(stored(t, r, "~typing")); n != 1 {
		t.Fatalf("%d events", n)
	}
}
