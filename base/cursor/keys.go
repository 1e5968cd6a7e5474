package cursor

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
)

// KeyStream is where the keys are kept, as events of KeyType.
const KeyStream = "$keys"

// KeyType is the type of the event that brings a key; its data is JSON with `id`
// and `secret`, the latter in base64.
const KeyType = "parley.cursor.key"

type keyData struct {
	ID     byte   `json:"id"`
	Secret []byte `json:"secret"`
}

// LoadKeys gives the keys of a log, the newest first, as NewSealer wants them.
// The first to ask makes the first key; of two who ask at once, in one process
// or two, one makes it and both get it. It calls nothing but Read and Append.
// Errors are those of the log, and Damaged when the stream holds something that
// is no key: it is never replaced, since that would void every cursor given out.
func LoadKeys(ctx context.Context, log parley.Log) ([]Key, error) {
	for {
		keys, err := readKeys(ctx, log)
		if err != nil || len(keys) > 0 {
			return keys, err
		}
		made, err := makeKey(ctx, log)
		if err == nil {
			return []Key{made}, nil
		}
		if code := parley.CodeOf(err); code != parley.Conflict {
			return nil, err
		}
		// Somebody was first: their key is there to be read, now.
	}
}

func readKeys(ctx context.Context, log parley.Log) ([]Key, error) {
	var keys []Key
	at := parley.Place{Stream: parley.Stream{Name: KeyStream}}
	for {
		run, err := log.Read(ctx, at, 64<<10)
		if err != nil {
			return nil, err
		}
		if run.Empty() {
			slices.Reverse(keys)
			return keys, nil
		}
		keys, err = appendKeys(keys, run)
		at.At = run.Next()
		run.Release()
		if err != nil {
			return nil, err
		}
	}
}

func appendKeys(keys []Key, run parley.Run) ([]Key, error) {
	for rec, err := range run.Records() {
		if err != nil {
			return nil, err
		}
		e, err := rec.Event()
		if err != nil {
			return nil, err
		}
		var d keyData
		if err := json.Unmarshal(e.Data, &d); e.Type != KeyType || err != nil || len(d.Secret) != len(Key{}.Secret) {
			return nil, parley.Errorf(parley.Damaged, "the event at %d of %s is no cursor key", rec.Position, KeyStream)
		}
		keys = append(keys, Key{ID: d.ID, Secret: [32]byte(d.Secret)})
	}
	return keys, nil
}

// makeKey makes the first key of a log, or fails with Conflict.
func makeKey(ctx context.Context, log parley.Log) (Key, error) {
	k := Key{ID: 1}
	_, _ = rand.Read(k.Secret[:]) // it never fails
	e := parley.Event{
		ID: "key-" + strconv.Itoa(int(k.ID)), Source: "/" + KeyStream, Type: KeyType, DataContentType: "application/json",
		Data: []byte(`{"id":` + strconv.Itoa(int(k.ID)) + `,"secret":"` + base64.StdEncoding.EncodeToString(k.Secret[:]) + `"}`),
	}
	batch, err := parley.NewBatch(time.Now(), e)
	if err != nil {
		return Key{}, err
	}
	_, err = log.Append(ctx, parley.Write{Stream: parley.Stream{Name: KeyStream}, Expect: parley.Empty, Batch: batch})
	return k, err
}
