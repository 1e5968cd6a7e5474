package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pipe/declared"
)

// pipeFiles keeps the pipes of a directory as its files say.
type pipeFiles struct {
	dir    string
	pipes  *declared.Registry
	log    *slog.Logger
	reload <-chan struct{}

	seen map[string]string // by name: the text that was put, or refused
	gone map[string]bool   // whose file is gone
}

// lookEvery is how often the directory is looked at.
const lookEvery = 2 * time.Second

// first reads the directory, which has to be there.
func (f *pipeFiles) first(ctx context.Context) error {
	f.seen, f.gone = map[string]string{}, map[string]bool{}
	if _, err := os.ReadDir(f.dir); err != nil {
		return &parley.Error{Code: parley.Invalid, Field: "pipes.dir", Detail: err.Error(), Fix: "make the directory, or name another", Err: err}
	}
	f.look(ctx)
	return nil
}

// run looks at the directory until ctx ends.
func (f *pipeFiles) run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-f.reload:
			clear(f.seen) // what was refused is said again
		case <-ctx.Done():
			return nil
		}
		f.look(ctx)
	}
}

// look puts what has changed. What a shelf has that is put in the same round is there
// for the pipes of the second try.
func (f *pipeFiles) look(ctx context.Context) {
	texts, err := f.read()
	if err != nil {
		f.log.LogAttrs(ctx, slog.LevelWarn, "the files of pipes cannot be read", slog.String("dir", f.dir), slog.Any("error", err))
		return
	}
	again := map[string]string{}
	for name, text := range texts {
		if f.seen[name] != text && f.put(ctx, name, text) != nil {
			again[name] = text
		}
	}
	for name, text := range again {
		if err := f.put(ctx, name, text); err != nil {
			f.log.LogAttrs(ctx, slog.LevelError, "a file of a pipe is not taken", slog.String("pipe", name), slog.String("dir", f.dir), slog.Any("error", err))
			if code := parley.CodeOf(err); code != parley.Unavailable && code != parley.Unknown && code != parley.Full {
				f.seen[name] = text // until it is changed
			}
		}
	}
	for _, p := range f.pipes.List() {
		if _, there := texts[p.Name]; there || p.Origin != declared.Folder || p.Stages || f.gone[p.Name] {
			continue
		}
		delete(f.seen, p.Name)
		if err := f.pipes.Set(ctx, p.Name, declared.Stopped); err != nil {
			f.log.LogAttrs(ctx, slog.LevelWarn, "a pipe whose file is gone cannot be stopped", slog.String("pipe", p.Name), slog.Any("error", err))
			continue
		}
		f.gone[p.Name] = true
		f.log.LogAttrs(ctx, slog.LevelInfo, "a pipe is stopped: its file is gone", slog.String("pipe", p.Name))
	}
}

func (f *pipeFiles) put(ctx context.Context, name, text string) error {
	o := declared.PutOptions{Origin: declared.Folder}
	if f.gone[name] {
		o.State = declared.Running
	}
	changed, _, err := f.pipes.Put(ctx, name, []byte(text), o)
	if err != nil {
		return err
	}
	f.seen[name] = text
	delete(f.gone, name)
	if changed {
		f.log.LogAttrs(ctx, slog.LevelInfo, "a file of a pipe is taken", slog.String("pipe", name))
	}
	return nil
}

// read gives the texts of the files, by the names of their pipes.
func (f *pipeFiles) read() (map[string]string, error) {
	list, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, err
	}
	texts := map[string]string{}
	for _, entry := range list {
		ext := filepath.Ext(entry.Name())
		name := strings.TrimSuffix(entry.Name(), ext)
		if entry.IsDir() || strings.HasPrefix(name, ".") || !slices.Contains([]string{".yaml", ".yml", ".json"}, ext) {
			continue
		}
		text, err := readSome(filepath.Join(f.dir, entry.Name()), declared.MaxDefinition+1)
		if errors.Is(err, os.ErrNotExist) {
			continue // it went away meanwhile
		}
		if err != nil {
			return nil, err
		}
		texts[name] = string(text)
	}
	return texts, nil
}

func readSome(name string, most int64) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	return io.ReadAll(io.LimitReader(file, most))
}
