package stream

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"strconv"
	"sync"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
)

// Group is one consumer group. Its methods may be called from any goroutine, on
// any node: they ask the node that owns the group, and read events from the log
// where they are called.
type Group struct {
	all   *Groups
	name  string
	moves parley.Stream // the machine's moves; also the name of the shard

	mu       sync.Mutex
	waiting  map[*Wait]struct{}
	watching bool   // Groups.Run has a watch under way, or is about to
	seen     uint64 // the newest version that a watch has met
}

// Name is the group's name.
func (g *Group) Name() string { return g.name }

// State of a group.
type State string

// The states.
const (
	Empty   State = "empty"   // it has no members
	Joining State = "joining" // a rebalance is under way: members come back
	Stable  State = "stable"
)

// Place is a place in a partition: the position of the event to read next, which
// is the one after the last that was worked off. 0 is the earliest event.
type Place struct {
	Topic     string          `json:"topic"`
	Partition int             `json:"partition"`
	Position  parley.Position `json:"position"`
}

// JoinRequest is what a member says of itself. The zero value of each field but
// Topics works.
type JoinRequest struct {
	// Topics are the names and patterns that the member wants: 1 to MaxPatterns,
	// none of them ephemeral.
	Topics []string
	// Member is the id of one that is in the group, or comes back for a rebalance.
	Member string
	// Client is what the member calls itself, for people; cut to MaxClient bytes.
	Client string
	// Session is how long it may be silent, 3 s to 30 min; default 30 s.
	Session time.Duration
	// Rebalance is how long it may take to come back when the group shares its
	// partitions out anew, 3 s to 30 min; default 1 min.
	Rebalance time.Duration
	// From is where the group begins in partitions that it has no place in:
	// Earliest by default. What is created later is read from its beginning.
	From From
	// Wait is how long to wait for the others to come back; default 25 s, at most
	// 55 s, negative: not at all. Without a new generation by then the answer says
	// Rebalance, and the member asks for events, which waits too.
	Wait time.Duration
}

// Joined is what a member is told.
type Joined struct {
	Member     string
	Generation uint64
	Session    time.Duration
	Rebalance  bool // no new generation yet: nothing is assigned
	Assigned   []Place
}

// Join lets a member in, or back in for a rebalance, and waits for the generation
// that it is in. Errors: Invalid; NotFound for a topic that is not there and not
// made by itself; Conflict for a Member that is not in the group any more;
// Unprocessable and Overloaded at the bounds; those of Host.Ask, after which a
// member that was let in and does not know it expires.
func (g *Group) Join(ctx context.Context, r JoinRequest) (Joined, error) {
	q, err := g.joining(ctx, &r)
	if err != nil {
		return Joined{}, err
	}
	a, err := g.ask(ctx, q)
	if err != nil && parley.CodeOf(err) == parley.Unknown && ctx.Err() == nil {
		if again, later := g.ask(ctx, q); later == nil { // the same member, who may be in already
			a, err = again, nil
		}
	}
	if err != nil {
		return Joined{}, err
	}
	if a.Rebalance && r.Wait > 0 {
		if a, err = g.settled(ctx, q.Member, a, r.Wait); err != nil {
			return Joined{}, err
		}
	}
	out := Joined{Member: q.Member, Generation: a.Generation, Session: r.Session, Rebalance: a.Rebalance, Assigned: []Place{}}
	if !a.Rebalance {
		out.Assigned = placesOf(a.Parts)
	}
	return out, nil
}

func (g *Group) joining(ctx context.Context, r *JoinRequest) (*request, error) {
	if err := checkPatterns(r.Topics); err != nil {
		return nil, err
	}
	if err := checkTimes(&r.Session, &r.Rebalance); err != nil {
		return nil, err
	}
	switch {
	case r.Wait == 0:
		r.Wait = defaultJoinWait
	case r.Wait > MaxWait:
		r.Wait = MaxWait
	}
	if len(r.Member) > maxMember {
		return nil, parley.BadField("member", "is longer than any", "send the id that join gave")
	}
	tracks, err := g.begin(ctx, r.Topics, r.From)
	if err != nil {
		return nil, err
	}
	q := &request{Op: "join", Member: r.Member, Again: r.Member != "", Client: r.Client, Topics: r.Topics, Session: r.Session.Milliseconds(), Rebalance: r.Rebalance.Milliseconds(), Tracks: tracks}
	if q.Member == "" {
		q.Member = rand.Text()
	}
	return q, nil
}

// The waits of a Join and of a Fetch.
const (
	defaultJoinWait = 25 * time.Second
	MaxWait         = 55 * time.Second // below the 60 s after which common proxies give up
)

