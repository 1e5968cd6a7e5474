package queue

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/journal"
	"github.com/parleyhq/parley/base/topic"
	"github.com/parleyhq/parley/pattern/pubsub"
)

// MaxFeeds bounds Settings.Feed.
const MaxFeeds = 16

// FeedStats tells how far a queue is with a topic pattern that feeds it.
type FeedStats struct {
	Pattern string `json:"pattern"`
	Lag     int64  `json:"lag"`            // events that are no jobs yet; -1: not known yet
	More    bool   `json:"more,omitempty"` // there are more: counting stops after some megabytes
	Error   string `json:"error,omitempty"`
}

// checkFeed checks Settings.Feed.
func checkFeed(list []string) error {
	if len(list) > MaxFeeds {
		return parley.BadField("feed", "has "+strconv.Itoa(len(list))+" patterns", "send at most 16")
	}
	for i, text := range list {
		if err := topic.CheckPattern(text); err != nil || topic.IsEphemeral(text) || topic.IsInternal(text) {
			return parley.BadField("feed", strconv.Quote(text)+" is not a pattern of topics that are kept", `send one like "orders.*"`)
		}
		for _, other := range list[:i] {
			if overlap(strings.Split(text, "."), strings.Split(other, ".")) {
				return parley.BadField("feed", text+" and "+other+" match the same topics", "send patterns that do not overlap: an event becomes one job")
			}
		}
	}
	return nil
}

// overlap says that a topic may match both patterns, given level by level.
func overlap(a, b []string) bool {
	switch {
	case len(a) == 0 || len(b) == 0:
		return len(a) == len(b)
	case a[0] == ">" || b[0] == ">":
		return true
	case a[0] != "*" && b[0] != "*" && a[0] != b[0]:
		return false
	}
	return overlap(a[1:], b[1:])
}

// checkCircle refuses a feed that would make jobs of what comes of jobs.
func (s *Settings) checkCircle(queue string) error {
	for _, text := range s.Feed {
		p, err := topic.ParsePattern(text)
		if err != nil {
			return err
		}
		for _, own := range []string{orElse(s.DeadLetter, queue+".dead"), orElse(s.Results, queue+".results")} {
			if p.Match(own) {
				return parley.BadField("feed", text+" matches the queue's own topic "+own, "send narrower patterns, or other names for dead_letter and results")
			}
		}
	}
	return nil
}

// feeds is what the owner knows of its feeders.
type feeds struct {
	changed chan struct{} // the settings have
	states  map[string]feedState
}

type feedState struct {
	places []parley.Place
	err    string
}

// feed keeps a feeder for each pattern of the settings.
func (o *owner) feed(ctx context.Context) {
	running := make(map[string]context.CancelFunc)
	var all sync.WaitGroup
	defer all.Wait()
	for {
		var want []string
		err := o.do(ctx, func(*journal.Tx, int64) error {
			want = o.settings.Feed
			return nil
		})
		if err != nil {
			pause(ctx, firstRetry)
		}
		for pattern, stop := range running {
			if err == nil && !slices.Contains(want, pattern) {
				stop()
				delete(running, pattern)
			}
		}
		for _, pattern := range want {
			if running[pattern] == nil {
				fctx, stop := context.WithCancel(ctx)
				running[pattern] = stop
				all.Go(func() { o.feedPattern(fctx, pattern) })
			}
		}
		if err != nil && ctx.Err() == nil {
			continue
		}
		select {
		case <-o.feeds.changed:
		case <-ctx.Done():
			for _, stop := range running {
				stop()
			}
			return
		}
	}
}

