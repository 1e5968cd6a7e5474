package memlog

import (
	"context"
	"sort"
	"time"

	"github.com/parleyhq/parley"
)

// Streams implements parley.Lister.
func (l *Log) Streams(ctx context.Context, namespace string) ([]parley.Stream, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var all []parley.Stream
	l.mu.Lock()
	for s, st := range l.streams {
		if s.Namespace == namespace && st.newest != 0 {
			all = append(all, s)
		}
	}
	l.mu.Unlock()
	sort.Slice(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	return all, nil
}

// Remove implements parley.Remover. Positions of the stream start at 1 again.
func (l *Log) Remove(ctx context.Context, s parley.Stream) error {
	if err := checkPlace(ctx, parley.Place{Stream: s}); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	st := l.written(s)
	if st == nil {
		return nil
	}
	st.watches.WakeAll()
	delete(l.streams, s)
	l.bytes -= st.bytes
	l.epoch++ // whatever is made from now on differs from it, without remembering it
	return nil
}

// Stat implements parley.Statter.
func (l *Log) Stat(ctx context.Context, s parley.Stream) (parley.Stats, error) {
	if err := checkPlace(ctx, parley.Place{Stream: s}); err != nil {
		return parley.Stats{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	st := l.written(s)
	if st == nil {
		return parley.Stats{}, nil
	}
	l.forgetKeys(st)
	first := st.chunks[0]
	return parley.Stats{
		Earliest: st.earliest(),
		Low:      st.low,
		End:      st.next,
		Newest:   st.newest,
		Bytes:    st.bytes,
		Events:   st.events,
		Oldest:   first.batch(first.marks[0]).MaxTime(),
		Epoch:    st.epoch,
	}, nil
}

// Back implements parley.Backer.
func (l *Log) Back(ctx context.Context, at parley.Place, n int) (parley.Position, error) {
	if err := checkPlace(ctx, at); err != nil {
		return 0, err
	}
	if n < 1 {
		return at.At, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	st := l.written(at.Stream)
	if st == nil {
		return 0, nil
	}
	for k := len(st.chunks) - 1; k >= 0; k-- {
		c := st.chunks[k]
		below := sort.Search(len(c.marks), func(i int) bool { return c.marks[i].base >= at.At })
		if below >= n {
			return c.marks[below-n].base, nil
		}
		n -= below
	}
	return st.earliest(), nil
}

// At implements parley.Timer.
func (l *Log) At(ctx context.Context, s parley.Stream, t time.Time) (parley.Position, error) {
	if err := checkPlace(ctx, parley.Place{Stream: s}); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	st := l.written(s)
	if st == nil {
		return 0, nil
	}
	ms := t.UnixMilli()
	k := sort.Search(len(st.chunks), func(k int) bool { return st.chunks[k].last().until >= ms })
	for ; k < len(st.chunks); k++ {
		c := st.chunks[k]
		i := sort.Search(len(c.marks), func(i int) bool { return c.marks[i].until >= ms })
		for ; i < len(c.marks); i++ {
			// The mark may owe its time to an earlier batch, dropped since.
			if c.batch(c.marks[i]).MaxTime().UnixMilli() >= ms {
				return c.marks[i].base, nil
			}
		}
	}
	return st.next, nil
}
