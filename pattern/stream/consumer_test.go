package stream

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parleyhq/parley"
)

// A consumer that hangs for longer than MaxPoll is given up, hears of it, and comes
// back; what it had not committed comes again.
func TestConsumerThatHangsIsGivenUpAndComesBack(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		r.create("a", 2)
		r.put("a", 1, 6)
		g := r.group("g")
		var heard []string
		c := r.consumer(g, ConsumerOptions{
			Topics: []string{"a"}, MaxPoll: time.Minute, Session: 10 * time.Second,
			OnAssign: func(_ context.Context, list []Place) { heard = append(heard, fmt.Sprint("assigned ", len(list))) },
			OnRevoke: func(_ context.Context, list []Place) { heard = append(heard, fmt.Sprint("revoked ", len(list))) },
		})
		list, err := c.Poll(r.ctx())
		r.must(err)
		r.pass(50 * time.Second) // it works, for longer than its session
		if i := r.describe(g); len(i.Members) != 1 {
			t.Fatal("given up while it works")
		}
		r.must(c.Commit(r.ctx()))
		r.put("a", 7, 9)
		first := c.Member()
		again, err := c.Poll(r.ctx())
		r.must(err)
		r.pass(2 * time.Minute) // it hangs
		if i := r.describe(g); len(i.Members) != 0 {
			t.Fatal("kept though it hangs")
		}
		r.code(c.Commit(r.ctx()), parley.Conflict, "member")
		if got, err := c.Poll(r.ctx()); err != nil || len(got) != 0 || c.Member() == first {
			t.Fatalf("%v %v, member %s", got, err, c.Member())
		}
		back, err := c.Poll(r.ctx())
		r.must(err)
		if !slices.Equal(numbersOf(list), upTo(6)) || !slices.Equal(numbersOf(back), numbersOf(again)) || !slices.Equal(numbersOf(back), []int{7, 8, 9}) {
			t.Errorf("%v, %v, %v", numbersOf(list), numbersOf(again), numbersOf(back))
		}
		r.must(c.CommitPlaces(r.ctx(), Place{back[0].Topic, back[0].Partition, back[0].Position + 1}))
		r.must(c.Leave(r.ctx()))
		r.must(c.Leave(r.ctx())) // nothing more to leave
		if want := []string{"assigned 2", "revoked 2", "assigned 2", "revoked 2"}; !slices.Equal(heard, want) {
			t.Errorf("heard %v, want %v", heard, want)
		}
	})
}

// With AutoCommit nothing is read twice when partitions change hands in peace.
func TestAutoCommitLosesAndRepeatsNothing(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		r.create("a", 4)
		g := r.group("g")
		var got []int
		gather := make(chan []int)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for list := range gather {
				got = append(got, list...)
			}
		}()
		for round := range 5 { // each leaves when the next has come
			ctx, stop := context.WithCancel(r.ctx())
			c := r.consumer(g, ConsumerOptions{Topics: []string{"a"}, AutoCommit: time.Hour, Limit: 3})
			left := make(chan error, 1)
			go func() {
				for {
					list, err := c.Poll(ctx)
					if err != nil {
						left <- c.Leave(context.WithoutCancel(ctx))
						return
					}
					gather <- numbersOf(list)
				}
			}()
			defer func() {
				stop()
				if err := <-left; err != nil {
					t.Error(err)
				}
				if round == 0 {
					synctest.Wait()
					close(gather)
					<-done
					slices.Sort(got)
					if !slices.Equal(got, upTo(100)) {
						t.Errorf("given %v", got)
					}
				}
			}()
			r.put("a", 20*round+1, 20*round+20)
			r.pass(2 * time.Second)
		}
	})
}

func TestConsumerOptions(t *testing.T) {
	fake(t, Options{}, func(r *rig) {
		g := r.group("g")
		for field, o := range map[string]ConsumerOptions{
			"topics":            {},
			"topics[0]":         {Topics: []string{"~a"}},
			"session_timeout":   {Topics: []string{"a"}, Session: time.Second},
			"rebalance_timeout": {Topics: []string{"a"}, Rebalance: time.Hour},
			"options":           {Topics: []string{"a"}, MaxPoll: -1},
		} {
			_, err := NewConsumer(g, o)
			r.code(err, parley.Invalid, field)
		}
	})
	for _, o := range []Options{{Retention: -1}, {MaxGroups: -1}} {
		if _, err := New(nil, nil, nil, o); parley.CodeOf(err) != parley.Invalid {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
