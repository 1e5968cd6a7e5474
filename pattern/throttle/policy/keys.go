package policy

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/throttle"
)

// Order is what Keys puts first.
type Order string

// The orders. Ties go by the other one, then by how often a key was let in.
const (
	ByRefused Order = "refused" // who was refused most often, since they were noticed
	BySpent   Order = "spent"   // who has used up the largest part of what there is, now
)

// Bounds of Keys.
const (
	DefaultTop = 20
	MaxTop     = tallyParts * partSeats
)

// View is what a limit is doing on this node.
type View struct {
	Info
	// Top are the busiest keys.
	Top []KeyView `json:"top"`
}

// KeyView is a key as it stands. Times are seconds, rounded up to whole
// milliseconds.
type KeyView struct {
	// Key is what is counted by, as a check would say it. Values of header fields that
	// carry credentials are replaced by "sha256:" and the beginning of their digest.
	Key string `json:"key"`
	// Parts are the parts of a key that is joined of several.
	Parts []string `json:"parts,omitempty"`
	// Spent is the units that are used up, or places that are taken; Remaining what
	// there is. Both are absent for a limit that admits everything, and while the
	// counts that all nodes share are away.
	Spent     *int64 `json:"spent,omitempty"`
	Remaining *int64 `json:"remaining,omitempty"`
	// Reset is the time until there is one unit more, Free until there are all; 0 when
	// none is missing, and for places inside, which become free when somebody leaves.
	Reset float64 `json:"reset"`
	Free  float64 `json:"free"`
	// Waiting is how many requests stand in line; under a limit that all nodes share,
	// behind the one whose turn it is.
	Waiting int `json:"waiting"`
	// Counts are since the key was noticed: one that was quiet while many others were
	// busy begins anew.
	Counts Counts `json:"counts"`
}

// Of a limit that is counted elsewhere, so many keys are looked at for one view, and
// for so long: each is a question to the counter.
const (
	maxLooks = 64
	lookTime = 500 * time.Millisecond
)

// Keys shows what a limit is doing: its counts, and the top keys in an order. It looks
// at the MaxTop busiest, of a limit that is counted for all nodes together at the top
// or 64, whichever are more; how many are held in all is Info.Keys. Errors: NotFound;
// Invalid for another order or a top outside 1 to MaxTop; that of ctx.
func (r *Registry) Keys(ctx context.Context, name string, top int, by Order) (View, error) {
	l := r.table.Load().all[name]
	switch {
	case l == nil:
		return View{}, notFound(name)
	case top < 1 || top > MaxTop:
		return View{}, parley.BadField("top", strconv.Itoa(top)+" keys cannot be shown", "send 1 to "+strconv.Itoa(MaxTop))
	case by != ByRefused && by != BySpent:
		return View{}, parley.BadField("by", strconv.Quote(string(by))+" is no order", "send "+string(ByRefused)+" or "+string(BySpent))
	}
	ranks, err := r.ranks(ctx, l, max(top, maxLooks))
	if err != nil {
		return View{}, err
	}
	slices.SortFunc(ranks, func(a, b rank) int { return a.compare(b, by) })
	v := View{Info: l.info(), Top: []KeyView{}}
	for _, k := range ranks[:min(top, len(ranks))] {
		v.Top = append(v.Top, l.shown(k))
	}
	return v, nil
}

// rank is a key with how it stands.
type rank struct {
	named
	throttle.Standing
	unknown bool // where it is counted there was no answer
}

// ranks tells how the keys of a limit stand: where they are counted, at most so many.
func (r *Registry) ranks(ctx context.Context, l *limit, looks int) ([]rank, error) {
	all := l.tally.named()
	ranks := make([]rank, 0, len(all))
	for _, n := range all {
		ranks = append(ranks, rank{named: n})
	}
	if l.shared == nil {
		for i, k := range ranks {
			ranks[i].Standing = l.limiter.Standing(k.key)
		}
		return ranks, nil
	}
	slices.SortFunc(ranks, func(a, b rank) int { return a.compare(b, ByRefused) })
	ranks = ranks[:min(len(ranks), looks)]
	begin := time.Now()
	for i := range ranks {
		if ranks[i].unknown = time.Since(begin) > lookTime; ranks[i].unknown {
			continue
		}
		if err := r.look(ctx, l, &ranks[i]); err != nil {
			return nil, err
		}
	}
	return ranks, nil
}

