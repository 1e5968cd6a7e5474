package grpcapi

import (
	"context"
	"sort"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/topic"
	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
)

// CreateTopic implements parleyv1.TopicsServer.
func (s *service) CreateTopic(ctx context.Context, in *parleyv1.CreateTopicRequest) (*parleyv1.Topic, error) {
	release, err := callOf(ctx).pass(ctx, "manage", in.GetTopic())
	if err != nil {
		return nil, err
	}
	defer release()
	var settings topic.Settings
	if err := change(&settings, in.GetSettings()); err != nil {
		return nil, err
	}
	t, err := s.api.opt.Topics.Create(ctx, in.GetTopic(), settings)
	if err != nil {
		return nil, err
	}
	return s.show(ctx, t)
}

// UpdateTopic implements parleyv1.TopicsServer.
func (s *service) UpdateTopic(ctx context.Context, in *parleyv1.UpdateTopicRequest) (*parleyv1.Topic, error) {
	release, err := callOf(ctx).pass(ctx, "manage", in.GetTopic())
	if err != nil {
		return nil, err
	}
	defer release()
	t, err := s.api.opt.Topics.Get(in.GetTopic())
	if err != nil {
		return nil, err
	}
	settings := t.Settings
	if err := change(&settings, in.GetSettings()); err != nil {
		return nil, err
	}
	if t, err = s.api.opt.Topics.Update(ctx, in.GetTopic(), settings); err != nil {
		return nil, err
	}
	return s.show(ctx, t)
}

// GetTopic implements parleyv1.TopicsServer.
func (s *service) GetTopic(ctx context.Context, in *parleyv1.GetTopicRequest) (*parleyv1.Topic, error) {
	release, err := callOf(ctx).pass(ctx, "read", in.GetTopic())
	if err != nil {
		return nil, err
	}
	defer release()
	t, err := s.api.opt.Topics.Get(in.GetTopic())
	if err != nil {
		return nil, err
	}
	return s.show(ctx, t)
}

// DeleteTopic implements parleyv1.TopicsServer.
func (s *service) DeleteTopic(ctx context.Context, in *parleyv1.DeleteTopicRequest) (*parleyv1.DeleteTopicResponse, error) {
	release, err := callOf(ctx).pass(ctx, "manage", in.GetTopic())
	if err != nil {
		return nil, err
	}
	defer release()
	if err := s.api.opt.Topics.Delete(ctx, in.GetTopic()); err != nil {
		return nil, err
	}
	return &parleyv1.DeleteTopicResponse{}, nil
}

// Topics in a page of a list.
const (
	defaultPage = 100
	largestPage = 1000
)

