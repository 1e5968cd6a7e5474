package disklog

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/parleyhq/parley"
)

// Level is what has happened to an event when its Append returns and readers
// see it.
type Level uint8

// The levels. A stream whose name begins with "$" is always at Fsync, and an
// Append is at the highest level of its streams.
const (
	Fsync Level = iota // flushed to the disk: survives a power cut
	OS                 // written to the operating system: survives a killed process
)

// Options of a Log. The zero value is ready for use.
type Options struct {
	// Level tells the level of a stream; it is asked at each Append and must be
	// quick. nil means Fsync for all.
	Level func(parley.Stream) Level
	// LogBytes is the size to which a file of the write-ahead log is
	// preallocated. About three of them are kept in memory too. Default 64 MiB,
	// at least 64 KiB.
	LogBytes int64
	// SegmentBytes is the size up to which small segments of a stream are merged.
	// Default 64 MiB, at most 1 GiB.
	SegmentBytes int64
	// GroupBytes is the size from which a group takes no more Appends; a larger
	// Append makes a group of its own. Default 4 MiB.
	GroupBytes int64
	// Reserve is the free space on the disk below which no new log file is begun:
	// appends are refused with Full, and segments can still be written. Default
	// 2 × LogBytes.
	Reserve int64
	// OpenFiles bounds the segments that are kept open for reading. Default 128.
	OpenFiles int
	// Boot names the present start of the machine, for instance the content of
	// /proc/sys/kernel/random/boot_id. If it is the one of the last run, a killed
	// process is told from a power cut, and streams at level OS keep their epoch.
	Boot string
	// Logger is told what an operator should know. nil is slog.Default().
	Logger *slog.Logger
	// Now is the clock of commit times and of the Once window; nil is time.Now.
	Now func() time.Time
}

// Limits of this engine, beyond those of parley.Log.
const (
	maxAppendBytes = 128 << 20 // of one Append, which is one group
	controlRoom    = 16 << 10  // of each log file, kept for Trim and Remove on a full disk
	maxBacklog     = 3         // log files waiting for their segments before appends wait
	slowSync       = time.Second
	stalledSync    = 10 * time.Second
)

// withDefaults fills in what is zero and refuses what cannot work.
func (o Options) withDefaults() (Options, error) {
	set := func(v *int64, def int64) {
		if *v == 0 {
			*v = def
		}
	}
	set(&o.LogBytes, 64<<20)
	set(&o.SegmentBytes, 64<<20)
	set(&o.GroupBytes, 4<<20)
	set(&o.Reserve, 2*o.LogBytes)
	if o.OpenFiles == 0 {
		o.OpenFiles = 128
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	check := func(field string, v, low, high int64) error {
		if v < low || v > high {
			return parley.BadField(field, fmt.Sprintf("%d is out of range", v), fmt.Sprintf("use %d to %d", low, high))
		}
		return nil
	}
	for _, err := range []error{
		check("LogBytes", o.LogBytes, 64<<10, 1<<30),
		check("SegmentBytes", o.SegmentBytes, 1, 1<<30),
		check("GroupBytes", o.GroupBytes, 1, maxAppendBytes),
		check("Reserve", o.Reserve, 0, 1<<50),
		check("OpenFiles", int64(o.OpenFiles), 1, 1<<16),
		check("Boot", int64(len(o.Boot)), 0, 255),
	} {
		if err != nil {
			return o, err
		}
	}
	return o, nil
}

// level is the level at which writes to s are acknowledged.
func (o *Options) level(s parley.Stream) Level {
	if o.Level == nil || strings.HasPrefix(s.Name, "$") {
		return Fsync
	}
	return o.Level(s)
}