// look asks a counter how a key stands: for all that there could be, so that one
// question tells when that is so.
func (r *Registry) look(ctx context.Context, l *limit, k *rank) error {
	limit := l.limiter.Limit()
	most := limit.Quota
	switch {
	case limit.Algorithm == throttle.LeakyQueue:
		most = 1
	case limit.Burst > 0:
		most = limit.Burst
	}
	bounded, cancel := r.opts.Sharing.within(ctx)
	defer cancel()
	d, err := r.opts.Sharing.ask(bounded, l, Counter.Look, k.key, most)
	if err != nil {
		return err
	}
	k.unknown = d.by == byNobody
	k.Standing = throttle.Standing{Spent: max(0, most-d.Remaining), Remaining: d.Remaining, Next: d.Reset, Full: d.RetryAfter}
	if t := l.shared.turns; t != nil {
		k.Waiting = t.Standing(k.key).Waiting
	}
	return nil
}

// used is the part that is spent: a waiting line counts as spent over and over.
func (r rank) used() float64 {
	if r.Remaining == throttle.Infinite || r.unknown || r.Spent+r.Remaining == 0 {
		return 0
	}
	return float64(r.Spent)/float64(r.Spent+r.Remaining) + float64(r.Waiting)
}

func (r rank) compare(o rank, by Order) int {
	refused, used := cmp.Compare(o.counts.refused(), r.counts.refused()), cmp.Compare(o.used(), r.used())
	if by == BySpent {
		refused, used = used, refused
	}
	return cmp.Or(refused, used, cmp.Compare(o.counts.Allowed+o.counts.Shaped, r.counts.Allowed+r.counts.Shaped), strings.Compare(r.key, o.key))
}

func (l *limit) shown(k rank) KeyView {
	v := KeyView{Waiting: k.Waiting, Counts: k.counts}
	v.Key, v.Parts = l.key.show(k.key)
	if k.unknown {
		return v
	}
	v.Reset, v.Free = Seconds(k.Next), Seconds(k.Full)
	if k.Remaining != throttle.Infinite {
		v.Spent, v.Remaining = &k.Spent, &k.Remaining
	}
	return v
}

// show writes a key for people. Checks bring keys of their own, which may not be made
// of the limit's parts: those are shown as they are.
func (k key) show(text string) (whole string, parts []string) {
	words := strings.Split(k.text, "+")
	if len(words) == 1 {
		return printable(words[0], text), nil
	}
	values, ok := split(text, len(words))
	if !ok {
		return valid(text), nil
	}
	for i, v := range values {
		values[i] = printable(words[i], v)
		whole += strconv.Itoa(len(values[i])) + ":" + values[i]
	}
	return whole, values
}

// split takes a joined key apart; see key.of.
func split(text string, n int) (parts []string, ok bool) {
	for range n {
		size, rest, found := strings.Cut(text, ":")
		length, err := strconv.Atoi(size)
		if !found || err != nil || length < 0 || length > len(rest) {
			return nil, false
		}
		parts, text = append(parts, rest[:length]), rest[length:]
	}
	return parts, text == ""
}

// printable hides what a header field that carries credentials says. Who is looked at
// can still be told apart.
func printable(word, value string) string {
	name, isHeader := strings.CutPrefix(word, "header:")
	if !isHeader || value == "" || !secret(name) {
		return valid(value)
	}
	sum := sha256.Sum256([]byte(value))
	return "sha256:" + hex.EncodeToString(sum[:6])
}

// secret goes by the name, rather once too often.
func secret(header string) bool {
	name := strings.ToLower(http.CanonicalHeaderKey(header))
	for _, part := range []string{"auth", "cookie", "key", "token", "secret", "password", "signature", "session"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

func valid(text string) string { return strings.ToValidUTF8(text, "\ufffd") }

// decided counts a decision about a key, and tells who wants to know.
func (r *Registry) decided(l *limit, key string, o Outcome) {
	l.tally.note(key, o)
	r.opts.Observe(l.name, o)
}
