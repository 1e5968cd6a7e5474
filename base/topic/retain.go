package topic

import (
	"context"
	"log/slog"
	"time"

	"github.com/parleyhq/parley"
)

// retainer is what one loop of retention remembers from round to round.
type retainer struct {
	*Registry
	stat   parley.Statter // nil: the engine has no statistics, and nothing is trimmed
	timer  parley.Timer   // nil: the engine cannot find a time, and max_age does nothing
	walks  map[parley.Stream]walk
	buried []parley.Stream // of ephemeral topics: a late event may have made one again

	// Of this round: the holds of other nodes.
	asked bool
	far   map[parley.Stream][]Hold
	deaf  error // why they are not known
}

// walk is how far the search for what fits has come in a stream, so that bytes
// which the engine keeps for the moment are not read again in each round.
type walk struct {
	earliest parley.Position // the walk began here
	at       parley.Position
	bytes    int64 // from earliest to at
	before   int64 // the same, without the last batch
}

func (r *Registry) retainLoop(ctx context.Context) {
	k := &retainer{Registry: r, walks: make(map[parley.Stream]walk)}
	k.stat, _ = r.log.(parley.Statter)
	k.timer, _ = r.log.(parley.Timer)
	if k.stat == nil {
		r.opts.Logger.Warn("the engine has no statistics: max_age and max_bytes are not applied")
	}
	ticker := time.NewTicker(r.opts.RetainEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			k.round(ctx)
		}
	}
}

// judged is one stream with what was found out about it.
type judged struct {
	topic  Topic
	stream parley.Stream
	facts  Facts
}

// round applies the limits once to every stream.
func (k *retainer) round(ctx context.Context) {
	if err := k.trimCommits(ctx); err != nil {
		k.warn(ctx, PublishStream, err)
	}
	if k.stat == nil {
		return
	}
	k.bury(ctx)
	k.asked, k.far, k.deaf = false, nil, nil
	var worst *judged // the stream that holders keep the oldest events of
	seen := make(map[parley.Stream]walk, len(k.walks))
	for _, t := range k.List() {
		if IsInternal(t.Name) {
			continue // trimmed by its owner
		}
		for _, p := range t.Partitions {
			held := k.one(ctx, t, p.Stream)
			if held != nil && (worst == nil || held.facts.Stats.Oldest.Before(worst.facts.Stats.Oldest)) {
				worst = held
			}
			if w, ok := k.walks[p.Stream]; ok {
				seen[p.Stream] = w
			}
		}
	}
	k.walks = seen // those of topics that are gone go
	if worst != nil && k.opts.Pressed != nil && k.opts.Pressed() {
		worst.facts.Pressed = true
		worst.facts.Holds = k.holds.of(worst.stream)
		k.do(ctx, worst)
	}
}

// one applies the limits to one stream, and gives it back when holders keep
// something of it.
func (k *retainer) one(ctx context.Context, t Topic, s parley.Stream) *judged {
	j := &judged{topic: t, stream: s}
	err := k.learn(ctx, j)
	if err != nil {
		k.warn(ctx, t.Name, err)
		return nil
	}
	if IsEphemeral(t.Name) && k.idle(&t, j.facts.Stats.End) {
		k.buried = append(k.buried, s)
		if err := k.deleteEphemeral(ctx, t.Name); err != nil {
			k.warn(ctx, t.Name, err)
		}
		return nil
	}
	if k.do(ctx, j) {
		return j
	}
	return nil
}

// learn finds out the facts about a stream.
func (k *retainer) learn(ctx context.Context, j *judged) (err error) {
	f := &j.facts
	if f.Stats, err = k.stat.Stat(ctx, j.stream); err != nil {
		return err
	}
	f.Holds = k.holds.of(j.stream)
	cutoff := j.topic.Settings.tooOld(k.opts.Now())
	if k.timer != nil && !cutoff.IsZero() && f.Stats.Events > 0 && f.Stats.Oldest.Before(cutoff) {
		if f.Young, err = k.timer.At(ctx, j.stream, cutoff); err != nil {
			return err
		}
	}
	share := j.topic.Settings.share()
	if share != NoLimit && f.Stats.Bytes > share {
		f.Fits, err = k.fits(ctx, j.stream, f.Stats, f.Stats.Bytes-share)
	}
	return err
}

// fits walks from the earliest event until at least excess bytes lie behind. It
// reads what is about to go, once: only so is it exact.
func (k *retainer) fits(ctx context.Context, s parley.Stream, stats parley.Stats, excess int64) (parley.Position, error) {
	w, ok := k.walks[s]
	if !ok || w.earliest != stats.Earliest || w.before >= excess {
		w = walk{earliest: stats.Earliest, at: stats.Earliest}
	}
	for w.bytes < excess {
		run, err := k.log.Read(ctx, parley.Place{Stream: s, At: w.at}, foldBytes)
		if parley.CodeOf(err) == parley.Trimmed { // by another node, just now
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		if run.Empty() {
			break
		}
		for b := range run.Batches() {
			if w.bytes < excess {
				w.before, w.bytes = w.bytes, w.bytes+int64(b.Size())
				w.at = b.Next()
			}
		}
		run.Release()
	}
	k.walks[s] = w
	return w.at, nil
}

// do plans and trims, and tells whether holders kept something back.
func (k *retainer) do(ctx context.Context, j *judged) (held bool) {
	d := Plan(j.facts, k.opts.HoldMax)
	if d.UpTo > 0 && k.elsewhere != nil {
		if !k.ask(ctx) {
			return false
		}
		j.facts.Holds = append(j.facts.Holds, k.far[j.stream]...)
		d = Plan(j.facts, k.opts.HoldMax)
	}
	for _, c := range d.Cut {
		if !k.holds.cut(j.stream, c) { // it moved on in time, or is another node's to cut
			return true
		}
		k.opts.Logger.Warn("a holder kept too much and was cut",
			slog.String("holder", c.Holder), slog.String("topic", j.topic.Name), slog.Int64("at", int64(c.At)), slog.Int64("up_to", int64(d.UpTo)))
		if k.opts.OnCut != nil {
			k.opts.OnCut(Cut{Holder: c.Holder, Topic: j.topic.Name, Stream: j.stream, At: c.At, UpTo: d.UpTo})
		}
	}
	if d.UpTo > 0 {
		if err := k.log.Trim(ctx, j.stream, d.UpTo); err != nil {
			k.warn(ctx, j.topic.Name, err)
		}
	}
	return d.Held
}

// ask asks other nodes for their holds, once in a round, and says whether they are
// known.
func (k *retainer) ask(ctx context.Context) bool {
	if !k.asked {
		k.asked = true
		if k.far, k.deaf = k.elsewhere(ctx); k.deaf != nil && ctx.Err() == nil {
			k.opts.Logger.Warn("retention keeps everything for now: holders on other nodes cannot be asked", slog.Any("error", k.deaf))
		}
	}
	return k.deaf == nil
}

// bury removes again the streams of ephemeral topics that went in the round
// before.
func (k *retainer) bury(ctx context.Context) {
	for _, s := range k.buried {
		if k.get(s.Name) != nil { // it is wanted again
			continue
		}
		if err := k.removeStream(ctx, s); err != nil {
			k.warn(ctx, s.Name, err)
		}
	}
	k.buried = nil
}

func (k *retainer) warn(ctx context.Context, topic string, err error) {
	if ctx.Err() == nil {
		k.opts.Logger.Warn("retention failed", slog.String("topic", topic), slog.Any("error", err))
	}
}
