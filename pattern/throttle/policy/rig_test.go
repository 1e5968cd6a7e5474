package policy

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/engine/memlog"
)

func newLog() parley.Log { return memlog.New(memlog.Options{}) }

// seen counts outcomes, as metrics do.
type seen struct {
	mu     sync.Mutex
	counts map[string]int
}

func (s *seen) observe(name string, o Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts == nil {
		s.counts = map[string]int{}
	}
	s.counts[name+" "+string(o)]++
}

func (s *seen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for k, n := range s.counts {
		out = append(out, fmt.Sprint(k, " ", n))
	}
	slices.Sort(out)
	s.counts = nil
	return strings.Join(out, ", ")
}

func load(t testing.TB, log parley.Log, o Options) *Registry {
	t.Helper()
	o.Logger = slog.New(slog.DiscardHandler)
	r, err := New(log, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

func put(t testing.TB, r *Registry, name string, d Definition) Info {
	t.Helper()
	info, _, err := r.Put(t.Context(), name, d)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// admit gives the code of a request's refusal, "" when it came in.
func admit(t testing.TB, r *Registry, q Request) string {
	t.Helper()
	_, err := r.Admit(t.Context(), &q)
	if err == nil {
		return ""
	}
	return parley.CodeOf(err).String()
}

func run(ctx context.Context, t testing.TB, r *Registry) {
	done := make(chan error, 1)
	ctx, stop := context.WithCancel(ctx)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}
