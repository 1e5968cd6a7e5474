package pubsub

import (
	"context"
	"strconv"
	"strings"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/cursor"
	"github.com/parleyhq/parley/base/topic"
)

// MaxStreams is how many streams one resumable subscription may read: its
// cursor holds a place in each.
const MaxStreams = 64

// Request says what to subscribe to.
type Request struct {
	Topics []string // names and patterns; at least one
	From   From     // zero = the next event
	// Partition, if not nil, is the one partition to read, of the one topic that is
	// named.
	Partition *int
	// Ephemeral also takes what is published to ~NAME for each name of Topics.
	// Those events are not stored and do not move the cursor.
	Ephemeral bool
	// Records leaves the events of batches as they are: who reads takes Chunk.Records,
	// and nothing else of a Delivery's chunks.
	Records bool
	// Strict refuses a cursor whose place cannot be kept (Trimmed, BadCursor).
	// Otherwise the first Delivery begins with Notices.
	Strict bool
}

// Subscribe opens a subscription. Named topics that do not exist yet are waited
// for when the registry creates topics by itself, else NotFound. Other errors:
// Invalid (names, times), NotFound for a partition that is not there, BadCursor and
// Trimmed (with Strict), Unprocessable (more than MaxStreams streams).
func (h *Hub) Subscribe(ctx context.Context, r Request) (*Subscription, error) {
	list, err := h.patterns(r)
	if err != nil {
		return nil, err
	}
	if err := h.checkPartition(r, list); err != nil {
		return nil, err
	}
	s := &Subscription{hub: h, only: r.Partition, records: r.Records}
	marks, err := s.open(&r)
	if err != nil {
		return nil, err
	}
	if s.needsPatterns(list) {
		s.wide = &patterns{list: list}
		h.mu.Lock()
		for _, p := range list {
			h.index.Add(p, s)
		}
		h.mu.Unlock()
	}
	// Matched after the index knows the subscription: a topic created in between
	// is seen by one of the two, and adopted once.
	if err := s.fill(ctx, h.matching(list), r, marks); err != nil {
		s.Close()
		return nil, err
	}
	if err := s.orphaned(r, marks); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// orphaned tells a reader whose topic was deleted and is not there again: it has
// no stream in which to be told later, when the topic is made anew.
func (s *Subscription) orphaned(r Request, marks []cursor.Mark) error {
	if len(s.marks()) > 0 || !s.hub.anyRetired(marks) {
		return nil
	}
	notice := Notice{Kind: Reset, Topic: r.Topics[0]}
	if r.Strict {
		return notice.Err()
	}
	s.lost = append(s.lost, notice)
	return nil
}

func (h *Hub) patterns(r Request) ([]topic.Pattern, error) {
	if len(r.Topics) == 0 {
		return nil, parley.BadField("topic", "no topic is named", "name at least one topic or pattern")
	}
	var list []topic.Pattern
	for _, name := range r.Topics {
		p, err := topic.ParsePattern(name)
		if err != nil {
			return nil, err
		}
		if _, err := h.topics.Get(name); err != nil && p.Literal() && !h.topics.AutoCreates(name) {
			return nil, err
		}
		list = append(list, p)
		if r.Ephemeral && !strings.HasPrefix(name, "~") && !strings.HasPrefix(name, "$") {
			if p, err = topic.ParsePattern("~" + name); err != nil {
				return nil, err
			}
			list = append(list, p)
		}
	}
	return list, nil
}

// open reads the cursors, if there are any: a reader of several streams may hold
// one for each, and gives them joined by commas. One that cannot be read is told
// as a Reset, and the reader begins with the next event.
func (s *Subscription) open(r *Request) ([]cursor.Mark, error) {
	if r.From.kind != fromCursor {
		return nil, nil
	}
	var marks []cursor.Mark
	for token := range strings.SplitSeq(r.From.cursor, ",") {
		more, err := s.hub.sealer.Open("", token)
		if err == nil {
			marks = join(marks, more)
		}
		if err == nil && len(marks) > MaxStreams {
			err = &parley.Error{Code: parley.BadCursor, Field: "after", Detail: "the cursors name more than " + strconv.Itoa(MaxStreams) + " streams", Fix: "resume fewer topics at a time"}
		}
		if err != nil {
			if r.Strict {
				return nil, err
			}
			s.lost = append(s.lost, Notice{Kind: Reset, Topic: r.Topics[0]})
			r.From = Latest()
			return nil, nil
		}
	}
	return marks, nil
}

// needsPatterns says whether topics may join later: there is a pattern, or a
// name that does not exist yet.
func (s *Subscription) needsPatterns(list []topic.Pattern) bool {
	for _, p := range list {
		if !p.Literal() {
			return true
		}
		if _, err := s.hub.topics.Get(p.String()); err != nil {
			return true
		}
	}
	return false
}

// matching lists the topics of the patterns, each once.
func (h *Hub) matching(list []topic.Pattern) []topic.Topic {
	var out []topic.Topic
	seen := map[string]bool{}
	add := func(t topic.Topic) {
		if !seen[t.Name] {
			seen[t.Name] = true
			out = append(out, t)
		}
	}
	for _, p := range list {
		if p.Literal() {
			if t, err := h.topics.Get(p.String()); err == nil {
				add(t)
			}
			continue
		}
		for _, t := range h.topics.List() {
			if p.Match(t.Name) {
				add(t)
			}
		}
	}
	return out
}

// fill opens a place in every stream.
func (s *Subscription) fill(ctx context.Context, matched []topic.Topic, r Request, marks []cursor.Mark) error {
	streams := 0
	for _, t := range matched {
		if s.only != nil {
			streams++
			continue
		}
		streams += len(t.Partitions)
	}
	if streams > MaxStreams {
		return &parley.Error{
			Code: parley.Unprocessable, Field: "topic",
			Detail: "matches " + strconv.Itoa(streams) + " streams; a cursor holds at most " + strconv.Itoa(MaxStreams),
			Fix:    "subscribe to fewer topics at a time, or with a narrower pattern",
		}
	}
	s.places = make([]place, 0, streams)
	for _, t := range matched {
		for i := range t.Partitions {
			if !s.wants(i) {
				continue
			}
			if err := s.enter(ctx, t, i, r, marks); err != nil {
				return err
			}
		}
	}
	return nil
}

// enter opens a place in one stream.
func (s *Subscription) enter(ctx context.Context, t topic.Topic, partition int, r Request, marks []cursor.Mark) error {
	part := t.Partitions[partition]
	stats, err := s.hub.Stats(ctx, part.Stream)
	if err != nil {
		return err
	}
	p := place{sub: s, fleeting: topic.IsEphemeral(t.Name), earliest: stats.Earliest}
	switch {
	case r.From.kind == fromEarliest && !p.fleeting:
		p.at = max(stats.Earliest, first) // a place, so that a gap after it is noticed
	case r.From.kind == fromTime && !p.fleeting:
		if p.at, err = s.hub.at(ctx, part.Stream, r.From); err != nil {
			return err
		}
	case r.From.kind == fromCursor && !p.fleeting:
		var notice *Notice
		src := source{topic: t.Name, partition: partition, number: part.Number, stats: stats, successor: s.hub.anyRetired(marks)}
		if p.at, notice = resume(marks, src); notice != nil {
			if r.Strict {
				return notice.Err()
			}
			s.lost = append(s.lost, *notice)
		}
	default:
		p.at = max(stats.End, first)
	}
	p.tail = s.hub.acquire(t, partition, stats.Epoch)
	s.places = append(s.places, p)
	return nil
}

func (h *Hub) anyRetired(marks []cursor.Mark) bool {
	for _, m := range marks {
		if h.topics.Retired(m.Number) {
			return true
		}
	}
	return false
}

func (h *Hub) at(ctx context.Context, s parley.Stream, f From) (parley.Position, error) {
	if h.timer == nil {
		return 0, &parley.Error{Code: parley.Unsupported, Field: "after", Detail: "this engine cannot find a position by time", Fix: "start from earliest, latest or a cursor"}
	}
	return h.timer.At(ctx, s, f.time)
}

// offer tells the subscription of a topic that was created after it.
func (s *Subscription) offer(t topic.Topic) {
	s.wide.mu.Lock()
	s.wide.new = append(s.wide.new, t)
	s.wide.mu.Unlock()
	s.fire()
}

// offered says that topics wait to be adopted.
func (s *Subscription) offered() bool {
	if s.wide == nil {
		return false
	}
	s.wide.mu.Lock()
	defer s.wide.mu.Unlock()
	return len(s.wide.new) > 0
}

// adopt takes new topics in, from their beginning: they did not exist when the
// subscription began. Beyond MaxStreams they are told as a Reset.
func (s *Subscription) adopt() {
	if !s.offered() {
		return
	}
	s.wide.mu.Lock()
	fresh := s.wide.new
	s.wide.new = nil
	s.wide.mu.Unlock()
	for _, t := range fresh {
		if s.reads(t) {
			continue
		}
		if s.only == nil && len(s.places)+len(t.Partitions) > MaxStreams {
			s.lost = append(s.lost, Notice{Kind: Reset, Topic: t.Name})
			continue
		}
		s.grow(t)
	}
}

// wants says whether a partition of a topic is one to read.
func (s *Subscription) wants(partition int) bool { return s.only == nil || *s.only == partition }

// checkPartition says whether the one partition can be read.
func (h *Hub) checkPartition(r Request, list []topic.Pattern) error {
	if r.Partition == nil {
		return nil
	}
	if len(r.Topics) != 1 || !list[0].Literal() || r.Ephemeral {
		return parley.BadField("partition", "a partition is one of a single stored topic", "name one topic, and leave ephemeral away")
	}
	t, err := h.topics.Get(r.Topics[0])
	if *r.Partition < 0 || err == nil && *r.Partition >= len(t.Partitions) {
		return &parley.Error{Code: parley.NotFound, Field: "partition", Detail: r.Topics[0] + " has no partition " + strconv.Itoa(*r.Partition), Fix: "send 0 to one less than the topic has"}
	}
	return nil
}

func (s *Subscription) reads(t topic.Topic) bool {
	for i := range s.places {
		for _, part := range t.Partitions {
			if s.places[i].number() == part.Number {
				return true
			}
		}
	}
	return false
}

// grow adds a topic's streams. The places move, so they leave their lists first.
func (s *Subscription) grow(t topic.Topic) {
	for i := range s.places {
		s.places[i].tail.unpark(&s.places[i])
	}
	places := make([]place, len(s.places), len(s.places)+len(t.Partitions))
	copy(places, s.places)
	for i := range t.Partitions {
		if !s.wants(i) {
			continue
		}
		places = append(places, place{sub: s, at: first, fleeting: topic.IsEphemeral(t.Name), tail: s.hub.acquire(t, i, 0)})
	}
	s.places = places
}

func (p *place) number() uint64 { return p.tail.topic.Partitions[p.tail.partition].Number }
