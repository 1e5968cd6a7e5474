package journal

import (
	"log/slog"
	"time"

	"github.com/parleyhq/parley"
)

// Fence is what a host tells the journal about the ownership of its shard. The
// zero Fence is for a machine that runs in one process only: it takes over
// whatever is there, never beats and never lapses.
type Fence struct {
	// Owner names the node in its takeover, for people who read the stream.
	Owner string
	// Over is the base position of the batch that was the newest when the host
	// decided that the owner before is gone. Open fails with Conflict if there is
	// a newer one by now. Empty: the stream was never written. Any: take over
	// from whoever is there.
	Over parley.Position
	// Beat is how long the owner lets its stream be still before it appends a
	// sign of life; 0 = never.
	Beat time.Duration
	// Lapse is how long after the beginning of its last good Append the owner
	// still hands out; 0 = for ever. It must be shorter than the silence after
	// which another takes over, by more than the clocks of two nodes drift apart
	// in that time.
	Lapse time.Duration
}

// Options of a journal. The zero value works.
type Options struct {
	Fence Fence
	// SnapshotMoves and SnapshotBytes: a snapshot begins when so many records
	// (default 50,000), or so many bytes (default 4 MiB), were appended since the
	// last one began, but not before as many bytes were as the last one has: a
	// machine's snapshots never write more than twice what its moves do.
	SnapshotMoves int
	SnapshotBytes int64
	// Patience is how long one Append may take before the journal asks whether it
	// happened. When its context ends, Run begins no new try after Patience, and so
	// is over after twice as long at the most. Default 5 s.
	Patience time.Duration
	// Linger is how long lazy moves may wait for a firm one, to share its Append;
	// default 0: not at all.
	Linger time.Duration
	// Logger gets takeovers by others, stalls and failed trims. Default: nobody.
	Logger *slog.Logger
}

func (o Options) withDefaults() (Options, error) {
	f := o.Fence
	switch {
	case o.SnapshotMoves < 0 || o.SnapshotBytes < 0 || o.Patience < 0 || o.Linger < 0:
		return o, parley.BadField("options", "a negative number or duration", "leave it 0 for the default")
	case f.Beat < 0 || f.Lapse < 0 || f.Lapse > 0 && (f.Beat == 0 || f.Beat >= f.Lapse):
		return o, parley.BadField("fence.lapse", "an owner that never beats in time lapses for nothing", "set beat to a third of lapse")
	case f.Over < parley.Empty:
		return o, parley.BadField("fence.over", "not a position", "use a base position, Any or Empty")
	case len(f.Owner) > 255:
		return o, parley.BadField("fence.owner", "longer than 255 bytes", "use a short name")
	}
	if o.SnapshotMoves == 0 {
		o.SnapshotMoves = 50_000
	}
	if o.SnapshotBytes == 0 {
		o.SnapshotBytes = 4 << 20
	}
	if o.Patience == 0 {
		o.Patience = 5 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}
