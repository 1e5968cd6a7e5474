package grpcapi

import (
	"context"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/queue"
	"github.com/parleyhq/parley/wire/door"
	parleyv1 "github.com/parleyhq/parley/wire/grpcapi/parley/v1"
)

// withQueue is what a call that acts on a queue that is there has in common.
func (s *service) withQueue(ctx context.Context, verb, name string, do func(*queue.Queue) error) error {
	release, err := callOf(ctx).pass(ctx, verb, name)
	if err != nil {
		return err
	}
	defer release()
	q, err := s.api.opt.Queues.Get(ctx, name)
	if err != nil {
		return err
	}
	return do(q)
}

// pageOf reads how much a page may have.
func pageOf(n int32) (int, error) {
	switch {
	case n < 0 || n > largestPage:
		return 0, parley.BadField("limit", "is not from 0 to 1000", "send how many a page may have; 0 is 100")
	case n == 0:
		return defaultPage, nil
	}
	return int(n), nil
}

// ListQueues implements parleyv1.QueuesServer.
func (s *service) ListQueues(ctx context.Context, in *parleyv1.ListQueuesRequest) (*parleyv1.ListQueuesResponse, error) {
	c := callOf(ctx)
	release, err := c.admit(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	if c.who.Anonymous && len(c.who.Scopes) == 0 {
		return nil, c.allow("work", "") // who may see nothing is told so, not that there is nothing
	}
	limit, err := pageOf(in.GetLimit())
	if err != nil {
		return nil, err
	}
	out, shown := &parleyv1.ListQueuesResponse{}, []*queue.Queue{}
	for _, q := range s.api.opt.Queues.List() {
		if q.Name() <= in.GetAfter() || c.allow("work", q.Name()) != nil && c.allow("admin", q.Name()) != nil {
			continue
		}
		if len(shown) == limit {
			out.Next = shown[limit-1].Name()
			break
		}
		shown = append(shown, q)
	}
	out.Queues = queueInfos(ctx, shown)
	return out, nil
}

// listPatience is how long a list waits for queues that do not answer.
const listPatience = 3 * time.Second

// queueInfos asks some queues at a time: one that nobody owns now must not hold
// all others up.
func queueInfos(ctx context.Context, all []*queue.Queue) []*parleyv1.QueueInfo {
	ctx, cancel := context.WithTimeout(ctx, listPatience)
	defer cancel()
	out := make([]*parleyv1.QueueInfo, len(all))
	next := make(chan int)
	var asking sync.WaitGroup
	for range min(8, len(all)) {
		asking.Go(func() {
			for i := range next {
				info, err := queueInfo(ctx, all[i])
				if err != nil {
					info = &parleyv1.QueueInfo{Name: all[i].Name()}
				}
				out[i] = info
			}
		})
	}
	for i := range all {
		next <- i
	}
	close(next)
	asking.Wait()
	return out
}

func queueInfo(ctx context.Context, q *queue.Queue) (*parleyv1.QueueInfo, error) {
	settings, err := q.Settings(ctx)
	if err != nil {
		return nil, err
	}
	st, err := q.Stats(ctx)
	if err != nil {
		return nil, err
	}
	stats := &parleyv1.QueueStats{
		Ready: st.Ready, Delayed: st.Delayed, Leased: st.Leased, Dead: st.Dead, Waiting: int32(st.Waiting),
		Enqueued: st.Enqueued, Done: st.Done, Oldest: timeOf(st.Oldest), Groups: st.Groups,
	}
	for _, f := range st.Feeds {
		stats.Feeds = append(stats.Feeds, &parleyv1.QueueFeedStats{Pattern: f.Pattern, Lag: f.Lag, More: f.More, Error: f.Error})
	}
	return &parleyv1.QueueInfo{Name: q.Name(), Settings: queueSettingsOf(settings), Paused: st.Paused, Stats: stats}, nil
}

// GetQueue implements parleyv1.QueuesServer.
func (s *service) GetQueue(ctx context.Context, in *parleyv1.GetQueueRequest) (out *parleyv1.QueueInfo, err error) {
	err = s.withQueue(ctx, "work", in.GetQueue(), func(q *queue.Queue) (err error) {
		out, err = queueInfo(ctx, q)
		return err
	})
	return out, err
}

// PutQueue implements parleyv1.QueuesServer.
func (s *service) PutQueue(ctx context.Context, in *parleyv1.PutQueueRequest) (*parleyv1.QueueInfo, error) {
	call := callOf(ctx)
	release, err := call.pass(ctx, "admin", in.GetQueue())
	if err != nil {
		return nil, err
	}
	defer release()
	_, _, err = s.api.opt.Queues.Configure(ctx, in.GetQueue(), func(s *queue.Settings) error {
		before := *s
		if err := changeQueue(s, in.GetSettings()); err != nil {
			return err
		}
		reads, writes := s.Touches(in.GetQueue(), &before)
		return door.AllowTopics(call.allow, reads, writes)
	})
	if err != nil {
		return nil, err
	}
	q, err := s.api.opt.Queues.Get(ctx, in.GetQueue())
	if err != nil {
		return nil, err
	}
	return queueInfo(ctx, q)
}

func queueSettingsOf(s queue.Settings) *parleyv1.QueueSettings {
	attempts, concurrency := int32(s.MaxAttempts), int32(s.Concurrency)
	return &parleyv1.QueueSettings{
		MaxAttempts: &attempts, Visibility: durationpb.New(s.Visibility), Retry: retryOf(&s.Retry), Concurrency: &concurrency,
		Rate: &s.Rate, DeadLetter: &s.DeadLetter, Results: &s.Results, Feed: &parleyv1.QueueFeed{Patterns: s.Feed},
	}
}

// changeQueue sets what is present in a request; queue.Settings checks the values.
func changeQueue(s *queue.Settings, in *parleyv1.QueueSettings) (err error) {
	if in == nil {
		return nil
	}
	if in.MaxAttempts != nil {
		s.MaxAttempts = int(in.GetMaxAttempts())
	}
	if err := changeDuration(&s.Visibility, "visibility", in.GetVisibility()); err != nil {
		return err
	}
	if in.GetRetry() != nil {
		if s.Retry, err = retryFrom(in.GetRetry()); err != nil {
			return err
		}
	}
	if in.Concurrency != nil {
		s.Concurrency = int(in.GetConcurrency())
	}
	for _, f := range []struct {
		to   *string
		text *string
	}{{&s.Rate, in.Rate}, {&s.DeadLetter, in.DeadLetter}, {&s.Results, in.Results}} {
		if f.text != nil {
			*f.to = *f.text
		}
	}
	if in.GetFeed() != nil {
		s.Feed = in.GetFeed().GetPatterns()
	}
	return nil
}

// DeleteQueue implements parleyv1.QueuesServer.
func (s *service) DeleteQueue(ctx context.Context, in *parleyv1.DeleteQueueRequest) (*parleyv1.DeleteQueueResponse, error) {
	release, err := callOf(ctx).pass(ctx, "admin", in.GetQueue())
	if err != nil {
		return nil, err
	}
	defer release()
	if err := s.api.opt.Queues.Delete(ctx, in.GetQueue()); err != nil {
		return nil, err
	}
	return &parleyv1.DeleteQueueResponse{}, nil
}

// Redrive implements parleyv1.QueuesServer.
func (s *service) Redrive(ctx context.Context, in *parleyv1.RedriveRequest) (*parleyv1.RedriveResponse, error) {
	out := &parleyv1.RedriveResponse{}
	return out, s.withQueue(ctx, "admin", in.GetQueue(), func(q *queue.Queue) (err error) {
		f := queue.Filter{Reason: in.GetReason(), Worker: in.GetWorker(), Key: in.GetKey(), IDs: idsOf(in.GetIds())}
		if f.Since, err = timeFrom("since", in.GetSince()); err != nil {
			return err
		}
		if f.Until, err = timeFrom("until", in.GetUntil()); err != nil {
			return err
		}
		out.Redriven, err = q.Redrive(ctx, f)
		return err
	})
}

// Purge implements parleyv1.QueuesServer.
func (s *service) Purge(ctx context.Context, in *parleyv1.PurgeRequest) (*parleyv1.PurgeResponse, error) {
	out := &parleyv1.PurgeResponse{}
	return out, s.withQueue(ctx, "admin", in.GetQueue(), func(q *queue.Queue) (err error) {
		states := make([]queue.State, len(in.GetStates()))
		for i, state := range in.GetStates() {
			states[i] = stateFrom(state)
		}
		out.Purged, err = q.Purge(ctx, states...)
		return err
	})
}

// PauseQueue implements parleyv1.QueuesServer.
func (s *service) PauseQueue(ctx context.Context, in *parleyv1.PauseQueueRequest) (*parleyv1.PauseQueueResponse, error) {
	return &parleyv1.PauseQueueResponse{}, s.withQueue(ctx, "admin", in.GetQueue(), func(q *queue.Queue) error { return q.Pause(ctx) })
}

// ResumeQueue implements parleyv1.QueuesServer.
func (s *service) ResumeQueue(ctx context.Context, in *parleyv1.ResumeQueueRequest) (*parleyv1.ResumeQueueResponse, error) {
	return &parleyv1.ResumeQueueResponse{}, s.withQueue(ctx, "admin", in.GetQueue(), func(q *queue.Queue) error { return q.Resume(ctx) })
}
