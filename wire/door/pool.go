package door

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
)

// Pool runs tasks that were woken, each by one worker at a time. A task woken
// while it runs runs once more; one woken while it waits in line runs once.
type Pool struct {
	workers int
	mu      sync.Mutex
	head    *Task
	tail    **Task
	signal  chan struct{}
}

// Task is a place in the pool's line. It is embedded in what it runs and must
// not be copied.
type Task struct {
	run   func()
	next  *Task
	state atomic.Uint32
}

const (
	taskIdle uint32 = iota
	taskQueued
	taskRunning
	taskAgain
)

// NewPool makes a pool of n workers; 0 means two for each processor. Run starts
// them.
func NewPool(n int) *Pool {
	if n <= 0 {
		n = 2 * runtime.GOMAXPROCS(0)
	}
	p := &Pool{workers: n, signal: make(chan struct{}, n)}
	p.tail = &p.head
	return p
}

// Run works until ctx ends.
func (p *Pool) Run(ctx context.Context) error {
	var workers sync.WaitGroup
	for range p.workers {
		workers.Go(func() { p.work(ctx) })
	}
	workers.Wait()
	return ctx.Err()
}

// Init says what the task does. run is never called by two workers at once.
func (t *Task) Init(run func()) { t.run = run }

// Wake makes sure that the task runs after this call. It never blocks.
func (p *Pool) Wake(t *Task) {
	for {
		switch s := t.state.Load(); s {
		case taskIdle:
			if t.state.CompareAndSwap(taskIdle, taskQueued) {
				p.push(t)
				return
			}
		case taskRunning:
			if t.state.CompareAndSwap(taskRunning, taskAgain) {
				return
			}
		default: // in line, or to run again: it runs after this call
			return
		}
	}
}

func (p *Pool) push(t *Task) {
	p.mu.Lock()
	t.next = nil
	*p.tail = t
	p.tail = &t.next
	p.mu.Unlock()
	select {
	case p.signal <- struct{}{}:
	default: // every worker has been called
	}
}

func (p *Pool) pop() *Task {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.head
	if t == nil {
		return nil
	}
	if p.head = t.next; p.head == nil {
		p.tail = &p.head
	}
	t.next = nil
	return t
}

func (p *Pool) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.signal:
		}
		for t := p.pop(); t != nil; t = p.pop() {
			p.execute(t)
		}
	}
}

func (p *Pool) execute(t *Task) {
	t.state.Store(taskRunning)
	t.run()
	if !t.state.CompareAndSwap(taskRunning, taskIdle) { // woken meanwhile
		t.state.Store(taskQueued)
		p.push(t)
	}
}
