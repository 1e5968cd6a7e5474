package declared

import (
	"context"
	"slices"
)

// tapped is what one owner answers.
type tapped struct {
	part   int
	answer TapAnswer
	err    error
}

// tap asks all owners, and returns when one of them has something, or none for as long
// as it waits.
func (e *entry) tap(ctx context.Context, parts int, q TapRequest) (TapAnswer, error) {
	ctx, enough := context.WithCancel(ctx)
	defer enough()
	places := make([]TapPlace, parts)
	for part := range places {
		places[part].Partition = part
	}
	for _, p := range q.Parts {
		if p.Partition >= 0 && p.Partition < parts {
			places[p.Partition] = p
		}
	}
	answers := make(chan tapped, parts)
	for part, at := range places {
		one := request{Op: "tap", Share: parts, Tap: TapRequest{Step: q.Step, Wait: q.Wait, Term: at.Term, After: at.Next}}
		go func() {
			g := tapped{part: part}
			g.err = e.ask(ctx, part, one, &g.answer)
			answers <- g
		}()
	}
	all := TapAnswer{Records: []TapRecord{}}
	var failed error
	for range parts {
		g := <-answers
		switch {
		case g.err == nil:
			places[g.part].Term, places[g.part].Next = g.answer.Term, g.answer.Next
			all.add(&g)
		case ctx.Err() == nil && failed == nil:
			failed = g.err
		}
		if failed != nil || len(all.Records) > 0 || all.Dropped > 0 {
			enough()
		}
	}
	all.Parts = places
	all.Term, all.Next = places[0].Term, places[0].Next
	slices.SortStableFunc(all.Records, func(a, b TapRecord) int { return a.Time.Compare(b.Time) })
	if failed == nil && len(all.Records) == 0 {
		failed = context.Cause(ctx) // of who asks: nobody had enough
	}
	return all, failed
}

// add adds what one owner answers.
func (a *TapAnswer) add(g *tapped) {
	a.Dropped += g.answer.Dropped
	for i := range g.answer.Records {
		g.answer.Records[i].Partition = g.part
	}
	a.Records = append(a.Records, g.answer.Records...)
}
