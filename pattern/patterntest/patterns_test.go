package patterntest_test

import (
	"log/slog"
	"testing"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/shard"
	"github.com/parleyhq/parley/engine/disklog"
	"github.com/parleyhq/parley/engine/memlog"
	"github.com/parleyhq/parley/internal/vfs"
	"github.com/parleyhq/parley/pattern/patterntest"
)

// TestPatterns runs every pattern over the engines and doors of the package
// comment's table.
func TestPatterns(t *testing.T) {
	patterntest.Run(t, patterntest.Matrix{
		Engines: map[string]func(*testing.T) parley.Log{"memlog": openMemory, "disklog": openDisk},
		Hosts: map[string]func(*patterntest.World) shard.Host{
			"local": func(*patterntest.World) shard.Host { return new(shard.Local) },
		},
		Doors: map[string]func(*patterntest.World) patterntest.Door{
			"near": openNear, "http": openHTTP, "client": openClient, "grpc": openGRPC,
		},
	})
}

func openMemory(*testing.T) parley.Log { return memlog.New(memlog.Options{}) }

// openDisk has small files, so that retention has something to drop, in a file
// system in memory: a real one would stop the clock of a bubble.
func openDisk(t *testing.T) parley.Log {
	log, err := disklog.Open(vfs.NewMem(), disklog.Options{LogBytes: 128 << 10, SegmentBytes: 128 << 10, GroupBytes: 32 << 10, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return log
}
