package sharded

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/parleyhq/parley/base/journal"
	"github.com/parleyhq/parley/pattern/throttle"
)

const (
	maxLimits = 1000
	// maxKeys is how many keys of one limit are counted apart; further ones share
	// one count while so many are limited.
	maxKeys  = 1 << 17
	maxState = 64 << 20 // bytes of the keys of one limit: sliding logs have long ones
)

// keyHash names a key: the counts of a key must be found by every owner, so it has
// no seed. The zero one is the count that keys share when there are too many.
type keyHash [16]byte

var sharedKey keyHash

func hashOf(key string) keyHash {
	sum := sha256.Sum256([]byte(key))
	h := keyHash(sum[:16])
	h[0] |= 1
	return h
}

// move is one change: a limit that is new, other or gone, keys that are forgotten,
// or units taken or given back.
type move struct {
	Op       string  `json:"op"` // opLimit, opDrop, opSweep, opTake or opBack
	Name     string  `json:"name"`
	Limit    string  `json:"limit,omitempty"`
	Revision int64   `json:"rev,omitempty"`
	Key      keyHash `json:"key,omitzero"`
	Cost     int64   `json:"cost,omitempty"`
}

const (
	opLimit = "limit"
	opDrop  = "drop"  // a limit that nobody has spent anything of
	opSweep = "sweep" // the keys that time has restored
)

// book is the counts of long windows: a journal.Machine. It is pure.
type book struct{ limits map[string]*account }

// account is one limit's counts.
type account struct {
	rule     *throttle.Rule
	text     string
	revision int64
	keys     map[keyHash][]uint64
	most     int // keys that are counted apart

	// When the owner looks for keys to drop. Moves depend on them, the state does
	// not: another owner has its own.
	sweepAt int           // keys from which on
	swept   time.Duration // when it did last
}

func newBook() *book { return &book{limits: map[string]*account{}} }

func newAccount(text string, revision int64) (*account, error) {
	limit, err := parse(text)
	if err != nil {
		return nil, err
	}
	rule, err := throttle.Compile(limit)
	if err != nil {
		return nil, err
	}
	a := &account{rule: rule, text: text, revision: revision, keys: map[keyHash][]uint64{}}
	a.most = min(maxKeys, maxState/(8*max(1, rule.Words())))
	a.sweepAt = min(minSweep, a.most)
	return a, nil
}

// since is a move's time for a rule.
func since(t time.Time) time.Duration { return time.Duration(t.UnixNano()) }

// Apply implements journal.Machine.
func (b *book) Apply(m journal.Move) error {
	var v move
	if err := json.Unmarshal(m.Data, &v); err != nil {
		return fmt.Errorf("sharded: move %d: %w", m.Number, err)
	}
	now := since(m.Time)
	switch v.Op {
	case opLimit:
		return b.define(v, now)
	case opDrop:
		delete(b.limits, v.Name)
		return nil
	}
	a := b.limits[v.Name]
	switch {
	case a == nil:
		return fmt.Errorf("sharded: move %d is of a limit that is not there: %q", m.Number, v.Name)
	case v.Op == opSweep:
		a.sweep(now)
	case v.Op == opTake:
		cell := a.cell(v.Key, now)
		if d := a.rule.Take(cell, now, v.Cost); !d.OK {
			return fmt.Errorf("sharded: move %d takes what is not there", m.Number)
		}
	case v.Op == opBack:
		if cell := a.keys[v.Key]; cell != nil {
			a.rule.Return(cell, now, v.Cost)
		}
	default:
		return fmt.Errorf("sharded: move %d is a %q", m.Number, v.Op)
	}
	return nil
}

// define makes a limit, or changes it; keys keep what they have spent.
func (b *book) define(v move, now time.Duration) error {
	next, err := newAccount(v.Limit, v.Revision)
	if err != nil {
		return err
	}
	old := b.limits[v.Name]
	if old == nil && len(b.limits) >= maxLimits {
		return errTooMany
	}
	if old != nil {
		for h, from := range old.keys {
			if old.rule.Idle(from, now) {
				continue
			}
			to := make([]uint64, next.rule.Words())
			next.rule.Convert(to, old.rule, from, now)
			next.keys[h] = to
		}
	}
	b.limits[v.Name] = next
	return nil
}

var errTooMany = errors.New("sharded: there are 1000 limits in this shard, as many as can be")

// cell is the state of a key, made if there is none.
func (a *account) cell(h keyHash, now time.Duration) []uint64 {
	if c := a.keys[h]; c != nil {
		return c
	}
	a.contain(h, now)
	c := a.state(h)
	a.keys[h] = c
	return c
}

// state is a copy of what is known of a key. One without a count of its own may
// have been served from the shared one.
func (a *account) state(h keyHash) []uint64 {
	c := make([]uint64, a.rule.Words())
	if own := a.keys[h]; own != nil {
		copy(c, own)
	} else {
		copy(c, a.keys[sharedKey])
	}
	return c
}

// place says under which hash a key is counted now: its own, or the shared one when
// there are too many. It is part of the move, so that it is the same at a replay.
func (a *account) place(key string) keyHash {
	h := hashOf(key)
	if a.keys[h] != nil || len(a.keys) < a.most {
		return h
	}
	return sharedKey
}

// look answers for a key without changing anything.
func (a *account) look(h keyHash, now time.Duration, n int64) reply {
	state := a.state(h)
	d := a.rule.Take(state, now, n)
	out := reply{OK: d.OK, Reason: d.Reason, Limit: d.Limit, Remaining: d.Remaining, RetryAfter: d.RetryAfter}
	if more := a.rule.Take(state, now, d.Remaining+1); d.Remaining != throttle.Infinite && more.Reason == throttle.Limited {
		out.Reset = more.RetryAfter
	}
	return out
}