// begin finds the partitions of the topics in which the group has no place yet,
// and where it begins in them. To ask where, it must know which: so it looks at the
// group first, unless every stream begins at the same place.
func (g *Group) begin(ctx context.Context, topics []string, from From) ([]track, error) {
	list, err := g.all.matching(topics)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	if len(list) > MaxPartitions {
		return nil, &parley.Error{Code: parley.Unprocessable, Field: "topics", Detail: "match " + strconv.Itoa(len(list)) + " partitions; a group has places in at most " + strconv.Itoa(MaxPartitions), Fix: "name fewer topics, or use several groups"}
	}
	if from.kind == fromEarliest {
		return list, nil
	}
	a, err := g.ask(ctx, &request{Op: "describe"})
	if err != nil {
		return nil, err
	}
	have := make(map[uint64]bool, len(a.Parts))
	for _, p := range a.Parts {
		have[p.Number] = true
	}
	var fresh []track
	for _, t := range list {
		if !have[t.Number] {
			fresh = append(fresh, t)
		}
	}
	return fresh, g.all.resolve(ctx, fresh, from)
}

// settled waits until a rebalance is over, and tells what it gave.
func (g *Group) settled(ctx context.Context, id string, a answer, wait time.Duration) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for a.Rebalance {
		woken := make(chan struct{}, 1)
		w := g.wait(id, a.Version, func() {
			select {
			case woken <- struct{}{}:
			default:
			}
		})
		select {
		case <-woken:
		case <-ctx.Done():
		}
		w.Cancel()
		if ctx.Err() != nil {
			return a, nil
		}
		next, err := g.ask(ctx, &request{Op: "sync", Member: id, Generation: a.Generation})
		if err != nil && ctx.Err() == nil {
			return a, err
		}
		if err == nil {
			a = next
		}
	}
	return a, nil
}

// askPatience is how long an owner may take for an answer: one that was paused, or
// whose log takes nothing, must not hold the caller for ever.
const askPatience = 15 * time.Second

// ask asks the owner.
func (g *Group) ask(ctx context.Context, r *request) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, r.Wait+askPatience)
	defer cancel()
	in, err := json.Marshal(r)
	if err != nil {
		return answer{}, parley.Errorf(parley.Invalid, "the request cannot be encoded: %w", err)
	}
	b, err := g.all.host.Ask(ctx, g.moves, in)
	if err != nil {
		return answer{}, err
	}
	var a answer
	if err := json.Unmarshal(b, &a); err != nil {
		return answer{}, parley.Errorf(parley.Internal, "the group's owner answers what cannot be read: %w", err)
	}
	return a, nil
}

// Beat is what a heartbeat answers.
type Beat struct {
	Generation uint64
	// Rebalance says that the group waits for the member: it commits what it has
	// worked off, and then asks for events or joins again.
	Rebalance bool
}

// Heartbeat is a sign of life while a member works on what it has. Errors:
// Conflict for who is no member (field member) or has a generation that never was;
// those of Host.Ask.
func (g *Group) Heartbeat(ctx context.Context, member string, generation uint64) (Beat, error) {
	a, err := g.ask(ctx, &request{Op: "beat", Member: member, Generation: generation})
	return Beat{a.Generation, a.Rebalance}, err
}

// Leave takes a member out at once: its partitions are shared out among the
// others. Errors: Conflict for who is no member; those of Host.Ask.
func (g *Group) Leave(ctx context.Context, member string) error {
	_, err := g.ask(ctx, &request{Op: "leave", Member: member})
	return err
}

// matching gives the partitions that topics and patterns match, by stream number
// of the topics in the order of their names, all from the earliest event.
func (gs *Groups) matching(topics []string) ([]track, error) {
	patterns := make([]topic.Pattern, len(topics))
	for i, text := range topics {
		p, err := topic.ParsePattern(text)
		if err != nil {
			return nil, err
		}
		patterns[i] = p
		t, err := gs.topics.Get(text)
		switch {
		case !p.Literal():
		case err != nil && !gs.topics.AutoCreates(text):
			return nil, err
		case err == nil && t.Settings.Durability == topic.Memory:
			return nil, &parley.Error{Code: parley.Unprocessable, Field: "topics", Detail: "topic " + text + " is in memory only, and its places end with the process", Fix: "subscribe to it, or use a topic with fsync or os durability"}
		}
	}
	var list []track
	for _, t := range gs.candidates(patterns) {
		for i, p := range t.Partitions {
			list = append(list, track{Topic: t.Name, Index: i, place: place{Number: p.Number}})
		}
	}
	return list, nil
}

// candidates gives the stored topics that match one of the patterns.
func (gs *Groups) candidates(patterns []topic.Pattern) (list []topic.Topic) {
	wild := false
	seen := make(map[string]bool)
	add := func(t topic.Topic) {
		if !seen[t.Name] && !topic.IsEphemeral(t.Name) && t.Settings.Durability != topic.Memory {
			seen[t.Name] = true
			list = append(list, t)
		}
	}
	for _, p := range patterns {
		if !p.Literal() {
			wild = true
		} else if t, err := gs.topics.Get(p.String()); err == nil {
			add(t)
		}
	}
	if !wild {
		return list
	}
	for _, t := range gs.topics.List() {
		for _, p := range patterns {
			if p.Match(t.Name) {
				add(t)
				break
			}
		}
	}
	return list
}

func placesOf(parts []assigned) []Place {
	list := make([]Place, len(parts))
	for i, p := range parts {
		list[i] = Place{p.Topic, p.Index, p.At}
	}
	return list
}
