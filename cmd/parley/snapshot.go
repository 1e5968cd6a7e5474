package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/client"
	"github.com/parleyhq/parley/server"
)

func (a *app) snapshotCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "snapshot",
		Short: "Copy everything that a running server has stored, and make a directory of a copy.",
		Example: `  parley snapshot save monday.parley
  parley snapshot restore monday.parley ./parley-data`,
	}
	c.AddCommand(a.snapshotSave(), a.snapshotRestore())
	group(c)
	return c
}

func (a *app) snapshotSave() *cobra.Command {
	c := &cobra.Command{
		Use:   "save FILE",
		Short: "Save a copy of what a running server has stored, as it was at one commit.",
		Example: `  parley snapshot save monday.parley
  parley snapshot save monday.parley --server https://parley.example`,
		Long: `The server goes on meanwhile. The copy is checked while it arrives, and has its
name only once it is whole and on the disk; a file that is there already is never
replaced. The token needs the scope admin.`,
		Args: exactly("FILE"),
	}
	at := a.remoteFlags(c)
	c.RunE = a.command(func(ctx context.Context, args []string) (answer, error) {
		cl, err := a.client(at)
		if err != nil {
			return answer{}, err
		}
		n, err := a.save(ctx, cl, args[0])
		if err != nil {
			return answer{}, err
		}
		return answer{Summary: fmt.Sprintf("saved %s, %s, whole and checked", args[0], bytesText(n)), Result: map[string]any{"file": args[0], "bytes": n}}, nil
	})
	return c
}

// save fetches a snapshot into a file beside the one that is wanted, checks it on
// the way, and gives it its name.
func (a *app) save(ctx context.Context, cl *client.Client, name string) (int64, error) {
	exists := &parley.Error{Code: parley.Exists, Field: "FILE", Detail: name + " is there already", Fix: "choose another name, or remove it"}
	if _, err := os.Lstat(name); err == nil {
		return 0, exists
	}
	body, err := cl.Snapshot(ctx)
	if err != nil {
		return 0, err
	}
	defer body.Close()
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*.partial")
	if err != nil {
		return 0, parley.BadField("FILE", err.Error(), "name a file in a directory that is there")
	}
	partial := f.Name()
	defer func() { _ = os.Remove(partial) }() // it has its own name by then, or is not wanted
	counted := a.counted(io.TeeReader(body, f), 0)
	err = server.CheckSnapshot(counted)
	counted.done()
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, err
	}
	switch err := os.Link(partial, name); { // a link, unlike a rename, replaces nothing
	case errors.Is(err, fs.ErrExist):
		return 0, exists
	case err != nil: // a file system without links
		if err := os.Rename(partial, name); err != nil {
			return 0, err
		}
	}
	return counted.n, syncDir(filepath.Dir(name))
}

// syncDir makes a name durable, where directories can be opened for that.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	_ = d.Sync() // not everywhere
	return d.Close()
}

func (a *app) snapshotRestore() *cobra.Command {
	return &cobra.Command{
		Use:   "restore FILE DIR",
		Short: "Make a server's directory of a saved copy.",
		Example: `  parley snapshot restore monday.parley ./parley-data
  parley serve --data ./parley-data`,
		Long: `The copy is held to its digest and every checksum in it is checked. The directory
must be empty or missing, and is so again if the copy turns out to be damaged.`,
		Args: exactly("FILE", "DIR"),
		RunE: a.command(func(_ context.Context, args []string) (answer, error) {
			f, err := os.Open(args[0])
			if err != nil {
				return answer{}, parley.BadField("FILE", err.Error(), "name what `parley snapshot save` has written")
			}
			defer f.Close()
			size := int64(0)
			if info, err := f.Stat(); err == nil {
				size = info.Size()
			}
			counted := a.counted(f, size)
			err = server.RestoreData(args[1], counted)
			counted.done()
			if err != nil {
				return answer{}, err
			}
			return answer{
				Summary: fmt.Sprintf("restored %s into %s, and checked it; start it with `parley serve --data %s`", args[0], args[1], args[1]),
				Result:  map[string]any{"file": args[0], "dir": args[1], "bytes": counted.n},
			}, nil
		}),
	}
}

// counter is a reader that shows how far it is.
type counter struct {
	*progress
	r io.Reader
	n int64
}

func (a *app) counted(r io.Reader, size int64) *counter {
	return &counter{progress: a.progress(size), r: r}
}

// Read implements io.Reader.
func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	c.stepBytes(c.n)
	return n, err
}

// bytesText is a size for people.
func bytesText(n int64) string {
	for _, unit := range []struct {
		name string
		size int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= unit.size {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(unit.size), unit.name)
		}
	}
	return count(n, "byte")
}
