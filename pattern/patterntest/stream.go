package patterntest

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pubsub"
	"github.com/parleyhq/parley/pattern/stream"
)

var streamSuite = suite{pattern: "stream", parts: []part{
	{needs: "Grouper", has: is[Grouper], everywhere: true, checks: streamChecks},
}}

// Grouper is a door to consumer groups.
type Grouper interface {
	JoinGroup(ctx context.Context, group string, r stream.JoinRequest) (stream.Joined, error)
	FetchGroup(ctx context.Context, group string, q GroupQuery) (GroupPage, error)
	CommitGroup(ctx context.Context, group string, r stream.CommitRequest) error
	LeaveGroup(ctx context.Context, group, member string) error
	SeekGroup(ctx context.Context, group, to string) error
}

// GroupQuery is what a member asks for.
type GroupQuery struct {
	Member     string
	Generation uint64
	After      string
	Limit      int // 0 = as the door has it
	Wait       time.Duration
}

// GroupPage is what it is given.
type GroupPage struct {
	Events     []parley.Event
	Cursor     string
	Generation uint64
	Rebalance  bool
}

var streamChecks = []check{
	{"Share", "members share the partitions, and in peace every event comes to one of them, once", streamShare},
	{"Order", "events of one key come in their order", streamOrder},
	{"Commit", "what was committed does not come again to whoever is next, and what was not does", streamCommit},
	{"Fence", "who is in a generation that is over commits nothing", streamFence},
	{"Silent", "the partitions of who falls silent go to the others, and who waits is not silent", streamSilent},
	{"Held", "a member that waits is told of an event when it comes, and of nothing when the wait is over", streamHeld},
	{"Groups", "groups are independent: each is given every event", streamGroups},
	{"Seek", "a group goes back to the beginning, and those who read begin anew", streamSeek},
	{"Later", "a topic that is created later and matches is read from its beginning", streamLater},
	{"Trimmed", "a place that retention no longer has is told as that", streamTrimmed},
}

// hubBell has the world's hub wake the members of groups.
type hubBell struct{ hub *pubsub.Hub }

// Ring implements stream.Bell.
func (b hubBell) Ring(ctx context.Context, at []stream.Place, wake func()) (func(), error) {
	spots := make([]pubsub.Spot, len(at))
	for i, p := range at {
		spots[i] = pubsub.Spot{Topic: p.Topic, Partition: p.Partition, At: p.Position}
	}
	return b.hub.Ring(ctx, spots, wakeFunc(wake))
}

type wakeFunc func()

// Wake implements pubsub.Waker.
func (f wakeFunc) Wake() { f() }

// startGroups makes the world's consumer groups, where there is a host.
func (w *World) startGroups() {
	w.Helper()
	var err error
	if w.Groups, err = stream.New(w.Log, w.Host, w.Topics, stream.Options{Sealer: w.sealer, Bell: hubBell{w.Hub}}); err != nil {
		w.Fatal(err)
	}
	if err = w.Groups.Load(w.Life); err != nil {
		w.Fatal(err)
	}
	w.Background("groups", w.Groups.Run)
}

// mate is a member of a group as its program sees it.
type mate struct {
	*scene
	group string
	stream.Joined
	cursor string
	got    []int
}

const aGroup = "billing"

func (s *scene) enter(group string, topics ...string) *mate {
	s.Helper()
	m := &mate{scene: s, group: group}
	var err error
	m.Joined, err = s.door.(Grouper).JoinGroup(s.Life, group, stream.JoinRequest{Topics: topics, Session: 10 * time.Second, Wait: -1})
	if err != nil {
		s.Fatal(err)
	}
	return m
}

// fetch asks with what the last answer gave, and keeps the numbers that come.
func (m *mate) fetch(limit int, wait time.Duration) []int {
	m.Helper()
	page, err := m.door.(Grouper).FetchGroup(m.Life, m.group, GroupQuery{Member: m.Member, Generation: m.Generation, After: m.cursor, Limit: limit, Wait: wait})
	if err != nil {
		m.Fatal(err)
	}
	m.cursor, m.Generation = page.Cursor, page.Generation
	var list []int
	for _, e := range page.Events {
		n, err := strconv.Atoi(strings.TrimSpace(string(e.Data)))
		if err != nil {
			m.Fatal(err)
		}
		list = append(list, n)
	}
	m.got = append(m.got, list...)
	return list
}

func (m *mate) commit() error {
	return m.door.(Grouper).CommitGroup(m.Life, m.group, stream.CommitRequest{Member: m.Member, Generation: m.Generation, Cursor: m.cursor})
}

// work fetches and commits until nothing comes.
func (m *mate) work() {
	m.Helper()
	for quiet := 0; quiet < 2; { // the first answer may be a generation only
		if len(m.fetch(0, 0)) == 0 {
			quiet++
			continue
		}
		if err := m.commit(); err != nil {
			m.Fatal(err)
		}
	}
}

func (s *scene) leave(m *mate) {
	s.Helper()
	if err := s.door.(Grouper).LeaveGroup(s.Life, m.group, m.Member); err != nil {
		s.Fatal(err)
	}
}

// wide makes a topic of several partitions with numbers in all of them.
func (s *scene) wide(name string, from, to int) {
	s.Helper()
	if _, err := s.Topics.Get(name); err != nil {
		s.create(name, 4)
	}
	for i := from; i <= to; i++ {
		s.put(name, i, i)
	}
}