// feedPattern makes jobs of the events of one pattern, until ctx ends.
func (o *owner) feedPattern(ctx context.Context, pattern string) {
	f := &feeder{owner: o, pattern: pattern, holder: "queue " + o.queue + " feed " + pattern}
	if o.q.opt.Topics != nil {
		defer o.q.opt.Topics.Release(f.holder)
	}
	for wait := firstRetry; ctx.Err() == nil; wait = min(2*wait, lastLetterRetry) {
		f.fed = false
		err := f.run(ctx)
		if ctx.Err() != nil {
			return
		}
		if f.fed {
			wait = firstRetry
		}
		if parley.CodeOf(err) != parley.Conflict { // a cursor that was set anew is no failure
			o.q.opt.Logger.Warn("a queue is not fed", slog.String("queue", o.queue), slog.String("pattern", pattern), slog.Any("error", err))
			_ = o.do(ctx, func(*journal.Tx, int64) error { // only for Stats
				o.feeds.states[pattern] = feedState{o.feeds.states[pattern].places, err.Error()}
				return nil
			})
		}
		pause(ctx, wait)
	}
}

// feeder reads one pattern for the queue's owner.
type feeder struct {
	*owner
	pattern string
	holder  string // of retention
	cursor  string // that the machine has
	fed     bool   // something was committed
}

// run reads on from the machine's cursor, until something fails.
func (f *feeder) run(ctx context.Context) error {
	err := f.do(ctx, func(*journal.Tx, int64) error {
		f.cursor = f.owner.fed[f.pattern]
		return nil
	})
	if err != nil {
		return err
	}
	if f.cursor == "" {
		return parley.Errorf(parley.Conflict, "the queue is not fed by %s any more", f.pattern)
	}
	sub, err := f.q.opt.Hub.Subscribe(ctx, pubsub.Request{Topics: []string{f.pattern}, From: pubsub.After(f.cursor)})
	if err != nil {
		return err
	}
	defer sub.Close()
	for {
		if err := f.stand(ctx, sub.Places()); err != nil {
			return err
		}
		d, err := sub.Next(ctx)
		if err != nil {
			return err
		}
		for _, n := range d.Notices {
			f.q.opt.Logger.Warn("events were gone before a queue was fed with them", slog.String("queue", f.queue), slog.String("topic", n.Topic), slog.String("what", n.Kind.String()))
		}
		if err := f.take(ctx, &d, sub); err != nil {
			return err
		}
	}
}

// stand notes where the feeder is: for Stats, and so that retention keeps what it
// has not read.
func (f *feeder) stand(ctx context.Context, places []parley.Place) error {
	if f.q.opt.Topics != nil {
		for _, p := range places {
			f.q.opt.Topics.Hold(f.holder, p.Stream, p.At)
		}
	}
	return f.do(ctx, func(*journal.Tx, int64) error {
		f.feeds.states[f.pattern] = feedState{places: places}
		return nil
	})
}

// Limits of one commit of a feeder; a single event may be larger.
const (
	feedBytes = 1 << 20
	feedMost  = 5000
)

// take makes jobs of a delivery.
func (f *feeder) take(ctx context.Context, d *pubsub.Delivery, sub *pubsub.Subscription) error {
	now := time.Now()
	var b parley.Builder
	for _, c := range d.Chunks {
		views := c.Views()
		for i := range views {
			v := &views[i]
			e := plainEvent(v.Event)
			if err := b.Add(now, &e); err != nil && b.Len() > 0 && parley.CodeOf(err) == parley.TooLarge {
				if err := f.commit(ctx, &b, d.Cursor()); err != nil {
					return err
				}
				err = b.Add(now, &e)
				f.complain(v, err)
			} else {
				f.complain(v, err)
			}
			d.Advance(v)
			if b.Size() >= feedBytes || b.Len() >= feedMost {
				if err := f.commit(ctx, &b, d.Cursor()); err != nil {
					return err
				}
			}
		}
	}
	return f.commit(ctx, &b, sub.Cursor())
}

// complain tells of an event that cannot be a job.
func (f *feeder) complain(v *pubsub.View, err error) {
	if err != nil {
		f.q.opt.Logger.Error("an event cannot be a job", slog.String("queue", f.queue), slog.String("topic", v.Topic), slog.Int64("position", int64(v.Position)), slog.Any("error", err))
	}
}

