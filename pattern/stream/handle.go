package stream

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/journal"
)

// request is what a Group asks the group's owner. It holds moves and places, and
// never an event. Times are milliseconds.
type request struct {
	Op         string        `json:"op"`
	Member     string        `json:"member,omitempty"`
	Members    []string      `json:"members,omitempty"`
	Generation uint64        `json:"generation,omitempty"`
	Again      bool          `json:"again,omitempty"`
	Force      bool          `json:"force,omitempty"`
	Client     string        `json:"client,omitempty"`
	Topics     []string      `json:"topics,omitempty"`
	Session    int64         `json:"session,omitempty"`
	Rebalance  int64         `json:"rebalance,omitempty"`
	Tracks     []track       `json:"tracks,omitempty"`
	Places     []place       `json:"places,omitempty"`
	Version    uint64        `json:"version,omitempty"`
	Wait       time.Duration `json:"wait,omitempty"`
}

// answer is what it says.
type answer struct {
	Generation uint64     `json:"generation,omitempty"`
	Rebalance  bool       `json:"rebalance,omitempty"` // there is no new generation yet
	Version    uint64     `json:"version,omitempty"`
	Parts      []assigned `json:"parts,omitempty"`
	Info       *described `json:"info,omitempty"`
	Known      []uint64   `json:"known,omitempty"`
}

// assigned is a partition of a member, or one of the group when it is described.
type assigned struct {
	place
	Topic     string `json:"t"`
	Index     int    `json:"i"`
	Since     uint64 `json:"s,omitempty"`
	Owner     string `json:"o,omitempty"`
	Committed int64  `json:"c,omitempty"`
}

// described is what a group is like.
type described struct {
	Protocol string            `json:"protocol"`
	State    State             `json:"state"`
	Members  []describedMember `json:"members"`
}

type describedMember struct {
	ID     string   `json:"id"`
	Client string   `json:"client"`
	Topics []string `json:"topics"`
	Joined int64    `json:"joined"`
	Seen   int64    `json:"seen"`
}

// handle implements shard.Handler.
func (o *owner) handle(ctx context.Context, in []byte) ([]byte, error) {
	var r request
	if err := json.Unmarshal(in, &r); err != nil {
		return nil, parley.Errorf(parley.Invalid, "a request to the group's owner cannot be read: %w", err)
	}
	out, err := o.serve(ctx, &r)
	if err != nil {
		return nil, err
	}
	return json.Marshal(out)
}

func (o *owner) serve(ctx context.Context, r *request) (out answer, err error) {
	if r.Op == "watch" {
		return o.watch(ctx, r)
	}
	step := o.step(r.Op)
	if step == nil {
		return out, parley.Errorf(parley.Unsupported, "a group's owner does not know %q", r.Op)
	}
	err = o.do(ctx, func(tx *journal.Tx, now int64) error {
		out = answer{}
		if err := step(tx, now, r, &out); err != nil {
			return err
		}
		out.Generation, out.Version = o.generation, o.version
		return nil
	})
	return out, err
}

// step is a request that is one step of the machine.
type step func(tx *journal.Tx, now int64, r *request, out *answer) error

// step gives what does a request, or nil.
func (o *owner) step(op string) step {
	switch op {
	case "join":
		return o.doJoin
	case "sync":
		return o.doSync
	case "beat":
		return o.doBeat
	case "commit":
		return o.doCommit
	case "leave":
		return func(tx *journal.Tx, now int64, r *request, _ *answer) error { return o.leave(tx, now, r.Member) }
	case "seek":
		return o.doSeek
	case "describe":
		return o.describe
	case "clear":
		return o.doClear
	}
	return nil
}

func (o *owner) doJoin(tx *journal.Tx, now int64, r *request, out *answer) error {
	if now < o.closing {
		return &parley.Error{Code: parley.Unavailable, Field: "group", Detail: "the group is being deleted", Fix: "join again, which makes it anew", RetryAfter: 100 * time.Millisecond}
	}
	who := member{client: clip(r.Client, MaxClient), topics: r.Topics, session: r.Session, rebalance: r.Rebalance}
	if err := o.join(tx, now, joining{ID: r.Member, Again: r.Again, member: who}, o.present(r.Tracks)); err != nil {
		return err
	}
	o.assignment(r.Member, out)
	return nil
}

