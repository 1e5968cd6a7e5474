package disklog

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/internal/vfs"
)

func keysName(gen uint64) string { return fmt.Sprintf("wal/%016x.keys", gen) }

// freshEpoch is where a new log begins to count: at random, so that a place kept
// from a log that was in the directory before is not taken for one of this.
func freshEpoch() uint32 { return 1 + rand.Uint32N(1<<30) }

// saveKeys keeps the Once keys of a log file that is given up, and forgets key
// files whose window is over.
func (c *core) saveKeys(f *walFile, m *meta) error {
	m.keys = forgetKeys(m.keys, f.millis)
	if len(f.keys) == 0 {
		return nil
	}
	if err := vfs.ReplaceFile(c.log.fs, keysName(f.gen), encodeKeys(f.keys)); err != nil {
		return err
	}
	m.keys = append(m.keys, keyFile{f.gen, f.keys[len(f.keys)-1].millis})
	return nil
}

// forgetKeys drops the key files whose newest key is older than the window when
// the log's time is now, twice over since clocks differ.
func forgetKeys(files []keyFile, now int64) []keyFile {
	var kept []keyFile
	for _, k := range files {
		if now-k.newest <= 2*parley.OnceWindow.Milliseconds() {
			kept = append(kept, k)
		}
	}
	return kept
}

// restoreKeys gives the streams the Once keys that they remembered. Ages are
// taken from the last commit on: how long the log was closed does not count, so
// a key is remembered longer rather than shorter.
func (l *Log) restoreKeys(c *core, im *image) error {
	var all []keyed
	for _, k := range im.meta.keys {
		b, err := vfs.ReadFile(l.fs, keysName(k.gen), 1<<30)
		var keys []keyed
		if err == nil {
			keys, err = decodeKeys(b)
		}
		if err != nil {
			im.notes = append(im.notes, Finding{Where: keysName(k.gen), What: "Once keys cannot be read, so repeats may not be recognised: " + err.Error()})
			continue
		}
		all = append(all, keys...)
	}
	last := int64(0)
	for _, gen := range im.scan.gens {
		if w := im.fold.files[gen]; w != nil {
			all = append(all, w.keys...)
			last = max(last, w.millis)
		}
	}
	for _, k := range all {
		last = max(last, k.millis)
	}
	now := l.since()
	for _, k := range all {
		st := im.fold.streams[k.stream]
		if st == nil || st.view.Load() == nil {
			continue
		}
		if _, known := st.once.Get(k.key); !known {
			st.once.Add(k.key, k.base, now-time.Duration(last-k.millis)*time.Millisecond, window)
		}
	}
	return nil
}

// keepDamaged gives a log file with damage a name under which nothing touches
// it any more.
func (l *Log) keepDamaged(f *walFile) error {
	if f.f == nil {
		return nil // it was missing
	}
	_ = f.f.Close()
	name := walName(f.gen)
	kept := strings.TrimSuffix(name, ".wal") + ".damaged"
	l.opts.Logger.Error("a damaged log file is kept", slog.String("file", kept))
	if err := l.fs.Rename(name, kept); err != nil {
		return err
	}
	return l.fs.SyncDir("wal")
}
