package cursor_test

import (
	"context"
	"testing"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/cursor"
	"github.com/parleyhq/parley/engine/memlog"
)

func TestLoadKeys(t *testing.T) {
	log := memlog.New(memlog.Options{})
	first, err := cursor.LoadKeys(t.Context(), log)
	if err != nil || len(first) != 1 || first[0].Secret == [32]byte{} {
		t.Fatalf("first load: %d keys, %v", len(first), err)
	}
	second, err := cursor.LoadKeys(t.Context(), log)
	if err != nil || len(second) != 1 || second[0] != first[0] {
		t.Fatalf("second load gives another key: %v", err)
	}
}

// meeting is a Log whose first appenders all come to the door before one goes
// through: the worst case of two servers that start together.
type meeting struct {
	parley.Log
	arrive chan struct{}
	open   chan struct{}
}

func (m meeting) Append(ctx context.Context, w ...parley.Write) ([]parley.Appended, error) {
	m.arrive <- struct{}{}
	<-m.open
	return m.Log.Append(ctx, w...)
}

func TestLoadKeysRace(t *testing.T) {
	const racers = 4
	log := meeting{memlog.New(memlog.Options{}), make(chan struct{}), make(chan struct{})}
	type loaded struct {
		keys []cursor.Key
		err  error
	}
	results := make(chan loaded, racers)
	for range racers {
		go func() {
			keys, err := cursor.LoadKeys(t.Context(), log)
			results <- loaded{keys, err}
		}()
	}
	for range racers {
		<-log.arrive
	}
	close(log.open)
	first := <-results
	for range racers - 1 {
		r := <-results
		if r.err != nil || first.err != nil || len(r.keys) != 1 || len(first.keys) != 1 || r.keys[0] != first.keys[0] {
			t.Fatalf("racers got %+v and %+v", first, r)
		}
	}
}

// A second key that somebody appended signs from then on.
func TestLoadKeysNewestFirst(t *testing.T) {
	log := memlog.New(memlog.Options{})
	if _, err := cursor.LoadKeys(t.Context(), log); err != nil {
		t.Fatal(err)
	}
	appendEvent(t, log, parley.Event{ID: "key-2", Source: "/", Type: cursor.KeyType, Data: []byte(`{"id":2,"secret":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}`)})
	keys, err := cursor.LoadKeys(t.Context(), log)
	if err != nil || len(keys) != 2 || keys[0].ID != 2 || keys[0].Secret[31] != 31 || keys[1].ID != 1 {
		t.Fatalf("keys are %v, %v", keys, err)
	}
}

// What is no key is never replaced by one.
func TestLoadKeysDamaged(t *testing.T) {
	for name, e := range map[string]parley.Event{
		"of another type":        {Type: "other", Data: []byte(`{"id":2,"secret":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}`)},
		"not JSON":               {Type: cursor.KeyType, Data: []byte(`{`)},
		"of another length":      {Type: cursor.KeyType, Data: []byte(`{"id":2,"secret":"AAEC"}`)},
		"with an id over a byte": {Type: cursor.KeyType, Data: []byte(`{"id":256,"secret":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}`)},
	} {
		t.Run(name, func(t *testing.T) {
			log := memlog.New(memlog.Options{})
			e.ID, e.Source = "1", "/"
			appendEvent(t, log, e)
			if keys, err := cursor.LoadKeys(t.Context(), log); parley.CodeOf(err) != parley.Damaged {
				t.Fatalf("gives %v, %v", keys, err)
			}
		})
	}
}

// Errors of the log come through, and nothing is made up instead.
func TestLoadKeysUnavailable(t *testing.T) {
	if keys, err := cursor.LoadKeys(t.Context(), refusing{memlog.New(memlog.Options{})}); parley.CodeOf(err) != parley.Unavailable {
		t.Fatalf("gives %v, %v", keys, err)
	}
}

type refusing struct{ parley.Log }

func (refusing) Append(context.Context, ...parley.Write) ([]parley.Appended, error) {
	return nil, parley.Errorf(parley.Unavailable, "no")
}

func appendEvent(t *testing.T, log parley.Log, e parley.Event) {
	t.Helper()
	batch, err := parley.NewBatch(time.Unix(0, 0), e)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.Append(t.Context(), parley.Write{Stream: parley.Stream{Name: cursor.KeyStream}, Batch: batch}); err != nil {
		t.Fatal(err)
	}
}