// ListTopics implements parleyv1.TopicsServer.
func (s *service) ListTopics(ctx context.Context, in *parleyv1.ListTopicsRequest) (*parleyv1.ListTopicsResponse, error) {
	c := callOf(ctx)
	release, err := c.admit(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	if c.who.Anonymous && len(c.who.Scopes) == 0 {
		return nil, c.allow("read", "") // who may read nothing is told so, not that there is nothing
	}
	limit := int(in.GetLimit())
	if limit < 0 || limit > largestPage {
		return nil, parley.BadField("limit", "is not from 0 to 1000", "send how many topics a page may have; 0 is 100")
	}
	if limit == 0 {
		limit = defaultPage
	}
	all := s.api.opt.Topics.List()
	start := sort.Search(len(all), func(i int) bool { return all[i].Name > in.GetAfter() })
	out := &parleyv1.ListTopicsResponse{}
	for _, t := range all[start:] {
		if topic.IsInternal(t.Name) && !in.GetInternal() || c.allow("read", t.Name) != nil {
			continue
		}
		if len(out.Topics) == limit {
			out.Next = out.Topics[limit-1].Name
			break
		}
		shown, err := s.show(ctx, t)
		if err != nil {
			return nil, err
		}
		shown.Partitions = nil // GetTopic has them
		out.Topics = append(out.Topics, shown)
	}
	return out, nil
}

func (s *service) show(ctx context.Context, t topic.Topic) (*parleyv1.Topic, error) {
	out := &parleyv1.Topic{
		Name: t.Name, Settings: settingsOf(t.Settings), Created: timeOf(t.Created),
		Window: &parleyv1.IdempotencyWindow{Duration: durationpb.New(parley.OnceWindow), Keys: parley.OnceKeys},
	}
	for i, p := range t.Partitions {
		stats, err := s.api.opt.Hub.Stats(ctx, p.Stream)
		if err != nil {
			return nil, err
		}
		out.Events += stats.Events
		out.Bytes += stats.Bytes
		out.Partitions = append(out.Partitions, &parleyv1.Partition{
			Partition: int32(i), Earliest: int64(stats.Earliest), End: int64(stats.End),
			Events: stats.Events, Bytes: stats.Bytes, Oldest: timeOf(stats.Oldest),
		})
	}
	return out, nil
}

// timeOf leaves the zero time out.
func timeOf(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// durabilities are the levels by those of topic.
var durabilities = map[topic.Durability]parleyv1.Durability{
	topic.Fsync: parleyv1.Durability_DURABILITY_FSYNC, topic.OS: parleyv1.Durability_DURABILITY_OS, topic.Memory: parleyv1.Durability_DURABILITY_MEMORY,
}

func settingsOf(s topic.Settings) *parleyv1.Settings {
	out := &parleyv1.Settings{
		Partitions: int32(s.Partitions), Durability: durabilities[s.Durability],
		MaxBytes: s.MaxBytes, MaxEvent: int32(s.MaxEvent), PollHint: durationpb.New(s.PollHint),
	}
	if s.MaxAge == topic.NoLimit {
		out.AgeLimit = &parleyv1.Settings_UnlimitedAge{UnlimitedAge: true}
	} else {
		out.AgeLimit = &parleyv1.Settings_MaxAge{MaxAge: durationpb.New(s.MaxAge)}
	}
	if s.Compact {
		out.Compact, out.CompactLag, out.TombstoneAge = &s.Compact, durationpb.New(s.CompactLag), durationpb.New(s.TombstoneAge)
	}
	return out
}

// change sets what is present in a request; topic.Settings checks the values.
func change(s *topic.Settings, in *parleyv1.Settings) error {
	if n := in.GetPartitions(); n != 0 {
		s.Partitions = int(n)
	}
	if n := in.GetMaxBytes(); n != 0 {
		s.MaxBytes = n
	}
	if n := in.GetMaxEvent(); n != 0 {
		s.MaxEvent = int(n)
	}
	if err := changeDurability(s, in.GetDurability()); err != nil {
		return err
	}
	if in.GetUnlimitedAge() {
		s.MaxAge = topic.NoLimit
	}
	if err := changeDuration(&s.MaxAge, "max_age", in.GetMaxAge()); err != nil {
		return err
	}
	if err := changeDuration(&s.PollHint, "poll_hint", in.GetPollHint()); err != nil {
		return err
	}
	return changeCompaction(s, in)
}

// changeCompaction sets what is about compaction; turned off, it is all gone.
func changeCompaction(s *topic.Settings, in *parleyv1.Settings) error {
	if in.GetCompact() {
		s.Compact = true
	} else if in != nil && in.Compact != nil {
		s.Compact, s.CompactLag, s.TombstoneAge = false, 0, 0
	}
	if err := changeDuration(&s.CompactLag, "compact_lag", in.GetCompactLag()); err != nil {
		return err
	}
	return changeDuration(&s.TombstoneAge, "tombstone_age", in.GetTombstoneAge())
}

func changeDurability(s *topic.Settings, to parleyv1.Durability) error {
	if to == parleyv1.Durability_DURABILITY_UNSPECIFIED {
		return nil
	}
	for level, name := range durabilities {
		if name == to {
			s.Durability = level
			return nil
		}
	}
	return parley.BadField("durability", "is none that is known here", "send DURABILITY_FSYNC, DURABILITY_OS or DURABILITY_MEMORY")
}

// changeDuration sets a duration that is present. A negative one is refused here:
// −1 ns would be taken for topic.NoLimit.
func changeDuration(to *time.Duration, field string, d *durationpb.Duration) error {
	if d == nil {
		return nil
	}
	if d.CheckValid() != nil || d.AsDuration() < 0 || d.AsDuration() >= 1<<62 {
		return parley.BadField(field, "is no duration that can be kept", "send 0 or more, up to 100 years")
	}
	*to = d.AsDuration()
	return nil
}
