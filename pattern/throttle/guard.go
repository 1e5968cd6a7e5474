package throttle

import (
	"fmt"
	"strconv"
	"time"
)

// Scope says what one limit of a [Preset] counts by.
type Scope string

// The scopes.
const (
	ByAccount Scope = "account" // who is meant, whoever asks
	ByIP      Scope = "ip"      // who asks, whoever is meant
	ByPair    Scope = "pair"    // this asker for this account
	ByAll     Scope = "all"     // everybody together
)

// Part is one limit of a preset.
type Part struct {
	// Name stands in errors and headers.
	Name string `json:"name"`
	// By is what it counts by.
	By Scope `json:"by"`
	// Limit is the limit.
	Limit Limit `json:"limit"`
	// Clear makes the key as good as new after a success.
	Clear bool `json:"clear,omitempty"`
}

// Preset is a documented set of limits that are asked together, as data: copy
// one and change its numbers.
type Preset struct {
	// Name names the set.
	Name string `json:"name"`
	// Parts are asked together, at most [MaxTogether] of them.
	Parts []Part `json:"parts"`
	// Ban locks a key out after repeated refusals; BanBy says which key. Empty
	// means no lock-outs.
	Ban   Ban   `json:"ban"`
	BanBy Scope `json:"ban_by,omitempty"`
}

// Subject is who tries.
type Subject struct {
	// Account is who is meant: a user name, an e-mail address, for crawl the host. Write it in one
	// way (lower case, trimmed) before asking, and ask for unknown accounts too, so
	// that the answer does not tell which exist.
	Account string
	// IP is who asks; cut IPv6 addresses to /64 first.
	IP string
}

// key is the subject under a scope. The pair carries the account's length, so
// that no two pairs look the same.
func (s Subject) key(by Scope) string {
	switch by {
	case ByAccount:
		return s.Account
	case ByIP:
		return s.IP
	case ByPair:
		return strconv.Itoa(len(s.Account)) + ":" + s.Account + s.IP
	}
	return ""
}

// Guard asks the limits of a preset together, and locks out who does not stop.
// It is safe for concurrent use.
type Guard struct {
	preset   Preset
	limiters []*Limiter
	bans     *Bans
}

// NewGuard makes a guard. o goes to each limiter; its Name is not used.
func NewGuard(p Preset, o Options) (*Guard, error) {
	if len(p.Parts) == 0 || len(p.Parts) > MaxTogether {
		return nil, fmt.Errorf("throttle: parts: %d limits, want 1 to %d", len(p.Parts), MaxTogether)
	}
	g := &Guard{preset: p}
	for _, part := range p.Parts {
		switch part.By {
		case ByAccount, ByIP, ByPair, ByAll:
		default:
			return nil, fmt.Errorf("throttle: by: %q is none of account, ip, pair, all", part.By)
		}
		o.Name = p.Name + "-" + part.Name
		l, err := New(part.Limit, o)
		if err != nil {
			return nil, fmt.Errorf("%w (part %s)", err, part.Name)
		}
		g.limiters = append(g.limiters, l)
	}
	if p.BanBy != "" {
		var err error
		if g.bans, err = NewBans(p.Ban, o.MaxKeys, o.Now); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// Limiters are the guard's limiters, in the order of the preset's parts.
func (g *Guard) Limiters() []*Limiter { return g.limiters }

// Enter takes one unit of every part, or of none. Do it before the costly or
// secret work (comparing a password takes so long that a hundred guesses would
// pass a check made afterwards). A refusal is an [*Error]; one by a limit of the
// key that BanBy names counts towards a lock-out.
func (g *Guard) Enter(s Subject) (*Attempt, error) {
	if g.bans != nil {
		if left := g.bans.Left(s.key(g.preset.BanBy)); left > 0 {
			return nil, g.banned(left)
		}
	}
	charges := make([]Charge, len(g.limiters))
	for i, l := range g.limiters {
		charges[i] = Charge{Limiter: l, Key: s.key(g.preset.Parts[i].By), Cost: 1}
	}
	permit, decisions, err := TryAll(charges...)
	if err == nil {
		return &Attempt{guard: g, subject: s, permit: permit}, nil
	}
	if g.bans != nil && g.blame(decisions) {
		if left := g.bans.Strike(s.key(g.preset.BanBy)); left > 0 {
			return nil, g.banned(left)
		}
	}
	return nil, err
}

// blame says whether a limit of the key that can be locked out refused. What
// others used up is not its fault: an address at its limit must not be able to
// lock accounts, nor a busy hour to lock everybody.
func (g *Guard) blame(decisions []Decision) bool {
	for i, d := range decisions {
		if !d.OK && g.preset.Parts[i].By == g.preset.BanBy {
			return true
		}
	}
	return false
}

func (g *Guard) banned(left time.Duration) error {
	return &Error{Name: g.preset.Name, Reason: Banned, RetryAfter: left}
}

// Attempt is what [Guard.Enter] let in.
type Attempt struct {
	guard   *Guard
	subject Subject
	permit  Permit
}

// Succeed says that the attempt was honest: what it took is given back, and
// the parts marked Clear, and the blame, are forgotten for this subject. Only
// the first of Succeed and Done does anything.
func (a *Attempt) Succeed() {
	if a.guard == nil {
		return
	}
	g := a.guard
	a.guard = nil
	a.permit.Refund()
	for i, part := range g.preset.Parts {
		if part.Clear {
			g.limiters[i].Forget(a.subject.key(part.By))
		}
	}
	if g.bans != nil {
		g.bans.Pardon(a.subject.key(g.preset.BanBy))
	}
}

// Done ends an attempt that did not succeed, or one of which it does not
// matter: what it took stays taken, places inside become free.
func (a *Attempt) Done() {
	a.guard = nil
	a.permit.Release()
}
