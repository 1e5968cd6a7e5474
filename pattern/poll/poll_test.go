package poll

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"

	"github.com/parleyhq/parley"
)

// memory is a Source over a slice; the cursor is the number of events before it.
type memory struct {
	mu     sync.Mutex
	events []json.RawMessage
	more   chan struct{} // closed by the next add
	reads  int
	waits  int
}

func newMemory(n int) *memory {
	m := &memory{more: make(chan struct{})}
	for i := range n {
		m.add(strconv.Itoa(i + 1))
	}
	return m
}

func (m *memory) add(event string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events = append(m.events, json.RawMessage(event))
	close(m.more)
	m.more = make(chan struct{})
}

func (m *memory) place(after string, limit int) (int, error) {
	switch after {
	case "":
		return max(0, len(m.events)-limit), nil
	case "earliest":
		return 0, nil
	case "latest":
		return len(m.events), nil
	}
	n, err := strconv.Atoi(after)
	if err != nil || n < 0 || n > len(m.events) {
		return 0, &parley.Error{Code: parley.BadCursor, Field: "after", Detail: "unknown", Fix: "start from earliest"}
	}
	return n, nil
}

func (m *memory) Read(_ context.Context, after string, limit int) (Page, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads++
	from, err := m.place(after, limit)
	if err != nil {
		return Page{}, err
	}
	to := min(from+limit, len(m.events))
	return Page{Events: m.events[from:to], Cursor: fmt.Sprint(to), More: to < len(m.events)}, nil
}

func (m *memory) Wait(ctx context.Context, after string) error {
	m.mu.Lock()
	m.waits++
	from, err := m.place(after, 0)
	ready, more := from < len(m.events), m.more
	m.mu.Unlock()
	if err != nil || ready {
		return err
	}
	select {
	case <-more:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