// all fails unless the members together were given each of the numbers once.
func (s *scene) all(from, to int, members ...*mate) {
	s.Helper()
	var got, want []int
	for _, m := range members {
		got = append(got, m.got...)
	}
	for i := from; i <= to; i++ {
		want = append(want, i)
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		s.Errorf("given %v, want %d to %d once each", got, from, to)
	}
}

func streamShare(s *scene) {
	s.wide(aTopic, 1, 20)
	one := s.enter(aGroup, aTopic)
	one.work()
	two := s.enter(aGroup, aTopic)
	one.work()
	two.work()
	s.wide(aTopic, 21, 60)
	one.work()
	two.work()
	s.all(1, 60, one, two)
	if len(two.got) == 0 || len(one.got) == 60 {
		s.Errorf("one has read %d, two %d", len(one.got), len(two.got))
	}
}

func streamOrder(s *scene) {
	s.create(aTopic, 4)
	for i := range 40 {
		e := parley.Event{Data: strconv.AppendInt(nil, int64(i), 10), DataContentType: "application/json"}
		e.Set(parley.PartitionKey, "key"+strconv.Itoa(i%3))
		s.publish(aTopic, e)
	}
	one := s.enter(aGroup, aTopic)
	for len(one.got) < 40 {
		one.fetch(3, time.Second)
	}
	last := map[int]int{}
	for _, n := range one.got {
		if before, some := last[n%3]; some && before >= n {
			s.Errorf("%d after %d of the same key", n, before)
		}
		last[n%3] = n
	}
}

func streamCommit(s *scene) {
	s.wide(aTopic, 1, 20)
	one := s.enter(aGroup, aTopic)
	one.fetch(8, 0)
	if err := one.commit(); err != nil {
		s.Fatal(err)
	}
	safe := slices.Clone(one.got)
	one.fetch(5, 0) // and this is lost
	s.leave(one)
	two := s.enter(aGroup, aTopic)
	two.work()
	two.got = append(two.got, safe...)
	s.all(1, 20, two)
}

func streamFence(s *scene) {
	s.wide(aTopic, 1, 20)
	one := s.enter(aGroup, aTopic)
	one.fetch(5, 0)
	stale := *one
	two := s.enter(aGroup, aTopic)
	if err := one.commit(); err != nil { // the generation is not over before it is back
		s.Fatal(err)
	}
	one.fetch(5, 0)
	s.refused(parley.Conflict, stale.commit())
	two.fetch(0, 0)
	stale.Member, stale.Generation = "nobody", one.Generation
	s.refused(parley.Conflict, stale.commit())
	stale.Member, stale.cursor = two.Member, one.cursor // what is another's
	s.refused(parley.Conflict, stale.commit())
}

func streamSilent(s *scene) {
	s.wide(aTopic, 1, 10)
	one := s.enter(aGroup, aTopic)
	two := s.enter(aGroup, aTopic)
	one.work()
	two.work()
	one.fetch(0, 30*time.Second) // three sessions long
	if one.Generation == 2 {     // the other one has gone meanwhile
		one.fetch(0, time.Second)
	}
	s.wide(aTopic, 11, 30)
	one.work()
	s.all(1, 30, one, two)
	s.refused(parley.Conflict, two.commit())
}

func streamHeld(s *scene) {
	s.create(aTopic, 4)
	one := s.enter(aGroup, aTopic)
	s.putLater(20*time.Second, aTopic, 1, 1)
	began := time.Now()
	if got := one.fetch(0, 50*time.Second); !slices.Equal(got, []int{1}) || time.Since(began) != 20*time.Second {
		s.Errorf("%v after %s", got, time.Since(began))
	}
	began = time.Now()
	if got := one.fetch(0, 30*time.Second); len(got) != 0 || time.Since(began).Round(time.Second) != 30*time.Second {
		s.Errorf("%v after %s", got, time.Since(began))
	}
}

func streamGroups(s *scene) {
	s.wide(aTopic, 1, 20)
	one, other := s.enter(aGroup, aTopic), s.enter("audit", aTopic)
	one.work()
	other.work()
	s.all(1, 20, one)
	s.all(1, 20, other)
}

func streamSeek(s *scene) {
	s.wide(aTopic, 1, 20)
	one := s.enter(aGroup, aTopic)
	one.work()
	stale := *one
	if err := s.door.(Grouper).SeekGroup(s.Life, aGroup, "earliest"); err != nil {
		s.Fatal(err)
	}
	s.refused(parley.Conflict, stale.commit())
	one.got = nil
	one.work()
	s.all(1, 20, one)
}

func streamLater(s *scene) {
	s.wide("orders.eu", 1, 10)
	one := s.enter(aGroup, "orders.>")
	one.work()
	s.wide("orders.us", 11, 20)
	s.pass(time.Millisecond) // the registry tells the owner
	one.work()
	s.all(1, 20, one)
}

func streamTrimmed(s *scene) {
	s.put(aTopic, 1, 1)
	one := s.enter(aGroup, aTopic)
	one.work()
	s.put(aTopic, 2, 2)
	first, _ := s.trim(aTopic, s.put(aTopic, 3, 3)[0].Position, 3)
	_, err := s.door.(Grouper).FetchGroup(s.Life, aGroup, GroupQuery{Member: one.Member, Generation: one.Generation, After: one.cursor})
	s.refused(parley.Trimmed, err)
	if err := s.door.(Grouper).SeekGroup(s.Life, aGroup, "earliest"); err != nil {
		s.Fatal(err)
	}
	if got := one.fetch(1, 0); len(got) == 0 || got[0] != first {
		s.Errorf("from the earliest: %v, want %d", got, first)
	}
}
