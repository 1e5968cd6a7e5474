package shard_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/base/journal"
	"github.com/parleyhq/parley/base/shard"
)

func code(t testing.TB, err error, want parley.Code) {
	t.Helper()
	if err == nil || parley.CodeOf(err) != want {
		t.Fatalf("error %v, want code %v", err, want)
	}
}

func TestLocalAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, host := newLog(), new(shard.Local)
		_, err := host.Ask(t.Context(), moves, []byte("state"))
		code(t, err, parley.Unavailable) // nobody came for as long as it waited

		early := make(chan string)
		go func() {
			answer, err := host.Ask(context.Background(), moves, []byte("add a 2"))
			if err != nil {
				answer = []byte(err.Error())
			}
			early <- string(answer)
		}()
		synctest.Wait()
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		run := func(ctx context.Context, o *shard.Owner) error { return own(ctx, log, o) }
		go func() { done <- host.Run(ctx, moves, run) }()
		if got := <-early; got != "2" {
			t.Fatalf("the answer to an Ask before the owner was there: %q", got)
		}
		code(t, host.Run(ctx, moves, run), parley.Exists)
		stop()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		brief, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = host.Ask(brief, moves, []byte("add a 2"))
		code(t, err, parley.Unavailable)
	})
}

// TestLocalRunsAgain: a machine that loses its log is opened again; one that
// fails for good is not.
func TestLocalRunsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host, runs := new(shard.Local), 0
		err := host.Run(t.Context(), moves, func(context.Context, *shard.Owner) error {
			if runs++; runs < 4 {
				return &parley.Error{Code: parley.Conflict}
			}
			return &parley.Error{Code: parley.Damaged}
		})
		code(t, err, parley.Damaged)
		if runs != 4 {
			t.Fatalf("%d runs, want 4", runs)
		}
	})
}

// TestParkedAskGoesOn: an Ask that waits at an owner that leaves goes on at the
// next, if its handler says that nothing happened, and ends if it does not say.
func TestParkedAskGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := new(shard.Local)
		var lives atomic.Int32
		run := func(ctx context.Context, o *shard.Owner) error {
			life := lives.Add(1)
			o.Handle(func(ctx context.Context, request []byte) ([]byte, error) {
				switch {
				case life == 2:
					return []byte("second life"), nil
				case string(request) == "says":
					<-ctx.Done()
					return nil, context.Cause(ctx)
				default:
					<-ctx.Done()
					return nil, ctx.Err()
				}
			})
			if life == 1 {
				<-time.After(time.Second)
				return &parley.Error{Code: parley.Conflict}
			}
			<-ctx.Done()
			return nil
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- host.Run(ctx, moves, run) }()
		unsaid := make(chan error, 1)
		go func() {
			_, err := host.Ask(context.Background(), moves, []byte("does not say"))
			unsaid <- err
		}()
		answer, err := host.Ask(t.Context(), moves, []byte("says"))
		if err != nil || string(answer) != "second life" {
			t.Fatalf("answer %q, error %v", answer, err)
		}
		code(t, <-unsaid, parley.Unknown)
		stop()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

// TestParkedDo: the context of a handler carries its cause into Journal.Do.
func TestParkedDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog()
		j, err := journal.Open(t.Context(), log, moves, newSample(), journal.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var desk shard.Desk
		shut := desk.Open(moves, func(ctx context.Context, _ []byte) ([]byte, error) {
			return nil, j.Do(ctx, func(*journal.Tx) error { return nil }) // Run never comes
		})
		answer := make(chan error, 1)
		go func() {
			_, err := desk.Serve(context.Background(), moves, nil)
			answer <- err
		}()
		synctest.Wait()
		shut()
		code(t, <-answer, parley.Unavailable)
		_, err = desk.Serve(t.Context(), moves, nil)
		code(t, err, parley.Unavailable)
	})
}
