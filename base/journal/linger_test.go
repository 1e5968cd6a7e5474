package journal_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley/base/journal"
)

// TestLazyMovesLinger: lazy moves wait for a firm one, and not for ever.
func TestLazyMovesLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &faulty{Log: newLog()}
		l := mustStart(t, log, journal.Options{Linger: 5 * time.Millisecond})
		begin, appends := time.Now(), log.appends()
		lazy := func() {
			t.Helper()
			if err := l.Do(t.Context(), func(tx *journal.Tx) error { return tx.Lazy([]byte("add lazy 1")) }); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		want := func(n int) {
			t.Helper()
			synctest.Wait()
			if got := log.appends() - appends; got != n {
				t.Errorf("%d Appends after %v, want %d", got, time.Since(begin), n)
			}
		}
		lazy()
		lazy()
		<-time.After(4 * time.Millisecond)
		lazy()
		want(0)
		<-time.After(time.Millisecond)
		want(1) // 5 ms after the first
		<-time.After(time.Second)
		want(1)
		lazy()
		began := time.Now()
		if err := l.Do(t.Context(), func(tx *journal.Tx) error { return tx.Move([]byte("add firm 1")) }); err != nil || time.Now() != began {
			t.Errorf("a firm move: %v, after %v", err, time.Since(began))
		}
		want(2)
		lazy()
		if err := l.end(); err != nil {
			t.Fatal(err)
		}
		want(3)
	})
}

// TestLingeringKeepsTheBeat: who lingers gives signs of life all the same.
func TestLingeringKeepsTheBeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &faulty{Log: newLog()}
		l := mustStart(t, log, journal.Options{Linger: time.Hour, Fence: journal.Fence{Owner: "n", Beat: time.Second, Lapse: 3 * time.Second}})
		if err := l.Do(t.Context(), func(tx *journal.Tx) error { return tx.Lazy([]byte("add lazy 1")) }); err != nil {
			t.Fatal(err)
		}
		appends := log.appends()
		<-time.After(10*time.Second + time.Millisecond)
		if n := log.appends() - appends; n != 10 {
			t.Errorf("%d signs of life in 10 s", n)
		}
		if err := l.end(); err != nil {
			t.Fatal(err)
		}
	})
}
