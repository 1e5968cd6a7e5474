package sharded

import (
	"maps"
	"time"
)

const (
	minSweep   = 1024        // keys that are not worth looking through
	sweepPause = time.Minute // between two looks through a table that is full
	sweepShare = 128         // a sweep drops one key of so many at least
)

// crowded says whether it is time to look for keys that can be dropped: when the
// keys have doubled, and while they are as many as can be now and then, since time
// goes on restoring them. So a table full of keys that are limited costs one look
// a minute, not one a request.
func (a *account) crowded(now time.Duration) bool {
	return len(a.keys) >= a.sweepAt && (len(a.keys) < a.most || a.swept == 0 || now-a.swept >= sweepPause)
}

// worth looks through the keys and says whether a sweep is worth its move. One that
// drops next to nothing is not: it would be looked through again at every replay.
func (a *account) worth(now time.Duration) bool {
	n := 0
	for _, c := range a.keys {
		if a.rule.Idle(c, now) {
			n++
		}
	}
	a.looked(now)
	return n > len(a.keys)/sweepShare
}

// sweep drops the keys that time has restored: they are as good as never seen. It
// is part of a move, for a key that is seen again may begin from the shared count.
func (a *account) sweep(now time.Duration) {
	maps.DeleteFunc(a.keys, func(_ keyHash, c []uint64) bool { return a.rule.Idle(c, now) })
	a.looked(now)
}

func (a *account) looked(now time.Duration) { a.swept, a.sweepAt = now, a.room() }

// room is the number of keys at which the next look is due. It is never above the
// most there can be, or a table that was full once would stay so.
func (a *account) room() int { return min(a.most, max(minSweep, 2*len(a.keys))) }

// contain bounds what a replay of old moves may hold. Their owners dropped keys
// without a move, so that their moves alone have ever more. With moves that say so,
// a key of its own is only made where there is room, and this does nothing.
func (a *account) contain(h keyHash, now time.Duration) {
	if h != sharedKey && len(a.keys) > 2*a.most {
		a.sweep(now)
	}
}

// unused names a limit whose keys time has restored: it is as good as never asked.
func (b *book) unused(now time.Duration) (name string, ok bool) {
	for name, a := range b.limits {
		if a.unused(now) {
			return name, true
		}
	}
	return "", false
}

func (a *account) unused(now time.Duration) bool {
	for _, c := range a.keys {
		if !a.rule.Idle(c, now) {
			return false
		}
	}
	return true
}
