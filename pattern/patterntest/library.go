package patterntest

import (
	"context"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/pipe/declared"
	"github.com/parleyhq/parley/pattern/stream"
)

// Library is the door to the machines of a world's node without a wire between: its
// queues, groups and pipes as the packages have them.
type Library struct{ World *World }

var _ interface {
	Door
	Grouper
	WorkQueue
	Piper
} = Library{}

// Ways implements Door: who subscribes needs another door.
func (Library) Ways(string) []Way { return nil }

// Cut implements Door: there is nothing between.
func (Library) Cut(time.Duration) {}

// Queue implements WorkQueue.
func (l Library) Queue(name string) Jobs {
	q, err := l.World.Queues.Ensure(l.World.Life, name)
	if err != nil {
		l.World.Fatal(err)
	}
	return q
}

// JoinGroup implements Grouper.
func (l Library) JoinGroup(ctx context.Context, group string, r stream.JoinRequest) (stream.Joined, error) {
	g, err := l.World.Groups.Ensure(ctx, group)
	if err != nil {
		return stream.Joined{}, err
	}
	return g.Join(ctx, r)
}

// FetchGroup implements Grouper.
func (l Library) FetchGroup(ctx context.Context, group string, q GroupQuery) (GroupPage, error) {
	g, err := l.World.Groups.Get(ctx, group)
	if err != nil {
		return GroupPage{}, err
	}
	over := time.NewTimer(q.Wait)
	defer over.Stop()
	for ended := false; ; {
		f, err := g.Fetch(ctx, stream.FetchRequest{Member: q.Member, Generation: q.Generation, After: q.After, Limit: q.Limit})
		if err != nil {
			return GroupPage{}, err
		}
		if len(f.Gaps) > 0 {
			return GroupPage{}, trimmed(f.Gaps[0])
		}
		if len(f.Messages) > 0 || f.Changed || q.Wait == 0 || ended {
			page := GroupPage{Cursor: f.Cursor, Generation: f.Generation, Rebalance: f.Rebalance}
			for _, m := range f.Messages {
				page.Events = append(page.Events, m.Event)
			}
			return page, nil
		}
		woken := make(chan struct{}, 1)
		wait, err := g.Park(ctx, f, func() {
			select {
			case woken <- struct{}{}:
			default:
			}
		})
		if err != nil {
			return GroupPage{}, err
		}
		select {
		case <-woken:
		case <-over.C:
			ended = true
		}
		wait.Cancel()
	}
}

// trimmed is a gap as the doors tell it that answer a bad place with a failure.
func trimmed(gap stream.Gap) error {
	return &parley.Error{Code: parley.Trimmed, Field: "after", Earliest: gap.To, Detail: "events of " + gap.Topic + " are no longer kept", Fix: "seek"}
}

// CommitGroup implements Grouper.
func (l Library) CommitGroup(ctx context.Context, group string, r stream.CommitRequest) error {
	g, err := l.World.Groups.Get(ctx, group)
	if err == nil {
		_, err = g.Commit(ctx, r)
	}
	return err
}

// LeaveGroup implements Grouper.
func (l Library) LeaveGroup(ctx context.Context, group, member string) error {
	g, err := l.World.Groups.Get(ctx, group)
	if err == nil {
		err = g.Leave(ctx, member)
	}
	return err
}

// SeekGroup implements Grouper.
func (l Library) SeekGroup(ctx context.Context, group, to string) error {
	from, err := stream.ParseFrom("to", to)
	if err != nil {
		return err
	}
	g, err := l.World.Groups.Get(ctx, group)
	if err == nil {
		_, err = g.Seek(ctx, stream.SeekRequest{To: from})
	}
	return err
}

// PutPipe implements Piper.
func (l Library) PutPipe(ctx context.Context, name string, text []byte, o declared.PutOptions) (info declared.Info, created bool, err error) {
	if _, created, err = l.World.Pipes.Put(ctx, name, text, o); err == nil {
		info, err = l.World.Pipes.Get(ctx, name)
	}
	return info, created, err
}

// StartPipe implements Piper.
func (l Library) StartPipe(ctx context.Context, name string) error {
	return l.World.Pipes.Set(ctx, name, declared.Running)
}

// PausePipe implements Piper.
func (l Library) PausePipe(ctx context.Context, name string) error {
	return l.World.Pipes.Set(ctx, name, declared.Paused)
}

// StopPipe implements Piper.
func (l Library) StopPipe(ctx context.Context, name string) error {
	return l.World.Pipes.Set(ctx, name, declared.Stopped)
}

// DeletePipe implements Piper.
func (l Library) DeletePipe(ctx context.Context, name string) error {
	return l.World.Pipes.Delete(ctx, name)
}

// PipeStats implements Piper.
func (l Library) PipeStats(ctx context.Context, name string) (declared.Stats, error) {
	return l.World.Pipes.Stats(ctx, name)
}