// plainEvent is an event without what only Enqueue may say.
func plainEvent(e parley.Event) parley.Event {
	for _, name := range reserved {
		if _, set := e.Extensions[name]; set {
			e = e.Clone() // it belongs to all subscribers
			strip(&e)
			return e
		}
	}
	return e
}

// commit stores jobs, and the cursor behind their events, together: so an event
// becomes one job, whoever owns the queue.
func (f *feeder) commit(ctx context.Context, b *parley.Builder, cursor string) error {
	batch, err := b.Batch()
	if err != nil || batch.IsZero() && cursor == f.cursor {
		return err
	}
	err = f.do(ctx, func(tx *journal.Tx, _ int64) error {
		if f.owner.fed[f.pattern] != f.cursor {
			return parley.Errorf(parley.Conflict, "the cursor of %s was set anew", f.pattern)
		}
		if !batch.IsZero() {
			if _, err := tx.Also(parley.Write{Stream: f.q.jobs, Batch: batch}); err != nil {
				return err
			}
		}
		return tx.Move(encodeFed(f.pattern, cursor))
	})
	if err == nil {
		f.cursor, f.fed = cursor, true
	}
	*b = parley.Builder{} // the log may still read the old one
	return err
}

// begins gives the cursors from which the queue is fed by patterns that are new in
// the settings: with the next event.
func (o *owner) begins(ctx context.Context, list []string) (map[string]string, error) {
	if len(list) == 0 {
		return nil, nil //nolint:nilnil // nothing begins
	}
	if o.q.opt.Hub == nil {
		return nil, &parley.Error{Code: parley.Unprocessable, Field: "feed", Detail: "there is no hub that the queue could be fed from", Fix: "set Options.Hub"}
	}
	var fresh []string
	err := o.do(ctx, func(*journal.Tx, int64) error {
		for _, p := range list {
			if o.fed[p] == "" {
				fresh = append(fresh, p)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := make(map[string]string, len(fresh))
	for _, p := range fresh {
		sub, err := o.q.opt.Hub.Subscribe(ctx, pubsub.Request{Topics: []string{p}})
		if err != nil {
			return nil, err
		}
		out[p] = sub.Cursor()
		sub.Close()
	}
	return out, nil
}

// beginFeeds makes the moves of new patterns, after that of the settings.
func (o *owner) beginFeeds(tx *journal.Tx, list []string, begins map[string]string) error {
	for _, p := range list {
		if o.fed[p] == "" {
			if err := tx.Move(encodeFed(p, begins[p])); err != nil {
				return err
			}
		}
	}
	o.signal(o.feeds.changed)
	return nil
}

// lagBytes is how much is read to count a lag.
const lagBytes = 4 << 20

// countLags counts what feeders have before them.
func (o *owner) countLags(ctx context.Context, list []FeedStats, places [][]parley.Place) error {
	for i := range list {
		left := lagBytes
		if places[i] == nil {
			list[i].Lag = -1
		}
		for _, at := range places[i] {
			for !list[i].More {
				run, err := o.log.Read(ctx, at, 1<<20)
				if parley.CodeOf(err) == parley.Trimmed && at.At > 0 {
					at.At = 0
					continue
				}
				if err != nil {
					return err
				}
				empty := run.Empty()
				list[i].Lag += eventsFrom(run, at.At)
				left -= len(run.Bytes())
				at.At = run.Next()
				run.Release()
				if empty {
					break
				}
				list[i].More = left <= 0
			}
		}
	}
	return nil
}

// eventsFrom counts the events of a run from a position on.
func eventsFrom(run parley.Run, at parley.Position) (n int64) {
	for b := range run.Batches() {
		if b.Base() >= at {
			n += int64(b.Len())
			continue
		}
		for r, err := range b.Records() {
			if err == nil && r.Position >= at {
				n++
			}
		}
	}
	return n
}
