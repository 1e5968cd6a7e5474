package throttle

import (
	"errors"
	"hash/maphash"
	"sync"
	"time"
)

// Ban says when refusals add up to a lock-out, and how long that is. It is a
// pure machine over [BanWords] words of state a key, zeros for a key without
// blame.
type Ban struct {
	// After is how many strikes lock out; 0 means 5.
	After int64 `json:"after,omitempty"`
	// Within is the time in which they have to fall, counted from the first; 0
	// means 10 min.
	Within time.Duration `json:"within,omitempty"`
	// For is the first lock-out; 0 means 1 min. Each further one is twice as
	// long.
	For time.Duration `json:"for,omitempty"`
	// Max is the longest; 0 means 15 min, or For if that is longer.
	Max time.Duration `json:"max,omitempty"`
	// Forget is how long after a lock-out a key starts at For again; 0 means
	// 24 h.
	Forget time.Duration `json:"forget,omitempty"`
}

// BanWords is the length of one key's state under [Ban].
const BanWords = 3

const (
	banStrikes = iota // strikes in the upper half, lock-outs so far in the lower
	banSince          // when the first of the strikes fell
	banUntil          // when the last lock-out ends
)

// Check fills in the defaults; errors name the field.
func (b Ban) Check() (Ban, error) {
	for _, f := range []struct {
		name  string
		value *time.Duration
		usual time.Duration
	}{
		{"within", &b.Within, 10 * time.Minute},
		{"for", &b.For, time.Minute},
		{"max", &b.Max, max(b.For, 15*time.Minute)},
		{"forget", &b.Forget, 24 * time.Hour},
	} {
		if *f.value == 0 {
			*f.value = f.usual
		}
		if *f.value < 0 || *f.value > maxWindow {
			return b, errors.New("throttle: " + f.name + ": is negative or longer than ten years")
		}
	}
	if b.After == 0 {
		b.After = 5
	}
	if b.After < 0 || b.After > maxCount {
		return b, errors.New("throttle: after: is outside 1 to 2147483647")
	}
	if b.Max < b.For {
		return b, errors.New("throttle: max: is shorter than for")
	}
	return b, nil
}

// Left is how long a key is still locked out; 0 for not.
func (b Ban) Left(state []uint64, now time.Duration) time.Duration {
	if until := state[banUntil]; until > uint64(now) {
		return time.Duration(until - uint64(now))
	}
	return 0
}

// Strike counts one refusal and returns how long the key is locked out now.
// Strikes during a lock-out do not make it longer, else whoever knocks
// automatically would never come back.
func (b Ban) Strike(state []uint64, now time.Duration) time.Duration {
	if left := b.Left(state, now); left > 0 {
		return left
	}
	strikes, outs := state[banStrikes]>>32, state[banStrikes]&insideMask
	if outs > 0 && uint64(now) >= state[banUntil]+uint64(b.Forget) {
		outs = 0
	}
	if strikes == 0 || uint64(now) >= state[banSince]+uint64(b.Within) {
		strikes, state[banSince] = 0, uint64(now)
	}
	strikes++
	var left time.Duration
	if strikes >= uint64(b.After) {
		left = b.Max
		if outs < 40 && b.For <= b.Max>>outs {
			left = b.For << outs
		}
		strikes, outs = 0, min(outs+1, insideMask)
		state[banUntil] = uint64(now + left)
	}
	state[banStrikes] = strikes<<32 | outs
	return left
}

// idle says whether a key is without blame.
func (b Ban) idle(s []uint64, now time.Duration) bool {
	if uint64(now) < s[banUntil] {
		return false
	}
	strikes, outs := s[banStrikes]>>32, s[banStrikes]&insideMask
	return (strikes == 0 || uint64(now) >= s[banSince]+uint64(b.Within)) &&
		(outs == 0 || uint64(now) >= s[banUntil]+uint64(b.Forget))
}

// Bans keeps a [Ban] for each of many keys. It is safe for concurrent use.
// When it is full of keys with blame, strikes of further keys are not counted:
// a flood of strangers can neither free a locked key nor lock out another.
type Bans struct {
	ban    Ban
	shards []banShard
	seeds  [2]maphash.Seed
	now    func() time.Duration
}

type banShard struct {
	mu    sync.Mutex
	cells table
	_     [64]byte // neighbours do not share a cache line
}

const banShards = 16

// NewBans makes an empty list of at most maxKeys keys (0 means 262,144; about
// 40 to 70 bytes each). now is as in [Options].
func NewBans(ban Ban, maxKeys int, now func() time.Duration) (*Bans, error) {
	ban, err := ban.Check()
	if err != nil {
		return nil, err
	}
	if maxKeys < 0 || maxKeys > 1<<32 {
		return nil, errors.New("throttle: max_keys: is negative or above 4294967296")
	}
	if maxKeys == 0 {
		maxKeys = 1 << 18
	}
	b := &Bans{
		ban: ban, shards: make([]banShard, banShards), now: newNow(now),
		seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
	}
	for i := range b.shards {
		b.shards[i].cells = table{words: BanWords, most: max(1, maxKeys/banShards)}
	}
	return b, nil
}

func (b *Bans) shard(key string) (*banShard, hash) {
	h := hash{maphash.String(b.seeds[0], key) | 1, maphash.String(b.seeds[1], key)}
	return &b.shards[h.hi>>(64-4)], h
}

// Left is how long key is still locked out; 0 for not.
func (b *Bans) Left(key string) time.Duration {
	s, h := b.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if cell := s.cells.find(h); cell != nil {
		return b.ban.Left(cell, b.now())
	}
	return 0
}

// Err is nil, or the [*Error] of a key that is locked out.
func (b *Bans) Err(key string) error {
	if left := b.Left(key); left > 0 {
		return &Error{Reason: Banned, RetryAfter: left}
	}
	return nil
}

// Strike counts one refusal of key and returns how long it is locked out now.
func (b *Bans) Strike(key string) time.Duration {
	return b.write(key, func(cell []uint64, now time.Duration) { b.ban.Strike(cell, now) })
}

// Set locks key out for d from now, whatever it did. Up to ten years.
func (b *Bans) Set(key string, d time.Duration) time.Duration {
	d = max(0, min(d, maxWindow))
	return b.write(key, func(cell []uint64, now time.Duration) { cell[banUntil] = uint64(now + d) })
}

func (b *Bans) write(key string, f func(cell []uint64, now time.Duration)) time.Duration {
	s, h := b.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := b.now()
	cell := s.cells.find(h)
	if cell == nil {
		if cell = s.cells.claim(h, now, b.ban); cell == nil {
			return 0
		}
	}
	f(cell, now)
	return b.ban.Left(cell, now)
}

// Pardon forgets all blame of key.
func (b *Bans) Pardon(key string) {
	s, h := b.shard(key)
	s.mu.Lock()
	s.cells.forget(h)
	s.mu.Unlock()
}
