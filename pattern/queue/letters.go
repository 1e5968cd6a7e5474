package queue

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/journal"
	"github.com/parleyhq/parley/base/topic"
)

// Attributes of a dead letter beyond those of the job's event.
const (
	LetterQueue   = "parleyqueue"   // the queue
	LetterJob     = "parleyjob"     // the job's id
	LetterReason  = "parleyreason"  // why it is dead
	LetterHistory = "parleyhistory" // its newest attempts, as a JSON array of Attempt
)

const lettersAtOnce = 100

// letter is a dead job that is to be published.
type letter struct {
	shown
	deaths uint32
}

// tell publishes dead jobs to the dead-letter topic: each at least once, and once
// within the topic's window for repeats.
func (o *owner) tell(ctx context.Context) {
	for {
		select {
		case <-o.letters:
		case <-ctx.Done():
			return
		}
		for wait := firstRetry; ctx.Err() == nil; {
			n, err := o.tellSome(ctx)
			if err != nil && ctx.Err() == nil {
				o.q.opt.Logger.Warn("dead jobs are not published", slog.String("queue", o.q.name), slog.Any("error", err))
				pause(ctx, wait)
				wait = min(2*wait, lastLetterRetry)
				continue
			}
			if wait = firstRetry; n < lettersAtOnce {
				break
			}
		}
	}
}

const lastLetterRetry = 30 * time.Second

func (o *owner) tellSome(ctx context.Context) (int, error) {
	var to string
	var list []letter
	err := o.do(ctx, func(*journal.Tx, int64) error {
		if to = o.settings.DeadLetter; o.untold > 0 && to != NoDeadLetter {
			list = o.untoldJobs(lettersAtOnce)
		}
		return nil
	})
	if err != nil || len(list) == 0 {
		return 0, err
	}
	places := make([]int64, len(list))
	for i, l := range list {
		places[i] = l.Place
	}
	events, err := fetch(ctx, o.log, o.q.jobs, places)
	if err != nil {
		return 0, err
	}
	for _, l := range list {
		if s, there := events[l.Place]; there {
			if err := o.publish(ctx, orElse(to, o.q.name+".dead"), s.event, l); err != nil {
				return 0, err
			}
		}
	}
	return len(list), o.noteTold(ctx, list, events)
}

// noteTold notes which dead jobs need no letter any more: those that were published,
// and those whose event is lost. One that was not found and is elsewhere by now was
// copied forward meanwhile: it stays, and is looked for again.
func (o *owner) noteTold(ctx context.Context, list []letter, published map[int64]stored) error {
	var lost []int64
	err := o.do(ctx, func(tx *journal.Tx, _ int64) error {
		var told []int64
		for _, l := range list {
			id := int64(l.ID)
			e := o.entries[id]
			if e == nil || e.phase != phaseDead || e.more.deaths != l.deaths {
				continue
			}
			if _, there := published[l.Place]; !there {
				if e.place != l.Place {
					continue
				}
				lost = append(lost, id)
			}
			told = append(told, id)
		}
		if len(told) == 0 {
			return nil
		}
		return tx.Move(encodeIDs(moveTold, told))
	})
	for _, id := range lost {
		o.q.opt.Logger.Warn("a dead job whose event is lost is not published", slog.String("queue", o.q.name), slog.Int64("job", id))
	}
	return err
}

func (b *book) untoldJobs(n int) (list []letter) {
	for _, id := range slices.Sorted(maps.Keys(b.entries)) {
		if e := b.entries[id]; e.more != nil && e.more.untold && len(list) < n {
			s, _ := b.look(id)
			list = append(list, letter{s, e.more.deaths})
		}
	}
	return list
}

// publish publishes one letter; the topic is made when it is not there.
func (o *owner) publish(ctx context.Context, to string, e parley.Event, l letter) error {
	e.Set(LetterQueue, o.q.name)
	e.Set(LetterJob, l.ID.String())
	e.Set(LetterReason, clip(printable(l.Reason), MaxCause))
	for h := l.History; len(h) > 0; h = h[1:] {
		if b, err := json.Marshal(h); err == nil && len(b) <= parley.MaxExtensionBytes {
			e.Set(LetterHistory, printable(string(b)))
			break
		}
	}
	once := topic.PublishOptions{IdempotencyKey: "dead " + o.q.name + " " + l.ID.String() + " " + strconv.FormatUint(uint64(l.deaths), 10)}
	if _, err := o.q.ensure(ctx, to); err != nil {
		return err
	}
	_, _, err := o.q.opt.Topics.Publish(ctx, to, []parley.Event{e}, once)
	return err
}

// printable replaces what an attribute may not hold: control characters and
// noncharacters (CloudEvents §3.1.2).
func printable(s string) string {
	out := []rune(s)
	for i, r := range out {
		if r < 0x20 || r >= 0x7f && r <= 0x9f || r >= 0xfdd0 && r <= 0xfdef || r&0xfffe == 0xfffe {
			out[i] = ' '
		}
	}
	return string(out)
}
