package pipe

import (
	"context"
	"sync"
)

// book is the ledger of a run, shared by its goroutines.
type book struct {
	mu     sync.Mutex
	ledger ledger
	news   []chan struct{} // one a source, with room for one signal
}

func (b *book) source() (lane int, news <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := make(chan struct{}, 1)
	b.news = append(b.news, c)
	return b.ledger.source(), c
}

func (b *book) open(lane, events int) unit {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ledger.open(lane, events)
}

func (b *book) derive() unit {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ledger.derive()
}

func (b *book) join(u, parent unit) {
	if u == 0 || parent == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ledger.join(u, parent)
}

func (b *book) hold(u unit) {
	if u == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ledger.hold(u)
}

func (b *book) drop(u unit) {
	if u == 0 {
		return
	}
	b.mu.Lock()
	news := b.ledger.drop(u)
	b.mu.Unlock()
	for i, c := range b.news { // complete before the first event
		if news == 0 {
			return
		}
		if news&(1<<min(i, 63)) != 0 {
			signal(c)
		}
	}
}

func (b *book) acked(lane int) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ledger.lanes[lane-1].acked
}

// follow tells a source what is done until ctx ends, and what is done then.
func (b *book) follow(ctx context.Context, lane int, news <-chan struct{}, to Acker) error {
	told := int64(0)
	for over := false; ; {
		if n := b.acked(lane); n > told {
			if err := to.Ack(context.WithoutCancel(ctx), n); err != nil {
				return err
			}
			told = n
		} else if over {
			return nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			over = true
		}
	}
}

// signal wakes whoever waits on a channel with room for one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