// present leaves out partitions of topics that were deleted, which the node that asks
// did not know yet: nobody would tell of it again.
func (o *owner) present(list []track) []track {
	return slices.DeleteFunc(list, func(t track) bool { return !o.there(t.Number) })
}

func (o *owner) doSync(tx *journal.Tx, now int64, r *request, out *answer) error {
	if o.pending && len(r.Places) > 0 {
		// What is refused is not the member's any more, or behind: it comes again,
		// or was read already.
		if err := o.commit(tx, now, r.Member, r.Generation, r.Places); err != nil && parley.CodeOf(err) != parley.Conflict {
			return err
		}
	}
	if err := o.sync(tx, now, r.Member, r.Generation); err != nil {
		return err
	}
	o.assignment(r.Member, out)
	return nil
}

func (o *owner) doBeat(_ *journal.Tx, now int64, r *request, out *answer) error {
	if err := o.known(r.Member, now); err != nil {
		return err
	}
	if r.Generation > o.generation {
		return o.past(r.Generation)
	}
	out.Rebalance = o.rebalancing(r.Member)
	return nil
}

func (o *owner) doCommit(tx *journal.Tx, now int64, r *request, out *answer) error {
	if err := o.commit(tx, now, r.Member, r.Generation, r.Places); err != nil {
		return err
	}
	for _, at := range r.Places {
		out.Parts = append(out.Parts, o.assigned(at.Number))
	}
	return nil
}

func (o *owner) doSeek(tx *journal.Tx, now int64, r *request, out *answer) error {
	list := o.present(r.Tracks)
	if len(list) == 0 {
		return nil
	}
	if err := o.seek(tx, list); err != nil {
		return err
	}
	for _, t := range list {
		out.Parts = append(out.Parts, o.assigned(t.Number))
	}
	return o.settle(tx, now)
}

func (o *owner) doClear(tx *journal.Tx, now int64, r *request, _ *answer) error {
	if len(o.members) > 0 && !r.Force {
		return &parley.Error{Code: parley.Conflict, Field: "group", Detail: "the group has members", Fix: "let them leave, or send force=true"}
	}
	if err := o.clearAll(tx); err != nil {
		return err
	}
	o.note(o.retires()) // if it stays listed
	o.closing = now + closingMillis
	return nil
}

// assignment tells a member what is its own in the present generation.
func (o *owner) assignment(id string, out *answer) {
	out.Rebalance = o.pending
	for _, n := range o.of(id) {
		out.Parts = append(out.Parts, o.assigned(n))
	}
}

func (o *owner) assigned(n uint64) assigned {
	p := o.parts[n]
	return assigned{place: place{n, p.at, p.epoch}, Topic: p.topic, Index: p.index, Since: p.since, Owner: p.owner, Committed: p.committed}
}

func (o *owner) describe(_ *journal.Tx, now int64, _ *request, out *answer) error {
	info := &described{Protocol: protocol, State: Stable, Members: []describedMember{}}
	switch {
	case len(o.members) == 0:
		info.State = Empty
	case o.pending:
		info.State, info.Protocol = Joining, o.protocol
	default:
		info.Protocol = o.protocol
	}
	for _, id := range o.ids() {
		m := o.members[id]
		info.Members = append(info.Members, describedMember{ID: id, Client: m.client, Topics: slices.Clone(m.topics), Joined: m.joined, Seen: min(now, o.sessions[id]-m.session)})
	}
	out.Info = info
	for _, n := range o.numbers() {
		out.Parts = append(out.Parts, o.assigned(n))
	}
	return nil
}

// watch hears members on whose behalf a node waits, and answers when something has
// changed since the version that the node knows, or when the wait is over.
func (o *owner) watch(ctx context.Context, r *request) (out answer, err error) {
	timer := time.NewTimer(max(0, r.Wait))
	defer timer.Stop()
	for first := true; ; first = false {
		var changed chan struct{}
		err := o.do(ctx, func(_ *journal.Tx, now int64) error {
			for _, id := range r.Members {
				if first && o.members[id] != nil {
					o.hear(id, now)
				}
			}
			out.Version, changed = o.version, o.changed
			return nil
		})
		if err != nil || out.Version != r.Version {
			return out, err
		}
		select {
		case <-changed:
		case <-timer.C:
			return out, nil
		case <-ctx.Done():
			return answer{}, context.Cause(ctx)
		}
	}
}
