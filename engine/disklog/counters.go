package disklog

import (
	"sync/atomic"
	"time"

	"github.com/parleyhq/parley"
)

// Counters are what the log has done since it was opened.
type Counters struct {
	Appends   int64         // Appends made durable
	Bytes     int64         // bytes of their frames
	Groups    int64         // commits
	Syncs     int64         // flushes of the log
	SyncTime  time.Duration // spent in them
	SlowSyncs int64         // flushes of more than a second
	Segments  int64         // segment files written
	Failures  int64         // times that the disk failed and the log was recovered
	Full      bool          // appends are refused for want of space
	Stalled   time.Duration // how long the flush under way has taken; 0 = none is
}

type counters struct {
	appends, bytes, groups, syncs, syncTime, slow, segments, failures atomic.Int64
}

func (n *counters) add(g *group) {
	n.appends.Add(int64(g.appends))
	n.bytes.Add(g.bytes)
	n.groups.Add(1)
}

func (n *counters) synced(took time.Duration) {
	n.syncs.Add(1)
	n.syncTime.Add(int64(took))
	if took > slowSync {
		n.slow.Add(1)
	}
}

// Counters tells what the log has done; for metrics.
func (l *Log) Counters() Counters {
	c, n := l.core.Load(), &l.counters
	got := Counters{
		Appends: n.appends.Load(), Bytes: n.bytes.Load(), Groups: n.groups.Load(), Syncs: n.syncs.Load(),
		SyncTime: time.Duration(n.syncTime.Load()), SlowSyncs: n.slow.Load(), Segments: n.segments.Load(), Failures: n.failures.Load(),
	}
	if since := c.flush.syncing.Load(); since != 0 {
		got.Stalled = l.since() - time.Duration(since)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	got.Full = c.stuck != nil && parley.CodeOf(c.stuck) == parley.Full
	return got
}
